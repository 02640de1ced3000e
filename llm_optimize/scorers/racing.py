"""When to stop evaluating a candidate that is not going to win: racing against the best, example by example.

Both rules compare pairs: the candidate's score on an example with the incumbent's on the same one, so that easy and
hard examples cancel out. :class:`Racing` asks after each block whether the candidate is significantly worse (a paired
t-test, as CAPO does, arXiv 2504.16005; here with the correction for a finite population, since what counts is who is
ahead once all examples of this data set are seen); :class:`FixedGate` looks once, at a minibatch of a fixed size, as
GEPA does (arXiv 2507.19457).

A candidate that is stopped has no mean over all examples. It gets an estimate on the same scale: the incumbent's mean
over all of them, plus the mean difference on those that both have seen. That is comparable with full means, because it
makes up for whether the examples seen are easy or hard; and it is always below the incumbent's, so that a mean over a
few lucky examples is never the best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Protocol

from llm_optimize.core.checks import check_whole
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FixedGate", "Racing", "Rule", "estimate", "t_test_less"]

_STEPS = 200  # of the continued fraction; it needs about the root of the number of examples


class Rule(Protocol):
    """Decides after each block of examples whether to go on."""

    def next_block(self, seen: int) -> int:
        """Return how many examples to evaluate next after ``seen``, at least 1."""
        ...

    def stops(self, differences: Sequence[float], total: int) -> bool:
        """Say whether to stop, given candidate minus incumbent on each example seen so far, of ``total``."""
        ...


@dataclass(frozen=True, slots=True)
class Racing:
    """Stops a candidate that a one-sided paired t-test finds worse than the incumbent, looking after each block.

    Attributes:
        block: examples between two looks. More of them run at a time, and fewer looks are taken.
        alpha: level of the test, above 0 and below 1. It is for each look: a candidate as good as the incumbent is
            stopped in more than this share of races. CAPO's is 0.2.
        least: examples before the first look.

    The defaults are for evaluations that cost more than proposals: they stop early and often, lose some candidates that
    would have won, and put what is saved into more candidates. At half the evaluations of scoring all on everything
    that is ahead, see ``tests/benchmarks/bench_racing.py``. Where proposals are what is short (few ``max_steps``), a
    candidate that is lost is not made up for: then take ``Racing(block=5, alpha=0.05, least=5)``, which costs little
    quality and saves less.

    Raises:
        BadInput: a value makes no sense.

    Example:
        >>> Racing().stops([-1, 0, -1], 60), Racing().stops([0, 1, -1], 60)
        (True, False)
    """

    block: int = 3
    alpha: float = 0.25
    least: int = 3

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_whole("Racing.block", self.block, 1)
        check_whole("Racing.least", self.least, 2)
        if not 0 < self.alpha < 1:
            msg = f"Racing.alpha is {self.alpha!r}: give the level of the test, above 0 and below 1"
            raise BadInput(msg)

    def next_block(self, seen: int) -> int:
        """Return ``least`` at the beginning, then ``block``."""
        return self.block if seen else max(self.least, self.block)

    def stops(self, differences: Sequence[float], total: int) -> bool:
        """Say whether the mean difference over all examples is significantly below 0."""
        return t_test_less(differences, total) < self.alpha


@dataclass(frozen=True, slots=True)
class FixedGate:
    """Evaluates a minibatch, and the rest only if the candidate beats the incumbent on it.

    Attributes:
        size: examples in the minibatch.
        margin: by how much the candidate's mean on it must be above the incumbent's; 0 for any gain, a negative number
            lets one pass that is a little worse.

    Raises:
        BadInput: a value makes no sense.

    Example:
        >>> FixedGate(3).stops([1, 0, -1], 60), FixedGate(3).stops([1, 0, 0], 60)
        (True, False)
    """

    size: int = 10
    margin: float = 0.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_whole("FixedGate.size", self.size, 1)
        if not math.isfinite(self.margin):
            msg = f"FixedGate.margin is {self.margin!r}: give a finite number"
            raise BadInput(msg)

    def next_block(self, seen: int) -> int:
        """Return the minibatch's size, then more than any data set has."""
        return 2**63 if seen else self.size

    def stops(self, differences: Sequence[float], total: int) -> bool:  # noqa: ARG002 - the protocol's
        """Say whether the candidate fails at the gate; what comes after it is not looked at."""
        return len(differences) <= self.size and fmean(differences) <= self.margin


def estimate(
    seen: Sequence[float], incumbent_seen: Sequence[float], incumbent: Sequence[float], level: float = math.inf
) -> float:
    """Return what a candidate that was stopped early may score on all examples, below the incumbent's score.

    Args:
        seen: its scores on the examples that it has seen, at least one.
        incumbent_seen: the incumbent's on the same examples.
        incumbent: the incumbent's on all examples.
        level: the incumbent's score, where it was evaluated again since and is not the mean of these any more.

    Returns:
        The incumbent's mean plus the mean difference on the examples seen (the incumbent's scores on the others are a
        control variate); not below the lowest score that either has got, and always below the incumbent's mean and
        level.

    Example:
        >>> estimate([0.0, 1.0], [1.0, 1.0], [1.0, 1.0, 0.0, 0.0])
        0.0
    """
    mean = fmean(incumbent)
    guess = mean + fmean(seen) - fmean(incumbent_seen)
    return min(max(guess, min(*seen, *incumbent)), math.nextafter(min(mean, level), -math.inf))


def t_test_less(differences: Sequence[float], total: int | None = None) -> float:
    """Return the probability of a mean as low as this or lower if the true mean is 0: a one-sided paired t-test.

    Args:
        differences: of the pairs seen.
        total: of how many pairs whose mean is in question; the standard error is less by the root of the share that is
            not seen yet (the correction for a finite population). None for infinitely many.

    Returns:
        1.0 for fewer than two differences. Differences that are all the same tell nothing about their spread: then
        0.0 where they are below 0, else 1.0.

    Example:
        >>> round(t_test_less([-1.0, 0.0, 0.0, -1.0, 0.0]), 6)
        0.088904
    """
    n = len(differences)
    if n < 2:  # noqa: PLR2004 - one difference has no spread
        return 1.0
    mean, spread = fmean(differences), stdev(differences)
    if not spread:
        return 0.0 if mean < 0 else 1.0
    unseen = 1.0 if total is None else 1 - n / total
    if unseen <= 0:
        return float(mean >= 0)
    t = mean / (spread * math.sqrt(unseen / n))
    tail = _beta_share((n - 1) / 2, 0.5, (n - 1) / (n - 1 + t * t)) / 2
    return tail if t < 0 else 1 - tail


def _beta_share(a: float, b: float, x: float) -> float:
    """Return the regularized incomplete beta function I_x(a, b), which Student's t is a case of (NIST DLMF 8.17)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_share(b, a, 1 - x)  # the fraction below converges fast on this side only
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(scale) * _fraction(a, b, x) / a


def _fraction(a: float, b: float, x: float) -> float:
    """Evaluate the continued fraction DLMF 8.17.22 from its end."""
    value = 1.0
    for step in range(_STEPS, 0, -1):
        half = step // 2
        if step % 2:
            term = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            term = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        value = 1 + term / value
    return 1 / value
