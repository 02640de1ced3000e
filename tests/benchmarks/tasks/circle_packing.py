"""Circle packing: 26 circles in the unit square, the sum of their radii maximized; ``examples/circle_packing.py``.

The program runs in the sandbox and its circles are checked outside, in exact fractions: NaN, overlaps beyond 1e-12, and
anything that is not 26 circles have no score. The highest sum in the literature is 2.63598 (reported by several of
the programs that let models evolve code); it is not proven to be the highest there is. The seed moves the start's two
marked numbers and the row that holds six circles.
"""

from __future__ import annotations

import random

from tasks.examples import example
from tasks.task import Task

__all__ = ["make"]

_BEST = 2.63598


def make(seed: int) -> Task:
    """Return the task; its start is a program that places circles in rows."""
    dice = random.Random(f"circle packing {seed}")
    packing = example("circle_packing")
    rows = [5] * 5
    rows[dice.randrange(5)] = 6
    start = packing.x0.replace("[5, 6, 5, 5, 5]", str(rows))
    start = start.replace("0.12", f"{dice.uniform(0.11, 0.14):.3f}").replace("0.01 ", f"{dice.uniform(0, 0.04):.3f} ")
    return Task(
        "circle packing", packing.TASK, packing.QUESTION, start, packing.score, best=_BEST, language="python"
    )  # fmt: skip
