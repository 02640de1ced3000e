"""Walk down a curved valley whose lowest point lies far away: a model alone goes to the wrong end, a hybrid arrives.

Shows: ``tune=Box(...)`` beside a model: the same call, once with the model alone and once as a hybrid, in which the
model writes vectors and a numeric engine moves their numbers.
Needs: the extra ``numeric``; no key: the model is a STAND-IN inside this file, served on 127.0.0.1, that behaves as the
OPRO paper (Yang et al., 2024, appendix A) reports of models: it makes the numbers smaller, because that helped at
first. Costs: nothing, about half a minute.

The function is Rosenbrock's with a = 20, b = 1: the lowest point, f = 0, is (20, 400); at (0, 0), f is 400.
"""

from __future__ import annotations

import ast
import random
import re
import zlib
from typing import Any

from llm_optimize import Box, Minimize, optimize
from llm_optimize.testing.server import ScriptedServer

TASK = "f is the height of an unknown surface over a vector of two numbers; lower is better."
QUESTION = "Which vector should be tried next?"
MAX_STEPS = 119  # with x0: 120 evaluations

x0 = "[15.0, 13.0]"

_scored = re.compile(r"(\[[^][\n]+,[^][\n]+\])(?:(?!\[).)*?score: (-?[\d.,]+(?:e[+-]?\d+)?)", re.DOTALL)


def height(text: str) -> float:
    """Return f at the vector that ``text`` holds."""
    x, y = ast.literal_eval(text.strip())
    return float((20 - x) ** 2 + (y - x * x) ** 2)


score = Minimize(height)


def stand_in(body: dict[str, Any], index: int) -> str:
    """Answer with the best vector that the prompt shows, made smaller."""
    shown = "\n".join(str(message["content"]) for message in body["messages"])
    rng = random.Random(zlib.crc32(f"{index} {shown}".encode()))
    pairs = [(float(value.replace(",", "")), vector) for vector, value in _scored.findall(shown)]
    best = ast.literal_eval(max(pairs, default=(0.0, x0))[1])
    smaller = rng.uniform(0.5, 0.95)
    return f"```\n{[round(smaller * one + rng.uniform(-0.5, 0.5), 1) for one in best]}\n```"


if __name__ == "__main__":
    with ScriptedServer(stand_in) as server:
        model = f"{server.url}#scripted"
        for name, tune in (("the model alone", None), ("the hybrid", Box(-500.0, 500.0))):
            outcome = optimize.run(TASK, QUESTION, score, x0, MAX_STEPS, model, verbose=False, tune=tune)
            print(f"{name}: f is {-outcome[0]:.3g} at {str(outcome).strip()} after {len(outcome.scores)} evaluations")
