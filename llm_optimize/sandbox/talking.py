"""Asking a live process one question at a time, without ever trusting it to answer, to answer once, or to be silent."""

from __future__ import annotations

import os
import select
import struct
import time
from typing import TYPE_CHECKING

from llm_optimize.sandbox.answering import HEADER, NONCE
from llm_optimize.sandbox.verdict import MAX_RESULT_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.sandbox.live import Ended, Live

__all__ = ["Breach", "Talk"]

_CHUNK = 1 << 18
_JOINED = 1 << 16  # below this one write is quicker than several


class Breach(Exception):
    """The process broke the rules or a limit, or is gone; the talk is over.

    Attributes:
        cause: the limit that it passed, as in :class:`~llm_optimize.sandbox.verdict.Observed`, or empty.
        words: what it did on the channel, or empty where its end speaks for itself.
    """

    def __init__(self, cause: str = "", words: str = "") -> None:
        """Keep both."""
        super().__init__(cause or words)
        self.cause = cause
        self.words = words


class Talk:
    """Questions to a live process and its answers; not thread-safe."""

    def __init__(self, live: Live) -> None:
        """Take over the process; :meth:`end` gives it back."""
        self._live = live
        self._wires = live.wires
        self._owner = os.getpid()
        self._poller = select.poll()
        self._printed = {pipe.descriptor: pipe for pipe in (self._wires.stdout, self._wires.stderr)}
        for descriptor in (live.alarm, self._wires.answers, *self._printed):
            self._poller.register(descriptor, select.POLLIN)
        self._nonce = b""
        self._pending: list[memoryview] = []
        self._heard = bytearray()
        self._waiting = False

    @property
    def owned(self) -> bool:
        """Whether this process began it, and not one that this process was forked from."""
        return self._owner == os.getpid()

    def ask(self, chunks: Sequence[bytes | memoryview], seconds: float) -> memoryview:
        """Ask one question and return the body of its answer.

        Args:
            chunks: the question's body.
            seconds: how long the answer may take.

        Raises:
            Breach: there is no answer, or something else came.
        """
        self._look(0.0)  # before the question there is nothing to be said: whatever came has come unasked
        self._nonce = os.urandom(NONCE)
        size = sum(map(len, chunks))
        head = struct.pack("<Q", size) + self._nonce
        joined = [head + b"".join(chunks)] if size < _JOINED else [head, *chunks]
        self._pending = [memoryview(chunk) for chunk in joined]
        deadline = time.monotonic() + seconds
        self._write()
        while not self._complete():
            self._look(max(0.0, deadline - time.monotonic()))
            if time.monotonic() >= deadline and not self._complete():
                raise Breach(cause="timeout")
        body = memoryview(self._heard)[HEADER:]  # not copied: it may be large
        self._nonce = b""
        self._heard = bytearray()
        while self._look(0.0):  # what it had printed before it answered lies in the pipes by now
            if time.monotonic() >= deadline:
                raise Breach(cause="timeout")
        return body

    def printed(self) -> tuple[bytes, bytes]:
        """Return what was printed since the last call, cut at the limit."""
        out, err = bytes(self._wires.stdout.data), bytes(self._wires.stderr.data)
        self._wires.stdout.data.clear()
        self._wires.stderr.data.clear()
        return out, err

    def end(self) -> Ended:
        """End the process and close the wires; :meth:`printed` still has the last words.

        Raises:
            SandboxError: the back end itself has failed.
        """
        try:
            ended = self._live.end()
            for pipe in self._printed.values():
                while pipe.open and pipe.seen <= pipe.stop_at and pipe.read():
                    pass
        finally:
            self._live.release()
        return ended

    def _look(self, seconds: float) -> bool:
        """Deal with everything that can be read or written; return whether anything could."""
        ready = {descriptor for descriptor, _ in self._poller.poll(seconds * 1000)}
        if self._wires.questions in ready:
            self._write()
        for descriptor in ready & self._printed.keys():
            self._listen(descriptor)
        if self._wires.answers in ready:
            self._hear()
        elif self._live.alarm in ready:
            raise Breach
        return bool(ready)

    def _write(self) -> None:
        try:
            while self._pending:
                count = os.write(self._wires.questions, self._pending[0])
                self._pending[0] = self._pending[0][count:]
                if not self._pending[0]:
                    del self._pending[0]
        except BlockingIOError:
            self._poller.register(self._wires.questions, select.POLLOUT)
            self._waiting = True
        except BrokenPipeError:
            raise Breach from None
        else:
            if self._waiting:
                self._poller.unregister(self._wires.questions)
                self._waiting = False

    def _listen(self, descriptor: int) -> None:
        pipe = self._printed[descriptor]
        pipe.read()
        if not pipe.open:
            self._poller.unregister(descriptor)
        if pipe.seen > pipe.stop_at:
            raise Breach(cause=pipe.reason)

    def _hear(self) -> None:
        part = os.read(self._wires.answers, _CHUNK)
        if not part:
            raise Breach  # it has ended, or has closed the channel: which of them, its status says
        if not self._nonce:
            raise Breach(words="it wrote on the result channel without having been asked")
        self._heard += part
        if len(self._heard) < HEADER:
            return
        if self._heard[8:HEADER] != self._nonce:
            raise Breach(words="what it sent back is no answer to the question that was asked")
        size = self._announced()
        if size > MAX_RESULT_BYTES:
            raise Breach(cause="bad_value")
        if len(self._heard) > HEADER + size:
            raise Breach(words="it answered more than once")

    def _announced(self) -> int:
        (size,) = struct.unpack_from("<Q", self._heard)
        return int(size)

    def _complete(self) -> bool:
        return len(self._heard) >= HEADER and len(self._heard) == HEADER + self._announced()
