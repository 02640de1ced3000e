"""What a numeric engine reaches in 40 evaluations, beside bayesian-optimization 3.4 on the same problems.

Run: ``python tests/benchmarks/bench_numeric.py [--quick] [--seeds N] [--evaluations N]``. Every problem has its optimum
away from the centre, at a place that depends on the seed, and the value 0 there; ours starts from the text of a user
(``[8, 8]``), which counts as the first evaluation; the peer runs with its defaults, 5 random points and the rest by
its acquisition. Printed: the median distance from the optimum's value, lower is better; the share of the peer's; and
milliseconds for each proposal, with those near the end of a run.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import statistics
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Problem
from llm_optimize.proposers.numeric import NumericProposer
from llm_optimize.text.tunables import Box, find

if TYPE_CHECKING:
    from collections.abc import Callable

ENGINES = ("random", "tpe", "cmaes", "gp")
PEER = "bayes_opt"


@dataclass(frozen=True)
class Task:
    """A problem for one seed: how a user would write it, and how the peer wants it."""

    start: str
    tune: Any
    loss: Callable[[list[Any]], float]
    bounds: dict[str, Any]
    peer_values: Callable[[dict[str, Any]], list[Any]] = lambda point: list(point.values())


def bowl(dimensions: int) -> Callable[[random.Random], Task]:
    """The sum of squares around a point drawn from the inner nine tenths of the box."""

    def task(rng: random.Random) -> Task:
        centre = [rng.uniform(-9, 9) for _ in range(dimensions)]
        bounds = {f"x{i}": (-10.0, 10.0) for i in range(dimensions)}
        start = f"[{', '.join(['8'] * dimensions)}]"
        return Task(start, Box(-10, 10), lambda x: sum((a - c) ** 2 for a, c in zip(x, centre, strict=True)), bounds)

    return task


def rosenbrock(rng: random.Random) -> Task:
    """The curved valley, moved by up to one unit along each axis."""
    dx, dy = rng.uniform(-1, 1), rng.uniform(-1, 1)

    def loss(x: list[float]) -> float:
        u, v = x[0] - dx, x[1] - dy
        return 100 * (v - u * u) ** 2 + (1 - u) ** 2

    return Task("[-2, 2.5]", Box(-3, 3), loss, {"x0": (-3.0, 3.0), "x1": (-3.0, 3.0)})


def branin(rng: random.Random) -> Task:
    """Three equal optima; the second axis is turned round for half of the seeds."""
    turned = rng.random() < 0.5

    def loss(x: list[float]) -> float:
        u, v = x[0] * 15 - 5, (1 - x[1] if turned else x[1]) * 15
        valley = (v - 5.1 / (4 * math.pi**2) * u * u + 5 / math.pi * u - 6) ** 2
        return valley + 10 * (1 - 1 / (8 * math.pi)) * math.cos(u) + 10 - 0.39788735772973816

    return Task("[0.2, 0.1]", Box(0, 1), loss, {"x0": (0.0, 1.0), "x1": (0.0, 1.0)})


def mixed(rng: random.Random) -> Task:
    """A float on a logarithmic scale, two whole numbers and a choice that shifts the best float."""
    exponent, k, depth = rng.uniform(-1, 1), rng.randint(4, 17), rng.randint(2, 9)
    kernels = ["rbf", "poly", "linear"]
    rng.shuffle(kernels)

    def loss(values: list[Any]) -> float:
        c, neighbours, levels, kernel = values
        rank = kernels.index(kernel)
        whole = ((neighbours - k) / 6) ** 2 + ((levels - depth) / 4) ** 2
        return whole + (math.log10(c) - exponent - 0.3 * rank) ** 2 + 0.2 * rank

    marks = "C=0.01..100 log, k=1..20, depth=1..10, kernel=rbf|poly|linear"
    start = f'f(C=50.0, k=2, depth=1, kernel="linear")  # tune: {marks}'
    bounds = {"e": (-2.0, 2.0), "k": (1, 20, int), "depth": (1, 10, int), "kernel": ("rbf", "poly", "linear")}
    return Task(start, None, loss, bounds, lambda p: [10 ** p["e"], int(p["k"]), int(p["depth"]), str(p["kernel"])])


PROBLEMS: dict[str, Callable[[random.Random], Task]] = {
    "bowl 2-D": bowl(2),
    "bowl 5-D": bowl(5),
    "Rosenbrock 2-D": rosenbrock,
    "Branin": branin,
    "mixed 4": mixed,
}


def ours(task: Task, engine: str, seed: int, evaluations: int) -> tuple[float, list[float]]:
    """Return the best loss and the seconds of each proposal."""
    proposer = NumericProposer(task.tune, engine)
    history = History.empty().after(Opened(Problem("task", start=task.start), seed))
    history = history.after(Proposed((Candidate(0, task.start, origin="start"),)))
    seconds: list[float] = []
    for slot in range(evaluations):
        text = history.pending[0].text
        loss = task.loss([hole.current for hole in find(text, task.tune)])
        history = history.after(Told(history.next_id - 1, Evaluation(-loss)))
        if slot == evaluations - 1:
            break
        began = time.perf_counter()
        draft = proposer.propose(history.assuming(0, slot), 1).drafts[0]
        seconds.append(time.perf_counter() - began)
        history = history.after(Proposed((Candidate(history.next_id, draft.text, origin=draft.origin),), slot=slot))
    return -history.best.score if history.best else math.inf, seconds


def peer(task: Task, seed: int, evaluations: int) -> tuple[float, list[float]]:
    """Return the peer's best loss and its mean seconds per evaluation."""
    from bayes_opt import BayesianOptimization  # noqa: PLC0415 - the peer is imported beside ours, not by our tests

    def target(**point: Any) -> float:
        return -task.loss(task.peer_values(point))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its Gaussian process warns of bounds and of convergence
        search = BayesianOptimization(target, task.bounds, random_state=seed, verbose=0)
        began = time.perf_counter()
        search.maximize(init_points=5, n_iter=evaluations - 5)
    return -float(search.max["target"]), [(time.perf_counter() - began) / evaluations]


def measure(name: str, seeds: int, evaluations: int, *, with_peer: bool) -> None:
    """Print one problem's rows."""
    print(f"\n{name}: median of {seeds} seeds after {evaluations} evaluations, the start included")
    medians: dict[str, float] = {}
    for engine in (*((PEER,) if with_peer else ()), *ENGINES):
        losses, seconds, late = [], [], []
        for seed in range(seeds):
            task = PROBLEMS[name](random.Random(f"{name} {seed}"))
            run = peer(task, seed, evaluations) if engine == PEER else ours(task, engine, seed, evaluations)
            losses.append(run[0])
            seconds += run[1]
            late += run[1][-3:]
        medians[engine] = statistics.median(losses)
        ratio = f"{medians[engine] / medians[PEER]:9.2g} x {PEER}" if medians.get(PEER) else ""
        spread = f"best {min(losses):8.2g}  worst {max(losses):8.2g}"
        times = f"{1e3 * statistics.median(seconds):6.1f} ms, at the end {1e3 * statistics.median(late):6.1f} ms"
        print(f"  {engine:<10} {medians[engine]:10.3g}  {spread}  {times}  {ratio}", flush=True)


def main() -> None:
    """Read the command line and print the table."""
    # Both sides in one thread: their matrices are small, and threads that wait for each other would be timed instead.
    # Nothing has loaded numpy yet, which reads these names once.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1 seed, two problems, 20 evaluations")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--evaluations", type=int, default=40)
    parser.add_argument("--problem", choices=PROBLEMS, action="append")
    parser.add_argument("--no-peer", action="store_true")
    options = parser.parse_args()
    problems = options.problem or (["bowl 2-D", "mixed 4"] if options.quick else list(PROBLEMS))
    for name in problems:
        seeds, evaluations = (1, 20) if options.quick else (options.seeds, options.evaluations)
        measure(name, seeds, evaluations, with_peer=not options.no_peer)


if __name__ == "__main__":
    main()
