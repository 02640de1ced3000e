"""What may be claimed about a gain: an estimate that selection has not flattered, its interval, and a sentence.

The best of many noisy scores is higher than the truth, since luck helped it to become the best. So the gain is taken
from evaluations that nothing was chosen by: those on sealed examples, or else those made afresh after the search.
Its interval comes from the bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993): over examples, in
pairs, where there are scores per example; else over the deviations of repeated evaluations from their means. The
percentiles are moved outwards for small samples as in Hesterberg (Am. Stat. 69, 2015), to where Student's t has them.
Where each example is right or wrong there are but three differences, and few that differ from 0: then the interval is
that of Bonett and Price (Br. J. Math. Stat. Psychol. 65, 2012), which holds its level there and is as narrow.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import TYPE_CHECKING

from llm_optimize.core.noise import start_of
from llm_optimize.core.types import Evaluation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Outcome, Trial

__all__ = ["Gain", "best_score", "gain", "interval_of_differences", "verdict"]

_DRAWS = 1000  # of the bootstrap
_CONFIDENCE = 0.95
_TWO = 2
_WIDEST = 0.5
_RIGHT_OR_WRONG = frozenset({-1.0, 0.0, 1.0})


@dataclass(frozen=True, slots=True)
class Gain:
    """How much better the chosen candidate is than the start.

    Attributes:
        value: the difference of their scores.
        low: lower end of the interval; the value itself where repeated scores have never differed.
        high: its upper end.
        confidence: of the interval.
        basis: what it rests on, such as ``200 sealed examples``.
    """

    value: float
    low: float
    high: float
    confidence: float
    basis: str

    @property
    def is_clear(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.low > 0

    def __str__(self) -> str:
        """Say it in a sentence."""
        digits = _digits(self)
        if self.low == self.high:
            return f"gain {self.value:.{digits}f} over the start on {self.basis}"
        span = f"({self.confidence * 100:.3g} % {self.low:.{digits}f} to {self.high:.{digits}f})"
        if self.low <= 0 <= self.high:
            return f"the gain is within the noise: {self.value:.{digits}f} {span} over the start on {self.basis}"
        word, sign = ("gain", 1) if self.value > 0 else ("loss", -1)
        if sign < 0:
            span = f"({self.confidence * 100:.3g} % {-self.high:.{digits}f} to {-self.low:.{digits}f})"
        return f"{word} {sign * self.value:.{digits}f} {span} over the start on {self.basis}"


def best_score(history: History) -> float | None:
    """Return the score to report for the best: the mean of what was scored after the search, where that was done."""
    best = history.best
    if best is None:
        return None
    fresh = _scores(history.fresh.get(best.id, ()))
    return best.score if not fresh or set(fresh) == {best.score} else fmean(fresh)


def gain(history: History, confidence: float = _CONFIDENCE) -> Gain | None:
    """Return the gain of the best over the start, or None where nothing but single scores is known.

    Args:
        history: the study's past.
        confidence: of the interval, between 0 and 1.
    """
    best, start = history.best, start_of(history)
    if best is None or start is None or best.id == start.id:
        return None
    dice = random.Random(f"{history.seed} bootstrap")  # noqa: S311 - statistics, not a secret
    if best.id in history.sealed and start.id in history.sealed:
        return _of_sealed(history.sealed[best.id], history.sealed[start.id], confidence, dice)
    fresh = [one for one in history.fresh.get(best.id, ()) if isinstance(one, Evaluation)]
    if not fresh:
        return None
    return _of_fresh(history, start, fresh, confidence, dice)


def interval_of_differences(
    differences: Sequence[float], confidence: float = _CONFIDENCE, seed: int = 0
) -> tuple[float, float]:
    """Return the interval of the mean of paired differences; both ends are it for fewer than two.

    By the bootstrap, or as Bonett and Price where each difference is -1, 0 or 1.

    Example:
        >>> low, high = interval_of_differences([0.0, 1.0] * 50)
        >>> low < 0.5 < high
        True
    """
    dice = random.Random(f"{seed} bootstrap")  # noqa: S311 - statistics, not a secret
    return _of_pairs(differences, confidence, dice)


def verdict(history: History, confidence: float = _CONFIDENCE) -> str:
    """Return what may be claimed of a study's outcome, in a sentence."""
    best, start, made = history.best, start_of(history), f"{history.evaluations} evaluations"
    if best is None or best.score is None:
        return "nothing could be scored"
    if start is None or start.score is None or history.problem.start is None:
        return f"best score {best_score(history):.6g} (#{best.id}) in {made}"
    if best.id == start.id:
        return f"x0 scores {start.score:.6g}; nothing better was found in {made}"
    found = gain(history, confidence)
    if found is not None:
        return f"{found}; #{best.id} in {made}"
    return (
        f"from {start.score:.6g} (x0) to {best.score:.6g} (#{best.id}) in {made}; {_once(history)}, "
        "so where the score is noisy, score both again before you rely on the difference"
    )


def _once(history: History) -> str:
    return "each candidate was scored once" if not history.retold else "the best was not scored afresh"


def _of_sealed(best: Outcome, start: Outcome, confidence: float, dice: random.Random) -> Gain | None:
    if not isinstance(best, Evaluation) or not isinstance(start, Evaluation):
        return None
    value = best.score - start.score
    pairs = _differences([best], [start])
    if not pairs:
        return Gain(value, value, value, confidence, "the sealed test, scored once each, so its noise is not known")
    low, high = _interval_around(value, pairs, confidence, dice)
    return Gain(value, low, high, confidence, f"{len(pairs)} sealed examples")


def _of_fresh(
    history: History, start: Trial, fresh: Sequence[Evaluation], confidence: float, dice: random.Random
) -> Gain | None:
    """Return the gain by evaluations after the search; the start was never chosen, so its earlier ones count too."""
    more = [one for one in history.fresh.get(start.id, ()) if isinstance(one, Evaluation)]
    first = start.tally.n or 1
    base = ((start.score or 0.0) * first + sum(one.score for one in more)) / (first + len(more))
    value = fmean([one.score for one in fresh]) - base
    first_outcome = [start.outcome] if isinstance(start.outcome, Evaluation) else []
    pairs = _differences(fresh, [*first_outcome, *more])
    if pairs:
        low, high = _interval_around(value, pairs, confidence, dice)
        return Gain(value, low, high, confidence, f"{len(pairs)} examples that the search has seen")
    return _of_repeats(history, value, _scores(fresh), (first + len(more), _scores(more)), confidence, dice)


def _of_repeats(  # noqa: PLR0913, PLR0917 - two samples and what to make of them
    history: History,
    value: float,
    winner: Sequence[float],
    start: tuple[int, Sequence[float]],
    confidence: float,
    dice: random.Random,
) -> Gain | None:
    """Return the gain by repeated scores: the deviations of both are pooled, since each has but a few."""
    count, again = start
    basis = f"{len(winner)} fresh evaluations and {count} of the start"
    residuals = [*_residuals(winner), *_residuals(again)]
    best = history.best
    if not history.sigma and len({*winner, best.score if best is not None else None}) == 1:
        settled = history.sigma is not None or len(winner) > 1
        return Gain(value, value, value, confidence, "scores that repeat exactly") if settled else None
    if len(residuals) < _TWO or not any(residuals):
        spread = history.sigma
        if not spread:
            return None
        reach = NormalDist().inv_cdf((1 + confidence) / 2) * spread * math.sqrt(1 / len(winner) + 1 / count)
        return Gain(value, value - reach, value + reach, confidence, basis)

    def drawn() -> float:
        return value + fmean(dice.choices(residuals, k=len(winner))) - fmean(dice.choices(residuals, k=count))

    degrees = len(residuals) - 1 - (len(again) > 1)
    low, high = _percentiles(drawn, max(degrees, 1), confidence)
    return Gain(value, low, high, confidence, basis)


def _interval_around(
    value: float, pairs: Sequence[float], confidence: float, dice: random.Random
) -> tuple[float, float]:
    """Return the interval of the mean of the differences, moved to the value where that is no plain mean of them."""
    low, high = _of_pairs(pairs, confidence, dice)
    moved = value - fmean(pairs)
    return low + moved, high + moved


def _of_pairs(pairs: Sequence[float], confidence: float, dice: random.Random) -> tuple[float, float]:
    if len(pairs) >= _TWO and _RIGHT_OR_WRONG.issuperset(pairs):
        return _of_proportions(pairs, confidence)
    return _percentiles(lambda: sum(dice.choices(pairs, k=len(pairs))) / len(pairs), len(pairs) - 1, confidence)


def _of_proportions(pairs: Sequence[float], confidence: float) -> tuple[float, float]:
    """Return the interval of the difference of two shares of the same examples (Bonett and Price 2012, equation 5)."""
    n = len(pairs) + 2  # one pair more of either kind
    won, lost = (sum(pair == sign for pair in pairs) + 1 for sign in (1, -1))
    centre = (won - lost) / n
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * math.sqrt(((won + lost) / n - centre**2) / n)
    return max(centre - reach, -1.0), min(centre + reach, 1.0)


def _percentiles(draw: Callable[[], float], degrees: int, confidence: float) -> tuple[float, float]:
    """Return the ends between which ``confidence`` of the draws lie, moved out for few degrees of freedom."""
    if degrees < 1:
        value = draw()
        return value, value
    widened = math.sqrt((degrees + 1) / degrees) * _student((1 + confidence) / 2, degrees)
    tail = min(1 - NormalDist().cdf(widened), _WIDEST)
    drawn = sorted(draw() for _ in range(_DRAWS))
    outside = min(int(tail * _DRAWS), _DRAWS // 2 - 1)
    return drawn[outside], drawn[-1 - outside]


def _student(p: float, degrees: int) -> float:
    """Return Student's quantile by the expansion of Abramowitz and Stegun, 26.7.5."""
    z = NormalDist().inv_cdf(p)
    g1 = (z**3 + z) / 4
    g2 = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    g3 = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + g1 / degrees + g2 / degrees**2 + g3 / degrees**3


def _residuals(scores: Sequence[float]) -> list[float]:
    """Return the deviations from the mean, stretched so that their spread is not too small for so few."""
    if len(scores) < _TWO:
        return []
    centre, stretch = fmean(scores), math.sqrt(len(scores) / (len(scores) - 1))
    return [(score - centre) * stretch for score in scores]


def _differences(best: Sequence[Evaluation], start: Sequence[Evaluation]) -> list[float]:
    """Return per example the mean score of the one less that of the other; empty where the examples do not match."""
    sizes = {len(one.examples) for one in (*best, *start)}
    if len(sizes) != 1 or min(sizes) < _TWO:
        return []
    ours, theirs = (
        [fmean(column) for column in zip(*(one.examples for one in some), strict=True)] for some in (best, start)
    )
    return [a - b for a, b in zip(ours, theirs, strict=True)]


def _scores(outcomes: Sequence[Outcome]) -> list[float]:
    return [one.score for one in outcomes if isinstance(one, Evaluation)]


def _digits(gain: Gain) -> int:
    """Return as many decimals as show two figures of the interval's width, or of the value."""
    width = gain.high - gain.low or abs(gain.value)
    return min(max(1 - math.floor(math.log10(width)), 0), 9) if width > 0 else 0
