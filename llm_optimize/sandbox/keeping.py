"""One lane: puts up its walls, keeps a process ready for the next program, watches over the one that runs.

A lane never runs a candidate's code. It talks to the host over a socket that no program has.
This file runs inside the jail too, so it needs the standard library only.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import importlib.util
import json
import mmap
import os
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_optimize.sandbox import becoming, cgroup, confine, lane, wire
else:

    def _sibling(name: str) -> object:
        # by path, not by import: this folder must not be on the path of a program, nor our package in its sight
        known = sys.modules.get(f"_jail_{name}")
        if known is not None:
            return known
        spec = importlib.util.spec_from_file_location(f"_jail_{name}", Path(__file__).with_name(f"{name}.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    becoming, confine, lane, wire = map(_sibling, ("becoming", "confine", "lane", "wire"))

__all__ = ["Keeper", "kinds", "receive"]

_MESSAGE = 1 << 16
_EVERY_KIND = ("user", "pid", "ipc", "uts", "mount", "net")
_BACKLOG = 16
_MANY = 1 << 40
_SELDOM_S, _GIVE_WAY_S = 0.002, 0.0002
_UNBOUNDED = {"memory_mb": _MANY, "cpu_s": _MANY, "files_mb": _MANY, "processes": _MANY}
_F_SETPIPE_SZ, _PIPE_BYTES = 1031, 1 << 20
_DESCRIPTORS = socket.CMSG_SPACE(8 * 4)


def kinds(order: dict[str, Any]) -> tuple[str, ...]:
    """Return the namespaces that a lane of these settings gets."""
    if order["walls"] == "none":
        return ()
    off = {*order["without"], *(("mount",) if order["walls"] != "full" else ())}
    off |= {"net"} if order["network"] == "host" else set()
    return tuple(kind for kind in _EVERY_KIND if kind not in off)


def receive(channel: socket.socket) -> tuple[bytes, list[int]]:
    """Return the next message and the descriptors that came with it, none of which a new program inherits."""
    message, descriptors, _, _ = socket.recv_fds(channel, _MESSAGE, 8, socket.MSG_CMSG_CLOEXEC)
    return message, descriptors


@dataclass(frozen=True, slots=True)
class _Spare:
    """A process that waits for its program: the how-manieth, its own number, and what is readable when it has ended."""

    number: int
    child: int
    alarm: int


class Keeper:
    """Serves one program after the other; keeps nothing of any."""

    def __init__(
        self, host: socket.socket, order: dict[str, Any], pid: int, group: cgroup.Group | None, ungrouped: str
    ) -> None:
        """Put up the walls.

        Args:
            host: the socket to the host.
            order: the lane's settings.
            pid: our own number, as the host knows it.
            group: the control group for programs, or None.
            ungrouped: why there is none.
        """
        self._host = host
        self._pid = pid
        self._drop = order["drop"]
        self._kinds = kinds(order)
        self._group = group
        self._megabytes = 1
        self._socket_kb = order["socket_kb"]
        self._spare: _Spare | None = None
        self._stood = 0
        self._waited_s = 0.0
        self._limits: Mapping[str, float] | None = None
        self._untouched: tuple[object, ...] = ()
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # process 1 takes from inside only what it has a handler for
        confine.prctl(confine.PR_SET_PDEATHSIG, signal.SIGKILL)
        missing = [("cgroup", ungrouped)] if ungrouped else []
        self._proc = self._build(order, missing)
        if "pid" not in self._kinds:
            confine.prctl(confine.PR_SET_CHILD_SUBREAPER, 1)
        confine.prctl(confine.PR_SET_DUMPABLE, 0)
        self._watched = self._proc and self._drop and "watch" not in order["without"]
        self._fences = becoming.Fences(order, self._kinds, group)
        # elsewhere each program has a folder that we do not know yet, or others run whose number changes
        self._ahead = "mount" in self._kinds and self._drop and self._fences.counts_alone
        self._others = self._fences.others() if self._drop else -1
        self._alone = {"pid", "mount"} <= set(self._kinds)  # then /proc shows our namespace, and us as its process 1
        self._kill = lane.kill_namespace if "pid" in self._kinds else lane.kill_tree
        self._hello = {
            "pid": pid,
            "layers": self._layers(),
            "missing": [*missing, *self._fences.missing],
            "ahead": self._ahead,
        }
        self._ports = self._open_ports(order)

    def _build(self, order: dict[str, Any], missing: list[tuple[str, str]]) -> bool:
        """Put up the walls; return whether there is a /proc that shows the programs' processes."""
        if "mount" not in self._kinds:
            return True  # the host's, with the numbers of another namespace
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

    def serve(
        self, runs: Mapping[str, Callable[[dict[str, Any]], None]], rehearse: Callable[[], None]
    ) -> Callable[[], None]:
        """Return in a program's process only; the lane itself ends here.

        Args:
            runs: what a program's process does in the end, by the word in its order.
            rehearse: done by a process while it waits for a program.

        Returns:
            What the process has to do.
        """
        self._runs, self._rehearse = runs, rehearse
        job = self._stand_by(confine.GUEST_HOME if self._ahead else "/")
        while job is None:
            job = self._serve_next()
        return job

    def _serve_next(self) -> Callable[[], None] | None:
        """Wait for one thing to happen and do what it asks for; returns what :meth:`_stand_by` does."""
        if self._ahead and self._spare is None:
            return self._stand_by(confine.GUEST_HOME)
        if self._has_ended():
            self._finish("")  # before we heard that it got its program, or while it waited: the host tells them apart
            return None
        try:
            message = self._host.recv(_MESSAGE)
        except ConnectionError:
            message = b""
        if not message:
            self._leave()  # the host is gone
        if message.startswith(wire.PREPARE):
            return self._prepare(json.loads(message[1:]))
        if self._spare is not None and message == wire.about(wire.GO, self._spare.number):
            watch = self._watch() if self._watched else None
            self._finish(lane.wait(self._spare.alarm, self._host.fileno(), watch), watch.peak_kb if watch else 0)
        return None  # what is left is about a program that had ended by itself

    def _has_ended(self) -> bool:
        """Wait until the host says something or the process that waits has ended, and return whether it was that."""
        poller = select.poll()
        poller.register(self._host, select.POLLIN)
        if self._spare is not None:
            poller.register(self._spare.alarm, select.POLLIN)
        since = time.monotonic()
        ready = {number for number, _ in poller.poll()}
        self._waited_s = time.monotonic() - since
        return self._spare is not None and self._spare.alarm in ready

    def _prepare(self, order: dict[str, Any]) -> Callable[[], None] | None:
        """Do what only we can do for the next program; where no process waits yet, have one wait."""
        limits = self._limits = order["limits"]
        if limits is not None and "mount" in self._kinds and limits["files_mb"] != self._megabytes:
            self._megabytes = limits["files_mb"]
            confine.resize_home(self._megabytes)
        if self._group is not None and limits is not None:
            self._group.limit(limits["memory_mb"], limits["processes"])
        if self._ahead:
            self._tell(wire.PREPARED)
            return None
        self._others = self._fences.others() if self._drop else -1
        return self._stand_by(order["folder"] or confine.GUEST_HOME)

    def _stand_by(self, folder: str) -> Callable[[], None] | None:
        """Fork a process that gives up its rights and waits for a program; return what it has to do, in it only.

        The host gets the other ends of all that it has, and we keep none, so no later process can inherit one.
        """
        if "mount" not in self._kinds and self._fences.user is not None and folder != "/":
            os.chown(folder, self._fences.user, self._fences.user)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        reading, writing = zip(*(os.pipe() for _ in range(3)), strict=True)
        child = os.fork()
        if child == 0:
            return lambda: self._become(theirs, list(writing), folder)
        theirs.close()
        for descriptor in writing:
            os.close(descriptor)
        for descriptor in reading:
            os.set_blocking(descriptor, False)
        spare = _Spare(self._stood, child, confine.open_child(child))
        first = self._stood == 0
        self._stood += 1
        if not first or self._greet(ours, spare):
            self._spare = spare
            with contextlib.suppress(OSError):  # beyond this user's share of pipe memory: slower, not wrong
                fcntl.fcntl(reading[-1], _F_SETPIPE_SZ, _PIPE_BYTES)
            self._tell(wire.about(wire.WAITING, spare.number), ours.fileno(), *reading)
        ours.close()
        for descriptor in reading:
            os.close(descriptor)
        lane.rehearse()
        wire.report(0, 0, 0, 0.0, "")
        return None

    def _greet(self, channel: socket.socket, spare: _Spare) -> bool:
        """Tell the host that the lane stands, once the first process has been fenced in without an error.

        Returns:
            Whether the process may serve a program; otherwise it is gone.
        """
        said = channel.recv(_MESSAGE).decode()
        if said != "ok":
            self._fail(said or "the first process died before it was confined")
        if not self._ahead:
            channel.close()
            os.waitpid(spare.child, 0)
            os.close(spare.alarm)
        self._tell(json.dumps(self._hello).encode(), *(port.fileno() for port in self._ports))
        while self._ports:
            self._ports.pop().close()
        return self._ahead

    def _watch(self) -> lane.Watch:
        own = 1 if self._alone else self._pid
        pids = lane.namespace_pids if self._alone else lambda: list(lane.descendants(own))
        return lane.Watch(self._limits or {}, pids, self._socket_kb, own)

    def _finish(self, reason: str, peak_kb: int = 0) -> None:
        """End what is left of the program, tell the host, and make the working folder as it was."""
        spare, self._spare = self._spare, None
        if spare is None:
            return
        ended = lane.sweep(spare.child, self._kill)
        if not reason and self._group is not None and self._group.ran_out():
            reason = "memory"
        self._tell(wire.report(spare.number, ended.status, max(ended.peak_kb, peak_kb), ended.cpu_seconds, reason))
        if self._waited_s > _SELDOM_S:
            # the kernel wakes the host on this processor: let it go on, before we fork the next process
            time.sleep(_GIVE_WAY_S)
        os.close(spare.alarm)
        if "mount" in self._kinds and confine.look_of_home() != self._untouched:
            confine.fresh_home(self._megabytes)
            self._untouched = confine.look_of_home()

    def _tell(self, message: bytes, *descriptors: int) -> None:
        try:
            socket.send_fds(self._host, [message], list(descriptors))
        except OSError:
            self._leave()  # the host is gone

    def _leave(self) -> NoReturn:
        """End, and with us all below: where no namespace does that for us, we do."""
        lane.sweep(0, self._kill)
        os._exit(0)

    def _become(self, channel: socket.socket, writing: list[int], folder: str) -> None:
        """Turn the forked process into the program's: all that can be done before it is known which program it is.

        Fences and descriptors at once, limits when the program arrives, then its code.
        """
        first = self._stood == 0
        try:
            self._fences.enter(folder)
        except OSError as error:
            if first:
                channel.send(str(error).encode())
            os._exit(1)
        if first:
            channel.send(b"ok")
        channel = socket.socket(fileno=becoming.adopt(writing, kept=channel.detach()))
        room = mmap.mmap(-1, wire.ROOM, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if self._drop:
            self._rehearse()
            self._fences.limit(_UNBOUNDED, _MANY)
        size, ancillary, _, _ = channel.recvmsg_into([room], _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
        os.close(channel.detach())  # not by its own close, which takes longer
        if not size:
            os._exit(0)
        order = wire.read(memoryview(room)[:size])
        if order["run"] != "data":  # whose files, if it has any, came in behind the pipes
            descriptors = [number for _, _, data in ancillary for number in array.array("i", data)]
            becoming.adopt(descriptors * 2 if order["run"] == "command" else descriptors)  # it has one stream for both
        if self._drop:
            self._fences.limit(order["limits"], self._others)
        self._runs[order["run"]](order)
