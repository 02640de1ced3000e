"""Different ideas for drafts that are asked for together, and who gets which."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

from llm_optimize.proposers.brief import Angle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.history import History

__all__ = ["DIVERSE_ANGLES", "turn"]

DIVERSE_ANGLES = (
    Angle("refine", "Change one thing: the one that the results suggest will help most. Leave the rest as it is."),
    Angle(
        "other",
        "Take another approach: do what none of the attempts shown does, even if it begins worse.",
        {"temperature": 1.0},
    ),
    Angle(
        "failures",
        "Begin with what went wrong: pick the weakness that costs the most score in the feedback and remove its cause.",
    ),
    Angle(
        "combine",
        "Combine the attempts shown: take what is good in two of them that differ most, and make one x of it.",
    ),
    Angle("simplify", "Make it simpler: take out what no result speaks for, and keep what the score comes from."),
)
"""Five ways to go on from the same past: each a different hypothesis about where the next improvement lies.

Refine and combine are the mutation and the crossover of EoH (arXiv 2401.02051; its operators M1 and E2), other its E1,
simplify its M3; failures is the reflection of GEPA (arXiv 2507.19457). Only the one that is to go far afield asks for a
temperature; the others keep the model's own, since many models accept no other.
"""

_Turn = TypeVar("_Turn")


def turn(among: Sequence[_Turn], history: History, draft: int, drafts: int = 1) -> _Turn:
    """Return whose turn it is: consecutive drafts get different ones, also where proposals are made at the same time.

    The order is drawn by the study's seed and runs through consecutive proposals; each round begins one further on than
    the last, so that a proposer which is asked for every second proposal only still meets them all. Any k - 1
    consecutive drafts, of k choices, get k - 1 different ones, and each k drafts of a round all of them.

    Args:
        among: the choices, at least one.
        history: gives seed and slot.
        draft: ordinal within the proposal, from 0.
        drafts: how many the proposal has.
    """
    order = list(range(len(among)))
    random.Random(repr((history.seed, "turns"))).shuffle(order)  # noqa: S311 - a search, not a secret
    ordinal = history.slot * drafts + draft
    return among[order[(ordinal + ordinal // len(order)) % len(order)]]
