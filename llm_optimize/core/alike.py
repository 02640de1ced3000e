"""Whether everything fails the same way: then it is the scorer, not the candidates, that has to be mended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.core.types import Failure

if TYPE_CHECKING:
    from llm_optimize.core.types import Outcome

__all__ = ["Alike"]

_ENOUGH = 3
_ENOUGH_LATER = 8  # of failures that the scorer found in candidates, once it has scored one that was proposed
_FEW = 1  # the start's score says nothing about what is proposed
_OF_THE_SCORER = frozenset({"raised", "bad_score"})
_SHOWN = 200


@dataclass(slots=True)
class Alike:
    """Counts failures in a row that are the same to the letter; begins anew with each session."""

    kind: str = ""
    message: str = ""
    count: int = 0
    scored: int = 0

    def after(self, outcome: Outcome, beside: int = 0) -> str | None:
        """Take in the next candidate's outcome; return why to stop, or None.

        Args:
            outcome: of the next candidate.
            beside: how many are being evaluated beside it. A failure comes back sooner than a score, so the first
                answers of many that were begun together say nothing: as many in a row have to be the same.
        """
        if not isinstance(outcome, Failure):
            self.count, self.scored = 0, self.scored + 1
            return None
        same = (self.kind, self.message) == (outcome.kind, outcome.message)
        self.kind, self.message = outcome.kind, outcome.message
        self.count = self.count + 1 if same and self.count else 1
        enough = _ENOUGH if self.scored <= _FEW or self.kind in _OF_THE_SCORER else _ENOUGH_LATER
        enough = max(enough, beside)
        if self.count < enough:
            return None
        return f"{enough} candidates in a row failed the same way ({outcome.kind}): {outcome.message[:_SHOWN]}"
