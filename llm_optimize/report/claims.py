"""What each step claimed, and whether it held: the hypothesis of an answer against the score that followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_optimize.proposers import prompts
from llm_optimize.proposers.hypotheses import Figures, hypothesis, verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial

__all__ = ["claims"]

_DIGITS = 4


def claims(history: History, trials: Iterable[Trial]) -> list[dict[str, Any]]:
    """Return the stated hypotheses in the order of evaluation.

    Returns:
        Objects with ``id``, ``claim``, ``outcome`` (a sentence; empty for one that has no parent to be compared with)
        and ``held``: True, False, or None where it stays open, for instance because the difference is within noise.
    """
    found = []
    for trial in trials:
        claim = hypothesis(trial.candidate.idea)
        if claim is not None:
            outcome = verdict(history, trial, Figures(_DIGITS))
            held = True if prompts.HELD in outcome else False if prompts.NOT_HELD in outcome else None
            found.append({"id": trial.id, "claim": claim, "outcome": outcome, "held": held})
    return found
