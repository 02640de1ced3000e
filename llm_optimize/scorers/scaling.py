"""From a raw figure to a score on a stated range."""

from __future__ import annotations

import math
from dataclasses import dataclass

from llm_optimize.errors import BadInput

__all__ = ["Linear", "Sigmoid", "finite"]


@dataclass(frozen=True, slots=True)
class Linear:
    """Brings ``low`` to 0 and ``high`` to 1, straight between.

    Attributes:
        low: the raw value that scores 0.
        high: the raw value that scores 1; below ``low`` where less is better.
        clip: whether what lies beyond scores 0 or 1, or goes on.

    Raises:
        BadInput: the ends are no two different numbers.

    Example:
        >>> Linear(-2, 2)(1), Linear(-2, 2)(5), Linear(-2, 2, clip=False)(4)
        (0.75, 1.0, 1.5)
    """

    low: float
    high: float
    clip: bool = True

    def __post_init__(self) -> None:
        """Refuse a scale without length."""
        if not (finite(self.low) and finite(self.high) and self.low != self.high):
            msg = f"low and high: {self.low!r} and {self.high!r}; give two different numbers"
            raise BadInput(msg)

    def __call__(self, raw: float) -> float:
        """Return the score for ``raw``."""
        share = (raw - self.low) / (self.high - self.low)
        return min(max(share, 0.0), 1.0) if self.clip else share


@dataclass(frozen=True, slots=True)
class Sigmoid:
    """Brings any number to 0 to 1: ``1 / (1 + exp(-(raw - center) / width))``, as reward models are trained.

    Attributes:
        center: the raw value that scores 0.5.
        width: above 0; one width beyond the center scores 0.73.

    Raises:
        BadInput: see the message.

    Example:
        >>> Sigmoid()(0.0), round(Sigmoid(center=1, width=2)(3.0), 3)
        (0.5, 0.731)
    """

    center: float = 0.0
    width: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a curve without width."""
        if not (finite(self.center) and finite(self.width) and self.width > 0):
            msg = f"center and width: {self.center!r} and {self.width!r}; give a number, and one above 0"
            raise BadInput(msg)

    def __call__(self, raw: float) -> float:
        """Return the score for ``raw``."""
        return (1 + math.tanh((raw - self.center) / (2 * self.width))) / 2  # the same, without overflow


def finite(number: object) -> bool:
    """Return whether something is a finite number, and no truth value.

    Example:
        >>> finite(1.5), finite(float("nan")), finite("1.5"), finite(True)
        (True, False, False, False)
    """
    return isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
