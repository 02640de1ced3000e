"""OPRO's own failure case: a valley that a model walks down to the wrong end, with a model alone and with an engine.

Run: ``python tests/benchmarks/bench_failure_case.py [--quick] [--seeds N] [--evaluations N]``.

Rosenbrock's function with a = 20, b = 1, f(x, y) = (20 - x)^2 + (y - x^2)^2, from a start in [10, 20]^2: the paper
(Yang et al., "Large Language Models as Optimizers", 2024, appendix A) reports that a model ends near (0, 0), where f is
400; the lowest point, f = 0, is (20, 400). The model here is a STAND-IN that behaves so: a function of the prompt over
HTTP which takes the best vector that it is shown nearer to (0, 0), since smaller numbers were what helped at first. The
range of the engine is [-500, 500]^2. Both kinds of run make the same number of evaluations, by the same call.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import re
import statistics
import zlib
from typing import Any

from llm_optimize import Box, Minimize, optimize
from llm_optimize.testing.server import ScriptedServer

TASK = "f is the height of an unknown surface over a vector of two numbers; lower is better, so -f is the score."
QUESTION = "Which vector should be tried next?"
RANGE = Box(-500.0, 500.0)
WANTED = 1.0

_PAIR = re.compile(r"(\[[^][\n]+,[^][\n]+\])(?:(?!\[).)*?score: (-?[\d.,]+(?:e[+-]?\d+)?)", re.DOTALL)


def height(text: str) -> float:
    """Return f at the vector that ``text`` holds."""
    x, y = ast.literal_eval(text.strip())
    return float((20 - x) ** 2 + (y - x * x) ** 2)


def stand_in(body: dict[str, Any], index: int) -> str:
    """Answer as the paper's model did: the best vector shown, made smaller; close to (0, 0), its neighbours."""
    shown = "\n".join(str(message["content"]) for message in body["messages"])
    rng = random.Random(zlib.crc32(f"{index} {shown}".encode()))
    pairs = [(float(score.replace(",", "")), vector) for vector, score in _PAIR.findall(shown)]
    x, y = ast.literal_eval(max(pairs, default=(0.0, "[15.0, 15.0]"))[1])
    shrunk = rng.uniform(0.5, 0.95)
    near = [round(shrunk * value + rng.uniform(-0.5, 0.5), 1) for value in (x, y)]
    return f"Smaller numbers gave a better score, so I go on.\n\n```\n{near}\n```"


def run(seed: int, evaluations: int, *, hybrid: bool) -> tuple[float, str, int]:
    """Return the lowest f, where it is, and how many evaluations it took to come below what is wanted (0: never)."""
    rng = random.Random(f"start {seed}")
    start = str([round(rng.uniform(10, 20), 1) for _ in range(2)])
    with ScriptedServer(stand_in) as server:
        result = optimize.run(
            TASK, QUESTION, Minimize(height), start, evaluations - 1, f"{server.url}#scripted", verbose=False,
            tune=RANGE if hybrid else None, seed=seed, store=None,
        )  # fmt: skip
    reached = [i for i, score in enumerate(result.scores, start=1) if score is not None and -score < WANTED]
    return -result[0], str(result).strip(), next(iter(reached), 0)


def main() -> None:
    """Read the command line, make the runs and print them side by side."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1 seed, 30 evaluations")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--evaluations", type=int, default=150)
    options = parser.parse_args()
    seeds, evaluations = (1, 30) if options.quick else (options.seeds, options.evaluations)
    os.environ.setdefault("OPENAI_API_KEY", "no key is needed on 127.0.0.1")
    print(f"lowest f after {evaluations} evaluations; the model is a STAND-IN, see this file's docstring")
    print(f"{'seed':>4}  {'model alone':>12} {'at':<24} {'hybrid':>12} {'at':<32} below {WANTED:g} after")
    alone, mixed = [], []
    for seed in range(seeds):
        alone.append(run(seed, evaluations, hybrid=False))
        mixed.append(run(seed, evaluations, hybrid=True))
        (left, there, _), (right, here, first) = alone[-1], mixed[-1]
        print(f"{seed:>4}  {left:>12.4g} {there:<24} {right:>12.4g} {here:<32} {first or 'never'}", flush=True)
    for name, runs in (("model alone", alone), ("hybrid", mixed)):
        lowest = [one[0] for one in runs]
        below = sum(value < WANTED for value in lowest)
        share = f"below {WANTED:g}: {below}/{seeds}"
        print(f"{name}: median {statistics.median(lowest):.3g}, worst {max(lowest):.3g}, {share}")


if __name__ == "__main__":
    main()
