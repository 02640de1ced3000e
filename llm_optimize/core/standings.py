"""Who stands where among trials with a score.

Where repeated scores of a candidate differ, a high score may be luck. Then the candidates are ranked by a lower
confidence bound: the mean of their scores less the standard error of that mean.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CAUTION", "Standing", "ranked"]

CAUTION = 1.0
"""Standard errors below its mean at which a candidate is ranked."""

Standing = tuple[float, int, int]
"""Of a trial with a score: the score, how many evaluations brought one, and the position."""


def ranked(standings: Iterable[Standing], k: int, sigma: float | None) -> list[int]:
    """Return the positions of the ``k`` best, best first, the earlier of equals first; O(n log k)."""
    caution = CAUTION * (sigma or 0.0)
    keyed = ((caution / math.sqrt(n) - score if caution else -score, position) for score, n, position in standings)
    return [position for _, position in heapq.nsmallest(k, keyed)]
