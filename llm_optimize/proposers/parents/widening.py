"""Build on the best attempt while that brings something, and the longer it does not, the more often on others.

Exploration driven by improvement, as in AdaEvolve (SkyDiscover, 2026): narrow while the search moves, else wide.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_optimize.core.checks import check_number
from llm_optimize.proposers.parents.best import Best
from llm_optimize.proposers.parents.softmax import Softmax
from llm_optimize.proposers.seeding import dice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial
    from llm_optimize.proposers.parents.policy import ParentPolicy, Selection

__all__ = ["Widening"]


@dataclass(frozen=True, slots=True)
class Widening:
    """The best attempt, or, with a probability that rises with the trials since the last improvement, another.

    The probability is nothing up to ``after`` trials without an improvement; from there on it rises evenly, up to
    ``most`` at three times as many. The default of a chat proposer: on the tasks of
    ``tests/benchmarks/bench_search.py`` the best alone finds most on a landscape with plateaus and gets stuck on one
    with many peaks, see ``tests/benchmarks/bench_parents.py``; a draw by rank is the reverse.

    Attributes:
        after: trials since the last improvement from which on others are built on.
        most: the highest probability, 0 to 1.
        narrow: the policy while the search moves.
        wide: the policy of the others.

    Raises:
        BadInput: a number is out of range.

    Example:
        >>> Widening(after=5).most
        0.5
    """

    after: int = 10
    most: float = 0.5
    narrow: Selection = field(default_factory=Best)
    wide: ParentPolicy = field(default_factory=Softmax)

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_number("widening: after", self.after, 1)
        check_number("widening: most", self.most, 0, 1)

    def choose(self, history: History, draft: int) -> Sequence[Trial]:
        """Return the parents by the policy that is drawn for this draft."""
        part = min(max((history.stale - self.after) / (2 * self.after), 0.0), 1.0) * self.most
        is_wide = dice(history, draft, "widening").random() < part
        return (self.wide if is_wide else self.narrow).choose(history, draft)

    def among(self, trials: Sequence[Trial], dice: Random) -> Trial:
        """Return what the narrow policy takes."""
        return self.narrow.among(trials, dice)
