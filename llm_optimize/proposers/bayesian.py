"""Bayesian optimization over mixed spaces, made for few evaluations: tens, each of which may cost a model call.

Three kinds of step, chosen by the number of points so far:

1. space-filling: the first few points lie far from each other and from what is known;
2. global: a Gaussian process over everything but the crowd round the best points, and the point of highest expected
   improvement that is not close to a known one;
3. local, two steps of three while they bring progress and every second one after: the same around the best point, in a
   frame with the shape of the global process's length scales that shrinks with the distance of its neighbours, and
   fitted to those alone, until it has converged. A process over the whole range cannot tell apart points close to an
   optimum (their differences drown in the scale of the rest); refitted to the neighbours it converges like a
   trust-region method (compare Eriksson et al., "TuRBO", 2019, and Powell's BOBYQA, 2009).

Measured in ``tests/benchmarks/bench_numeric.py``. Its suite, with 3 seeds, and the valley of ``bench_failure_case.py``
were looked at when these kinds of step were chosen; the held-out functions were not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.proposers.arrays import Array, descend, numpy, one_thread
from llm_optimize.proposers.gaussian import (
    GaussianProcess,
    Prior,
    fit,
    log_expected_improvement,
    log_improvement_slope,
    most_likely,
    squares,
)
from llm_optimize.proposers.space import Space

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.text.domains import Domain, Value

__all__ = ["suggest"]

_MOST_POINTS = 200
_RANDOM_POINTS = 512
_NEAR_POINTS = 128
_FAR_POINTS = 128
_ASCENTS = 3
_ROUNDS = 4
_HILL = 0.02  # two points nearer than that share of the frame would climb to the same place
_LOCAL_PRIOR = Prior(length=2.0, noise=1e-9, warped=False, additive=False)
_LEAST_RADIUS = 1e-7
_CONVERGED = 1e-6
_OBLONG = 5.0
_CLOSE = 0.01  # of the range: what lies nearer to a better point is left to the local search
_REFIT = 10
_LEAST_NOISE = 1e-8
_MEASURED = 0.5  # standard deviation of the logarithm of a noise that was measured on a few repeats
_NOISY = 1e-3  # where noise makes that share of the variance, differences between neighbours mean nothing

_Told = tuple["Sequence[Value]", float]


def suggest(
    domains: Sequence[Domain],
    told: Sequence[_Told],
    pending: Sequence[Sequence[Value]],
    seed: Sequence[int],
    noise: float | None = None,
) -> tuple[Value, ...]:
    """Return the values to try next.

    Args:
        domains: one per value.
        told: (values, score) in order of arrival; a higher score is better, and all are finite.
        pending: values under evaluation; the suggestion keeps away from them.
        seed: whole numbers >= 0; equal seeds and equal data give equal suggestions.
        noise: standard deviation of a score, where it was measured.
    """
    with one_thread():
        return _suggest(domains, told, pending, seed, noise)


def _suggest(
    domains: Sequence[Domain],
    told: Sequence[_Told],
    pending: Sequence[Sequence[Value]],
    seed: Sequence[int],
    noise: float | None,
) -> tuple[Value, ...]:
    rng = numpy().random.default_rng(list(seed))
    space = Space.of(domains)
    told = _most_telling(told)
    points, waiting = space.rows([values for values, _ in told]), space.rows(pending)
    count = len(points) + len(waiting)
    first = max(4, min(2 * len(domains) + 1, 10))
    if count < first or not len(points):
        return space.values(_far_from(space, rng, numpy().vstack([points, waiting])))
    scores = numpy().array([score for _, score in told], dtype=float)
    data = _Data(points, scores, waiting, _share(noise, scores))
    return space.values(_search(space, data, turn=count, local=count >= 2 * first).best(rng, data.best))


def _share(noise: float | None, scores: Array) -> float | None:
    """Return the noise as a share of the scores' variance: what a process over standardized scores knows it as."""
    if noise is None:
        return None  # nor is the variance looked at: that of scores near the end of the floats is beyond it
    with numpy().errstate(over="ignore"):
        variance = float(scores.var())
    return min(noise**2 / variance, 1.0) if 0 < variance < math.inf else None


def _search(space: Space, data: _Data, *, turn: int, local: bool) -> _Search:
    """Take turns between the two kinds of step where local ones make sense: not among noise, and until one is done.

    Local ones have two turns of three while the best is new, as long as progress lasts, and else one of two.
    """
    count = len(data.points)
    if data.noise is not None and data.noise >= _NOISY:
        return _searched(space, _global_frame(space, data, thinned=False), data, _settled(count))
    everywhere = _searched(space, _global_frame(space, data, thinned=True), data, _settled(count))
    if not local or space.choices.all():
        return everywhere
    frame = _local_frame(space, data, _shape(space, everywhere.process))
    near = _searched(space, frame, data, count)
    if near.process.noise >= _NOISY:
        return _searched(space, _global_frame(space, data, thinned=False), data, _settled(count))
    lately = count - int(data.scores.argmax()) <= 2 * len(space.domains) + 2
    return near if frame.open and (turn % 3 if lately else turn % 2 == 0) else everywhere


def _shape(space: Space, process: GaussianProcess) -> Array:
    """Return how far a local search may look along each column, relative to the others: as the process varies."""
    np = numpy()
    lengths = np.where(space.choices, 1.0, process.weights**-0.5)
    numbers = lengths[~space.choices]
    return np.where(space.choices, 1.0, np.clip(lengths / np.exp(np.log(numbers).mean()), 1 / _OBLONG, _OBLONG))


def _settled(count: int) -> int:
    """Return how many of the first points the scales are fitted to: nine tenths or more, and anew by each tenth."""
    return count - count % max(1, count // _REFIT)


@dataclass(frozen=True, slots=True)
class _Data:
    """Told points with their scores, points under evaluation, and the noise as a share of the variance if known."""

    points: Array
    scores: Array
    waiting: Array
    noise: float | None = None

    @property
    def best(self) -> Array:
        """The best point."""
        return self.points[int(self.scores.argmax())]


def _searched(space: Space, frame: _Frame, data: _Data, settled: int) -> _Search:
    """Fit a process to the frame's points, its scales to the first ``settled`` of all, and look at what it expects."""
    seen = numpy().arange(settled)
    rows = _apart(space, data.points[:settled], data.scores) if frame.clear else seen[numpy().isin(seen, frame.rows)]
    inner = frame.inward(data.points)
    likely = most_likely(inner[rows], data.scores[rows], space.choices, frame.prior)
    process = fit(inner[frame.rows], data.scores[frame.rows], space.choices, likely)
    known = numpy().vstack([data.points, data.waiting])
    return _Search(space, frame, process.believing(frame.inward(data.waiting)), known)


def _apart(space: Space, points: Array, scores: Array) -> Array:
    """Return the rows of the points without those that lie close to a better one, in order of arrival.

    Where a local search has converged there are dozens: they say nothing of the rest, and would rule the scales.
    """
    np = numpy()
    close = squares(points, points, space.choices).sum(2) < _CLOSE**2
    left = np.ones(len(points), dtype=bool)
    kept = np.zeros(len(points), dtype=bool)
    for i in np.argsort(-scores[: len(points)], kind="stable"):
        if left[i]:
            kept[i] = True
            left &= ~close[i]
    return np.flatnonzero(kept)


def _most_telling(told: Sequence[_Told]) -> Sequence[_Told]:
    """Keep the best and the latest, in order of arrival: the cost of a process grows with the cube of its points."""
    if len(told) <= _MOST_POINTS:
        return told
    latest = len(told) - _MOST_POINTS // 2
    best = sorted(range(latest), key=lambda i: -told[i][1])[: _MOST_POINTS // 2]
    return [told[i] for i in (*sorted(best), *range(latest, len(told)))]


def _far_from(space: Space, rng: Array, known: Array) -> Array:
    """Return, of random points, the one farthest from those known (Mitchell's best candidate)."""
    drawn = space.random(rng, _FAR_POINTS, 0.0 * space.high, space.high)
    if not len(known):
        return drawn[0]
    return drawn[int(squares(drawn, known, space.choices).sum(2).min(1).argmax())]


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where a process looks: its own coordinates, its bounds (in codes), its points, and what it believes before.

    It keeps ``clear`` of known points by that distance; a local frame is no longer open when its search has converged.
    """

    origin: Array
    scale: Array
    low: Array
    high: Array
    rows: Array
    prior: Prior
    clear: float = 0.0
    open: bool = True

    def inward(self, codes: Array) -> Array:
        return (codes - self.origin) / self.scale

    def outward(self, inner: Array) -> Array:
        return self.origin + inner * self.scale


def _global_frame(space: Space, data: _Data, *, thinned: bool) -> _Frame:
    zero = 0.0 * space.high
    rows = _apart(space, data.points, data.scores) if thinned else numpy().arange(len(data.points))
    prior = Prior() if data.noise is None else Prior(noise=max(data.noise, _LEAST_NOISE), noise_spread=_MEASURED)
    return _Frame(zero, zero + 1.0, zero, space.high, rows, prior, clear=_CLOSE if thinned else 0.0)


def _local_frame(space: Space, data: _Data, shape: Array) -> _Frame:
    """Look at what lies inside; of the nearest points, a few give the radius, and those that give a quadratic count.

    The frame's sides are in proportion to ``shape``, as a trust region's are to length scales in TuRBO.
    """
    np = numpy()
    columns, points, best = len(space.domains), data.points, data.best
    distance = np.sqrt((squares(points, best[None, :], space.choices)[:, 0, :] / shape**2).sum(1))
    nearest = np.argsort(distance, kind="stable")
    radius = max(float(distance[nearest[min(len(nearest) - 1, columns + 1)]]), _LEAST_RADIUS)
    steps = np.array([0.0 if levels is None else float(np.diff(levels).max()) for levels in space.levels])
    scale = np.where(space.choices, 1.0, 2.0 * np.maximum(radius * shape, steps))
    low = np.where(space.choices, 0.0, np.maximum(best - scale, 0.0))
    high = np.where(space.choices, space.high, np.minimum(best + scale, 1.0))
    enough = (columns + 1) * (columns + 2) // 2 + columns + 1
    # Twice the frame, else what was tried at its edge would be forgotten, and tried again, when it shrinks a little.
    inside = (abs(points - best) <= 2.0 * scale).all(1)
    rows = np.sort([i for rank, i in enumerate(nearest[: 3 * enough]) if rank < enough or inside[i]])
    origin = np.where(space.choices, 0.0, best)
    return _Frame(origin, scale, low, high, rows, _LOCAL_PRIOR, open=radius > _CONVERGED)


@dataclass(frozen=True, slots=True)
class _Search:
    """The search for the point of highest expected improvement inside a frame."""

    space: Space
    frame: _Frame
    process: GaussianProcess
    known: Array

    def best(self, rng: Array, around: Array) -> Array:
        """Return the best of many points, the leaders of them improved."""
        rows = self._candidates(rng, around)
        values = self.promise(rows)
        improved = [self._improved(rows[i], float(values[i])) for i in self._leaders(rows, values)]
        return max(improved, key=lambda one: one[1])[0]

    def _leaders(self, rows: Array, values: Array) -> list[int]:
        """Return a few of the most promising rows that do not lie on the same hill."""
        leaders: list[int] = []
        extent = self.frame.high - self.frame.low + (self.frame.high == self.frame.low)
        for i in values.argsort(kind="stable")[::-1][: _RANDOM_POINTS // 8]:
            if all(abs((rows[i] - rows[j]) / extent).max() > _HILL for j in leaders):
                leaders.append(int(i))
            if len(leaders) == _ASCENTS:
                break
        return leaders

    def promise(self, rows: Array) -> Array:
        """Return the log expected improvement of each row; minus infinity for one that is known."""
        np = numpy()
        mean, deviation = self.process.predict(self.frame.inward(rows))
        again = (squares(rows, self.known, self.space.choices).sum(2) <= self.frame.clear**2).any(1)
        return np.where(again, -math.inf, log_expected_improvement(mean, deviation, self.incumbent))

    @property
    def incumbent(self) -> float:
        """The best standardized score."""
        return float(self.process.scores.max())

    def _candidates(self, rng: Array, around: Array) -> Array:
        np = numpy()
        low, high = self.frame.low, self.frame.high
        spread = 10.0 ** rng.uniform(-4, -1, (_NEAR_POINTS, 1))
        near = np.clip(around + (high - low) * spread * rng.standard_normal((_NEAR_POINTS, len(low))), low, high)
        near[:, self.space.choices] = around[self.space.choices]
        return np.vstack([self.space.random(rng, _RANDOM_POINTS, low, high), self.space.snapped(near)])

    def _improved(self, row: Array, value: float) -> tuple[Array, float]:
        """Take turns between the continuous columns, by gradient, and the others, by single moves."""
        for _ in range(_ROUNDS):
            before = value
            row, value = self._ascended(row, value)
            row, moved = self._moved(row, value)
            if moved == value or value <= before:
                return row, moved
            value = moved
        return row, value

    def _moved(self, row: Array, value: float) -> tuple[Array, float]:
        others = self.space.neighbours(row)
        if not len(others):
            return row, value
        values = self.promise(others)
        best = int(values.argmax())
        return (others[best], float(values[best])) if values[best] > value else (row, value)

    def _ascended(self, row: Array, value: float) -> tuple[Array, float]:
        np = numpy()
        free = np.flatnonzero(self.space.continuous)
        if not len(free):
            return row, value
        inner = self.frame.inward(row)

        def loss(part: Array) -> tuple[float, Array]:
            inner[free] = part
            promise, slope = log_improvement_slope(self.process, inner, self.incumbent)
            return -promise, -slope[free]

        bounds = np.column_stack([self.frame.inward(self.frame.low), self.frame.inward(self.frame.high)])[free]
        inner[free], lost = descend(loss, inner[free].copy(), bounds)
        reached = row.copy()
        reached[free] = np.clip(self.frame.outward(inner), self.frame.low, self.frame.high)[free]
        # The way up knows of no distance to be kept.
        better = float(self.promise(reached[None, :])[0]) if -lost > value else value
        return (reached, better) if better > value else (row, value)
