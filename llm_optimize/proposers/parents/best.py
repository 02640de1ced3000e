"""Build on the best attempt: hill climbing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial

__all__ = ["Best"]


@dataclass(frozen=True, slots=True)
class Best:
    """The best attempt is the current x, however the latest ones did."""

    def choose(self, history: History, draft: int) -> Sequence[Trial]:  # noqa: ARG002 - the same for every draft
        """Return the best trial."""
        return () if history.best is None else (history.best,)

    def among(self, trials: Sequence[Trial], dice: Random) -> Trial:  # noqa: ARG002 - nothing is left to chance
        """Return the first."""
        return trials[0]
