"""How many different candidates a budget of evaluations buys, without a data set: ours, and GEPA beside it.

Run: ``python tests/benchmarks/bench_evaluations.py [--quick] [--evaluations N] [--json FILE]``. The text is a list of
two numbers, its score minus the sum of their squares; a stand-in for the model moves the list that its prompt asks to
improve by a random step. Every call of the scorer is one evaluation, whoever makes it and for whatever reason. Where
gepa is not installed, that row is left out.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import random
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from standins.reading import read

from llm_optimize import Budget, ScriptedModel, optimize

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LIST = re.compile(r"\[(-?[\d.]+), (-?[\d.]+)\]")
START = "[8.0000, 8.0000]"
STEP = 2.0


def loss(text: str) -> float:
    """The sum of squares of a text's last list."""
    return sum(float(value) ** 2 for value in LIST.findall(text)[-1])


class Walk:
    """The stand-in for the model: moves the current list, or the best if it is told to; knows nothing of who asks."""

    def __init__(self) -> None:
        """Begin with the first call."""
        self.calls = 0
        self._dice = random.Random("bench_evaluations")

    def __call__(self, turns: Sequence[tuple[str, str]]) -> str:
        """Answer a chat of (role, text) turns."""
        self.calls += 1
        asked = read(turns, lambda text: LIST.fullmatch(text.strip()) is not None)
        base = asked.best if asked.on_best and asked.best else asked.base
        text = START if base is None else base.text
        moved = [float(value) + self._dice.uniform(-STEP, STEP) for value in LIST.findall(text)[-1]]
        return "One step on.\n```\n[{:.4f}, {:.4f}]\n```".format(*moved)


class Counted:
    """The scorer, and every text that it was asked about."""

    def __init__(self) -> None:
        """Begin with none."""
        self.asked: list[str] = []

    def __call__(self, text: str) -> float:
        """Score and write down."""
        self.asked.append(text.strip())
        return -loss(text)


def ours(walk: Walk, scorer: Counted, evaluations: int) -> None:
    """Our run, with nothing set but the budget."""
    model = ScriptedModel(lambda request: walk([(turn.role, turn.content) for turn in request.messages]))
    optimize.run(
        "Find the list with the smallest sum of squares.", "Write a better list.", scorer, START, None, model,
        verbose=False, store=None, budget=Budget(evaluations=evaluations),
    )  # fmt: skip


def gepas(walk: Walk, scorer: Counted, evaluations: int) -> None:
    """GEPA's mode for a single task, with its defaults."""
    from gepa import optimize_anything as api  # noqa: PLC0415 - a peer that need not be installed

    def model(prompt: Any) -> str:
        turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        return walk([(turn["role"], str(turn["content"])) for turn in turns])

    def evaluator(candidate: str) -> tuple[float, dict[str, Any]]:
        return scorer(candidate), {}

    engine = api.EngineConfig(max_metric_calls=evaluations)
    config = api.GEPAConfig(engine=engine, reflection=api.ReflectionConfig(reflection_lm=model))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        api.optimize_anything(START, evaluator=evaluator, objective="the smallest sum of squares", config=config)


def measured(run: Callable[[Walk, Counted, int], None], evaluations: int) -> dict[str, float]:
    """Return what a run spent and what it got for it."""
    walk, scorer = Walk(), Counted()
    run(walk, scorer, evaluations)
    within = scorer.asked[:evaluations]
    return {
        "evaluations": len(scorer.asked),
        "candidates": len(set(within)),
        "calls": walk.calls,
        "best": max(-loss(text) for text in within),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="60 evaluations")
    parser.add_argument("--evaluations", type=int)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    evaluations = given.evaluations or (60 if given.quick else 1000)
    runs = {"ours": ours}
    if importlib.util.find_spec("gepa") is not None:
        runs["gepa"] = gepas
    else:
        print("gepa is not installed: left out")
    rows = {name: measured(run, evaluations) for name, run in runs.items()}
    print(f"budget of {evaluations} evaluations, no data set; the model is a STAND-IN")
    print(f"{'run':<6}{'evaluations':>13}{'different candidates':>22}{'calls of the model':>20}{'best':>10}")
    for name, row in rows.items():
        spent = f"{row['evaluations']:13}{row['candidates']:22}{row['calls']:20}"
        print(f"{name:<6}{spent}{row['best']:10.4f}")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
