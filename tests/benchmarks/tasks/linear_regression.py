"""OPRO's linear regression (Yang et al., 2023, table 2): find w and b of a line from values of the loss alone.

Fifty points, x = 1 to 50, with standard normal noise; the candidate is a pair of whole numbers, its score minus the sum
of squared errors. Data and starts are those of the paper's code for its repetitions 0 to 4: numpy's legacy generator,
seeded r + 1 for the noise, 10 (r + 1) and 100 (r + 1) for the starts. The prompt says what the paper's says, in other
words; it shows no formula.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from llm_optimize.core.types import Evaluation, Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.types import Trial

__all__ = ["BEST_SHOWN", "REPETITIONS", "TRUE_PAIRS", "LinearRegression", "prompt", "read_pair", "written"]

TRUE_PAIRS = ((15, 14), (17, 17), (16, 10), (3, 5), (25, 23), (2, 30), (36, -1))
"""The pairs (w, b) of the paper's table 2."""

REPETITIONS = 5
BEST_SHOWN = 20
"""Pairs that a prompt shows at most."""

_POINTS, _STARTS = 50, 5
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_NAMED = re.compile(rf"\bw\s*=\s*({_NUMBER})\s*(?:,|;|and)?\s*b\s*=\s*({_NUMBER})")
_PLAIN = re.compile(rf"[\[(]\s*(?:w\s*=\s*)?({_NUMBER})\s*,\s*(?:b\s*=\s*)?({_NUMBER})\s*[\])]")
_FARTHEST = 1e6

_BEFORE = """Help me to find where a function of two variables, w and b, is lowest. These are pairs (w, b) at which its
value is known, the highest value first and the lowest last; lower is better."""
_AFTER = """Give one new pair (w, b) that is none of those above and at which the function is lower than at any of them.
Write no code. End your answer with the pair in square brackets, [w, b], as two numbers."""


@dataclass(frozen=True)
class LinearRegression:
    """The data of one repetition.

    Attributes:
        w: the true slope.
        b: the true intercept.
        repetition: 0 to 4.

    Example:
        >>> int(LinearRegression(2, 30, 0).loss(18, 15))
        10386334
    """

    w: int
    b: int
    repetition: int

    @cached_property
    def _errors(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return _legacy(self.repetition + 1).randn(_POINTS)

    def loss(self, w: float, b: float) -> float:
        """Return the sum of squared errors of the line through w and b."""
        x = np.arange(1, _POINTS + 1)
        return float(((self.w * x + self.b + self._errors - (w * x + b)) ** 2).sum())

    @property
    def least(self) -> float:
        """The loss at the true pair; no other whole pair within 6 in w and 12 in b has less."""
        return self.loss(self.w, self.b)

    @property
    def starts(self) -> tuple[tuple[int, int], ...]:
        """Five different pairs to begin with, in [10, 20] x [10, 20], in the order in which the code draws them."""
        drawn = (_legacy(factor * (self.repetition + 1)).uniform(10, 20, _STARTS) for factor in (10, 100))
        return tuple(dict.fromkeys((round(w), round(b)) for w, b in zip(*drawn, strict=True)))

    def __call__(self, text: str) -> Evaluation | Failure:
        """Score a candidate: minus the loss at the pair that ``text`` holds."""
        pair = read_pair(text)
        if pair is None:
            return Failure("pair", "there is no pair: write w=15, b=14")
        loss = self.loss(*pair)
        return Evaluation(-loss, f"the loss is {int(loss)}")


def _legacy(seed: int) -> np.random.RandomState:
    return np.random.RandomState(seed)


def read_pair(text: str) -> tuple[int, int] | None:
    """Return the last pair of a reply, rounded to whole numbers; None if there is none.

    Besides ``[w, b]`` it takes ``(w, b)``, ``[w=15, b=14]``, ``w=15, b=14`` and ``[[w, b]]``, which the paper's parser
    loses without a word.

    Example:
        >>> read_pair("Not [20, 3] again: [15.2, 14]")
        (15, 14)
    """
    found = [(one.end(), one) for pattern in (_PLAIN, _NAMED) for one in pattern.finditer(text)]
    if not found:
        return None
    w, b = map(float, max(found, key=lambda one: one[0])[1].groups())
    return (round(w), round(b)) if max(abs(w), abs(b)) < _FARTHEST else None


def written(pair: Sequence[int]) -> str:
    """Return a pair as a candidate's text."""
    return f"w={pair[0]}, b={pair[1]}"


def prompt(trials: Sequence[Trial]) -> str:
    """Return the prompt: the best pairs, worst first, their losses cut to whole numbers.

    Args:
        trials: those to be shown, best first, each with a score.
    """
    shown = "\n\n".join(f"input:\n{trial.text}\nvalue:\n{int(-(trial.score or 0))}" for trial in reversed(trials))
    return f"{_BEFORE}\n\n{shown}\n\n{_AFTER}"
