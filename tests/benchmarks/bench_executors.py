"""Where evaluations run: how near two workers come to the ideal, and what a task costs beside the engine's own.

    python tests/benchmarks/bench_executors.py [--engines processes dask ray mpi] [--tasks 100] [--seconds 0.2]

Efficiency is the ideal time (evaluations x seconds / 2 workers) over the time of a whole study, from its first to its
last evaluation, proposals and log included; the workers are warm. It is given for ``parallel=2``, where a worker waits
for the way there and back, and for a study that is not told: one more then waits at the engine. Overhead is that of a
no-op evaluation beside a no-op task given straight to the engine, both with two under way at a time. Load is what the
machine had to do in the last minute, this included: with more than its processors the figures say little.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from llm_optimize import Draft, MaxSteps, MemoryStore, Problem, Proposal, Study
from llm_optimize.parallel import executing

NAMES = {
    "standard": "concurrent.futures.ProcessPoolExecutor",
    "processes": "processes?workers=2",
    "dask": "dask://local?workers=2",
    "ray": "ray://local?workers=2",
    "mpi": "mpi4py.futures.MPIPoolExecutor",
}
NEEDS = {"dask": "distributed", "ray": "ray", "mpi": "mpi4py"}
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


def timed_study(executor, seconds: float, tasks: int, parallel: int | None = WORKERS) -> float:
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


def opened(name: str):
    """Return a context of the engine."""
    if name == "standard":
        return ProcessPoolExecutor(WORKERS)
    if name == "mpi":
        from mpi4py.futures import MPIPoolExecutor  # noqa: PLC0415 - there is an MPI only in its jobs

        return MPIPoolExecutor()
    return nullcontext(NAMES[name])


def measure(name: str, tasks: int, seconds: float) -> str:
    """Return the engine's row."""
    ideal = tasks * seconds / WORKERS
    start = time.perf_counter()
    with opened(name) as given, executing(given) as executor:
        timed_study(executor, 0.0, WARMING)
        ready = time.perf_counter() - start
        told, untold = (ideal / timed_study(executor, seconds, tasks, n) for n in (WORKERS, None))
        ours = timed_study(executor, 0.0, tasks) / tasks
        theirs = timed_noops(executor.executor, tasks) / tasks
    load = os.getloadavg()[0]
    return f"{name:10s} {ready:7.1f} {told:11.1%} {untold:11.1%} {ours * 1e3:14.2f} {theirs * 1e3:14.2f} {load:6.1f}"


def as_job(tasks: int, seconds: float) -> str:
    """Return the row of MPI's pool: rank 0 of a job runs the study."""
    mpiexec = Path(sys.executable).with_name("mpiexec")
    command = [mpiexec, "-n", WORKERS + 1, sys.executable, "-m", "mpi4py.futures", __file__]
    command += ["--inside", "--tasks", tasks, "--seconds", seconds]
    return subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, check=True).stdout.rstrip()


def main() -> None:
    """Print a row per engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    there = [name for name in NAMES if name not in NEEDS or find_spec(NEEDS[name])]
    parser.add_argument("--engines", nargs="+", choices=there, default=there)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="a few tasks on processes alone")
    parser.add_argument("--seconds", type=float, default=0.2)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        print(measure("mpi", options.tasks, options.seconds))
        return
    print("engine     ready s  parallel=2   not given  ms/evaluation   ms/its no-op   load")
    tasks = _QUICK if options.quick else options.tasks
    for name in ["standard", "processes"] if options.quick else options.engines:
        print((as_job if name == "mpi" else partial(measure, name))(tasks, options.seconds), flush=True)


if __name__ == "__main__":
    main()
