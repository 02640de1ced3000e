"""Make a function faster: its answers to numbers that it cannot know are checked, and their time against x0's counts.

Shows: the scorer ``CodeTests`` with ``Speed``: wrong answers are refused, and processor time is counted by the
kernel, because what a program says about its own speed is its own word.
Needs: a chat model. Costs: five model calls, about 6,000 tokens in all. The score is how many times faster than x0 a
program is; every timing is repeated, in turn with x0, because timings are noisy.
"""

from __future__ import annotations

import math
import random

from llm_optimize import optimize
from llm_optimize.scorers.code_measures import Speed
from llm_optimize.scorers.code_tests import CodeTests

TASK = """x defines the Python function is_prime(n), which says, as True or False, whether the integer n is prime, for
0 <= n < 50,000. f(x) is how many times less processor time than a plain trial division it takes for 2,000 different
numbers, the running of x itself included; one wrong answer and it fails. Only the standard library may be imported."""
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


def _prime(n: int) -> bool:
    return n > 1 and all(n % divisor for divisor in range(2, math.isqrt(n) + 1))


_cases = [((n,), _prime(n)) for n in _numbers]
# Two hundred one by one, so that the first wrong answer can be told; then all at once, timed and checked as well.
score = CodeTests("is_prime", _cases[:200], Speed(x0, _cases, repeats=3, clock="cpu"))

if __name__ == "__main__":
    result = optimize.run(TASK, QUESTION, score, x0=x0, max_steps=MAX_STEPS)
    print(f"\n{result}\n\n{result.verdict}")
