"""What the time is, and what waits for it to pass: the system's, unless a study is given another clock.

A simulation brings a clock whose time jumps from event to event, so that a day with a thousand workers passes in
seconds, through the very loop, ledger and retries that run for real. Whatever waits in core and in
:mod:`llm_optimize.llm` waits in a queue or a condition that the clock has made, in a thread that the clock has started.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["SYSTEM", "Clock", "Condition", "Steady", "Waiting"]


class Waiting(Protocol):
    """A queue that is waited at: :class:`queue.SimpleQueue`, or one in another clock's time."""

    def put(self, item: Any) -> None:  # noqa: ANN401 - anything can be handed over
        """Add an item; never waits."""
        ...

    def get(self, *, timeout: float) -> Any:  # noqa: ANN401 - as put
        """Take the oldest item.

        Raises:
            queue.Empty: none has come within ``timeout`` seconds.
        """
        ...


class Condition(Protocol):
    """As :class:`threading.Condition`, which is one."""

    def __enter__(self) -> bool:
        """Take the lock."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the lock back."""
        ...

    def wait(self, timeout: float | None = None) -> bool:
        """Give the lock back until somebody notifies or ``timeout`` seconds pass; return whether somebody did."""
        ...

    def notify(self, n: int = 1) -> None:
        """Wake up to ``n`` of those that wait."""
        ...

    def notify_all(self) -> None:
        """Wake all that wait."""
        ...


class Clock:
    """The system's clock; another one overrides every method.

    Example:
        >>> clock = Clock()
        >>> began = clock.monotonic()
        >>> clock.monotonic() >= began
        True
    """

    def time(self) -> float:
        """Return the seconds since the epoch; they jump when somebody sets the clock."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds from any fixed point, which never jump and stand still while the machine sleeps."""
        return time.monotonic()

    def uptime(self) -> float:
        """Return seconds from any fixed point, which never jump and go on while the machine sleeps, where it can tell.

        Linux tells (CLOCK_BOOTTIME); elsewhere they are those of :meth:`monotonic`.
        """
        return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()

    def queue(self) -> Waiting:
        """Return an empty queue."""
        return queue.SimpleQueue()

    def condition(self, lock: threading.Lock | None = None) -> Condition:
        """Return a condition on ``lock``, or on a lock of its own that its holder may take again."""
        return threading.Condition(lock)

    def start(self, work: Callable[[], None]) -> None:
        """Begin ``work`` in a thread that does not keep the program alive."""
        threading.Thread(target=work, daemon=True).start()


SYSTEM = Clock()
"""The clock of everything that was not given another."""


class Steady:
    """Seconds since the epoch that never jump: right when they begin, then counted by the clock that goes on.

    Whoever sets the wall clock while a session is open (a daemon that corrects it, a guest that is moved to another
    host, a person) neither ends its budget of seconds nor puts its log out of order.
    """

    def __init__(self, clock: Clock) -> None:
        """Begin with the time of now."""
        self._clock = clock
        self._offset = clock.time() - clock.uptime()

    def time(self) -> float:
        """Return the seconds since the epoch."""
        return self._offset + self._clock.uptime()
