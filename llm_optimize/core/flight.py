"""What a session has in flight: units of work that were begun and whose results have not been folded yet.

A thousand workers mean a thousand units, and each step asks how many there are: the counts are kept, not taken.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llm_optimize.core.account import LOST
from llm_optimize.core.types import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from llm_optimize.core.ledger import UnitGuard
    from llm_optimize.core.metering import Scope
    from llm_optimize.core.noise import Again

__all__ = ["Flight", "Key", "Work"]

Key = tuple[str, int]
"""("proposal", slot), ("evaluation", candidate id) or ("retest", serial)."""


@dataclass(slots=True)
class Work:
    """One proposal or one evaluation.

    Attributes:
        key: what it is.
        size: candidates that it stands for.
        scope: where its model calls are counted.
        guard: its share of the ledger, where calls are capped.
        began: when, on the clock that never jumps.
        again: what is tested again, if it is that.
        future: its result.
        noted: whether somebody was told that it takes long.
    """

    key: Key
    size: int
    scope: Scope
    guard: UnitGuard | None
    began: float
    again: Again | None = None
    future: Future[Any] | None = None
    noted: bool = False

    @property
    def proposes(self) -> bool:
        """Whether it makes candidates; all else scores one."""
        return self.key[0] == "proposal"

    def give_up(self) -> None:
        """Count what its calls in flight may still cost: nobody waits for them, and they may be charged."""
        if self.guard is not None and (flying := self.guard.give_up()) != Usage():
            self.scope.add(replace(flying, calls=0, estimated=True), role=LOST)


class Flight:
    """The units in flight, in the order in which they were begun.

    Attributes:
        scoring: how many of them score a candidate.
        size: candidates that all of them stand for.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._units: dict[Key, Work] = {}
        self._again: dict[Key, Again] = {}
        self.scoring = 0
        self.size = 0

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._units)

    def __contains__(self, key: object) -> bool:
        """Say whether such a unit is in flight."""
        return key in self._units

    def __iter__(self) -> Iterator[Work]:
        """Yield those that were in flight when it was asked: another thread may ask while the loop goes on."""
        return iter(list(self._units.values()))

    def add(self, work: Work) -> None:
        """Take a unit in."""
        self._units[work.key] = work
        self.size += work.size
        self.scoring += not work.proposes
        if work.again is not None:
            self._again[work.key] = work.again

    def sent(self, key: Key, future: Future[Any]) -> None:
        """Note where a unit's result will come."""
        self._units[key].future = future

    def land(self, key: Key) -> Work | None:
        """Take a unit out and return it; None if nobody waits for it any more."""
        work = self._units.pop(key, None)
        if work is not None:
            self._again.pop(key, None)
            self.size -= work.size
            self.scoring -= not work.proposes
        return work

    def numbers(self, kind: str) -> frozenset[int]:
        """Return the numbers of the units of a kind."""
        return frozenset(number for name, number in self._units if name == kind)

    def retests(self) -> list[Again]:
        """Return what is being tested again."""
        return list(self._again.values())

    def first_scored(self) -> float | None:
        """Return when the evaluation that has been in flight longest began, or None."""
        return next((work.began for work in self._units.values() if not work.proposes), None)
