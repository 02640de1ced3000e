"""Features of a candidate that span the grid of MAP-Elites: a number of the text, or one that the scorer measured."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.core.checks import check_whole
from llm_optimize.core.types import Evaluation
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_optimize.core.types import Trial

__all__ = ["LENGTH", "Feature"]

LENGTH = "length"
"""The feature that every candidate has: characters of its text."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One axis of the grid, cut into bins between two fixed values.

    Fixed, because bins that move with the values seen so far put a candidate now here, now there, and gather nearly all
    of them in one bin once a single one lies far out. Values outside belong to the outermost bins.

    Attributes:
        name: ``length``, the name of a metric in ``Evaluation.metrics``, or any name if ``measure`` is given.
        low: where the first bin begins.
        high: where the last one ends, above ``low``.
        bins: how many.
        log: whether they are equally wide on a logarithmic axis; then ``low`` is above 0.
        measure: text -> number; must answer for any text. NaN keeps a candidate out of the grid, as a missing metric
            does. For a study that is pickled, a function at the top of a module.

    Raises:
        BadInput: a range or a number of bins that cannot be.

    Example:
        >>> Feature("length", 100, 10_000, bins=4, log=True).bin_of(1_500)
        2
    """

    name: str
    low: float
    high: float
    bins: int = 10
    log: bool = False
    measure: Callable[[str], float] | None = None

    def __post_init__(self) -> None:
        """Check the range."""
        check_whole(f"feature {self.name}: bins", self.bins, 1)
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            msg = f"feature {self.name}: low is {self.low!r} and high {self.high!r}: give two numbers, low below high"
            raise BadInput(msg)
        if self.log and self.low <= 0:
            msg = f"feature {self.name}: low is {self.low!r} on a logarithmic axis: give a number above 0"
            raise BadInput(msg)

    def bin_of(self, value: float) -> int:
        """Return the bin of a value that is not NaN, from 0."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return min(int(share * self.bins), self.bins - 1)

    def bin(self, trial: Trial) -> int | None:
        """Return the bin of a trial, None where the feature is not known of it."""
        value = self._value(trial)
        return None if value is None or math.isnan(value) else self.bin_of(value)

    def _value(self, trial: Trial) -> float | None:
        if self.measure is not None:
            return float(self.measure(trial.text))
        if self.name == LENGTH:
            return float(len(trial.text))
        return trial.outcome.metrics.get(self.name) if isinstance(trial.outcome, Evaluation) else None
