"""What the numeric engines reach in 40 and in 200 evaluations, beside other libraries on the same problems.

Run: ``python tests/benchmarks/bench_numeric.py [--quick] [--seeds N] [--evaluations 40 200] [--held-out]
[--libraries NAME ...] [--problems NAME ...] [--json FILE]``.

Figures are geometric means of regret (the distance from the lowest value there is), floored at 1e-8, over the seeds
and, in the last rows, over the problems too; lower is better. Every library runs with its defaults, in the same
ranges, from the same start where it can take one (see ``numeric_peers.py``), one evaluation at a time. None is told how
many evaluations there will be, so one run gives the figures for each number. Problems and their held-out part: see
``numeric_problems.py``. With ``--json`` finished runs are kept in a file, and those it holds are not made again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numeric_peers
import numeric_problems

from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Problem
from llm_optimize.proposers.numeric import NumericProposer
from llm_optimize.text.tunables import find

OURS = ("auto", "gp", "tpe", "cmaes", "random")
FLOOR = 1e-8
_LATE = 20  # proposals at the end of a run whose time is given


def ours(objective: numeric_peers.Objective, seed: int, engine: str) -> None:
    """Run one of our engines as a study would, over texts."""
    task = objective.task
    proposer = NumericProposer(task.domains, engine)
    text = "\n".join(f"{name} = {value!r}" for name, value in zip(task.domains, task.start, strict=True))
    history = History.empty().after(Opened(Problem("task", start=text), seed))
    history = history.after(Proposed((Candidate(0, text, origin="start"),)))
    for slot in range(objective.evaluations):
        values = {hole.name: hole.current for hole in find(text, proposer.tune)}
        regret = objective([values[name] for name in task.domains])
        history = history.after(Told(history.next_id - 1, Evaluation(-regret)))
        draft = proposer.propose(history.assuming(0, slot), 1).drafts[0]
        text = draft.text
        history = history.after(Proposed((Candidate(history.next_id, text, origin=draft.origin),), slot=slot))


def run(library: str, problem: str, seed: int, evaluations: int) -> dict[str, Any]:
    """Make one run and return its row."""
    objective = numeric_peers.Objective(numeric_problems.task(problem, seed), evaluations)
    if library in OURS:
        ours(objective, seed, library)
    else:
        numeric_peers.run(library, objective, seed)
    gaps = [1e3 * (after - before) for before, after in zip(objective.times[1:], objective.times[2:], strict=False)]
    return {
        "library": library,
        "problem": problem,
        "seed": seed,
        "best": [min(objective.regrets[:count]) for count in range(1, evaluations + 1)],
        "ms": statistics.fmean(gaps),
        "late_ms": statistics.median(gaps[-_LATE:]),
    }


def rows_of(options: argparse.Namespace, problems: list[str]) -> list[dict[str, Any]]:
    """Return the rows of all runs, made now or found in the file."""
    most = max(options.evaluations)
    kept = [json.loads(line) for line in options.json.read_text().splitlines()] if _exists(options.json) else []
    known = {(row["library"], row["problem"], row["seed"]): row for row in kept if len(row["best"]) >= most}
    wanted = [
        (library, name, seed) for library in options.libraries for name in problems for seed in range(options.seeds)
    ]
    with ProcessPoolExecutor(options.processes) as pool:
        under_way = [pool.submit(run, *job, most) for job in wanted if job not in known]
        for done in as_completed(under_way):
            row = done.result()
            known[row["library"], row["problem"], row["seed"]] = row
            if options.json:
                with options.json.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    return [known[job] for job in wanted]


def _exists(path: Path | None) -> bool:
    return path is not None and path.exists()


def mean(rows: list[dict[str, Any]], evaluations: int) -> float:
    """Return the geometric mean of the regrets after so many evaluations."""
    return math.exp(statistics.fmean(math.log(max(row["best"][evaluations - 1], FLOOR)) for row in rows))


def show(rows: list[dict[str, Any]], libraries: list[str], problems: list[str], evaluations: int) -> None:
    """Print the table for one number of evaluations."""
    seeds = len({row["seed"] for row in rows})
    print(f"\ngeometric mean of regret after {evaluations} evaluations, {seeds} seeds (floor {FLOOR:g})")
    print(f"{'':<14}" + "".join(f"{name:>14}" for name in libraries))
    for problem in problems:
        means = [mean(_of(rows, library, problem), evaluations) for library in libraries]
        print(f"{problem:<14}" + "".join(f"{value:>14.3g}" for value in means))
    overall = {library: mean(_of(rows, library), evaluations) for library in libraries}
    print(f"{'all':<14}" + "".join(f"{value:>14.3g}" for value in overall.values()))
    if "auto" in overall:
        print(f"{'/ auto':<14}" + "".join(f"{value / overall['auto']:>14.3g}" for value in overall.values()))
        peers = {name: value for name, value in overall.items() if name not in OURS}
        if peers:
            best = min(peers, key=peers.__getitem__)
            print(f"auto against the best library, {best}: {overall['auto'] / peers[best]:.3g} of its regret")


def _of(rows: list[dict[str, Any]], library: str, problem: str | None = None) -> list[dict[str, Any]]:
    return [row for row in rows if row["library"] == library and problem in (None, row["problem"])]


def show_times(rows: list[dict[str, Any]], libraries: list[str]) -> None:
    """Print milliseconds for each proposal."""
    print("\nms for each proposal, and near the end of a run")
    for library in libraries:
        mine = _of(rows, library)
        late = statistics.median(row["late_ms"] for row in mine)
        print(f"  {library:<12} {statistics.fmean(row['ms'] for row in mine):9.1f} {late:9.1f}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1 seed, two problems, 15 evaluations")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--evaluations", type=int, nargs="+", default=[40, 200])
    parser.add_argument("--held-out", action="store_true", help="the problems that nothing was chosen on")
    parser.add_argument("--problems", nargs="+", help="some problems only")
    parser.add_argument(
        "--libraries", nargs="+", default=["auto", *numeric_peers.PEERS], help="also gp tpe cmaes random"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, help="a file that rows are kept in, one on each line")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.evaluations, options.problems = 1, [15], ["sphere 5", "mixed 4"]
    return options


def main() -> None:
    """Read the command line, make the runs and print the tables."""
    # All in one thread: their matrices are small, and threads that wait for each other would be timed instead.
    # Nothing has loaded numpy yet, which reads these names once.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    options = _options()
    problems = options.problems or list(numeric_problems.HELD_OUT if options.held_out else numeric_problems.SUITE)
    for name in [name for name in options.libraries if name in numeric_peers.PEERS and numeric_peers.missing(name)]:
        print(f"{name} is left out: {' and '.join(numeric_peers.missing(name))} not installed")
        options.libraries.remove(name)
    rows = rows_of(options, problems)
    for evaluations in options.evaluations:
        show(rows, options.libraries, problems, evaluations)
    show_times(rows, options.libraries)


if __name__ == "__main__":
    main()
