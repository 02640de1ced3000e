"""Random numbers for policies: from the study's seed, the proposal and the draft, and from nothing else."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_optimize.core.history import History

__all__ = ["dice"]


def dice(history: History, draft: int, policy: str) -> random.Random:
    """Return a generator for one decision: the same for the same study, proposal, draft and policy.

    Args:
        history: gives the seed and the slot of the proposal.
        draft: ordinal of the draft within the proposal, from 0.
        policy: a name, so that two policies do not draw the same numbers.

    Example:
        >>> from llm_optimize.core.history import History
        >>> dice(History.empty(), 0, "softmax").random() == dice(History.empty(), 0, "softmax").random()
        True
    """
    # Seeded by text: a hash of a tuple of small numbers would collide.
    return random.Random(repr((history.seed, history.slot, draft, policy)))  # noqa: S311 - a search, not a secret
