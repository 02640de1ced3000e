"""Scorers made of scorers; frozen dataclasses, so they print, compare and travel to other processes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llm_optimize.core.scoring import to_outcome
from llm_optimize.core.types import Failure

if TYPE_CHECKING:
    from llm_optimize.core.protocols import Scorer
    from llm_optimize.core.types import Outcome

__all__ = ["Minimize"]


@dataclass(frozen=True, slots=True)
class Minimize:
    """Negates a scorer, so that less is better; feedback and metrics stay as they are.

    Example:
        >>> Minimize(lambda text: len(text))("four").score
        -4
    """

    scorer: Scorer

    def __call__(self, text: str) -> Outcome:
        """Score ``text`` and turn the sign round; a failure stays a failure."""
        outcome = to_outcome(self.scorer(text))
        return outcome if isinstance(outcome, Failure) else replace(outcome, score=-outcome.score)
