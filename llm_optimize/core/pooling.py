"""Estimates of many true scores from few noisy ones each: every candidate borrows strength from the others.

The model is that of Fay and Herriot (J. Am. Stat. Assoc. 74, 1979; Rao and Molina, Small Area Estimation, 2015):
the mean score of candidate i is y_i = theta_i + e_i with known var(e_i) = sigma^2 / n_i, and the true scores are
theta_i = x_i beta + u_i with var(u_i) = tau^2. The estimate weighs a candidate's own mean against what the others
predict for it; tau^2 comes from the data, so where nothing can be predicted its own mean is all that counts.

What predicts: texts that differ in nothing but d <= 4 numbers have a full quadratic in these (a response surface, Box
and Wilson, J. R. Stat. Soc. B 13, 1951). All others have one common mean, which is the shrinkage of James and Stein.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.types import Trial

__all__ = ["Estimate", "estimates"]

_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])")
_MOST_NUMBERS = 4  # in a text: a quadratic in d has (d + 1)(d + 2) / 2 coefficients
_PER_COEFFICIENT = 2  # candidates that each coefficient needs
_HALVINGS = 30
_RIDGE = 1e-9

_Matrix = list[list[float]]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is known of a candidate's true score.

    Attributes:
        trial: the candidate with its evaluations.
        mean: the estimate.
        error: its standard error, in units of the score.
    """

    trial: Trial
    mean: float
    error: float


def estimates(trials: Sequence[Trial], sigma: float, *, pool: bool = True) -> list[Estimate]:
    """Estimate the true score of each trial.

    Args:
        trials: with a score.
        sigma: the standard deviation of one evaluation, above 0.
        pool: whether candidates borrow strength from one another; without, each has the mean of its own scores.

    Returns:
        One estimate per trial, in their order; O(n) for n trials.
    """
    if not pool or len(trials) < _PER_COEFFICIENT:
        return [Estimate(trial, trial.score or 0.0, sigma / math.sqrt(trial.n)) for trial in trials]
    found: dict[int, Estimate] = {}
    for members, rows in _groups(trials):
        group = [trials[i] for i in members]
        found |= zip(members, _borrowed(group, rows, sigma), strict=True)
    return [found[i] for i in range(len(trials))]


def _groups(trials: Sequence[Trial]) -> list[tuple[list[int], _Matrix]]:
    """Return (which trials, their predictors): those of the commonest skeleton with a quadratic, the rest without."""
    skeletons = [_NUMBER.sub("#", trial.text.strip()) for trial in trials]
    [(skeleton, count)] = Counter(skeletons).most_common(1)
    numbers = skeleton.count("#")
    terms = (numbers + 1) * (numbers + 2) // 2
    if not 0 < numbers <= _MOST_NUMBERS or count < _PER_COEFFICIENT * terms:
        return [(list(range(len(trials))), [[1.0] for _ in trials])]
    alike = [i for i, one in enumerate(skeletons) if one == skeleton]
    others = [i for i, one in enumerate(skeletons) if one != skeleton]
    points = [[float(value) for value in _NUMBER.findall(trials[i].text.strip())] for i in alike]
    groups = [(alike, _quadratic(points))]
    return [*groups, (others, [[1.0] for _ in others])] if others else groups


def _quadratic(points: Sequence[Sequence[float]]) -> _Matrix:
    """Return 1, the coordinates and their products, the coordinates moved and scaled to mean 0 and spread 1."""
    scaled = []
    for column in zip(*points, strict=True):
        centre = sum(column) / len(column)
        spread = math.sqrt(sum((value - centre) ** 2 for value in column) / len(column)) or 1.0
        scaled.append([(value - centre) / spread for value in column])
    rows = [list(row) for row in zip(*scaled, strict=True)]
    return [[1.0, *row, *(a * b for a, b in combinations_with_replacement(row, 2))] for row in rows]


def _borrowed(group: Sequence[Trial], rows: _Matrix, sigma: float) -> list[Estimate]:
    """Return the empirical best linear unbiased predictions; tau^2 solves Fay and Herriot's moment equation."""
    scores = [trial.score or 0.0 for trial in group]
    noise = [sigma**2 / trial.n for trial in group]
    low, high = 0.0, max(*noise, _variance(scores))
    wanted = len(group) - len(rows[0])
    if wanted < 1:
        return [Estimate(trial, trial.score or 0.0, math.sqrt(v)) for trial, v in zip(group, noise, strict=True)]
    if _misfit(rows, scores, noise, low) <= wanted:
        high = low
    for _ in range(_HALVINGS if high > low else 0):
        middle = (low + high) / 2
        low, high = (middle, high) if _misfit(rows, scores, noise, middle) > wanted else (low, middle)
    beta, covariance = _fit(rows, scores, [1 / (high + v) for v in noise])
    fit = beta, covariance, high
    return [_blend(trial, row, v, fit) for trial, row, v in zip(group, rows, noise, strict=True)]


def _blend(trial: Trial, row: list[float], noise: float, fit: tuple[list[float], _Matrix, float]) -> Estimate:
    """Weigh a candidate's own mean against its prediction; the error is g1 + g2 of Rao and Molina, 5.2."""
    beta, covariance, tau2 = fit
    own = tau2 / (tau2 + noise)
    unsure = _dot(row, [_dot(line, row) for line in covariance])
    mean = own * (trial.score or 0.0) + (1 - own) * _dot(row, beta)
    return Estimate(trial, mean, math.sqrt(own * noise + (1 - own) ** 2 * max(unsure, 0.0)))


def _misfit(rows: _Matrix, scores: list[float], noise: list[float], tau2: float) -> float:
    """Return the weighted sum of squared residuals, which should be the number of trials less that of coefficients."""
    weights = [1 / (tau2 + v) for v in noise]
    beta, _ = _fit(rows, scores, weights)
    return sum(w * (y - _dot(row, beta)) ** 2 for w, y, row in zip(weights, scores, rows, strict=True))


def _fit(rows: _Matrix, scores: list[float], weights: list[float]) -> tuple[list[float], _Matrix]:
    """Return the weighted least-squares coefficients and their covariance."""
    p = len(rows[0])
    normal = [[0.0] * p for _ in range(p)]
    right = [0.0] * p
    for row, score, weight in zip(rows, scores, weights, strict=True):
        for i, value in enumerate(row):
            right[i] += weight * value * score
            for j in range(i + 1):
                normal[i][j] += weight * value * row[j]
    for i in range(p):
        normal[i][i] *= 1 + _RIDGE
        for j in range(i):
            normal[j][i] = normal[i][j]
    covariance = _inverse(normal)
    return [_dot(line, right) for line in covariance], covariance


def _inverse(matrix: _Matrix) -> _Matrix:
    """Return the inverse by Gauss and Jordan with pivoting; directions that the data leave open get no weight."""
    p = len(matrix)
    work = [[*row, *(float(i == j) for j in range(p))] for i, row in enumerate(matrix)]
    scale = max(abs(row[i]) for i, row in enumerate(matrix)) or 1.0
    for i in range(p):
        pivot = max(range(i, p), key=lambda k: abs(work[k][i]))
        work[i], work[pivot] = work[pivot], work[i]
        if abs(work[i][i]) <= scale * _RIDGE**2:
            work[i] = [0.0] * (2 * p)
            continue
        work[i] = [value / work[i][i] for value in work[i]]
        for k in range(p):
            if k != i and (factor := work[k][i]):
                work[k] = [a - factor * b for a, b in zip(work[k], work[i], strict=True)]
    return [row[p:] for row in work]


def _variance(values: Sequence[float]) -> float:
    centre = sum(values) / len(values)
    return sum((value - centre) ** 2 for value in values) / max(len(values) - 1, 1)


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
