"""Each answer states a hypothesis; what came of it is said beside the result.

promptfoo, promptim and VISTA (arXiv 2603.18388) have each candidate state one; none of them tells the model whether it
held. Here an attempt's score is compared with that of the attempt which it was built on.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.proposers import prompts

if TYPE_CHECKING:
    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial

__all__ = ["Figures", "hypothesis", "verdict"]

_STATED = re.compile(r"^\W{0,8}hypothesis\W{0,8}(?<=[:\-*_])\s*(\S.*)$", re.IGNORECASE | re.MULTILINE)
_SURE = 2.0  # standard errors of a difference from which on it is more than noise: about 95 %
_FEW = 2  # digits of a difference


@dataclass(frozen=True, slots=True)
class Figures:
    """How scores are written in one prompt.

    Attributes:
        digits: significant digits, enough to tell the scores of the prompt apart.
        decimals: to which they are rounded instead, where the window says so.
    """

    digits: int
    decimals: int | None = None

    def show(self, score: float) -> str:
        """Write a score."""
        return prompts.show_score(score, self.digits) if self.decimals is None else self._rounded(score)

    def gap(self, one: float, other: float) -> str:
        """Write by how much two scores differ as they are shown; empty if they look the same."""
        if self.decimals is not None:
            one, other = round(one, self.decimals), round(other, self.decimals)
        gap = abs(one - other)
        if not gap or self.show(one) == self.show(other):
            return ""
        return prompts.show_score(gap, _FEW) if self.decimals is None else self._rounded(gap)

    def _rounded(self, score: float) -> str:
        return f"{round(score, self.decimals):.{max(self.decimals or 0, 0)}f}"


def hypothesis(idea: str) -> str | None:
    r"""Return what an explanation states as its hypothesis, or None.

    Example:
        >>> hypothesis("**Hypothesis:** shorter names cost less.\nI rename i.")
        'shorter names cost less.'
    """
    found = _STATED.search(idea)
    return found[1].strip() if found else None


def verdict(history: History, trial: Trial, figures: Figures) -> str:
    """Say how an attempt did against the one that it was built on, and whether its hypothesis, if any, held.

    Empty where there is no such attempt, or it has no score. Differences within two standard errors of what repeated
    evaluations of single candidates have shown (``history.sigma``) are called noise.
    """
    parent = None if trial.candidate.parent is None else history.trial(trial.candidate.parent)
    if parent is None or parent.score is None:
        return ""
    outcome, held = _compared(history, trial, parent, figures)
    stated = hypothesis(trial.candidate.idea) is not None
    return prompts.verdict(parent.id, figures.show(parent.score), outcome, held if stated else "")


def _compared(history: History, trial: Trial, parent: Trial, figures: Figures) -> tuple[str, str]:
    """Return how a trial compares with its parent, and what that says of its hypothesis."""
    if trial.score is None or parent.score is None:
        return prompts.NO_SCORE, prompts.OPEN
    gap = figures.gap(trial.score, parent.score)
    if not gap:
        return prompts.SAME, prompts.NOT_HELD
    better = trial.score > parent.score
    outcome = prompts.better(gap) if better else prompts.worse(gap)
    error = (history.sigma or 0.0) * math.sqrt(1 / max(trial.n, 1) + 1 / max(parent.n, 1))
    if abs(trial.score - parent.score) <= _SURE * error:
        return f"{outcome}, {prompts.NOISE}", prompts.OPEN
    return outcome, prompts.HELD if better else prompts.NOT_HELD
