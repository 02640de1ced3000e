"""Original against improved prompts on held-out items: one scorer, fresh answers, a difference with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from llm_optimize.core.verdict import interval_of_differences

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Comparison", "compared"]

_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Comparison:
    """The scores of two versions of the same items.

    Attributes:
        items: how many.
        changed: for how many of them the versions differ; the others differ by exactly 0 and are not asked again.
        before: mean score of the originals.
        after: mean score of the improved ones.
        low: lower end of the interval of the mean difference.
        high: its upper end.
        confidence: of the interval.
    """

    items: int
    changed: int
    before: float
    after: float
    low: float
    high: float
    confidence: float = _CONFIDENCE

    @property
    def difference(self) -> float:
        """How much better the improved ones are."""
        return self.after - self.before

    @property
    def is_clear(self) -> bool:
        """Whether the whole interval is above 0."""
        return self.low > 0

    def __str__(self) -> str:
        """Say it in a sentence."""
        span = f"{self.confidence * 100:.3g} % {self.low:+.3f} to {self.high:+.3f}"
        words = f"{self.before:.3f} before, {self.after:.3f} after: {self.difference:+.3f} ({span})"
        noise = "" if self.is_clear or self.high < 0 else "; the difference is within the noise"
        return f"held-out items: {words}, {self.items} items, {self.changed} of them changed{noise}"


def compared(pairs: Sequence[tuple[float, float | None]], seed: int = 0) -> Comparison | None:
    """Return the comparison of (original's score, improved one's score) by item; None without any.

    The interval is the bootstrap's over items, or Bonett and Price's where each difference is -1, 0 or 1.

    Args:
        pairs: the second is None where the original was kept.
        seed: of the bootstrap.

    Example:
        >>> print(compared([(0.0, 1.0)] * 9 + [(1.0, None)]))
        held-out items: 0.100 before, 1.000 after: +0.900 (95 % +0.413 to +1.000), 10 items, 9 of them changed
    """
    if not pairs:
        return None
    before = [first for first, _ in pairs]
    after = [first if second is None else second for first, second in pairs]
    changed = sum(second is not None for _, second in pairs)
    differences = [new - old for old, new in zip(before, after, strict=True)]
    low, high = interval_of_differences(differences, _CONFIDENCE, seed)
    return Comparison(len(pairs), changed, fmean(before), fmean(after), low, high)
