"""Where evaluations run: how near two workers come to the ideal, and what a task costs beside the engine's own.

    python tests/benchmarks/bench_executors.py [--engines processes dask ray] [--tasks 100] [--seconds 0.2]

Efficiency is the ideal time (evaluations x seconds / 2 workers) over the time of a whole study, from its first to its
last evaluation, proposals and log included; the workers are warm. With ``parallel=3`` one evaluation waits at the
engine, so that a worker does not wait for the way there and back. Overhead is that of a no-op evaluation beside a no-op
task given straight to the engine, both with two under way at a time as a study with ``parallel=2`` has them.
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass

from llm_optimize import Draft, MaxSteps, MemoryStore, Problem, Proposal, Study
from llm_optimize.parallel import executing

NAMES = {
    "standard": "concurrent.futures.ProcessPoolExecutor",
    "processes": "processes?workers=2",
    "dask": "dask://local?workers=2",
    "ray": "ray://local?workers=2",
}
WORKERS = 2
WARMING = 8
_QUICK = 4


@dataclass(frozen=True)
class Numbered:
    """A proposer that costs nothing."""

    def propose(self, history, n):
        return Proposal(tuple(Draft(f"slot {history.slot}, draft {i}") for i in range(n)))


@dataclass(frozen=True)
class Sleeper:
    """A scorer that takes so many seconds."""

    seconds: float

    def __call__(self, text):
        if self.seconds:
            time.sleep(self.seconds)
        return len(text)


def timed_study(executor, seconds: float, tasks: int, parallel: int = WORKERS) -> float:
    """Return the seconds that ``tasks`` evaluations take, that of the start left out: it is alone by design."""
    one = Study(
        Problem("task", "question", "start"), Numbered(), Sleeper(seconds),
        store=MemoryStore(), executor=executor, parallel=parallel, stop=MaxSteps(tasks),
    )  # fmt: skip
    with one:
        began = time.perf_counter()
        one.run()
        return time.perf_counter() - began - seconds


def timed_noops(engine, tasks: int) -> float:
    """Return the seconds that ``tasks`` calls of next to nothing take, two under way at a time."""
    began, left = time.perf_counter(), tasks
    flying: set[Future] = set()
    while left or flying:
        while left and len(flying) < WORKERS:
            flying.add(engine.submit(os.getpid))
            left -= 1
        _, flying = wait(flying, return_when=FIRST_COMPLETED)
    return time.perf_counter() - began


def measure(name: str, tasks: int, seconds: float) -> str:
    """Return the engine's row."""
    ideal = tasks * seconds / WORKERS
    with ProcessPoolExecutor(WORKERS) as pool:
        given = pool if name == "standard" else NAMES[name]
        opened = time.perf_counter()
        with executing(given) as executor:
            timed_study(executor, 0.0, WARMING)
            ready = time.perf_counter() - opened
            two, three = (ideal / timed_study(executor, seconds, tasks, n) for n in (WORKERS, WORKERS + 1))
            ours = timed_study(executor, 0.0, tasks) / tasks
            theirs = timed_noops(executor.executor, tasks) / tasks
    return f"{name:10s} {ready:7.1f} {two:11.1%} {three:11.1%} {ours * 1e3:14.2f} {theirs * 1e3:14.2f}"


def main() -> None:
    """Print a row per engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", choices=NAMES, default=["standard", "processes", "dask"])
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="a few tasks on processes alone")
    parser.add_argument("--seconds", type=float, default=0.2)
    options = parser.parse_args()
    print("engine     ready s  parallel=2  parallel=3  ms/evaluation   ms/its no-op")
    tasks = _QUICK if options.quick else options.tasks
    for name in ["standard", "processes"] if options.quick else options.engines:
        print(measure(name, tasks, options.seconds), flush=True)


if __name__ == "__main__":
    main()
