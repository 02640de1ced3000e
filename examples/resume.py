"""Interrupt a study half-way and go on: same ids, and nothing is evaluated twice.

Shows: a study with a name in an SQLite file; what Ctrl-C leaves behind; ``resume=True``.
Needs: the extra ``numeric``; no key. Costs: nothing, a few seconds.
"""

from __future__ import annotations

import ast
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from llm_optimize import Box, optimize

if TYPE_CHECKING:
    from collections.abc import Callable

TASK = "f(x) is unknown; x is a vector of two numbers between -5 and 5."
QUESTION = "Which vector scores higher?"
TUNE = Box(-5.0, 5.0)
MAX_STEPS = 11

x0 = "[4.0, 4.0]"

_evaluated: list[str] = []


def score(text: str) -> float:
    """Score the vector, and keep count of who was scored."""
    _evaluated.append(text)
    first, second = ast.literal_eval(text.strip())
    return float(-((first - 1.5) ** 2) - (second + 0.5) ** 2)


def _interrupted(text: str) -> float:
    if len(_evaluated) == 6:
        raise KeyboardInterrupt  # what Ctrl-C does
    return score(text)


def _session(scorer: Callable[[str], float], store: Path) -> optimize.Result:
    return optimize.run(
        TASK, QUESTION, scorer, x0=x0, max_steps=MAX_STEPS, tune=TUNE, store=store, study="vector", verbose=False
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "studies.db"
        first = _session(_interrupted, path)
        pending = [candidate.id for candidate in first.history.pending]
        print(f"{first.reason}: {len(first.history.trials)} evaluated, candidate {pending} was in the scorer")
        second = _session(score, path)
        print(f"{second.reason}: ids {[trial.id for trial in second.history.trials]}")
        print(f"{len(_evaluated)} evaluations for {len(set(_evaluated))} different vectors; best {second}")
