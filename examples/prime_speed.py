"""Make a function faster: its answers to numbers that it cannot know are checked, then what they took is the score.

Shows: ``Sandbox.call``; a scorer that refuses wrong answers; time by the host's clock, because what a program says
about its own speed is its own word.
Needs: a chat model. Costs: five model calls, about 6,000 tokens in all. The score is -log10 of the seconds, so 1 more
is ten times faster; a timing is noisy, and the few milliseconds that it takes to start a program are part of it.
"""

from __future__ import annotations

import math
import random
from functools import cache

from llm_optimize import Evaluation, Failure, Sandbox, optimize

TASK = """x defines the Python function is_prime(n), which says whether the integer n, 0 <= n < 50,000, is prime.
f(x) is -log10 of the seconds that 2,000 calls with different numbers take, the running of x itself included; one
wrong answer and it fails. Only the standard library may be imported."""
QUESTION = "Which x should be tried next, so that is_prime gets faster and stays right?"
MAX_STEPS = 5

x0 = """
def is_prime(n):
    if n < 2:
        return False
    for divisor in range(2, n):
        if n % divisor == 0:
            return False
    return True
"""

_numbers = [0, 1, 2, 3, 4, 9, 25, 561, 1105, *random.Random(7).sample(range(50_000), 1991)]
_timing = """

def answers(numbers):
    return [bool(is_prime(n)) for n in numbers]
"""


@cache
def _sandbox() -> Sandbox:
    return Sandbox()


def _prime(n: int) -> bool:
    return n > 1 and all(n % divisor for divisor in range(2, math.isqrt(n) + 1))


def score(source: str) -> Evaluation | Failure:
    """Ask for all numbers at once, check every answer, and take the time."""
    done = _sandbox().call(source + _timing, "answers", args=(_numbers,))
    if not done.ok:
        return Failure(done.reason, done.message)
    answers = done.values["result"]
    wrong = [n for n, answer in zip(_numbers, answers, strict=True) if answer is not _prime(n)]
    if wrong:
        return Failure("wrong", f"{len(wrong)} of {len(_numbers)} answers are wrong, that for {wrong[0]} among them")
    return Evaluation(-math.log10(done.seconds), f"{done.seconds * 1000:.1f} ms for {len(_numbers)} right answers")


if __name__ == "__main__":
    result = optimize.run(TASK, QUESTION, score, x0=x0, max_steps=MAX_STEPS)
    print(f"\n{result}\n\n{result.verdict}")
