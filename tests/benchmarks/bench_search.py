"""Our default search against others, on six tasks, with the same stand-in model and the same budget.

Run: ``python tests/benchmarks/bench_search.py [--quick] [--tasks NAME ...] [--seeds N] [--systems NAME ...]
[--ours NAME ...] [--budget N] [--by evaluations|calls] [--json FILE]``. There is no live model here: what answers is
a STAND-IN (``standins/model.py``) that reads the prompt as a model would and fails at stated rates, the same for all.
gepa and openevolve are the real packages with their defaults (the extra ``benchmark``); where one is missing, it says
so.

Printed for each task: the median of the best value within the budget, its 95 % bootstrap interval, the mean rank over
seeds, the p-value of a paired Wilcoxon test against ours, and what was really spent. Ours is "first" where its median
is the highest, "tied" where no other system's advantage is significant (p >= .05, two-sided, not corrected for the
number of comparisons), else "behind".
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from arena import SCALES, Arena
from rivals import SYSTEMS, missing, plays, system
from standins.model import RATES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RIVALS = ("gepa", "gepa:examples", "openevolve", "best_of_n", "plain chat")
LEVEL = 0.05
FEWEST = 6  # seeds: with five the smallest p-value there can be is 0.0625
WIDTHS = (("system", -24), ("median", 8), ("95 % interval", 18), ("rank", 7), ("p", 8), ("evaluations", 13))
HEAD = "  " + "".join(f"{word:<{-width}}" if width < 0 else f"{word:>{width}}" for word, width in WIDTHS)
HEAD += f"{'distinct':>10}{'calls':>7}{'s':>7}"
RESAMPLES = 2000
SPENT = ("evaluations", "distinct", "calls", "seconds")


@dataclass(frozen=True, slots=True)
class Job:
    """One system on one task with one seed."""

    task: str
    system: str
    seed: int
    limit: int
    by: str


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a job: the best value within the limit, what was spent in all, and the seconds."""

    job: Job
    best: float
    start: float
    evaluations: int
    distinct: int
    calls: int
    seconds: float


def played(job: Job) -> Run:
    """Run one job in this process."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # noqa: PLC0415 - after the fork

    arena = Arena(job.task, job.seed, job.limit, job.by)
    began = time.perf_counter()
    with threadpool_limits(1):  # small matrices, and every core has a job already
        system(job.system)(arena)
    seconds = time.perf_counter() - began
    meter = arena.meter
    return Run(job, arena.best(), meter.points[0].best, meter.evaluations, len(meter.texts), meter.calls, seconds)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % percentile bootstrap interval of the median."""
    dice = random.Random(len(values))
    medians = sorted(statistics.median(dice.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return medians[int(0.025 * RESAMPLES)], medians[int(0.975 * RESAMPLES) - 1]


def p_value(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The two-sided paired Wilcoxon signed-rank test; 1 where nothing differs."""
    from scipy.stats import wilcoxon  # type: ignore[import-untyped]  # noqa: PLC0415 - slow to import, and each worker would

    if all(one == other for one, other in zip(ours, theirs, strict=True)):
        return 1.0
    return float(wilcoxon(ours, theirs, zero_method="zsplit").pvalue)


def ranks(columns: dict[str, list[float]]) -> dict[str, float]:
    """Mean rank over seeds, 1 the best; equal values share the mean of their places."""
    totals = dict.fromkeys(columns, 0.0)
    for values in zip(*columns.values(), strict=True):
        for name, value in zip(columns, values, strict=True):
            above = sum(other > value for other in values)
            totals[name] += above + (1 + sum(other == value for other in values)) / 2
    return {name: total / len(next(iter(columns.values()))) for name, total in totals.items()}


def verdict(columns: dict[str, list[float]], ours: str) -> str:
    """Say how ours did: first, tied or behind, and behind whom."""
    mine = statistics.median(columns[ours])
    others = {name: values for name, values in columns.items() if name != ours and not name.startswith("ours")}
    above = [name for name, values in others.items() if statistics.median(values) > mine]
    ahead = {name: p_value(columns[ours], others[name]) for name in above}
    worse = [f"{name} (p = {p:.3f})" for name, p in ahead.items() if p < LEVEL]
    if worse:
        return f"behind {', '.join(worse)}"
    return f"tied with {', '.join(above)}" if above else "first"


def table(task: str, runs: Sequence[Run], systems: Sequence[str]) -> Iterator[str]:
    """Print one task's table."""
    ordered = sorted(runs, key=lambda run: run.job.seed)
    of = {name: [run for run in ordered if run.job.system == name] for name in systems}
    columns = {name: [run.best for run in of[name]] for name in systems}
    places = ranks(columns)
    yield f"\n{task}: start {statistics.median(run.start for run in runs):.3f}, {len(of[systems[0]])} seeds"
    yield HEAD
    for name in sorted(systems, key=lambda one: -statistics.median(columns[one])):
        low, high = interval(columns[name])
        p = "" if name == "ours" or "ours" not in columns else f"{p_value(columns['ours'], columns[name]):.3f}"
        means = [statistics.mean(getattr(run, what) for run in of[name]) for what in SPENT]
        spent = "{:13.1f}{:10.1f}{:7.1f}{:7.2f}".format(*means)
        median = statistics.median(columns[name])
        yield f"  {name:<24}{median:8.4f}{f'{low:.4f} .. {high:.4f}':>18}{places[name]:7.2f}{p:>8}{spent}"
    if any(not name.startswith("ours") for name in systems):
        yield from (f"  {name} is {verdict(columns, name)}" for name in systems if name.startswith("ours"))


def collected(jobs: Sequence[Job], workers: int) -> list[Run]:
    """Run the jobs, so many at once; forked, since OpenEvolve starts its workers as its own process was started."""
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        return list(pool.map(played, jobs, chunksize=1))


def summary(runs: Sequence[Run], tasks: Sequence[str], systems: Sequence[str]) -> Iterator[str]:
    """Print in how many tasks each of ours is first or tied."""
    for ours in (name for name in systems if name.startswith("ours")):
        said = {}
        for task in tasks:
            columns = {name: [r.best for r in runs if r.job.task == task and r.job.system == name] for name in systems}
            said[task] = verdict({name: values for name, values in columns.items() if values}, ours)
        good = [task for task, words in said.items() if not words.startswith("behind")]
        yield f"{ours}: first or tied on {len(good)} of {len(tasks)} tasks"
        yield from (f"  {task}: {words}" for task, words in said.items())


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one task, two seeds, 12 evaluations; says nothing")
    parser.add_argument("--tasks", nargs="*", choices=list(SCALES))
    parser.add_argument("--systems", nargs="*", choices=list(SYSTEMS), help="beside ours; none for ours alone")
    parser.add_argument(
        "--ours",
        nargs="*",
        default=["default"],
        help="ours in other settings: a name of \
rivals.VARIANTS, or MODULE:FUNCTION, which makes a proposer of a model (MODULE is found on PYTHONPATH)",
    )
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--budget", type=int)
    parser.add_argument("--by", choices=["evaluations", "calls"], default="evaluations")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def main() -> None:
    """Print the tables."""
    given = options()
    tasks = given.tasks or (["sorting network"] if given.quick else list(SCALES))
    seeds = given.seeds or (2 if given.quick else 20)
    limit = given.budget or (12 if given.quick else 60)
    ours = ["ours" if name == "default" else f"ours:{name}" for name in given.ours]
    wanted = list(dict.fromkeys([*ours, *(RIVALS if given.systems is None else given.systems)]))
    systems = [name for name in wanted if not missing(name)]
    print("The model is a STAND-IN, not a live model: figures compare ways of searching, and only for such a model.")
    print(f"Its rates: {RATES}")
    print(f"{limit} {given.by}, {seeds} seeds; values from 0 to 1, see arena.SCALES")
    print("\n".join(f"{name} is not installed: left out" for name in wanted if name not in systems))
    if seeds < FEWEST:
        print(f"with fewer than {FEWEST} seeds the test can never tell anybody apart: ties below mean nothing")
    began, runs = time.perf_counter(), []
    for task in tasks:
        playing = [name for name in systems if plays(name, Arena(task, 0, limit))]
        jobs = [Job(task, name, seed, limit, given.by) for seed in range(seeds) for name in playing]
        done = collected(jobs, given.workers)
        print("\n".join(table(task, done, playing)), flush=True)
        runs += done
        if given.json:
            given.json.write_text(json.dumps([asdict(run) for run in runs], indent=1))
    print()
    if any(not name.startswith("ours") for name in systems):
        print("\n".join(summary(runs, tasks, systems)))
    print(f"{time.perf_counter() - began:.0f} s in all")


if __name__ == "__main__":
    main()
