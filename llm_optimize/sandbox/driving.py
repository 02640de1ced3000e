"""The host's side of one lane: it hands a program to the process that waits there, and hears how it ended.

The host talks to that process directly: the other ends of its socket and of its pipes are in the host's hands before
there is a program for it. The lane, which never sees the program, has heard just before that its watch begins.
"""

from __future__ import annotations

import array
import dataclasses
import errno
import fcntl
import json
import os
import select
import socket
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import SandboxError
from llm_optimize.sandbox import wire
from llm_optimize.sandbox.collecting import Pipe, collect
from llm_optimize.sandbox.relay import Relay

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.sandbox.base import Limits

__all__ = ["Lane", "LaneRefused", "Report", "Work"]

_MESSAGE = 1 << 16
_ENDS = 4  # of a waiting process: its socket, stdout, stderr, result
_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031


class LaneRefused(Exception):
    """The kernel, or the container around us, does not allow these walls; says which call failed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What came of one order: why host or lane ended it, the lane's own reason, costs, and what the pipes gave."""

    status: int
    cause: str
    reason: str
    cpu_seconds: float
    peak_mb: float
    pipes: Sequence[Pipe]


@dataclasses.dataclass(frozen=True, slots=True)
class Work:
    """What a waiting process is to do, and under what.

    Attributes:
        message: for the process, from :mod:`llm_optimize.sandbox.wire`.
        limits: of the program; None where none are put on.
        folder: to work in; empty where the lane has one of its own.
        descriptors: what goes with the message; the caller closes its own copies.
    """

    message: bytes
    limits: Limits | None
    folder: str
    descriptors: Sequence[int] = ()


class Lane:
    """One program at a time; not thread-safe."""

    def __init__(self, channel: socket.socket, ports: Sequence[int] = ()) -> None:
        """Wait for the lane to stand.

        Args:
            channel: our end of its socket.
            ports: of our loopback, to which its programs are led.

        Raises:
            LaneRefused: it could not build its walls.
            SandboxError: it died.
        """
        self._channel = channel
        self.served = 0
        self.parent: object = None  # kept from being collected, and so ended, while its lane is in use
        listeners: list[int] = []
        try:
            message, listeners = _receive(channel, len(ports))
            hello = json.loads(message or b"null")
        except OSError:
            hello = None
        if hello is None or "failed" in hello:
            channel.close()
            if hello is None:
                msg = "the sandbox's warm parent died while it opened a lane"
                raise SandboxError(msg)
            raise LaneRefused(hello["failed"])
        channel.settimeout(None)
        self._relay = Relay(listeners, ports) if listeners else None
        self.pid: int = hello["pid"]
        self.layers: tuple[str, ...] = tuple(hello["layers"])
        self.missing: tuple[tuple[str, str], ...] = tuple((name, why) for name, why in hello["missing"])
        self._ahead: bool = hello["ahead"]
        self._prepared: tuple[float, ...] = ()
        self._waiting: list[int] = []
        self._number = 0
        self._end = select.poll()
        self._end.register(channel, 0)  # an end is told unasked

    @property
    def usable(self) -> bool:
        """Whether its end of the socket is open; what it may have said is heard by the next order."""
        return not self._end.poll(0)

    def evaluate(self, work: Work, pipes: Sequence[Pipe], seconds: float) -> Report:
        """Run a task to its end; afterwards none of its processes is left.

        Args:
            work: the task.
            pipes: what is read: stdout, stderr, result; their descriptors are set here.
            seconds: the wall limit.

        Raises:
            ConnectionError: the lane, or its process, was gone before the task reached it; nothing was run.
            OSError: no descriptors are left here; nothing was run.
            SandboxError: the lane died on the way; whether the program did anything is unknown.
        """
        ends = self._send(work)
        try:
            for pipe, end in zip(pipes, ends, strict=True):
                pipe.descriptor = end
            return self._collect(pipes, seconds)
        finally:
            for end in ends:
                os.close(end)

    def run(
        self, what: Mapping[str, Any], pipes: Sequence[Pipe], seconds: float, given: tuple[list[int], list[int]]
    ) -> Report:
        """Run something else to its end; raises as :meth:`evaluate`.

        Args:
            what: the order, for the guest, with its ``folder``.
            pipes: what is read from the program; their descriptors are set here.
            seconds: the wall limit.
            given: descriptors that the program gets as 1, 2, ..., ahead of the pipes, and behind them.
        """
        with ExitStack() as stack:
            theirs = []
            for pipe in pipes:
                pipe.descriptor, write = os.pipe()
                os.set_blocking(pipe.descriptor, False)
                stack.callback(os.close, pipe.descriptor)
                theirs.append(write)
            with suppress(OSError):  # beyond this user's share of pipe memory: slower, not wrong
                fcntl.fcntl(theirs[-1], _F_SETPIPE_SZ, _PIPE_BYTES)
            try:
                self.start(Work(wire.order(what), None, what["folder"], (*given[0], *theirs, *given[1])))
            finally:
                for descriptor in theirs:
                    os.close(descriptor)
            return self._collect(pipes, seconds)

    def start(self, work: Work) -> int:
        """Start what brings its own pipes; :meth:`end` ends it in good time.

        Returns:
            A descriptor that becomes readable when it has ended.

        Raises:
            ConnectionError: as for :meth:`evaluate`.
            OSError: likewise.
        """
        for end in self._send(work):
            os.close(end)
        return self._channel.fileno()

    def end(self) -> Report:
        """End what was started, if it still runs, and say how it went; raises SandboxError as :meth:`evaluate`."""
        ended = self._collect((), 0.0)
        return dataclasses.replace(ended, cause=ended.reason)  # that we ended it is no reason

    def close(self) -> None:
        """End the lane, and with it whatever runs in it."""
        self._channel.close()
        self._drop_waiting()
        if self._relay is not None:
            self._relay.close()

    def _send(self, work: Work) -> list[int]:
        """Hand it to the process that waits; return our ends of that process's pipes."""
        if self._relay is not None:
            self._relay.cut()
        self._prepare(work)
        talk, *ends = self._waiting
        self._waiting = []
        try:
            with suppress(OSError):  # the lane is gone: that is told when its report is wanted, as the program may run
                self._channel.send(wire.about(wire.GO, self._number))  # first, so that no program is ever unwatched
            _hand(talk, work)
        except OSError:
            for end in ends:
                os.close(end)
            raise
        finally:
            os.close(talk)
        return ends

    def _prepare(self, work: Work) -> None:
        """Have the lane do what only it can, if anything, and have a process waiting."""
        limits = work.limits
        bounds = (limits.memory_mb, limits.cpu_s, limits.processes, limits.files_mb) if limits else ()
        if self._ahead and not self._waiting:
            self._hear(wire.WAITING)
        if self._ahead and bounds == self._prepared:
            return
        named = dict(zip(("memory_mb", "cpu_s", "processes", "files_mb"), bounds, strict=False)) or None
        self._channel.send(wire.PREPARE + json.dumps({"limits": named, "folder": work.folder}).encode())
        self._hear(wire.PREPARED if self._ahead else wire.WAITING)
        self._prepared = bounds

    def _hear(self, kind: bytes) -> None:
        message, descriptors = _receive(self._channel, _ENDS)
        if descriptors:
            self._waiting = descriptors
            self._number = wire.number_in(message)
        if not message.startswith(kind):
            msg = "the lane is gone, or its process is"
            raise ConnectionResetError(msg)

    def _collect(self, pipes: Sequence[Pipe], seconds: float) -> Report:
        try:
            message, cause = collect(self._channel, wire.about(wire.END, self._number), pipes, seconds)
        finally:
            if self._relay is not None:
                self._relay.cut()
        status, peak_kb, cpu_seconds, reason = wire.read_report(message)
        return Report(os.waitstatus_to_exitcode(status), cause or reason, reason, cpu_seconds, peak_kb / 1024, pipes)

    def _drop_waiting(self) -> None:
        while self._waiting:
            os.close(self._waiting.pop())


def _hand(talk: int, work: Work) -> None:
    if not work.descriptors:
        os.write(talk, work.message)
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=os.dup(talk)) as channel:
        socket.send_fds(channel, [work.message], list(work.descriptors))


def _receive(channel: socket.socket, most: int) -> tuple[bytes, list[int]]:
    """Return the next message and the descriptors that came with it, which no process that we start inherits.

    Raises:
        OSError: there were not enough free numbers for the descriptors.
    """
    message, ancillary, flags, _ = channel.recvmsg(
        _MESSAGE, socket.CMSG_SPACE(most * array.array("i").itemsize), socket.MSG_CMSG_CLOEXEC
    )
    descriptors = [number for _, _, data in ancillary for number in array.array("i", data)]
    if flags & socket.MSG_CTRUNC:
        for descriptor in descriptors:
            os.close(descriptor)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    return message, descriptors
