"""What a noisy scorer does to a run: GEPA's experiment, ours beside it.

Run: ``python tests/benchmarks/bench_noise.py [--quick] [--seeds N] [--evaluations N] [--sigma S ...]``. The text is a
list ``[8, 8]``, the true loss f the sum of its squares, 0 at best; the scorer returns -f with Gaussian noise added. A
stand-in for the model moves the best list that it is shown by a random step, each coordinate by up to 2. Printed, as
means over the seeds: f of the returned candidate, the best f that was proposed in the run, by how much the reported
score flatters the returned candidate, and evaluations. Where gepa is installed it runs the same; else that row is
left out. ``alone`` is ours where no candidate borrows strength from others, ``once`` ours with one evaluation each.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import random
import re
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize import Budget, Draft, Proposal, optimize
from llm_optimize.core.noise import Noise

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_optimize import History

Row = tuple[float, float, float, float]  # f returned, best f proposed, flatters by, evaluations

LIST = re.compile(r"\[(-?[\d.]+), *(-?[\d.]+)\]")
START = "[8, 8]"
STEP = 2.0


def point(text: str) -> tuple[float, float]:
    """The last list of a text."""
    x, y = LIST.findall(text)[-1]
    return float(x), float(y)


def loss(text: str) -> float:
    """The true loss of a candidate."""
    return sum(value * value for value in point(text))


class Walk:
    """The stand-in for the model; remembers the best that it proposed."""

    def __init__(self, seed: int) -> None:
        """Begin a walk."""
        self.dice = random.Random(f"walk {seed}")
        self.best = loss(START)

    def __call__(self, prompt: str) -> str:
        """Move the last list of the prompt."""
        moved = [value + self.dice.uniform(-STEP, STEP) for value in point(prompt)]
        text = f"[{moved[0]:.4f}, {moved[1]:.4f}]"
        self.best = min(self.best, loss(text))
        return f"```\n{text}\n```"


@dataclass(frozen=True)
class FromBest:
    """The stand-in as a proposer: our prompts show many attempts and say which is the best, gepa's show one."""

    walk: Walk

    def propose(self, history: History, n: int) -> Proposal:
        """Move the best so far; x0 is scored before the first proposal."""
        moved = (self.walk(history.best.text) for _ in range(n))
        return Proposal(tuple(Draft(text.strip("`\n")) for text in moved))


def noisy(sigma: float, seed: int) -> Callable[[str], float]:
    """A scorer with noise."""
    dice = random.Random(f"noise {seed}")
    return lambda text: -loss(text) + dice.gauss(0, sigma)


def ours(noise: Noise | None) -> Callable[[float, int, int], Row]:
    """Our run under a policy."""

    def run(sigma: float, seed: int, evaluations: int) -> Row:
        walk = Walk(seed)
        result = optimize.run(
            "Find the list with the smallest sum of squares.", "Write a better list.", noisy(sigma, seed), START, None,
            proposer=FromBest(walk), budget=Budget(evaluations=evaluations), noise=noise, seed=seed, store=None,
            verbose=False,
        )  # fmt: skip
        true = loss(result.best_x)
        return true, walk.best, result.best_score + true, result.history.evaluations

    return run


def gepas(sigma: float, seed: int, evaluations: int) -> Row:
    """The same with gepa."""
    from gepa import optimize_anything as api  # noqa: PLC0415 - a peer that need not be installed

    walk, scorer, calls = Walk(seed), noisy(sigma, seed), [0]

    def judge(candidate: str, *_: object, **__: object) -> tuple[float, dict[str, object]]:
        calls[0] += 1
        return scorer(candidate), {}

    def model(prompt: object) -> str:
        return walk(prompt if isinstance(prompt, str) else " ".join(str(one["content"]) for one in prompt))

    engine = api.EngineConfig(max_metric_calls=evaluations, seed=seed)
    config = api.GEPAConfig(engine=engine, reflection=api.ReflectionConfig(reflection_lm=model))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        found = api.optimize_anything(
            seed_candidate=START, evaluator=judge, objective="the smallest sum of squares", config=config
        )
    best = found.best_candidate
    true = loss(best if isinstance(best, str) else next(iter(best.values())))
    return true, walk.best, max(found.val_aggregate_scores) + true, calls[0]


def means(run: Callable[[float, int, int], Row], sigma: float, seeds: int, evaluations: int) -> Row:
    """The means over the seeds."""
    rows = [run(sigma, seed, evaluations) for seed in range(seeds)]
    first, second, third, fourth = (statistics.mean(column) for column in zip(*rows, strict=True))
    return first, second, third, fourth


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--evaluations", type=int, default=200)
    parser.add_argument("--sigma", type=float, nargs="*", default=[0.0, 5.0, 20.0])
    options = parser.parse_args()
    seeds = options.seeds or (1 if options.quick else 20)
    runs = {"ours": ours(Noise()), "alone": ours(Noise(pool=False)), "once": ours(None)}
    if importlib.util.find_spec("gepa") is not None:
        runs["gepa"] = gepas
    print(f"{options.evaluations} evaluations, {seeds} seeds, means")
    print(
        f"{'sigma':>5}  {'run':<6}{'f returned':>12}{'best proposed':>15}{'flatters by':>13}{'evaluations':>13}{'s':>7}"
    )
    for sigma in options.sigma[:1] if options.quick else options.sigma:
        for name, run in runs.items():
            began = time.perf_counter()
            row = means(run, sigma, seeds, options.evaluations)
            seconds = (time.perf_counter() - began) / seeds
            print(
                f"{sigma:5g}  {name:<6}{row[0]:12.3f}{row[1]:15.3f}{row[2]:13.3f}{row[3]:13.1f}{seconds:7.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
