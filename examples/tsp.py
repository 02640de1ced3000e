"""Find a short round trip through twenty cities: the second experiment of the OPRO paper (Yang et al., 2023).

Shows: a candidate that is a list, checked before it is scored, so that a trip which leaves a city out is told so and
has no score; ``Minimize`` for a length.
Needs: a chat model. Costs: thirty model calls, about 60,000 tokens in all.

``tests/benchmarks/bench_opro.py`` runs eighty such problems, whose shortest trips are proven, beside two heuristics.
"""

from __future__ import annotations

import math
import random
from itertools import pairwise

from llm_optimize import Minimize, optimize

_dice = random.Random(3)
_cities = [(_dice.randint(-100, 100), _dice.randint(-100, 100)) for _ in range(20)]

TASK = f"""x is a round trip through the cities 0 to {len(_cities) - 1}, written as their numbers with commas between;
it begins at 0, visits every city once and goes back to 0. Where they lie: {dict(enumerate(_cities))}.
f(x) is minus the length of the trip."""
QUESTION = "Which trip should be tried next, so that it is shorter?"
MAX_STEPS = 30

x0 = ",".join(map(str, range(len(_cities))))


def length(text: str) -> float:
    """Return the length of the round trip that ``text`` describes."""
    trip = [int(number) for number in text.split(",")]
    missing = sorted(set(range(len(_cities))) - set(trip))
    if missing or len(trip) != len(_cities) or trip[0] != 0:
        msg = f"a trip begins at 0 and visits every city once; this one has {len(trip)} stops and misses {missing}"
        raise ValueError(msg)
    return sum(math.dist(_cities[a], _cities[b]) for a, b in pairwise([*trip, 0]))


score = Minimize(length)

if __name__ == "__main__":
    print(optimize.run(TASK, QUESTION, score, x0=x0, max_steps=MAX_STEPS))
