"""When a search by generations goes on, waits and ends: a stop rule, so that any loop keeps to it.

Children of a generation are made when all of the one before have their outcome, so that who becomes a parent does not
depend on which judge was quicker; and the search ends between generations only, so that no child is made and left
without a score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.core.checks import check_whole
from llm_optimize.core.stopping import Rule, TargetScore

if TYPE_CHECKING:
    from llm_optimize.core.history import History

__all__ = ["Generations"]

_SLACK = 1e-9  # nine marks of 9 have a mean of 0.8999999999999999 as floats add up
_WAITING = "generations: the latest one has candidates without a score"


@dataclass(frozen=True, slots=True)
class Generations(Rule):
    """Stops after ``count`` generations behind the first one, or when a generation has reached ``target``.

    Meanwhile it holds proposals back, without ending anything, while a generation is on its way.

    Attributes:
        count: generations of children; 0 judges the first population alone.
        size: drafts that a proposal is asked for at most, at least 1: the study's ``ideas``.
        target: a score that ends the search, that of the start included; None for none.

    Raises:
        BadInput: a number that cannot be.

    Example:
        >>> from llm_optimize.core.history import History
        >>> Generations(0, 3)(History.empty()) is None
        True
    """

    count: int
    size: int
    target: float | None = None

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_whole("generations: count", self.count, 0)
        check_whole("generations: size", self.size, 1)
        if self.target is not None:
            TargetScore(self.target)

    def __call__(self, history: History) -> str | None:
        """Return why to end, or why nothing new may begin; None for evaluations of candidates that are there."""
        if history.pending:
            return _WAITING if history.in_flight >= len(history.pending) else None
        if history.in_flight >= self.size:  # a whole generation is being asked for already
            return _WAITING
        best = None if history.best is None else history.best.score
        if self.target is not None and best is not None and best >= self.target - _SLACK:
            return f"threshold: {best:.6g} reaches {self.target:.6g}"
        done = history.next_id > 0 and all(map(history.knows_slot, range(self.count + 1)))
        return f"generations: {self.count} after the first one are done" if done else None
