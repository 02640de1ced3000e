"""The line of calls that wait for money: whoever's turn has come is woken, and nobody else.

A thousand calls may wait, and each answer gives a little money back. If each of them looked at every change, the
changes would cost more than the work: a convoy. So what a call needs is reckoned when it comes, and a change wakes the
first for whom there is enough; that one, once it has taken it, is a change as well.
"""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass
from itertools import count, islice
from operator import attrgetter
from typing import TYPE_CHECKING

from llm_optimize.core.units import CAPS, amount

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from llm_optimize.core.clock import Clock, Condition
    from llm_optimize.core.types import Usage
    from llm_optimize.core.units import Unit

__all__ = ["MoneyLine", "Room"]

Room = tuple[int, float, float]
"""Of a cap, by its place in :data:`~llm_optimize.core.units.CAPS`: what is free, and what is not certainly spent."""


@dataclass(eq=False, slots=True)
class _Waiter:
    """A call that waits; ``needs`` of what is free and, at the very least, of what is not certainly spent, by cap."""

    unit: Unit
    wanted: Usage
    moved: Condition
    place: int
    needs: tuple[tuple[float, float], ...] = ()

    def reckon(self) -> None:
        """Work out what it needs; its unit has changed."""
        self.needs = tuple(self._need(cap) for cap in CAPS)

    def _need(self, cap: str) -> tuple[float, float]:
        wanted, unit = amount(self.wanted, cap), self.unit
        if not wanted:
            return -math.inf, -math.inf
        least = wanted + amount(unit.follow, cap)
        return least - unit.held(cap) + amount(unit.spent, cap) + unit.flying(cap), least


class MoneyLine:
    """Those who wait, in the order in which they came; its methods are called with the ledger's lock held."""

    def __init__(self, clock: Clock, lock: threading.Lock) -> None:
        """Begin with nobody; ``lock`` is given back while somebody waits."""
        self._clock = clock
        self._lock = lock
        self._waiters: list[_Waiter] = []
        self._places = count()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiters)

    def wait(self, unit: Unit, wanted: Usage, place: int | None) -> int:
        """Wait until ``wanted`` may fit, or never will, or everybody has to look again.

        Args:
            unit: whose call it is.
            wanted: what it needs at least.
            place: what an earlier wait of the same call has returned, so that it does not lose its place; else None.

        Returns:
            Its place.
        """
        kept = next(self._places) if place is None else place
        waiter = _Waiter(unit, wanted, self._clock.condition(self._lock), kept)
        waiter.reckon()
        insort(self._waiters, waiter, key=attrgetter("place"))
        unit.waiting += 1
        try:
            waiter.moved.wait()
        finally:
            if waiter in self._waiters:  # an interrupt, no turn
                self._leave(waiter)
        return kept

    def move_on(self, unit: Unit | None, rooms: Sequence[Room], is_stuck: Callable[[], bool]) -> None:
        """Wake whoever can go on after a change.

        Args:
            unit: that has changed, if one has.
            rooms: of each cap that is set.
            is_stuck: says whether nobody is left whose call could give money back: then all are woken.
        """
        for waiter in self._waiters:
            if waiter.unit is unit:
                waiter.reckon()
        woken = [waiter for waiter in self._waiters if _is_hopeless(waiter, rooms)]
        others = self._waiters if not woken else [waiter for waiter in self._waiters if waiter not in woken]
        woken += islice((waiter for waiter in others if _fits(waiter, rooms)), 1)
        if not woken and is_stuck():
            woken = list(self._waiters)
        for waiter in woken:
            self._leave(waiter)
            waiter.moved.notify()

    def _leave(self, waiter: _Waiter) -> None:
        self._waiters.remove(waiter)
        waiter.unit.waiting -= 1


def _fits(waiter: _Waiter, rooms: Sequence[Room]) -> bool:
    needs = waiter.needs
    return all(needs[place][0] <= free for place, free, _ in rooms)


def _is_hopeless(waiter: _Waiter, rooms: Sequence[Room]) -> bool:
    needs = waiter.needs
    return not waiter.unit.alive or any(needs[place][1] > left for place, _, left in rooms)
