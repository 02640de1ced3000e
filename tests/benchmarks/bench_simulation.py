"""A thousand workers in virtual time: ``python bench_simulation.py [--quick] [--workers 10 100 1000] [--seeds 3]``.

The real Study, Loop, Ledger, pace, retries and SQLite log run by a clock that jumps from event to event
(``tests/simulation``). Three worlds for each number of workers: ``ample``, an endpoint that allows three times what
the workers can use; ``tight``, one that allows half of it; ``capped``, a budget of tokens that ends after 60 % of the
steps. Ideal is workers / mean seconds of an evaluation. Each run is a process of its own; figures are means over
seeds, with the lowest and the highest. Limits: no token beyond the cap, and 90 % of ideal where the endpoint is ample.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "simulation"))  # tests are no package

from simulated import Setting, simulate
from world import EndpointTraits

from llm_optimize import Budget

WANTED = 0.9
WORLDS = ("ample", "tight", "capped")
PER_CALL = 900  # tokens, of which the prompt has 600
DETAILS = (
    ("idle", "{:.1%} of the workers' time idle"),
    ("lag", "{:.0f} results came between a proposal and its own"),
    ("longest wait", "{:.0f} s the longest wait for a worker"),
    ("worker spread", "{:.2f} spread of evaluations between workers (deviation / mean)"),
    ("429", "{:.0f} refused by the limit"),
    ("5xx", "{:.0f} failed at the server"),
    ("timeouts", "{:.0f} given up after 120 s"),
    ("unread tokens", "{:.2%} of the tokens paid and not read"),
    ("repeated", "{:.0f} evaluations repeated"),
    ("late", "{:.0f} second answers dropped"),
    ("lost worker time", "{:.1%} of the workers' time lost with the dead and the hanging"),
    ("tail", "{:.0%} of the run after nine tenths were told"),
    ("overshoot", "{:.0f} tokens beyond the cap"),
    ("cap used", "{:.1%} of the cap used"),
    ("owner ms", "{:.2f} ms of the owner's CPU per step"),
    ("ms per step", "{:.2f} ms of CPU per step in all, the simulation included"),
    ("real s", "{:.0f} s for real"),
    ("MB", "{:.0f} MB"),
)


def setting(world: str, workers: int, seed: int, steps: int) -> Setting:
    """Return what is simulated; an evaluation takes a minute on average, so a worker needs one request per minute."""
    if world == "tight":
        limits = EndpointTraits(requests=workers / 2, tokens=workers * PER_CALL, concurrent=max(workers // 4, 2))
        return Setting(workers, steps, seed=seed, endpoint=limits)
    limits = EndpointTraits(requests=3.0 * workers, tokens=3.0 * workers * PER_CALL, concurrent=workers)
    budget = Budget(tokens=int(0.6 * steps * PER_CALL)) if world == "capped" else None
    return Setting(workers, steps, seed=seed, endpoint=limits, budget=budget)


def figures(world: str, workers: int, seed: int, steps: int) -> dict[str, float | str]:
    """Simulate here."""
    logging.getLogger("llm_optimize").setLevel(logging.ERROR)  # it names every slow candidate
    with tempfile.TemporaryDirectory() as folder:
        done = simulate(setting(world, workers, seed, steps), Path(folder))
        found = done.figures()
    cap = done.setting.budget.tokens if done.setting.budget else 0
    return found | ({"cap used": done.endpoint.charged / cap} if cap else {})


def measured(*arguments: object) -> dict[str, float | str]:
    """Simulate in a process of its own."""
    command = [sys.executable, __file__, "--row", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def show(world: str, workers: int, rows: list[dict[str, float | str]]) -> None:
    """Print what the seeds came to."""
    rates, shares = ([row[name] for row in rows] for name in ("per hour", "of ideal"))
    wanted = f" (wanted {WANTED:.0%})" if world == "ample" else ""
    print(
        f"{workers} workers, {world}: {statistics.fmean(rates):,.0f} evaluations per virtual hour, "
        f"{statistics.fmean(shares):.1%} of ideal{wanted}, {min(shares):.1%} to {max(shares):.1%}; "
        f"arms: {rows[0]['arms']}; ended by {rows[0]['reason']}"
    )
    for name, text in DETAILS:
        if name in rows[0]:
            values = [row[name] for row in rows]
            print(f"    {text.format(statistics.fmean(values))}; {min(values):.6g} to {max(values):.6g}")
    sys.stdout.flush()


def main() -> None:
    """Print the table, or one run's figures as JSON for the parent."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smoke run: 10 and 50 workers; its figures say little")
    parser.add_argument("--workers", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--worlds", choices=WORLDS, nargs="+", default=WORLDS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps-per-worker", type=int, default=10)
    parser.add_argument("--row", nargs=4, metavar=("WORLD", "WORKERS", "SEED", "STEPS"))
    options = parser.parse_args()
    if options.row:
        world, *numbers = options.row
        print(json.dumps(figures(world, *map(int, numbers))))
        return
    workers, seeds = ([10, 50], 1) if options.quick else (options.workers, options.seeds)
    for number in workers:
        for world in options.worlds:
            steps = max(100 if options.quick else 300, number * (2 if options.quick else options.steps_per_worker))
            show(world, number, [measured(world, number, seed, steps) for seed in range(seeds)])


if __name__ == "__main__":
    main()
