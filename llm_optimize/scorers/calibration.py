"""How far a judge can be trusted: its scores against people's on the same texts, and against its own."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.core.metering import Scope, current_scope, entered
from llm_optimize.core.scoring import to_outcome
from llm_optimize.core.types import Evaluation, Usage
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.protocols import Scorer

__all__ = ["Calibration", "calibrated", "compared"]

_FEWEST = 2


@dataclass(frozen=True, slots=True)
class Calibration:
    """What came of judging texts whose scores are known.

    Attributes:
        examples: how many texts were compared.
        repeats: how often each of them was judged.
        agreement: the share of texts whose mean score lies within ``tolerance`` of the known one, 0 to 1.
        tolerance: what counts as agreeing, in units of the score.
        kappa: Cohen's kappa with quadratic weights (Cohen 1968): 1 for equal scores, 0 for what chance would give with
            the same scores dealt out at random; None where all scores are the same.
        correlation: Spearman's rank correlation; None where either side's scores are all the same.
        bias: the judge's mean score less the known mean: above 0 it is too generous.
        noise: standard deviation of one judgement of the same text, in units of the score; None with one repeat. A
            difference between two candidates below about three times this may be the judge's mood.
        unjudged: texts that the judge gave no usable marks for; they are left out of all figures.
        usage: what the calibration cost.

    Example:
        >>> print(compared([(1.0, [0.9, 1.0]), (0.0, [0.1, 0.2]), (0.5, [0.5, 0.5])], tolerance=0.1))
        3 examples x 2: agreement 67 % (within 0.1), kappa 0.97, correlation 1.00, bias +0.033, noise 0.058
    """

    examples: int
    repeats: int
    agreement: float
    tolerance: float
    kappa: float | None
    correlation: float | None
    bias: float
    noise: float | None
    unjudged: int = 0
    usage: Usage = Usage()

    def __str__(self) -> str:
        """Return the figures on one line."""
        noise = "not measured" if self.noise is None else f"{self.noise:.3f}"
        left_out = f", {self.unjudged} unjudged" if self.unjudged else ""
        return (
            f"{self.examples} examples x {self.repeats}: agreement {self.agreement:.0%}".replace("%", " %")
            + f" (within {self.tolerance:g}), kappa {_shown(self.kappa)}, correlation {_shown(self.correlation)}, "
            f"bias {self.bias:+.3f}, noise {noise}{left_out}"
        )


def compared(
    pairs: Sequence[tuple[float, Sequence[float]]],
    *,
    tolerance: float,
    unjudged: int = 0,
    usage: Usage | None = None,
) -> Calibration:
    """Compare known scores with a judge's.

    Args:
        pairs: per text the known score and the judge's scores, at least one.
        tolerance: how far apart two scores may be that agree.
        unjudged: texts that are not among ``pairs``, as the judge gave no marks.
        usage: what it cost.

    Raises:
        BadInput: fewer than two texts: agreement on one says nothing.
    """
    if len(pairs) < _FEWEST:
        msg = f"examples: {len(pairs)} were judged; give at least two texts with known scores that the judge can mark"
        raise BadInput(msg)
    known = [score for score, _ in pairs]
    judged = [statistics.fmean(scores) for _, scores in pairs]
    close = [abs(one - other) <= tolerance + 1e-9 for one, other in zip(known, judged, strict=True)]
    return Calibration(
        examples=len(pairs),
        repeats=max(len(scores) for _, scores in pairs),
        agreement=statistics.fmean(close),
        tolerance=tolerance,
        kappa=_kappa(known, judged),
        correlation=_correlation(_ranks(known), _ranks(judged)),
        bias=statistics.fmean(judged) - statistics.fmean(known),
        noise=_noise([scores for _, scores in pairs]),
        unjudged=unjudged,
        usage=Usage() if usage is None else usage,
    )


def calibrated(judged: Sequence[tuple[Scorer, str, float]], repeats: int, tolerance: float) -> Calibration:
    """Run judges on texts with known scores; for any scorers.

    Args:
        judged: (scorer, text, known score).
        repeats: how often each is scored.
        tolerance: see :class:`Calibration`.

    Raises:
        BadInput: fewer than two texts could be judged.
        ModelError: a scorer's model did not answer.
    """
    pairs: list[tuple[float, list[float]]] = []
    unjudged, usage = 0, Usage()
    # A unit of work of its own: repeats of the same prompt are then different samples, also where a cache is in use.
    with entered(current_scope() or Scope("calibration", "calibration/1")):
        for scorer, text, known in judged:
            outcomes = [to_outcome(scorer(text)) for _ in range(repeats)]
            usage = sum((outcome.usage for outcome in outcomes), usage)
            scores = [outcome.score for outcome in outcomes if isinstance(outcome, Evaluation)]
            unjudged += not scores
            pairs += [(known, scores)] if scores else []
    return compared(pairs, tolerance=tolerance, unjudged=unjudged, usage=usage)


def _kappa(known: Sequence[float], judged: Sequence[float]) -> float | None:
    # Observed over expected squared difference. With these weights no categories are needed, and the same formula
    # is Lin's concordance correlation coefficient (1989) of continuous scores.
    observed = statistics.fmean((one - other) ** 2 for one, other in zip(known, judged, strict=True))
    expected = (
        statistics.pvariance(known)
        + statistics.pvariance(judged)
        + (statistics.fmean(known) - statistics.fmean(judged)) ** 2
    )
    return None if expected == 0 else 1 - observed / expected


def _correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    if len(set(one)) == 1 or len(set(other)) == 1:
        return None
    return statistics.correlation(one, other)


def _ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value from 1 on; equal values share the mean of their ranks."""
    ordered = sorted(values)
    first = {value: index for index, value in reversed(list(enumerate(ordered, 1)))}
    return [first[value] + (ordered.count(value) - 1) / 2 for value in values]


def _noise(repeated: Sequence[Sequence[float]]) -> float | None:
    """Return the standard deviation within texts, pooled over all of them."""
    spread = [(statistics.variance(scores), len(scores) - 1) for scores in repeated if len(scores) > 1]
    free = sum(degrees for _, degrees in spread)
    return math.sqrt(sum(variance * degrees for variance, degrees in spread) / free) if free else None


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"
