"""Build on the best attempt: hill climbing.

Of equals the newest is taken, so that the search drifts along plateaus instead of going over the same ground: what is
neutral now may be what the next improvement needs (neutral drift; Kimura, "The Neutral Theory of Molecular
Evolution", 1983). On the sorting network of ``tests/benchmarks/bench_search.py`` that found more than the oldest did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial

__all__ = ["Best"]


_EQUALS = 16  # of the best are looked at


@dataclass(frozen=True, slots=True)
class Best:
    """The best attempt is the current x, however the latest ones did; the newest of equals."""

    def choose(self, history: History, draft: int) -> Sequence[Trial]:  # noqa: ARG002 - the same for every draft
        """Return the best trial, the newest of those with its score."""
        best = history.best
        if best is None or history.sigma:
            return () if best is None else (best,)  # means that are equal by chance say nothing
        return (max((trial for trial in history.top(_EQUALS) if trial.score == best.score), key=_age, default=best),)

    def among(self, trials: Sequence[Trial], dice: Random) -> Trial:  # noqa: ARG002 - nothing is left to chance
        """Return the first."""
        return trials[0]


def _age(trial: Trial) -> int:
    return trial.id
