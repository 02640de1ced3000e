"""A Gaussian process over the values tried so far: how good is a point likely to be, and how sure is that?

Points are rows of numbers: a numeric column's differences count squared, a choice's column counts 1 where two rows
differ (as one-hot coding would). Length scales per column, amplitude and noise are the most probable ones under broad
log-normal priors; of two kernels, squared exponential (very smooth) and Matérn 5/2 (rougher), the more probable is
taken. Method: Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, chapters 2 and 5.

Needs numpy and scipy (both come with scikit-learn); scikit-learn's own process is not used because its fit takes
several times as long and its optimizer sees no priors, which is what makes few evaluations go far.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from llm_optimize.proposers.arrays import Array, descend, linalg, numpy, special
from llm_optimize.proposers.kernels import Kernel, additive, rough, smooth
from llm_optimize.proposers.warping import Warped, warpings

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "GaussianProcess",
    "Likely",
    "Prior",
    "fit",
    "log_expected_improvement",
    "log_improvement_slope",
    "most_likely",
    "squares",
]

_JITTER = 1e-10
_LEAST_VARIANCE = 1e-14
_ADDITIVE_FROM = 4  # points per column below which a sum over columns explains anything
_SHORT = 0.08
_FIT_POINTS = 80  # the scales are fitted to that many points at most: the cost grows with the cube


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed of a process before data, in units of the columns and of standardized scores.

    Attributes:
        length: typical length scale of a column, in the columns' unit; grows with the root of the number of columns.
        noise: typical variance of the noise.
        length_spread: standard deviation of the logarithm of a length scale.
        noise_spread: standard deviation of the logarithm of the noise.
        warped: whether the scores may need another scale, see :mod:`~llm_optimize.proposers.warping`.
        additive: whether the function may be a sum of functions of single columns.
    """

    length: float = 0.5
    noise: float = 1e-8
    length_spread: float = 1.0
    noise_spread: float = 3.0
    warped: bool = True
    additive: bool = True


@dataclass(frozen=True, slots=True)
class GaussianProcess:
    """A fitted process over standardized scores (mean 0, variance 1). Made by :func:`fit`.

    Attributes:
        points: rows that were seen, shape (n, d).
        choices: which columns are choices, shape (d,), bool.
        weights: inverse squared length scale of each column, shape (d,).
        amplitude: variance of the process.
        noise: variance of the noise.
        kernel: squared distances -> (kernel, its derivative by the squared distance).
        scores: standardized scores, shape (n,).
        factor: lower Cholesky factor of the covariance, shape (n, n).
        solved: covariance^-1 scores, shape (n,).
    """

    points: Array
    choices: Array
    weights: Array
    amplitude: float
    noise: float
    kernel: Kernel
    scores: Array
    factor: Array
    solved: Array

    def predict(self, points: Array) -> tuple[Array, Array]:
        """Return mean and standard deviation at each row of ``points``, each of shape (m,)."""
        np = numpy()
        kernel = self.amplitude * self.kernel(squares(points, self.points, self.choices), self.weights)[0]
        half = linalg().solve_triangular(self.factor, kernel.T, lower=True, check_finite=False)
        variance = np.maximum(self.amplitude - (half * half).sum(0), _LEAST_VARIANCE)
        return kernel @ self.solved, np.sqrt(variance)

    def slope(self, point: Array) -> tuple[float, Array, float, Array]:
        """Return mean, its gradient, standard deviation, its gradient at one point; zero along choices."""
        apart = squares(point[None, :], self.points, self.choices)
        kernel, derivative = (self.amplitude * part[0] for part in self.kernel(apart, self.weights))
        jacobian = 2.0 * derivative * (point - self.points) * (self.weights * ~self.choices)
        pulled = linalg().cho_solve((self.factor, True), kernel, check_finite=False)
        deviation = math.sqrt(max(self.amplitude - float(kernel @ pulled), _LEAST_VARIANCE))
        return (
            float(kernel @ self.solved),
            jacobian.T @ self.solved,
            deviation,
            -(jacobian.T @ pulled) / deviation,
        )

    def believing(self, points: Array) -> GaussianProcess:
        """Return the process as if each row of ``points`` had been seen with the score expected there.

        Points that are being evaluated are treated so, so that the next one goes elsewhere ("kriging believer",
        Ginsbourger et al. 2010).
        """
        np = numpy()
        if not len(points):
            return self
        scores = np.concatenate([self.scores, self.predict(points)[0]])
        scales = (self.weights, self.amplitude, self.noise)
        return _conditioned(np.vstack([self.points, points]), scores, self.choices, self.kernel, scales)


def fit(points: Array, scores: Array, choices: Array, likely: Likely) -> GaussianProcess:
    """Return the process that believes what it is told.

    Args:
        points: shape (n, d), n >= 1.
        scores: shape (n,), finite, in any unit: they are brought to a scale of their own here.
        choices: which columns are choices, shape (d,), bool.
        likely: its kernel and its scales, see :func:`most_likely`.
    """
    warped = warpings(scores)
    standard = warped[min(likely.warping, len(warped) - 1)].scores
    return _conditioned(points, standard, choices, likely.kernel, likely.natural(points.shape[1]))


def most_likely(points: Array, scores: Array, choices: Array, prior: Prior) -> Likely:
    """Return the most probable kernel, scales and scale of the scores; the costly part, so the latest are remembered.

    Args:
        points: shape (n, d), n >= 1.
        scores: shape (n,), finite, in any unit.
        choices: which columns are choices, shape (d,), bool.
        prior: see :class:`Prior`.
    """
    return _likely(points.shape[1], points.tobytes(), scores.tobytes(), choices.tobytes(), prior)


@dataclass(frozen=True, slots=True)
class Likely:
    """A kernel with its most probable scales on one scale of the scores. Made by :func:`most_likely`.

    Attributes:
        loss: the negative logarithm of its probability, up to a constant; for the same scores in any unit.
        kernel: see :mod:`~llm_optimize.proposers.kernels`.
        scales: logarithms of the length of each column, the amplitude and the noise, shape (d + 2,).
        warping: which of :func:`~llm_optimize.proposers.warping.warpings`.
    """

    loss: float
    kernel: Kernel
    scales: Array
    warping: int

    def natural(self, columns: int) -> tuple[Array, float, float]:
        """Return the weights of so many columns, the amplitude and the noise."""
        np = numpy()
        amplitude, noise = np.exp(self.scales[columns:])
        return np.exp(-2 * self.scales[:columns]), float(amplitude), float(noise)


@lru_cache(maxsize=64)
def _likely(columns: int, points: bytes, scores: bytes, choices: bytes, prior: Prior) -> Likely:
    """Return the most probable fit to data given as bytes, which can be looked up."""
    np = numpy()
    values = np.frombuffer(scores)
    some = _sample(values)
    rows = np.frombuffer(points).reshape(-1, columns)[some]
    apart = squares(rows, rows, np.frombuffer(choices, dtype=bool))
    return min(_fits(apart, warpings(values), some, prior), key=lambda one: one.loss)


def _fits(apart: Array, warped: list[Warped], some: Array, prior: Prior) -> Iterator[Likely]:
    """Fit the smooth kernel on every scale of the scores, and the other kernels on the most probable of these."""

    def fitted(kernel: Kernel, i: int, prior: Prior) -> Likely:
        loss, scales = _most_probable(kernel, apart, warped[i].scores[some], prior)
        return Likely(loss - float(warped[i].volume[some].sum()), kernel, scales, i)

    first = [fitted(smooth, i, prior) for i in range(len(warped) if prior.warped else 1)]
    yield from first
    likely = min(first, key=lambda one: one.loss).warping
    yield fitted(rough, likely, prior)
    if prior.additive and apart.shape[2] > 1 and len(some) >= _ADDITIVE_FROM * apart.shape[2]:
        yield fitted(additive, likely, prior)
        yield fitted(additive, likely, replace(prior, length=_SHORT / math.sqrt(apart.shape[2])))


def log_expected_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """Return the logarithm of the expected improvement over ``best``, exact where the improvement itself underflows.

    Ament et al., "Unexpected Improvements to Expected Improvement", 2023.
    """
    return _log_h((mean - best) / deviation) + numpy().log(deviation)


def log_improvement_slope(process: GaussianProcess, point: Array, best: float) -> tuple[float, Array]:
    """Return the log expected improvement at ``point`` and its gradient."""
    mean, mean_slope, deviation, deviation_slope = process.slope(point)
    margin = (mean - best) / deviation
    height = float(_log_h(numpy().array([margin]))[0])
    # d log h / dz = Phi / h, by logarithms because both underflow
    ratio = math.exp(min(float(special().log_ndtr(margin)) - height, 700.0))
    slope = ratio * (mean_slope - margin * deviation_slope) / deviation + deviation_slope / deviation
    return height + math.log(deviation), slope


def squares(left: Array, right: Array, choices: Array) -> Array:
    """Return the squared distance by column of each row of ``left`` from each row of ``right``, shape (n, m, d)."""
    apart = (left[:, None, :] - right[None, :, :]) ** 2
    if choices.any():
        apart[:, :, choices] = apart[:, :, choices] > 0
    return apart


def _sample(scores: Array) -> Array:
    # The best half of the allowance and the latest half: where the optimum is, and what the search does now.
    np = numpy()
    if len(scores) <= _FIT_POINTS:
        return np.arange(len(scores))
    best = np.argsort(-scores, kind="stable")[: _FIT_POINTS // 2]
    rest = np.setdiff1d(np.arange(len(scores)), best)
    return np.sort(np.concatenate([best, rest[-(_FIT_POINTS - len(best)) :]]))


def _most_probable(kernel: Kernel, apart: Array, scores: Array, prior: Prior) -> tuple[float, Array]:
    # The scales are logarithms: length per column, amplitude, noise.
    np = numpy()
    columns = apart.shape[2]
    typical = np.array([math.log(prior.length * math.sqrt(columns))] * columns + [math.log(4.0), math.log(prior.noise)])
    spread = np.array([prior.length_spread] * columns + [2.0, prior.noise_spread])
    bounds = np.log([(0.01, 30.0)] * columns + [(0.05, 1e5), (1e-10, 1.0)])

    def loss(scales: Array) -> tuple[float, Array]:
        value, slope = _unlikelihood(kernel, apart, scores, scales)
        away = (scales - typical) / spread
        return value + 0.5 * float(away @ away), slope + away / spread

    scales, value = descend(loss, typical, bounds)
    return value, scales


def _unlikelihood(kernel: Kernel, apart: Array, scores: Array, scales: Array) -> tuple[float, Array]:
    """Return the negative log marginal likelihood and its gradient (Rasmussen and Williams, equations 5.8, 5.9)."""
    np = numpy()
    columns = apart.shape[2]
    weights, amplitude, noise = np.exp(-2 * scales[:columns]), np.exp(scales[columns]), np.exp(scales[columns + 1])
    shape, derivative = kernel(apart, weights)
    factor = _factor(amplitude * shape, noise, amplitude)
    if factor is None:
        return 1e10, np.zeros(columns + 2)
    inverse = linalg().cho_solve((factor, True), np.eye(len(scores)), check_finite=False)
    solved = inverse @ scores
    value = 0.5 * float(scores @ solved) + float(np.log(np.diag(factor)).sum())
    pull = 0.5 * (inverse - np.outer(solved, solved))
    lengths = -2.0 * amplitude * weights * (pull[:, :, None] * derivative * apart).sum((0, 1))
    return value, np.array([*lengths, (pull * shape).sum() * amplitude, noise * np.trace(pull)])


def _factor(covariance: Array, noise: float, amplitude: float) -> Array | None:
    np = numpy()
    covariance[np.diag_indices_from(covariance)] += noise + _JITTER * amplitude
    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return None


def _conditioned(
    points: Array,
    scores: Array,
    choices: Array,
    kernel: Kernel,
    scales: tuple[Array, float, float],
) -> GaussianProcess:
    weights, amplitude, noise = scales
    covariance = amplitude * kernel(squares(points, points, choices), weights)[0]
    factor = _factor(covariance.copy(), noise, amplitude)
    while factor is None:  # equal points whose scores differ more than the noise allows
        noise *= 10.0
        factor = _factor(covariance.copy(), noise, amplitude)
    solved = linalg().cho_solve((factor, True), scores, check_finite=False)
    return GaussianProcess(points, choices, weights, amplitude, noise, kernel, scores, factor, solved)


def _log_h(margin: Array) -> Array:
    """Return log(phi(z) + z Phi(z)), in three ranges of z (Ament et al. 2023, equation 9)."""
    np = numpy()
    above = np.maximum(margin, -1.0)
    density = np.exp(-0.5 * above * above) / math.sqrt(2 * math.pi)
    plain = np.log(density + above * 0.5 * special().erfc(-above / math.sqrt(2)))
    below = np.minimum(margin, -1.0)
    tail = 1.0 + below * math.sqrt(math.pi / 2) * special().erfcx(-below / math.sqrt(2))
    tail = np.where(below < -300.0, 1.0 / below**2, np.maximum(tail, 1e-12))  # noqa: PLR2004 - there the difference cancels
    return np.where(margin > -1.0, plain, -0.5 * below * below - 0.5 * math.log(2 * math.pi) + np.log(tail))
