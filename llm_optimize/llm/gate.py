"""Process-wide limits on talking to models: whether at all, and how long to wait.

``requests.allowed = False`` (or ``LLM_OPTIMIZE_NO_REQUESTS=1``) makes calls to anything but this machine impossible:
tests set it, so that none of them can spend money. ``requests.interrupt()`` ends every wait between two attempts, so
that Ctrl-C need not sit out a rate limit in a worker thread. :func:`within` bounds the calls of a block in time; the
client reads :func:`time_left`, so one slow attempt cannot outlast the deadline of the retries around it. The wait for
an endpoint's pace is nobody's fault: :func:`paused` stops the clock of those bounds that allow it.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llm_optimize.core.metering import current_clock
from llm_optimize.errors import ModelRefused, ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Requests", "is_loopback", "paused", "requests", "time_left", "wait", "within"]

_ENDS: ContextVar[tuple[tuple[float, bool], ...]] = ContextVar("llm_optimize_call_ends", default=())


class Requests:
    """The switch; there is one, :data:`requests`.

    Attributes:
        allowed: whether requests may leave this machine; the environment's ``LLM_OPTIMIZE_NO_REQUESTS`` overrules it.

    Example:
        >>> Requests().permits("http://127.0.0.1:8000/v1")
        True
    """

    def __init__(self) -> None:
        """Allow everything."""
        self.allowed = True
        self._interrupted = threading.Event()
        self._sleepers: dict[object, Callable[[], None]] = {}

    @property
    def local_only(self) -> bool:
        """Whether requests are confined to this machine."""
        return not self.allowed or os.environ.get("LLM_OPTIMIZE_NO_REQUESTS", "0").lower() not in ("", "0", "false")

    def permits(self, url: str) -> bool:
        """Return whether a request may go to ``url``."""
        return not self.local_only or is_loopback(url)

    def check(self, url: str) -> None:
        """Refuse a request that may not leave this machine.

        Raises:
            ModelRefused: requests are switched off and ``url`` is elsewhere.
        """
        if not self.permits(url):
            msg = (
                f"requests to models are switched off (llm.requests.allowed or LLM_OPTIMIZE_NO_REQUESTS), "
                f"so {url} was not asked: switch them on, or use a server on 127.0.0.1"
            )
            raise ModelRefused(msg)

    def interrupt(self) -> None:
        """End the waits between attempts, now and until :meth:`resume`."""
        self._interrupted.set()
        for wake in list(self._sleepers.values()):
            wake()

    @property
    def interrupted(self) -> bool:
        """Whether :meth:`interrupt` was called, and :meth:`resume` not yet."""
        return self._interrupted.is_set()

    @contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Have :meth:`interrupt` call ``wake`` as long as the block runs, for waits of another kind."""
        sleeper = object()
        self._sleepers[sleeper] = wake
        try:
            yield
        finally:
            del self._sleepers[sleeper]

    def resume(self) -> None:
        """Wait again as usual."""
        self._interrupted.clear()

    def wait(self, seconds: float) -> None:
        """Let ``seconds`` pass.

        Raises:
            ModelUnavailable: :meth:`interrupt` was called.
        """
        moved = current_clock().condition()

        def wake() -> None:
            with moved:
                moved.notify()

        with self.waking(wake), moved:
            if not self.interrupted:
                moved.wait(max(seconds, 0.0))
        if self.interrupted:
            msg = "the wait for the next attempt was interrupted"
            raise ModelUnavailable(msg)


requests = Requests()
"""The switch of this process."""


def wait(seconds: float) -> None:
    """Let ``seconds`` pass, as :meth:`Requests.wait` of this process's switch."""
    requests.wait(seconds)


def is_loopback(url: str) -> bool:
    """Return whether ``url`` names this machine.

    Example:
        >>> is_loopback("http://localhost:11434/v1"), is_loopback("http://127.example.org/v1")
        (True, False)
    """
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or (host.startswith("127.") and host.replace(".", "").isdigit())


@contextmanager
def within(seconds: float, *, pausable: bool = False) -> Iterator[None]:
    """Give the model calls of this block ``seconds`` in all; an enclosing, shorter limit stays in force.

    Args:
        seconds: from now.
        pausable: whether the time in :func:`paused` blocks is given on top.
    """
    token = _ENDS.set((*_ENDS.get(), (current_clock().monotonic() + seconds, pausable)))
    try:
        yield
    finally:
        _ENDS.reset(token)


@contextmanager
def paused() -> Iterator[None]:
    """Stop the clock of the pausable limits around this block; only the others hold inside."""
    ends, begun = _ENDS.get(), current_clock().monotonic()
    token = _ENDS.set(tuple(end for end in ends if not end[1]))
    try:
        yield
    finally:
        _ENDS.reset(token)
        passed = current_clock().monotonic() - begun
        _ENDS.set(tuple((end + passed * pausable, pausable) for end, pausable in ends))


def time_left() -> float | None:
    """Return the seconds left for a model call, never negative; None when nothing limits it."""
    ends = _ENDS.get()
    return max(min(end for end, _ in ends) - current_clock().monotonic(), 0.0) if ends else None
