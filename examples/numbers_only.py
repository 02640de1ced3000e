"""Minimize a function of which nothing is known but its values: the candidate is a vector, written as text.

Shows: ``tune=Box(...)``, which makes every number of a text tunable, and :class:`Minimize`.
Needs: the extra ``numeric``; no key. Costs: nothing, a few seconds for 40 evaluations.

The bowl's lowest point (0) is not the middle of the box, so that no engine finds it by beginning there.
"""

from __future__ import annotations

import ast

from llm_optimize import Box, Minimize, optimize

TASK = "f(x) is minus the height of an unknown smooth surface over a vector of two numbers."
QUESTION = "Which vector lies lower?"
TUNE = Box(-10.0, 10.0)
MAX_STEPS = 39  # with x0: 40 evaluations

x0 = "[8.0, -7.0]"

_lowest = (3.1, -2.4)


def height(text: str) -> float:
    """Return the height above the lowest point at the vector that ``text`` holds."""
    vector = ast.literal_eval(text.strip())
    return float(sum((value - low) ** 2 for value, low in zip(vector, _lowest, strict=True)))


score = Minimize(height)


if __name__ == "__main__":
    outcome = optimize.run(TASK, QUESTION, score, x0=x0, tune=TUNE, max_steps=MAX_STEPS)
    print(f"\nlowest: {outcome} at height {-outcome[0]:.3g} after {len(outcome.scores)} evaluations")
