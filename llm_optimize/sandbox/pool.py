"""Idle lanes, handed to one user at a time and taken back when they are still good."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from typing import TYPE_CHECKING

from llm_optimize.errors import LLMOptimizeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llm_optimize.sandbox.driving import Lane

__all__ = ["LanePool"]

_KEPT = 16
_SERVES = 10_000


class LanePool:
    """Lanes by the last used first; thread-safe. After a fork of the host it is empty: the lanes are the other's."""

    def __init__(self, open_lane: Callable[[], Lane], serves: int = _SERVES) -> None:
        """Use ``open_lane`` (called under the pool's lock) when none is idle; retire a lane after ``serves`` uses."""
        self._open = open_lane
        self._serves = serves
        self._idle: list[Lane] = []
        self.lock = threading.Lock()
        self._reset()
        weakref.finalize(self, _close_all, self._idle)

    @contextlib.contextmanager
    def borrowed(self) -> Iterator[Lane]:
        """Hand out a lane; one that an error came out of is never used again."""
        lane, generation = self.take()
        good = False
        try:
            yield lane
            good = True
        finally:
            self.give_back(lane, generation, good=good)

    def take(self) -> tuple[Lane, int]:
        """Hand out a lane, and what :meth:`give_back` wants to know; :meth:`borrowed` without what it costs."""
        if self._owner != os.getpid():
            self._reset()
        with self.lock:
            lane, generation = self._idle_lane() or self._open(), self._generation
        lane.served += 1
        return lane, generation

    def give_back(self, lane: Lane, generation: int, *, good: bool) -> None:
        """Take a lane back; one that is not ``good`` is never used again."""
        with self.lock:
            good = good and generation == self._generation and len(self._idle) < _KEPT
            keep = good and lane.served < self._serves
            if keep:
                self._idle.append(lane)
        if keep:
            return
        lane.close()
        if good:
            threading.Thread(target=self._replace, args=(generation,), daemon=True).start()

    def clear(self) -> None:
        """Close all idle lanes, and those in use when they come back; the caller holds :attr:`lock`."""
        self._generation += 1
        _close_all(self._idle)

    @property
    def owned(self) -> bool:
        """Whether this process made it, and not one that this process was forked from."""
        return self._owner == os.getpid()

    def _replace(self, generation: int) -> None:
        """Open a lane for one that has served long enough, so that nobody waits for it."""
        with self.lock, contextlib.suppress(LLMOptimizeError):  # whoever needs a lane next meets the same error
            if generation == self._generation:
                self._idle.insert(0, self._open())

    def _reset(self) -> None:
        self._owner = os.getpid()
        self.lock = threading.Lock()
        self._generation = 0
        _close_all(self._idle)  # our copies of the sockets; the lanes do not notice

    def _idle_lane(self) -> Lane | None:
        while self._idle:
            lane = self._idle.pop()
            if lane.usable:
                return lane
            lane.close()
        return None


def _close_all(lanes: list[Lane]) -> None:
    while lanes:
        lanes.pop().close()
