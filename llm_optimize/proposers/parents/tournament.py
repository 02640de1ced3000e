"""Build on the winner of a small tournament: any attempt may take part, so mediocre ones get their turn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.core.checks import check_whole
from llm_optimize.proposers.seeding import dice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial

__all__ = ["Tournament"]

_DRAWS = 8  # for each place in a tournament: failures do not take part


@dataclass(frozen=True, slots=True)
class Tournament:
    """Draws ``size`` scored attempts out of all, with equal chances, and takes the best of them.

    The expected rank of the winner among n attempts is n / (size + 1): the pressure does not depend on the scale of
    the scores (Goldberg and Deb, FOGA 1991). Costs O(size) a draft.

    Attributes:
        size: how many take part; 1 is a random walk over the whole past.

    Raises:
        BadInput: the size is no whole number from 1 to 64.

    Example:
        >>> Tournament(size=8)
        Tournament(size=8)
    """

    size: int = 4

    def __post_init__(self) -> None:
        """Check the size."""
        check_whole("tournament: size", self.size, 1, 64)

    def choose(self, history: History, draft: int) -> Sequence[Trial]:
        """Return the winner; the best attempt where nearly all failed, nothing where all did."""
        drawn, told = dice(history, draft, "tournament"), len(history.trials)
        places = (drawn.randrange(told) for _ in range(_DRAWS * self.size if told else 0))
        entered: list[Trial] = []
        while len(entered) < self.size and (place := next(places, None)) is not None:
            trial = history.trials[place]
            entered += [trial] if trial.score is not None else []
        winner = max(entered, key=_standing, default=history.best)
        return () if winner is None else (winner,)

    def among(self, trials: Sequence[Trial], dice: Random) -> Trial:
        """Return the best of ``size`` drawn from ``trials``, given best first."""
        return trials[min(dice.randrange(len(trials)) for _ in range(self.size))]


def _standing(trial: Trial) -> tuple[float, int]:
    """Say who wins: the higher score, the earlier of equals."""
    return trial.score or 0.0, -trial.id
