"""Pack 26 circles into the unit square so that their radii add up to as much as possible.

Shows: a program judged by what it returns: it runs in the sandbox, and whether its circles overlap is decided here, in
exact arithmetic. Numbers marked in it are tuned by the numeric engine.
Needs: the extra ``numeric``, for the programs as well; a chat model, or the engine tunes the marked numbers alone.
Costs: 60 evaluations, and where there is a model some six calls, about 10,000 tokens in all.

The best sum in the literature is 2.63598; nobody has proven that there is no better one.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

from llm_optimize import Evaluation, Failure, Limits, Sandbox, optimize

_COUNT = 26
_SLACK = Fraction(1, 10**12)  # circles that touch overlap by the rounding of a float, which is far less
TASK = f"""x is Python code that defines pack(), a function that returns a list of {_COUNT} circles (x, y, radius)
inside the unit square that do not overlap. f(x) is the sum of the radii. Only the standard library, numpy and scipy may
be used; x has ten seconds. Mark numbers worth tuning, as in: gap = 0.1  # tune: gap=0.05..0.2"""
QUESTION = "Which x should be tried next, so that the sum of the radii rises?"
MAX_STEPS = 60

x0 = """
def pack():
    rows = [5, 6, 5, 5, 5]
    edge = 0.12  # tune: edge=0.05..0.15
    shift = 0.01  # tune: shift=-0.05..0.05
    centres = []
    for i, n in enumerate(rows):
        y = edge + (1 - 2 * edge) * i / (len(rows) - 1)
        centres += [(edge + (1 - 2 * edge) * j / (n - 1) + shift * (-1) ** i, y) for j in range(n)]
    circles = []
    for x, y in centres:
        nearest = min(((x - u) ** 2 + (y - v) ** 2) ** 0.5 for u, v in centres if (u, v) != (x, y))
        circles.append((x, y, min(x, y, 1 - x, 1 - y, nearest / 2)))
    return circles
"""

_box = Sandbox(preload=["numpy", "scipy.optimize"], limits=Limits(wall_s=10, cpu_s=10))


def wrong(circles: object) -> str:
    """Return what is wrong with the circles, or nothing; floats are compared as the fractions that they are."""
    if not isinstance(circles, list) or len(circles) != _COUNT:
        return f"pack() returns no list of {_COUNT} circles"
    for one in circles:
        if not isinstance(one, list) or [type(value) in (int, float) for value in one] != [True] * 3:
            return f"{str(one)[:60]} is no circle (x, y, radius) of three numbers"
        if not all(0 <= value <= 1 for value in one) or one[2] == 0:  # NaN is not between 0 and 1 either
            return f"{str(one)[:60]} has a number that is not between 0 and 1, or no radius"
    exact = [tuple(map(Fraction, one)) for one in circles]
    for x, y, radius in exact:
        if min(x, y) < radius - _SLACK or max(x, y) > 1 - radius + _SLACK:
            return f"the circle at ({float(x):.6g}, {float(y):.6g}) leaves the square"
    for (x, y, one), (u, v, other) in combinations(exact, 2):
        reach = one + other - _SLACK
        if reach > 0 and (x - u) ** 2 + (y - v) ** 2 < reach**2:
            return f"the circles at ({float(x):.6g}, {float(y):.6g}) and ({float(u):.6g}, {float(v):.6g}) overlap"
    return ""


def score(text: str) -> Evaluation | Failure:
    """Return the sum of the radii that the program's circles have."""
    done = _box.call(text, "pack")
    if not done.ok:
        return Failure(done.reason, done.message)
    result = done.values["result"]
    circles = result.tolist() if hasattr(result, "tolist") else result
    problem = wrong(circles)
    return Failure("wrong", problem) if problem else Evaluation(float(sum(Fraction(one[2]) for one in circles)))


if __name__ == "__main__":
    print(optimize.run(TASK, QUESTION, score, x0=x0, max_steps=MAX_STEPS))
