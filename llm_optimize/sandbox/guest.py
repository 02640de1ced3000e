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
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_optimize.sandbox import answering, cgroup, codec, confine, keeping, lane, pickled, program, seccomp, wire
else:

    def _sibling(name: str) -> object:
        # by path, not by import: this folder must not be on the path of a program, nor our package in its sight
        spec = importlib.util.spec_from_file_location(f"_jail_{name}", Path(__file__).with_name(f"{name}.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    answering, cgroup, codec, confine, lane, pickled, program, seccomp, wire = map(
        _sibling, ("answering", "cgroup", "codec", "confine", "lane", "pickled", "program", "seccomp", "wire")
    )
    keeping = _sibling("keeping")  # takes some of the others

__all__ = ["main"]

_MESSAGE = 1 << 16
_RESULT, _TASK, _INPUTS = 3, 4, 5


def main(control: socket.socket) -> None:
    """Serve the host until it is gone."""
    config = json.loads(control.recv(_MESSAGE))
    _preload(control, config["preload"])
    confine.prctl(confine.PR_SET_CHILD_SUBREAPER, 1)
    while True:
        message, descriptors = keeping.receive(control)
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


def _open_lane(control: socket.socket, descriptors: list[int], order: dict[str, Any]) -> Callable[[], None] | None:
    """Fork a lane by way of a middle process, as the first child of an unshared process is the one in the namespace.

    Returns:
        None in the warm parent; in a program's process, which comes out of the lane, what it has to do.
    """
    (channel,) = descriptors
    told, tell = os.pipe()
    heard, hear = os.pipe()
    group, ungrouped = _group(order)
    order["socket_kb"] = lane.socket_kb()
    if order["drop"] and not seccomp.unavailable():  # built once, here, where its policy can be read
        kinds = keeping.kinds(order)
        seccomp.build(order["network"], private_files="mount" in kinds, own_processes="pid" in kinds)
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
        return keeping.Keeper(host, order, pid, group, ungrouped).serve(_RUNS, _rehearse)


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
    if answer == b"ok" and "user" in keeping.kinds(order):
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


def _leave(order: dict[str, Any]) -> str:
    try:
        confine.unshare(keeping.kinds(order))
    except OSError as error:
        return str(error)
    return ""


def _take(descriptor: int) -> memoryview:
    size = os.fstat(descriptor).st_size
    # a private mapping: writes to it are this program's own, and nothing is copied that is not written
    data = mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY)
    os.close(descriptor)
    return memoryview(data)


def _give(chunks: list[bytes | memoryview]) -> NoReturn:
    """Send the result and be gone: no exit handlers, no waiting for threads."""
    answering.write(_RESULT, chunks)
    os._exit(0)


def _run_data(order: dict[str, Any]) -> None:
    chunks = answering.once(lambda: _given(order), codec, program)
    sys.stdout.flush()
    sys.stderr.flush()
    _give(chunks)


def _given(order: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return task and inputs; nothing else holds what they came in."""
    if "parts" not in order:
        return codec.decode(_take(_TASK)), codec.decode(_take(_INPUTS), copy=False)
    source, outputs, call, inputs = order.pop("parts")
    task = {
        "source": bytes(source),
        "outputs": str(outputs, "utf-8").split(),
        "call": codec.decode(call)["call"] if call else None,
    }
    return task, codec.decode(inputs, copy=False) if inputs else {}


def _rehearse() -> None:
    """Run a program that does nothing: the pages that this writes to are then our own before the real one comes."""
    limits: Any = SimpleNamespace(memory_mb=1, cpu_s=1, processes=1, files_mb=1)
    order = wire.read(memoryview(wire.task(limits, b"x = 1", b"x", b"", b"")))
    chunks = answering.once(lambda: _given(order), codec, program)
    sys.stdout.flush()
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    answering.write(nowhere, chunks)
    os.close(nowhere)


def _run_pickled(_order: dict[str, Any]) -> None:
    reply = pickled.perform(bytes(_take(_TASK)))
    sys.stdout.flush()
    sys.stderr.flush()
    _give([reply])


def _run_session(_order: dict[str, Any]) -> None:
    answering.serve(_TASK, _RESULT, _take(_INPUTS), codec, program)


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
