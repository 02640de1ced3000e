"""Scores brought to a scale on which a Gaussian process can believe in them.

A process expects values that spread evenly. Losses often do not: most points of a curved valley are worse by orders of
magnitude, and their differences drown those that matter. A logarithm of the distance from the best score, softened by
an offset, evens that out; how soft is a question of evidence, answered by the process's likelihood with the change of
volume accounted for (Snelson, Rasmussen and Ghahramani, "Warped Gaussian Processes", 2003). Ranks stay as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from llm_optimize.proposers.arrays import Array, numpy

__all__ = ["Warped", "warpings"]

_FARTHEST = 100.0  # scores count as at most that many times as far from the best as three quarters of them are
_QUANTILES = (0.5, 0.1)


@dataclass(frozen=True, slots=True)
class Warped:
    """Scores on another scale, standardized there.

    Attributes:
        scores: mean 0, variance 1, in the order of the original ones, shape (n,).
        volume: logarithm of the change of volume for each score, shape (n,); evidence for two scales of the same
            scores is compared with the sum of these added.
    """

    scores: Array
    volume: Array


def warpings(scores: Array) -> list[Warped]:
    """Return the scores as they are, and with ever more of a logarithm; one alone where they do not differ.

    Args:
        scores: shape (n,), finite, in any unit.
    """
    np = numpy()
    scores = scores / (np.abs(scores).max() or 1.0)  # squares of scores near the largest float would overflow
    best = scores.max()
    # A penalty such as -1e9 says "not here", not how much worse: unclipped, it would drown all other differences.
    plain = np.maximum(scores, best - _FARTHEST * (best - np.quantile(scores, 0.25)))
    unit = plain.std()
    if not unit > 0:
        return [_standardized(plain, np.zeros(len(plain)))]
    behind = (best - scores) / unit
    offsets = [max(float(np.quantile(behind, q)), 1e-9) for q in _QUANTILES]
    logged = [_standardized(-np.log(behind + one), -np.log(behind + one)) for one in offsets]
    return [_standardized((plain - best) / unit, np.zeros(len(plain))), *logged]


def _standardized(scores: Array, volume: Array) -> Warped:
    spread = float(scores.std())
    spread = spread if spread > 0 else 1.0
    return Warped((scores - scores.mean()) / spread, volume - math.log(spread))
