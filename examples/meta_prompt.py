"""Optimize the optimizer: which instructions make the proposing model find more in the same number of steps?

Shows: the proposer's own system prompt as a candidate like any other, scored by what it achieves on a small suite of
tasks, each at the same budget; one score per task; a scorer whose own model calls are on the account.
Needs: a chat model, which writes the instructions and works by them. Costs: for each of 6 instructions 3 tasks of 5
steps, about 95 short calls in all.
"""

from __future__ import annotations

import ast
import math

from llm_optimize import Evaluation, Failure, Usage, constants, optimize

TASK = """The text is the system prompt of an optimization assistant, which is shown attempts and scores, and answers
with a better attempt. The score says how far it gets in five steps on three tasks, from 0 (no better than the start)
to 1 (the best possible). Keep the slot {task_description}: each task's own description is put there."""
QUESTION = "Which instructions would make the assistant find better attempts in the same number of steps?"
MAX_STEPS = 5

x0 = constants.SYSTEM_PROMPT

_steps = 5
_cities = ((0, 0), (9, 1), (2, 8), (8, 8), (1, 4), (5, 9), (6, 0), (9, 5))


def _line(text: str) -> tuple[float, str]:
    """Return how well w and b fit 20 points on a line."""
    w, b = ast.literal_eval(text.strip())
    error = math.sqrt(sum((w * x + b - 7 * x - 3) ** 2 for x in range(20)) / 20)
    return 1 / (1 + error / 10), f"root mean square error {error:.3g}"


def _tour(text: str) -> tuple[float, str]:
    """Return how short a round trip through all cities is."""
    order = ast.literal_eval(text.strip())
    if sorted(order) != list(range(len(_cities))):
        message = f"name each city from 0 to {len(_cities) - 1} once"
        raise ValueError(message)
    length = sum(math.dist(_cities[a], _cities[b]) for a, b in zip(order, [*order[1:], order[0]], strict=True))
    return 30.8954 / length, f"length {length:.2f}"


def _vowels(text: str) -> tuple[float, str]:
    """Return the share of the five vowels that a sentence of at most 30 characters holds, each once."""
    counts = [text.lower().count(vowel) for vowel in "aeiou"]
    if len(text.strip()) > 30:
        return 0.0, "longer than 30 characters"
    return sum(count == 1 for count in counts) / 5, f"vowels a e i o u: {counts}"


_suite = {
    "the line": ("Find [w, b] of the line that fits unknown points.", "Which [w, b] fits better?", _line, "[1, 1]"),
    "the tour": (f"The cities are at {_cities}.", "Which round trip is shorter?", _tour, "[0, 1, 2, 3, 4, 5, 6, 7]"),
    "the vowels": ("Write a short sentence.", "Which sentence fits the rule better?", _vowels, "Go on, my old dog."),
}


def score(text: str) -> Evaluation | Failure:
    """Run the suite with these instructions; the score is the mean part of the way to the best that was gone."""
    if "{task_description}" not in text:
        return Failure("bad_candidate", "the slot {task_description} is lost: the assistant would not see the task")
    gains, notes, usage = [], [], Usage()
    for name, (task, question, func, start) in _suite.items():
        found = optimize.run(
            task, question, func, x0=start, max_steps=_steps, system_prompt=text, verbose=False, store=None
        )
        if found.error is not None:
            raise found.error  # the endpoint's trouble is no property of the instructions
        first, best = found.scores[0], found.best_score
        gains.append((best - first) / (1 - first))
        notes.append(f"{name}: from {first:.3f} to {best:.3f} in {_steps} steps ({found.best.feedback})")
        usage += found.usage
    return Evaluation(sum(gains) / len(gains), "\n".join(notes), examples=tuple(gains), usage=usage)


if __name__ == "__main__":
    result = optimize.run(TASK, QUESTION, score, x0=x0, max_steps=MAX_STEPS)
    print(f"\n{result}\n\nscore {result.best_score:.3f}, {result.usage.calls} calls")
