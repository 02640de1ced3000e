"""Positions of a history sorted by score, kept so while trials come and while scores change by re-tests.

A history is a view: it may know less than what was followed so far. Then later positions are passed over, and those
whose scores have changed since are put where that view has them, so that an answer follows from the view alone.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from llm_optimize.core.history import History

__all__ = ["Ranking"]


@dataclass(slots=True)
class Ranking:
    """Positions of scored trials, the best first, the earlier of equals first.

    Attributes:
        rows: (-score, position), sorted; the scores are those of the latest history that was followed.
        held: the positions alone.
    """

    rows: list[tuple[float, int]] = field(default_factory=list)
    held: set[int] = field(default_factory=set)

    def add(self, position: int, score: float) -> None:
        """Put a trial in."""
        insort(self.rows, (-score, position))
        self.held.add(position)

    def move(self, position: int, before: float, after: float) -> None:
        """Put a trial where its changed score belongs."""
        place = bisect_left(self.rows, (-before, position))
        if place < len(self.rows) and self.rows[place][1] == position:
            del self.rows[place]
            self.add(position, after)

    def positions(self, history: History, changed: AbstractSet[int]) -> Iterator[int]:
        """Yield the positions that ``history`` knows, best first by the scores that it gives them.

        Args:
            history: of the study that was followed, at any time.
            changed: positions whose scores were changed by re-tests that it does not know.
        """
        told = len(history.trials)
        if not changed:
            return (position for _, position in self.rows if position < told)
        here = [position for position in changed if position in self.held and position < told]
        rows = (row for row in self.rows if row[1] < told and row[1] not in changed)
        scores = ((history.trials[position].score, position) for position in here)
        moved = sorted((-score, position) for score, position in scores if score is not None)
        return (position for _, position in heapq.merge(rows, moved))
