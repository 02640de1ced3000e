"""The effect of each setting of a sweep: partial dependence and importance.

An additive model, score = mean + one step function per setting, is fitted by backfitting (Hastie and Tibshirani,
Generalized Additive Models, 1990) with steps at the values themselves, or at quantiles where there are many. Partial
dependence (Friedman, Ann. Stat. 29, 2001) of such a model is the mean plus the setting's own function. Importance is
the share of the scores' variance which that function carries, cov(function, score) / var(score): the main effects of
a functional ANOVA (Hutter, Hoos and Leyton-Brown, ICML 2014), in the form of Li et al. (J. Phys. Chem. A 114, 2010),
whose shares add up also where the settings were not drawn independently, as in a Bayesian search. What is left over
belongs to interactions and noise. Effects that interact only, and never show on average, are not seen.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Effect", "Step", "effects"]

_MOST_VALUES = 12  # distinct values of a setting that are told apart one by one
_MOST_BINS = 10
_TRIALS_PER_BIN = 10
_ROUNDS = 40
_STILL = 1e-7  # of the standard deviation: a round that changes less was the last
_NORMAL = 1.96


@dataclass(frozen=True, slots=True)
class Step:
    """The effect of one value, or of a range of values.

    Attributes:
        label: the value, or the range, for people.
        middle: the median value of the trials in it; None where values are no numbers.
        mean: partial dependence: the mean score that the model expects with it, in units of the score.
        half: half the width of that mean's 95 % interval, from the model's residuals.
        n: trials in it.
    """

    label: str
    middle: float | None
    mean: float
    half: float
    n: int


@dataclass(frozen=True, slots=True)
class Effect:
    """What one setting does.

    Attributes:
        name: of the setting.
        share: of the scores' variance, 0 to 1.
        steps: in the order of the values.
    """

    name: str
    share: float
    steps: tuple[Step, ...]


def effects(columns: Mapping[str, Sequence[Any]], scores: Sequence[float]) -> tuple[list[Effect], float]:
    """Return the effect of each setting, the most important first, and the share that they explain together.

    Args:
        columns: by setting: its value in each trial; any JSON value, None where it was not sent. A setting of one
            value has no effect to show and is left out.
        scores: of the same trials.

    Example:
        >>> found, explained = effects({"t": [0, 0, 1, 1], "p": [0, 1, 0, 1]}, [1.0, 1.0, 3.0, 3.0])
        >>> [(one.name, round(one.share, 3)) for one in found], round(explained, 3)
        ([('t', 1.0), ('p', 0.0)], 1.0)
    """
    bins = {name: _Bins(values) for name, values in columns.items()}
    bins = {name: one for name, one in bins.items() if len(one.labels) > 1}
    if not bins or len(scores) < 2:  # noqa: PLR2004 - one score has no variance
        return [], 0.0
    mean = fmean(scores)
    away = [score - mean for score in scores]
    heights = _backfitted(bins, away)
    fitted = [sum(heights[name][one.of[row]] for name, one in bins.items()) for row in range(len(away))]
    variance = fmean(value * value for value in away)
    left = fmean((value - guess) ** 2 for value, guess in zip(away, fitted, strict=True))
    found = [
        Effect(name, _share(one, heights[name], away, variance), one.steps(heights[name], mean, math.sqrt(left)))
        for name, one in bins.items()
    ]
    found.sort(key=lambda effect: -effect.share)
    return found, max(0.0, 1 - left / variance) if variance else 0.0


class _Bins:
    """A column of values, each in its bin."""

    def __init__(self, values: Sequence[Any]) -> None:
        numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
        keys: list[Any] = (
            list(values) if numbers else [json.dumps(value, sort_keys=True, default=str) for value in values]
        )
        distinct = sorted(set(keys))
        if numbers and len(distinct) > _MOST_VALUES:
            edges = _quantiles(sorted(keys))
            self.of = [bisect_right(edges, value) for value in keys]
            self.labels = _ranges(edges, self.of, keys)
        else:
            place = {key: number for number, key in enumerate(distinct)}
            self.of = [place[key] for key in keys]
            self.labels = [_figure(key) if numbers else key.strip('"') for key in distinct]
        self.n = Counter(self.of)
        inside: dict[int, list[Any]] = {}
        for number, value in zip(self.of, values, strict=True):
            inside.setdefault(number, []).append(value)
        self.middle = {number: sorted(found)[len(found) // 2] if numbers else None for number, found in inside.items()}

    def steps(self, heights: Sequence[float], mean: float, error: float) -> tuple[Step, ...]:
        return tuple(
            Step(label, self.middle.get(number), mean + heights[number], _NORMAL * error / math.sqrt(n), n)
            for number, label in enumerate(self.labels)
            if (n := self.n[number])
        )


def _quantiles(values: Sequence[float]) -> list[float]:
    wanted = max(2, min(_MOST_BINS, len(values) // _TRIALS_PER_BIN))
    edges = {values[len(values) * number // wanted] for number in range(1, wanted)}
    return sorted(edges - {values[0]})


def _ranges(edges: Sequence[float], of: Sequence[int], values: Sequence[float]) -> list[str]:
    inside: list[list[float]] = [[] for _ in range(len(edges) + 1)]
    for number, value in zip(of, values, strict=True):
        inside[number].append(value)
    return [f"{_figure(min(found))} to {_figure(max(found))}" if found else "" for found in inside]


def _figure(value: float) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _backfitted(bins: Mapping[str, _Bins], away: Sequence[float]) -> dict[str, list[float]]:
    """Return, by setting, how far each bin is from the mean."""
    heights = {name: [0.0] * len(one.labels) for name, one in bins.items()}
    left = list(away)
    scale = math.sqrt(fmean(value * value for value in away)) or 1.0
    for _ in range(_ROUNDS):
        moved = max(_improved(one, heights[name], left) for name, one in bins.items())
        if moved < _STILL * scale:
            break
    return heights


def _improved(one: _Bins, heights: list[float], left: list[float]) -> float:
    """Refit one setting on what the others leave over, in place; return the largest change."""
    sums = [0.0] * len(heights)
    for number, value in zip(one.of, left, strict=True):
        sums[number] += value
    fresh = [sums[k] / one.n[k] + heights[k] if one.n[k] else 0.0 for k in range(len(heights))]
    centre = sum(fresh[k] * one.n[k] for k in range(len(heights))) / len(left)
    change = [fresh[k] - centre - heights[k] if one.n[k] else 0.0 for k in range(len(heights))]
    for row, number in enumerate(one.of):
        left[row] -= change[number]
    heights[:] = [height + by for height, by in zip(heights, change, strict=True)]
    return max(map(abs, change))


def _share(one: _Bins, heights: Sequence[float], away: Sequence[float], variance: float) -> float:
    if not variance:
        return 0.0
    together = fmean(heights[number] * value for number, value in zip(one.of, away, strict=True))
    return min(1.0, max(0.0, together / variance))
