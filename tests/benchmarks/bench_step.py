"""What the framework itself costs per step, with a model that answers at once: ``python bench_step.py [--quick]``.

Each row runs in a process of its own. Limits: 0.5 ms per step in memory and 1.5 ms with the SQLite log, at step 1,000
and at step 10,000 alike, and 60 MB of resident memory. Peer: GEPA's ``optimize_anything`` on the same toy problem
(shrink two numbers), in memory and with its run directory, in the same process tree. The last row keeps eight chains
of a 200 ms model and a 50 ms scorer in flight; its limit is 90 % of 8 / 0.25 s.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from llm_optimize import Reply, ScriptedModel, Usage, optimize
from llm_optimize.core.events import Told

WINDOW = 200  # steps whose median makes a figure
LIMITS_MS = {"memory": 0.5, "sqlite": 1.5}
MEMORY_MB = 60
CHAINS, MODEL_S, SCORER_S = 8, 0.2, 0.05


def score(text: str) -> tuple[float, str]:
    """Return how near to nought the two numbers are."""
    x, y = json.loads(text)
    return -(x * x + y * y), f"x={x:.4g}, y={y:.4g}"


def point(step: int) -> str:
    """Return the candidate of a step: each one new, and a little better."""
    return json.dumps([8 * 0.9995**step, 8 * 0.9994**step])


def reply(step: int) -> Reply:
    """Return what the model says at a step, with its usage as an endpoint would report it."""
    text = f"A little smaller is better.\n```\n{point(step)}\n```"
    return Reply(text, usage=Usage(calls=1, tokens_in=1500, tokens_out=40, dollars=0.001))


def ours(steps: int, store: str | None) -> dict[str, float]:
    """Run ``steps`` steps; return ms per step around step 1,000 and at the end, and the peak of resident memory."""
    calls = iter(range(1, steps + 2))
    model = ScriptedModel(lambda _: reply(next(calls)))
    times: list[float] = []

    def watch(event: object) -> None:
        if isinstance(event, Told):
            times.append(time.perf_counter())
            model.requests.clear()  # the scripted model keeps what it was asked; a real one does not

    optimize.run(
        "Make both numbers small.", "Which pair is better?", score, point(0), steps, model,
        verbose=False, store=store, study="bench", observers=(watch,),
    )  # fmt: skip
    gaps = [(b - a) * 1000 for a, b in pairwise(times)]
    early = min(1000, steps)
    return {
        f"ms at step {early}": statistics.median(gaps[max(0, early - WINDOW) : early]),
        f"ms at step {steps}": statistics.median(gaps[-WINDOW:]),
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def gepa(evaluations: int, folder: str | None) -> dict[str, float]:
    """Run the peer on the same problem; return ms per proposal over the run and over its last tenth."""
    from gepa.optimize_anything import EngineConfig, GEPAConfig, ReflectionConfig, optimize_anything  # noqa: PLC0415

    asked: list[float] = []

    def model(_: object) -> str:
        asked.append(time.perf_counter())
        return f"```\n{point(len(asked))}\n```"

    def evaluator(candidate: str) -> tuple[float, dict[str, str]]:
        value, feedback = score(candidate)
        return value, {"feedback": feedback}

    config = GEPAConfig(
        engine=EngineConfig(max_metric_calls=evaluations, run_dir=folder),
        reflection=ReflectionConfig(reflection_lm=model),
    )
    began = time.perf_counter()
    optimize_anything(point(0), evaluator=evaluator, objective="Make both numbers small.", config=config)
    wall = time.perf_counter() - began
    gaps = [(b - a) * 1000 for a, b in pairwise(asked)]
    return {
        "ms per proposal": wall * 1000 / len(asked),
        "ms in the last tenth": statistics.median(gaps[-max(1, len(gaps) // 10) :]),
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def parallel(steps: int) -> dict[str, float]:
    """Keep eight chains in flight; return how much of the ideal throughput was reached."""
    calls = iter(range(1, steps + 2))

    def answer(_: object) -> Reply:
        time.sleep(MODEL_S)
        return reply(next(calls))

    def slow(text: str) -> float:
        time.sleep(SCORER_S)
        return score(text)[0]

    times: list[float] = []

    def watch(event: object) -> None:
        if isinstance(event, Told):
            times.append(time.perf_counter())

    optimize.run(
        "Make both numbers small.", "Which pair is better?", slow, point(0), steps, ScriptedModel(answer),
        verbose=False, store=None, parallel=CHAINS, observers=(watch,),
    )  # fmt: skip
    # From x0's result, when all chains begin, to the last result: so the first fill of the pipe counts against us.
    rate = steps / (times[-1] - times[0])
    return {"per second": rate, "share of ideal": rate / (CHAINS / (MODEL_S + SCORER_S))}


def child(row: str, steps: int, evaluations: int) -> dict[str, float]:
    """Run one row in this process."""
    with tempfile.TemporaryDirectory() as folder:
        if row == "memory":
            return ours(steps, None)
        if row == "sqlite":
            return ours(steps, str(Path(folder) / "studies.db"))
        if row == "parallel":
            return parallel(steps)
        return gepa(evaluations, folder if row == "gepa-dir" else None)


def measured(row: str, steps: int, evaluations: int) -> dict[str, float]:
    """Run one row in a process of its own."""
    command = [sys.executable, __file__, "--row", row, "--steps", str(steps), "--evaluations", str(evaluations)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Print the table, or one row's figures as JSON for the parent."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smoke run: 300 steps; its figures say little")
    parser.add_argument("--row")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--evaluations", type=int, default=1000)
    options = parser.parse_args()
    if options.row:
        print(json.dumps(child(options.row, options.steps, options.evaluations)))
        return
    steps, evaluations = (300, 60) if options.quick else (options.steps, options.evaluations)
    peers = {row: measured(f"gepa-{row}", steps, evaluations) for row in ("memory", "dir")}
    for row, peer in (("memory", peers["memory"]), ("sqlite", peers["dir"])):
        figures = measured(row, steps, evaluations)
        for name, value in figures.items():
            limit, rival = (MEMORY_MB, peer["peak MB"]) if "MB" in name else (LIMITS_MS[row], peer["ms per proposal"])
            ratios = f"{value / limit:6.2f} of the limit {limit:g}; GEPA {rival:.2f}, ratio {value / rival:.3f}"
            print(f"{row:9} {name:22} {value:9.3f}   {ratios}")
        if row == "sqlite":
            print(f"{'':9} GEPA in its last tenth: {peers['memory']['ms in the last tenth']:.2f} ms in memory, "
                  f"{peer['ms in the last tenth']:.2f} ms with its run directory")  # fmt: skip
    figures = measured("parallel", 40 if options.quick else 200, evaluations)
    print(f"parallel  {figures['per second']:.1f} per second with {CHAINS} chains: "
          f"{figures['share of ideal']:.1%} of the ideal (limit 90 %)")  # fmt: skip


if __name__ == "__main__":
    main()
