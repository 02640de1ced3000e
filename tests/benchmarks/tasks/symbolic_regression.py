"""Symbolic regression on the law of a damped oscillation, whose constants the seed draws.

The task shows 30 points without noise; the score comes from 60 others, half of them beyond the last one shown, so that
a curve drawn through the points is worth little. It is minus the root mean square error over the standard deviation of
the held-back values: 0 is the law itself, -1 what the best constant reaches. The formula is read by
:mod:`tasks.formulas`; it has too few parts to hold the points.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from statistics import fmean, pstdev

from tasks.formulas import FUNCTIONS, MOST, read
from tasks.task import Task

from llm_optimize.core.types import Evaluation, Failure

__all__ = ["Law", "Regression", "make"]

_SHOWN_TO, _HELD_TO = 4.0, 6.0
_WORST = 1e6

_TASK = """x is a formula for the quantity y that was measured at times x. Write lines name = expression, the last of
which defines y; expressions know numbers, x, names defined above, pi, + - * / ** and the functions {functions}; at most
{most} parts. Constants may be marked for tuning: a = 1.0  # tune: a=0.1..10 log
The measured points (x, y): {points}
f(x) is minus the relative error at other times, some of them beyond the last one here: 0 is the best there can be."""


@dataclass(frozen=True, slots=True)
class Law:
    """A damped oscillation, ``a exp(-b x) cos(c x + d) + e``."""

    a: float
    b: float
    c: float
    d: float
    e: float

    def __call__(self, x: float) -> float:
        """Return the quantity at time x."""
        return self.a * math.exp(-self.b * x) * math.cos(self.c * x + self.d) + self.e

    def __str__(self) -> str:
        """The law as a candidate that scores 0."""
        return f"y = {self.a!r} * exp(-{self.b!r} * x) * cos({self.c!r} * x + {self.d!r}) + {self.e!r}"


@dataclass(frozen=True, slots=True)
class Regression:
    """Scores formulas.

    Attributes:
        law: behind the points.
        shown: times whose values the task shows.
        held: times whose values only the score knows.
    """

    law: Law
    shown: tuple[float, ...]
    held: tuple[float, ...]

    def __call__(self, text: str) -> Evaluation | Failure:
        """Return minus the relative error at the held-back times; the feedback speaks of the shown ones alone."""
        try:
            formula = read(text)
            away = [formula(x) - self.law(x) for x in self.shown]
            error = self._error([formula(x) - self.law(x) for x in self.held], self.held)
        except ValueError as refusal:
            return Failure("formula", str(refusal))
        near = self._error(away, self.shown)
        x = max(zip(away, self.shown, strict=True), key=lambda one: abs(one[0]))[1]
        words = f"relative error at the measured times {near:.4g}; the largest is at x = {x:.3g}"
        return Evaluation(-error, words, {"relative_error_shown": near, "parts": float(formula.size)})

    def _error(self, away: list[float], times: tuple[float, ...]) -> float:
        largest = max(map(abs, away))
        if largest > _WORST:
            return _WORST
        return min(math.sqrt(fmean(one * one for one in away)) / pstdev(map(self.law, times)), _WORST)


def make(seed: int) -> Task:
    """Return the task; the seed draws the law's constants, and the start is a straight line."""
    dice = random.Random(f"symbolic regression {seed}")
    law = Law(
        dice.uniform(1, 4), dice.uniform(0.2, 0.6), dice.uniform(2, 4), dice.uniform(-1, 1), dice.uniform(-2, 2)
    )  # fmt: skip
    shown = tuple(round(_SHOWN_TO * i / 29, 4) for i in range(30))
    held = tuple(dice.uniform(*ends) for ends in ((0, _SHOWN_TO), (_SHOWN_TO, _HELD_TO)) for _ in range(30))
    regression = Regression(law, shown, held)
    points = " ".join(f"({x:g}, {law(x):.5g})" for x in shown)
    return Task(
        "symbolic regression",
        _TASK.format(functions=", ".join(FUNCTIONS), most=MOST, points=points),
        "Which formula should be tried next, so that the error falls?",
        "a = 1.0  # tune: a=-5..5\nb = 0.1  # tune: b=-5..5\ny = a + b * x",
        regression,
        best=0.0,
    )
