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
from typing import TYPE_CHECKING, Any, NoReturn

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
    group, ungrouped = _group(order)
    if order["drop"] and not seccomp.unavailable():  # built once, here, where its policy can be read
        seccomp.build(order["network"], private_files="mount" in _kinds(order))
    middle = os.fork()
    if middle:
        os.close(heard)
        os.close(tell)
        os.close(channel)
        _attend(middle, told, hear, order, group)
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
        return _Lane(host, order, pid, group, ungrouped).serve()


def _group(order: dict[str, Any]) -> tuple[cgroup.Group | None, str]:
    if not order["drop"] or "cgroup" in order["without"]:
        return None, ""
    parent, why = cgroup.delegated()
    try:
        return (cgroup.Group(parent, str(len(_GROUPS))) if parent else None), why
    except OSError as error:
        return None, str(error)


def _attend(middle: int, told: int, hear: int, order: dict[str, Any], group: cgroup.Group | None) -> None:
    """The warm parent's half of :func:`_open_lane`: it alone may say who the new namespace's users are."""
    if group is not None:
        group.close()
    answer = os.read(told, _MESSAGE)
    if answer == b"ok" and "user" in _kinds(order):
        try:
            confine.write_maps(middle)
        except OSError as error:
            answer = str(error).encode()
    if answer == b"ok":
        os.write(hear, answer)
        pid = os.read(told, _MESSAGE)
        os.waitpid(middle, 0)
        if group is not None:
            _GROUPS[int(pid)] = group.folder
        os.write(hear, pid)  # only now is the lane our own child, so that it can ask to die with us
        return
    with contextlib.suppress(BrokenPipeError):  # it knew before us
        os.write(hear, answer)
    os.waitpid(middle, 0)


def _kinds(order: dict[str, Any]) -> tuple[str, ...]:
    """The namespaces that a lane gets."""
    if order["walls"] == "none":
        return ()
    off = {*order["without"], *(("mount",) if order["walls"] != "full" else ())}
    off |= {"net"} if order["network"] == "host" else set()
    return tuple(kind for kind in _EVERY_KIND if kind not in off)


def _leave(order: dict[str, Any]) -> str:
    try:
        confine.unshare(_kinds(order))
    except OSError as error:
        return str(error)
    return ""


class _Lane:
    """Serves one program after the other; keeps nothing of any."""

    def __init__(
        self, host: socket.socket, order: dict[str, Any], pid: int, group: cgroup.Group | None, ungrouped: str
    ) -> None:
        self._host = host
        self._drop = order["drop"]
        self._kinds = _kinds(order)
        self._group = group
        self._megabytes = 1
        self._spare: tuple[int, socket.socket] | None = None
        self._unheard = True
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # process 1 takes from inside only what it has a handler for
        confine.prctl(confine.PR_SET_PDEATHSIG, signal.SIGKILL)
        missing = [("cgroup", ungrouped)] if ungrouped else []
        self._proc = self._build(order, missing)
        if "pid" not in self._kinds:
            confine.prctl(confine.PR_SET_CHILD_SUBREAPER, 1)
        confine.prctl(confine.PR_SET_DUMPABLE, 0)
        self._watched = self._proc and self._drop and "watch" not in order["without"]
        self._fences = becoming.Fences(order, self._kinds, group)
        self._hello = {"pid": pid, "layers": self._layers(), "missing": [*missing, *self._fences.missing]}
        self._ports = self._open_ports(order)

    def _build(self, order: dict[str, Any], missing: list[tuple[str, str]]) -> bool:
        """Put up the walls; return whether there is a /proc that shows the programs' processes."""
        if "mount" not in self._kinds:
            return "pid" not in self._kinds  # else /proc shows the numbers of another namespace
        own = "pid" in self._kinds
        try:
            proc = confine.build_root(network=order["network"] == "host", own_processes=own)
        except OSError as error:
            self._fail(str(error))
        if proc and own:
            confine.seal_namespaces()
        elif not proc:
            missing.append(("watch", "this container allows no /proc of our own"))
        return proc

    def _open_ports(self, order: dict[str, Any]) -> list[socket.socket]:
        """Listen where programs expect the host's ports; the host accepts and passes on."""
        if order["network"] != "loopback" or "net" not in self._kinds:
            if order["network"] == "loopback" and not self._fences.guards_ports:
                self._fail("network: single ports need a network namespace, or Landlock 4 with seccomp")
            return []
        confine.raise_loopback()
        return [socket.create_server(("127.0.0.1", port), backlog=_BACKLOG) for port in order["ports"]]

    def _fail(self, why: str) -> NoReturn:
        self._host.send(json.dumps({"failed": why}).encode())
        os._exit(0)

    def _layers(self) -> list[str]:
        user = ["user"] if self._fences.user is not None and "user" not in self._kinds else []
        return [*self._kinds, *user, *(["watch"] if self._watched else []), *self._fences.layers, "tree_kill"]

    def serve(self) -> Callable[[], None]:
        """Return in a program's process only, with what it has to do; the lane itself ends here."""
        ahead = "mount" in self._kinds and self._drop  # elsewhere each program has a folder that we do not know yet
        job = self._stand_by(confine.GUEST_HOME if ahead else "/")
        if job is not None:
            return job
        self._greet()
        while True:
            if ahead and self._spare is None and (job := self._stand_by(confine.GUEST_HOME)):
                return job
            message, descriptors = _receive(self._host)
            order = json.loads(message) if message else None
            if order is None:
                os._exit(0)
            if "run" not in order:
                continue  # an order to end a program that had ended by itself
            if not ahead and (job := self._stand_by(order["folder"])):
                return job
            self._report(self._supervise(self._hand_over(order, descriptors), order))
            if "mount" in self._kinds:
                confine.fresh_home(self._megabytes)

    def _stand_by(self, folder: str) -> Callable[[], None] | None:
        """Fork a process that gives up its rights and waits for a program; return what it has to do, in it only."""
        if "mount" not in self._kinds and self._fences.user is not None and folder != "/":
            os.chown(folder, self._fences.user, self._fences.user)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        child = os.fork()
        if child == 0:
            return lambda: self._become(theirs, folder)
        theirs.close()
        self._spare = child, ours
        return None

    def _greet(self) -> None:
        """Tell the host that the lane stands, once the first process has been fenced in without an error."""
        child, channel = self._spare or (0, self._host)
        said = channel.recv(_MESSAGE).decode()
        self._unheard = False
        if said != "ok":
            self._fail(said or "the first process died before it was confined")
        if "mount" not in self._kinds or not self._drop:
            channel.close()
            os.waitpid(child, 0)
            self._spare, self._unheard = None, True
        socket.send_fds(self._host, [json.dumps(self._hello).encode()], [port.fileno() for port in self._ports])
        while self._ports:
            self._ports.pop().close()

    def _hand_over(self, order: dict[str, Any], descriptors: list[int]) -> int:
        """Give the waiting process its program; return its number."""
        child, channel = self._spare or (0, self._host)
        self._spare = None
        limits = order.get("limits")
        if limits is not None and "mount" in self._kinds and limits["files_mb"] != self._megabytes:
            self._megabytes = limits["files_mb"]
            confine.resize_home(self._megabytes)
        if self._group is not None:
            self._group.limit(limits["memory_mb"], limits["processes"])
        order["others"] = self._fences.others() if self._drop else -1
        with contextlib.suppress(ConnectionError), channel:  # it was ended: that is what will be reported
            if self._unheard:
                channel.recv(_MESSAGE)  # what it said when it was ready; unread, it would break the connection
            self._unheard = True
            socket.send_fds(channel, [json.dumps(order).encode()], descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        return child

    def _supervise(self, child: int, order: dict[str, Any]) -> lane.Ended:
        kill, pids = lane.kill_namespace, lane.namespace_pids
        if "pid" not in self._kinds:
            kill, pids = lane.kill_tree, lambda: list(lane.descendants(os.getpid()))
        watch = lane.Watch(order["limits"], pids) if self._watched else None
        descriptor = confine.open_child(child)
        reason = lane.wait(descriptor, self._host.fileno(), watch)
        os.close(descriptor)
        ended = lane.sweep(child, kill)
        ended.reason = reason or ("memory" if self._group is not None and self._group.ran_out() else "")
        ended.peak_kb = max(ended.peak_kb, watch.peak_kb if watch else 0)
        return ended

    def _report(self, ended: lane.Ended) -> None:
        report = {"status": ended.status, "reason": ended.reason, "cpu": ended.cpu_seconds, "peak_kb": ended.peak_kb}
        try:
            self._host.send(json.dumps(report).encode())
        except OSError:
            os._exit(0)  # the host is gone

    def _become(self, channel: socket.socket, folder: str) -> None:
        """Turn the forked process into the program's: fences at once, then its limits and descriptors, then its code."""
        try:
            self._fences.enter(folder)
        except OSError as error:
            channel.send(str(error).encode())
            os._exit(1)
        channel.send(b"ok")
        message, descriptors = _receive(channel)
        if not message:
            os._exit(0)
        order = json.loads(message)
        becoming.adopt(descriptors * 2 if order["run"] == "command" else descriptors)  # it has one stream for both
        if self._drop:
            self._fences.limit(order["limits"], order["others"])
        _RUNS[order["run"]](order)


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
