"""What is tried when a search stalls: bigger steps, a fresh start, a stronger model; then small steps again."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from llm_optimize.errors import BadInput
from llm_optimize.proposers.brief import Angle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import ChatModel

__all__ = ["RESTART", "REWRITE", "Escalation", "escalation"]

REWRITE = Angle(
    "rewrite",
    "Small changes have stopped helping. Rewrite the current x as a whole: keep its aim and what the results prove to "
    "be good, and do the rest in another way.",
)
"""A bold step from where the search stands."""

RESTART = Angle(
    "restart",
    "The search is stuck near its best attempts. Leave them behind: solve the task anew with an approach that none of "
    "the attempts shown uses. It need not be better at once.",
    {"temperature": 1.0},
)
"""A step away from where the search stands."""


@dataclass(frozen=True, slots=True)
class Escalation:
    """Levels of effort, by how many trials have been told since the last improvement.

    With ``after=(8, 14)`` and two levels: up to 7 trials without an improvement the proposer does as it always does,
    from the 8th on the first level holds, from the 14th on the second, for as long as the first did; then all begins
    anew, since what helped before may help again. An improvement ends it at once. A level takes the place of the
    proposer's angles. Stateless: the log tells how long ago the last improvement was.

    FAPO (arXiv 2606.19605) escalates from prompt to parameters to structure; AdaEvolve asks for new paradigms after a
    weak window.

    Attributes:
        levels: in the order of effort.
        after: for each, the number of trials without an improvement from which on it holds; ascending.

    Raises:
        BadInput: there is no level, the numbers do not ascend from 1, or there is not one for each level.
    """

    levels: Sequence[Angle] = (REWRITE, RESTART)
    after: Sequence[int] = (8, 14)

    def __post_init__(self) -> None:
        """Refuse what is no ladder."""
        object.__setattr__(self, "levels", tuple(self.levels))
        object.__setattr__(self, "after", tuple(self.after))
        if not self.levels or not all(isinstance(level, Angle) for level in self.levels):
            msg = f"escalation: levels is {self.levels!r}: give at least one Angle"
            raise BadInput(msg)
        whole = all(isinstance(count, int) and not isinstance(count, bool) for count in self.after)
        rising = whole and all(low < high for low, high in pairwise((0, *self.after)))
        if not rising or len(self.after) != len(self.levels):
            msg = f"escalation: after is {self.after!r}: give {len(self.levels)} ascending whole numbers, one a level"
            raise BadInput(msg)

    def level(self, history: History) -> Angle | None:
        """Return the level that holds now, or None while the search goes well or nothing has a score."""
        if history.best is None:
            return None
        last = (0, *self.after)
        stale = history.stale % (2 * last[-1] - last[-2])
        reached = sum(stale >= start for start in self.after)
        return self.levels[reached - 1] if reached else None


def escalation(stronger: ChatModel | None = None, *, patience: int = 8) -> Escalation:
    """Return the usual ladder: small edits, a rewrite, a restart, and last a stronger model where one is given.

    Args:
        stronger: asked last; it costs more, so it comes when the others had their turn.
        patience: trials without an improvement before the first level; each further one comes after as many again.
    """
    levels = [REWRITE, RESTART]
    if stronger is not None:
        levels.append(Angle("stronger", REWRITE.instruction, model=stronger))
    return Escalation(tuple(levels), tuple(patience * (i + 1) for i in range(len(levels))))
