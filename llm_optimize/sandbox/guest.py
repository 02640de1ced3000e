"""The process tree on the far side: a warm parent, its lanes, and the programs in them.

Started by path with a bare ``python -I``; speaks JSON over a socket of whole messages; standard library only.

The warm parent imports the preloaded modules once and never runs a candidate's code. For each program that runs at
the same time it forks a lane, which puts walls around itself, answers the host directly, and forks one child per
program. The child gives up every right, closes every descriptor but its own pipes, and only then reads the program.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import importlib.util
import json
import mmap
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_optimize.sandbox import answering, becoming, cgroup, codec, confine, lane, pickled, program, seccomp
else:

    def _sibling(name: str) -> object:
        # by path, not by import: this folder must not be on the path of a program, nor our package in its sight
        spec = importlib.util.spec_from_file_location(f"_jail_{name}", Path(__file__).with_name(f"{name}.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    answering, cgroup, codec, confine, lane, pickled, program, seccomp = map(
        _sibling, ("answering", "cgroup", "codec", "confine", "lane", "pickled", "program", "seccomp")
    )
    becoming = _sibling("becoming")  # takes some of the others

__all__ = ["main"]

_MESSAGE = 1 << 16
_RESULT, _TASK, _INPUTS = 3, 4, 5
_EVERY_KIND = ("user", "pid", "ipc", "uts", "mount", "net")
_BACKLOG = 16


def main(control: socket.socket) -> None:
    """Serve the host until it is gone."""
    config = json.loads(control.recv(_MESSAGE))
    _preload(control, config["preload"])
    confine.prctl(confine.PR_SET_CHILD_SUBREAPER, 1)
    while True:
        message, descriptors = _receive(control)
        order = json.loads(message) if message else None
        if order is None:
            os._exit(0)  # the host is gone; every lane notices the same by itself
        if "preload" in order:
            _preload(control, order["preload"])
            continue
        _reap()
        job = _open_lane(control, descriptors, order)
        if job is not None:  # we are a program's process by now, far below the warm parent
            job()
            os._exit(0)


def _preload(control: socket.socket, names: list[str]) -> None:
    for name in names:
        control.send(json.dumps({"importing": name}).encode())
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # keeps the pages shared with the children: a collection does not touch them again
    control.send(json.dumps({"ready": sorted(names)}).encode())


_GROUPS: dict[int, Path] = {}
"""Control groups of the lanes, by process; only the warm parent can take them away, when their lanes are gone."""


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while ended := os.waitpid(-1, os.WNOHANG)[0]:
            cgroup.remove(_GROUPS.pop(ended, Path("/nowhere")))


def _receive(channel: socket.socket) -> tuple[bytes, list[int]]:
    message, descriptors, _, _ = socket.recv_fds(channel, _MESSAGE, 8)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - takes no keyword
    return message, descriptors


def _open_lane(control: socket.socket, descriptors: list[int], order: dict[str, Any]) -> Callable[[], None] | None:
    """Fork a lane by way of a middle process, as the first child of an unshared process is the one in the namespace.

    Returns:
        None in the warm parent; in a program's process, which comes out of the lane, what it has to do.
    """
    (channel,) = descriptors
    told, tell = os.pipe()
    heard, hear = os.pipe()
    middle = os.fork()
    if middle:
        os.close(heard)
        os.close(tell)
        os.close(channel)
        _attend(middle, told, hear, order)
        os.close(told)
        os.close(hear)
        return None
    control.close()
    os.close(told)
    os.close(hear)
    error = _leave(order)
    os.write(tell, (error or "ok").encode())
    error = error or os.read(heard, _MESSAGE).decode().removeprefix("ok")
    pid = 0 if error else os.fork()
    if pid:
        os.write(tell, str(pid).encode())
        os._exit(0)
    with socket.socket(fileno=channel) as host:
        if error:
            host.send(json.dumps({"failed": error}).encode())
            os._exit(0)
        pid = int(os.read(heard, _MESSAGE))
        os.close(tell)
        os.close(heard)
        return _Lane(host, order, pid).serve()


def _attend(middle: int, told: int, hear: int, order: dict[str, Any]) -> None:
    """The warm parent's half of :func:`_open_lane`: it alone may say who the new namespace's users are."""
    answer = os.read(told, _MESSAGE)
    if answer == b"ok" and order["walls"] != "none":
        try:
            confine.write_maps(middle)
        except OSError as error:
            answer = str(error).encode()
    if answer == b"ok":
        os.write(hear, answer)
        pid = os.read(told, _MESSAGE)
        os.waitpid(middle, 0)
        os.write(hear, pid)  # only now is the lane our own child, so that it can ask to die with us
        return
    with contextlib.suppress(BrokenPipeError):  # it knew before us
        os.write(hear, answer)
    os.waitpid(middle, 0)


def _leave(order: dict[str, Any]) -> str:
    if order["walls"] == "none":
        return ""
    kinds = [kind for kind in _ALWAYS_ASKED if kind != "mount" or order["walls"] == "full"]
    try:
        confine.unshare((*kinds, *(("net",) if order["network"] == "none" else ())))
    except OSError as error:
        return str(error)
    return ""


class _Lane:
    """Serves one program after the other; keeps nothing of any."""

    def __init__(self, host: socket.socket, order: dict[str, Any], pid: int) -> None:
        self._host = host
        self._order = order
        self._walls = order["walls"]
        self._megabytes = 1
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # process 1 takes from inside only what it has a handler for
        confine.prctl(confine.PR_SET_PDEATHSIG, signal.SIGKILL)
        self._missing: list[tuple[str, str]] = []
        self._proc = self._build() if self._walls == "full" else self._walls == "none"
        self._user = confine.other_user(walled=self._walls != "none") if order["drop"] else None
        if order["drop"] and os.getuid() == 0 and self._user is None:
            self._missing.append(("user", "programs stay root: nobody cannot read the interpreter, or may not be used"))
        if self._walls == "none":
            confine.prctl(confine.PR_SET_CHILD_SUBREAPER, 1)
        confine.prctl(confine.PR_SET_DUMPABLE, 0)
        self._mapped = _mapped_bytes()
        host.send(json.dumps({"pid": pid, "layers": self._layers(), "missing": self._missing}).encode())

    def _build(self) -> bool:
        try:
            proc = confine.build_root(network=self._order["network"] == "host")
        except OSError as error:
            self._host.send(json.dumps({"failed": str(error)}).encode())
            os._exit(0)
        if proc:
            confine.seal_namespaces()
        else:
            self._missing.append(("watch", "this container allows no /proc of our own"))
        return proc

    def _layers(self) -> list[str]:
        kinds = [*_ALWAYS_ASKED, *(("net",) if self._order["network"] == "none" else ())]
        walls = [] if self._walls == "none" else [k for k in kinds if k != "mount" or self._walls == "full"]
        if self._walls == "none" and self._user is not None:
            walls = ["user"]
        rest = ["no_new_privs", "rlimits"] if self._order["drop"] else []
        return [*walls, *(["watch"] if self._proc and self._order["drop"] else []), *rest, "tree_kill"]

    def serve(self) -> Callable[[], None]:
        """Return in a program's process only, with what it has to do; the lane itself ends here."""
        while True:
            message, descriptors = _receive(self._host)
            order = json.loads(message) if message else None
            if order is None:
                os._exit(0)
            if "run" not in order:
                continue  # an order to end a program that had ended by itself
            self._prepare(order)
            child = os.fork()
            if child == 0:
                return lambda: self._become(order, descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            self._report(self._supervise(child, order))
            if self._walls == "full":
                confine.fresh_home(self._megabytes)

    def _prepare(self, order: dict[str, Any]) -> None:
        if self._walls == "full" and order["limits"]["files_mb"] != self._megabytes:
            self._megabytes = order["limits"]["files_mb"]
            confine.fresh_home(self._megabytes)
        if self._walls != "full" and self._user is not None:
            os.chown(order["folder"], self._user, self._user)

    def _supervise(self, child: int, order: dict[str, Any]) -> lane.Ended:
        kill, pids = lane.kill_namespace, lane.namespace_pids
        if self._walls == "none":
            kill, pids = lane.kill_tree, lambda: list(lane.descendants(os.getpid()))
        watch = lane.Watch(order["limits"], pids) if self._proc and self._order["drop"] else None
        descriptor = confine.open_child(child)
        reason = lane.wait(descriptor, self._host.fileno(), watch)
        os.close(descriptor)
        ended = lane.sweep(child, kill)
        ended.reason = reason
        ended.peak_kb = max(ended.peak_kb, watch.peak_kb if watch else 0)
        return ended

    def _report(self, ended: lane.Ended) -> None:
        report = {"status": ended.status, "reason": ended.reason, "cpu": ended.cpu_seconds, "peak_kb": ended.peak_kb}
        try:
            self._host.send(json.dumps(report).encode())
        except OSError:
            os._exit(0)  # the host is gone

    def _become(self, order: dict[str, Any], descriptors: list[int]) -> None:
        """Turn the forked child into the program: descriptors, session, limits, rights, then its code."""
        _adopt(descriptors * 2 if order["run"] == "command" else descriptors)  # a command has one stream for both
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(order["folder"])
        os.environ.update(HOME=order["folder"], TMPDIR=order["folder"])
        if self._order["drop"]:
            if self._walls != "none":
                confine.fresh_ipc()
            _limit(order["limits"], self._mapped)
            _limit_tasks(int(order["limits"]["processes"]), self._user, walled=self._walls != "none")
            confine.drop_rights(self._user)
        confine.prctl(confine.PR_SET_DUMPABLE, 1)
        confine.prctl(confine.PR_SET_PDEATHSIG, signal.SIGKILL)
        _RUNS[order["run"]](order)


def _adopt(descriptors: list[int]) -> None:
    """Put the host's descriptors where they belong and close everything else."""
    import fcntl  # noqa: PLC0415 - standard library, wanted here only

    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE) for descriptor in descriptors]
    empty = os.open("/dev/null", os.O_RDONLY)
    os.dup2(empty, 0)
    for target, descriptor in enumerate(high, start=_STDOUT):
        os.dup2(descriptor, target, inheritable=target in (_STDOUT, _STDERR))
    os.closerange(_STDOUT + len(high), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    # new streams: the warm parent's were opened on something else; a line reaches the host even if the next never ends
    sys.stdout = open(1, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115 - for the process's life
    sys.stderr = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115 - for the process's life


def _mapped_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[0]) * mmap.PAGESIZE
    except OSError:  # no /proc: what a process with the usual modules maps
        return 1 << 30


def _limit(limits: dict[str, float], mapped: int) -> None:
    files = int(limits["files_mb"]) << 20
    seconds = int(limits["cpu_s"]) + 1
    _lower(resource.RLIMIT_AS, mapped + (int(limits["memory_mb"]) << 20))
    _lower(resource.RLIMIT_CPU, seconds, seconds + 1)  # a signal that names the reason, then one that ends it
    _lower(resource.RLIMIT_FSIZE, files)
    _lower(resource.RLIMIT_NOFILE, 1024)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_MEMLOCK, 1 << 20)
    _lower(resource.RLIMIT_MSGQUEUE, 1 << 20)


def _limit_tasks(processes: int, user: int | None, *, walled: bool) -> None:
    """Hold a fork bomb between two looks of the watch, which is exact. Root itself is never held by this limit."""
    others = 1  # the lane
    if not walled or not _counts_per_namespace():
        if not Path("/proc/self/stat").exists():
            return
        others = lane.count_tasks(os.getuid() if user is None else user)
    _lower(resource.RLIMIT_NPROC, processes + others + 1)  # one too many, so that the watch sees it and says so


def _counts_per_namespace() -> bool:
    """Since Linux 5.14 processes are counted per user namespace; before, all of the user's on the machine were."""
    major, minor = os.uname().release.split(".")[:2]
    return (int(major), int("".join(filter(str.isdigit, minor)))) >= (5, 14)


def _lower(kind: int, soft: int, hard: int | None = None) -> None:
    most = resource.getrlimit(kind)[1]
    wanted = (soft, soft if hard is None else hard)
    resource.setrlimit(kind, wanted if most == resource.RLIM_INFINITY else (min(wanted[0], most), min(wanted[1], most)))


def _take(descriptor: int) -> memoryview:
    size = os.fstat(descriptor).st_size
    # a private mapping: writes to it are this program's own, and nothing is copied that is not written
    data = mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY)
    os.close(descriptor)
    return memoryview(data)


def _give(chunks: list[bytes | memoryview]) -> None:
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(_RESULT, rest) :]
    os.close(_RESULT)


def _run_data(_order: dict[str, Any]) -> None:
    task = codec.decode(_take(_TASK))
    inputs = codec.decode(_take(_INPUTS), copy=False)
    chunks = codec.encode_outcome(program.perform(task, inputs))
    sys.stdout.flush()
    sys.stderr.flush()
    _give(chunks)


def _run_pickled(_order: dict[str, Any]) -> None:
    reply = pickled.perform(bytes(_take(_TASK)))
    sys.stdout.flush()
    sys.stderr.flush()
    _give([reply])


def _run_session(_order: dict[str, Any]) -> None:
    answering.serve(_TASK, _RESULT, codec.decode(_take(_INPUTS), copy=False), codec, program)


def _run_command(order: dict[str, Any]) -> None:
    os.execve(order["command"][0], order["command"], order["environment"])  # noqa: S606 - the caller's own program


_RUNS: dict[str, Callable[[dict[str, Any]], None]] = {
    "data": _run_data,
    "pickled": _run_pickled,
    "command": _run_command,
    "session": _run_session,
}

if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
