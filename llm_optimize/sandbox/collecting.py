"""Reads what a running program writes, within caps and a deadline, without ever waiting for it to be polite."""

from __future__ import annotations

import os
import select
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_optimize.errors import SandboxError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

__all__ = ["Pipe", "collect"]

_CHUNK, _SMALL = 1 << 18, 1 << 13
_GRACE_S = 20.0
_FIRST_MS = 2.0


@dataclass
class Pipe:
    """The reading end of a pipe.

    Attributes:
        descriptor: the end to read from, which does not block.
        keep: bytes that are kept; the rest is read and dropped.
        stop_at: bytes at which the program is ended.
        reason: the reason for ending it then.
        ahead: called with what has come first, while the program still ends; costs no time then. Must not raise.
        made: what it returned, None where more has come since.
    """

    descriptor: int
    keep: int
    stop_at: int
    reason: str
    ahead: Callable[[bytes], object] | None = None
    made: object = None
    seen: int = 0
    data: bytearray = field(default_factory=bytearray)
    open: bool = True

    def read(self) -> bool:
        """Read once; return whether there may be more at once."""
        try:
            part = os.read(self.descriptor, _CHUNK if self.seen else _SMALL)  # most give little, and room costs time
        except BlockingIOError:
            return False
        self.seen += len(part)
        self.data += part[: max(0, self.keep - len(self.data))]
        self.open = bool(part)
        self.made = None if part else self.made
        return self.open


def collect(channel: socket.socket, end: bytes, pipes: Sequence[Pipe], seconds: float) -> tuple[bytes, str]:
    """Read the pipes until the lane reports that every process of the program is gone.

    Args:
        channel: the lane's socket.
        end: what is sent on it to have the program ended, when a cap or the deadline is passed.
        pipes: filled with what was written.
        seconds: the wall limit.

    Returns:
        The lane's report, and the reason for which the host ended the program (empty if it did not).

    Raises:
        SandboxError: the lane died, or did not end the program when told to.
    """
    deadline, cause = time.monotonic() + seconds, ""
    poller = select.poll()
    poller.register(channel, select.POLLIN)
    # most programs are short: we wake for their result only, not for all that they write and for each end of it
    if _short(channel, poller, pipes, min(_FIRST_MS, seconds * 1000)):
        return _last(channel, pipes), cause
    by_descriptor = {pipe.descriptor: pipe for pipe in pipes}
    for descriptor in by_descriptor:
        poller.register(descriptor, select.POLLIN)
    while True:
        ready = {number for number, _ in poller.poll(max(0.0, deadline - time.monotonic()) * 1000 + 1)}
        if channel.fileno() in ready:
            return _last(channel, pipes), cause
        for descriptor in ready:
            by_descriptor[descriptor].read()
            if not by_descriptor[descriptor].open:
                poller.unregister(descriptor)
        found = _passed(pipes, deadline)
        if found and cause:
            if time.monotonic() >= deadline:
                msg = f"the lane did not end its program within {_GRACE_S:g} s"
                raise SandboxError(msg)
        elif found:
            cause, deadline = found, time.monotonic() + _GRACE_S
            _send_end(channel, end)


def _passed(pipes: Sequence[Pipe], deadline: float) -> str:
    for pipe in pipes:
        if pipe.seen > pipe.stop_at:
            return pipe.reason
    return "timeout" if time.monotonic() >= deadline else ""


def _send_end(channel: socket.socket, end: bytes) -> None:
    with suppress(OSError):  # its end shows as an end of file on the next look
        channel.send(end)


def _report(channel: socket.socket) -> bytes:
    try:
        message = channel.recv(1 << 16)
    except OSError:
        message = b""
    if not message:
        msg = "the sandbox's own process died while a program ran in it; nothing was run again"
        raise SandboxError(msg)
    return message


def _short(channel: socket.socket, poller: select.poll, pipes: Sequence[Pipe], wait_ms: float) -> bool:
    """Return whether the report is there after a short while; look ahead at a result meanwhile."""
    result = pipes[-1] if pipes and pipes[-1].ahead is not None else None
    if result is None:
        return bool(poller.poll(wait_ms))
    poller.register(result.descriptor, select.POLLIN)
    ready = poller.poll(wait_ms)
    poller.unregister(result.descriptor)
    if any(number == channel.fileno() for number, _ in ready) or not ready:
        return bool(ready)
    result.read()
    if result.open and result.ahead is not None:
        result.made = result.ahead(bytes(result.data))
    return bool(poller.poll(wait_ms))


def _last(channel: socket.socket, pipes: Sequence[Pipe]) -> bytes:
    report = _report(channel)
    _drain(pipes)
    return report


def _drain(pipes: Sequence[Pipe]) -> None:
    # all writers are gone, so what is there is all there is; an end of file may never come if the host itself forked
    for pipe in pipes:
        while pipe.open and pipe.read():
            pass
