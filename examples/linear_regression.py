"""Fit a line through points that nobody sees: the first experiment of the OPRO paper (Yang et al., 2023).

Shows: a model and a numeric engine on the same two numbers. The model sees pairs and their losses, never the points
or a formula; ``tune=Box(..., integer=True)`` lets the engine try whole numbers between two questions to the model.
Needs: the extra ``numeric``; without a chat model the engine works alone. Costs: at most 60 evaluations, and where
there is a model at most ten calls, about 10,000 tokens in all.

``tests/benchmarks/bench_opro.py`` runs all seven lines and prints the paper's table beside the result.
"""

from __future__ import annotations

import random
import re

from llm_optimize import Box, optimize

TASK = """x holds two whole numbers, written w=18, b=15. f(x) is minus the sum of squared errors of the line w * i + b
through fifty noisy points; only its values are known. It is highest at one pair of whole numbers."""
QUESTION = "Which pair should be tried next, so that f(x) rises?"
TUNE = Box(-50, 50, integer=True)
MAX_STEPS = 59

x0 = "w=18, b=15"

_dice = random.Random(7)
_points = [(i, 2 * i + 30 + _dice.gauss(0, 1)) for i in range(1, 51)]
STOP_SCORE = -sum((y - (2 * i + 30)) ** 2 for i, y in _points)  # the line that the points were drawn from


def score(text: str) -> float:
    """Return minus the sum of squared errors of the line that ``text`` describes."""
    found = re.fullmatch(r"\s*w=(-?\d+),\s*b=(-?\d+)\s*", text)
    if found is None:
        msg = "there is no pair: write w=18, b=15"
        raise ValueError(msg)
    w, b = map(int, found.groups())
    return -sum((y - (w * i + b)) ** 2 for i, y in _points)


if __name__ == "__main__":
    result = optimize.run(TASK, QUESTION, score, x0=x0, max_steps=MAX_STEPS, stop_score=STOP_SCORE, tune=TUNE)
    print(f"\nbest: {result} after {len(result.scores)} evaluations; {result.reason}")
