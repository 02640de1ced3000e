"""One lane: puts up its walls, keeps a process ready for the next program, watches over the one that runs.

A lane never runs a candidate's code. It talks to the host over a socket that no program has.
This file runs inside the jail too, so it needs the standard library only.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_optimize.sandbox import becoming, cgroup, confine, lane
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

    becoming, confine, lane = map(_sibling, ("becoming", "confine", "lane"))

__all__ = ["Keeper", "kinds", "receive"]

_MESSAGE = 1 << 16
_EVERY_KIND = ("user", "pid", "ipc", "uts", "mount", "net")
_BACKLOG = 16


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
        self._spare: tuple[int, socket.socket] | None = None
        self._unheard = True
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
        self._hello = {"pid": pid, "layers": self._layers(), "missing": [*missing, *self._fences.missing]}
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
        ahead = "mount" in self._kinds and self._drop  # elsewhere each program has a folder that we do not know yet
        job = self._stand_by(confine.GUEST_HOME if ahead else "/")
        if job is not None:
            return job
        self._greet()
        while True:
            if ahead and self._spare is None and (job := self._stand_by(confine.GUEST_HOME)):
                return job
            message, descriptors = receive(self._host)
            order = json.loads(message) if message else None
            if order is None:
                os._exit(0)
            if "run" not in order:
                continue  # an order to end a program that had ended by itself
            if not ahead and (job := self._stand_by(order["folder"])):
                return job
            self._report(self._supervise(self._hand_over(order, descriptors), order))
            if "mount" in self._kinds and confine.look_of_home() != self._untouched:
                confine.fresh_home(self._megabytes)
                self._untouched = confine.look_of_home()

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
        if self._group is not None and limits is not None:
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
        alone = {"pid", "mount"} <= set(self._kinds)  # then /proc shows our namespace, and us as its process 1
        own = 1 if alone else self._pid
        pids = lane.namespace_pids if alone else lambda: list(lane.descendants(own))
        kill = lane.kill_namespace if "pid" in self._kinds else lane.kill_tree
        watch = lane.Watch(order["limits"], pids, self._socket_kb, own) if self._watched else None
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
        """Turn the forked process into the program's: fences at once, then limits and descriptors, then its code."""
        try:
            self._fences.enter(folder)
        except OSError as error:
            channel.send(str(error).encode())
            os._exit(1)
        channel.send(b"ok")
        if self._drop:
            self._rehearse()
        message, descriptors = receive(channel)
        if not message:
            os._exit(0)
        order = json.loads(message)
        becoming.adopt(descriptors * 2 if order["run"] == "command" else descriptors)  # it has one stream for both
        if self._drop:
            self._fences.limit(order["limits"], order["others"])
        self._runs[order["run"]](order)
