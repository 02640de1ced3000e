"""The functions that the numeric benchmark minimizes: the suite, and a held-out set on which nothing was chosen.

Five dimensions where a function has no dimension of its own: the middle one of COCO's (2, 3, 5, 10, 20, 40), Hansen et
al., "COCO: a platform for comparing continuous optimizers in a black-box setting", 2021. Ranges are the usual ones
(Surjanovic and Bingham's virtual library of simulation experiments). Each function is moved by a vector drawn from the
seed where it can be moved, so that no optimum lies in the middle of its box, and each seed has a start of its own,
drawn evenly from the box. Values are regrets: the distance from the lowest value there is.
"""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.text.domains import Choice, Domain, Integer, Real, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["HELD_OUT", "SUITE", "Task", "task"]

DIMENSIONS = 5
_Vector = list[float]


@dataclass(frozen=True)
class Task:
    """A problem for one seed.

    Attributes:
        domains: what may be tuned, by name.
        start: the values to begin with.
        regret: values -> how far from the best value, 0 or above.
    """

    domains: dict[str, Domain]
    start: tuple[Value, ...]
    regret: Callable[[Sequence[Any]], float]


def task(name: str, seed: int) -> Task:
    """Return the problem of this name for one seed; equal arguments give equal problems."""
    rng = random.Random(f"{name} {seed}")
    domains, regret = {**SUITE, **HELD_OUT}[name](rng)
    return Task(domains, tuple(domain.at(rng.random()) for domain in domains.values()), regret)


_Made = tuple[dict[str, Domain], "Callable[[Sequence[Any]], float]"]


def _moved(
    function: Callable[[_Vector], float], low: float, high: float, shift: float
) -> Callable[[random.Random], _Made]:
    """Return the maker of ``function`` in five dimensions, moved by up to ``shift`` along each axis."""

    def make(rng: random.Random) -> _Made:
        by = [rng.uniform(-shift, shift) for _ in range(DIMENSIONS)]
        domains: dict[str, Domain] = {f"x{i}": Real(low, high) for i in range(DIMENSIONS)}
        return domains, lambda x: function([a - b for a, b in zip(x, by, strict=True)])

    return make


def _fixed(function: Callable[[_Vector], float], *ranges: tuple[float, float]) -> Callable[[random.Random], _Made]:
    domains: dict[str, Domain] = {f"x{i}": Real(*one) for i, one in enumerate(ranges)}
    return lambda _: (domains, lambda x: function(list(x)))


def sphere(x: _Vector) -> float:
    """The sum of squares."""
    return sum(a * a for a in x)


def rosenbrock(x: _Vector) -> float:
    """The curved valley, lowest at (1, ..., 1)."""
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in itertools.pairwise(x))


def rastrigin(x: _Vector) -> float:
    """A bowl with a hollow at each whole number."""
    return sum(10 + a * a - 10 * math.cos(2 * math.pi * a) for a in x)


def branin(x: _Vector) -> float:
    """Three equal optima."""
    u, v = x
    valley = (v - 5.1 / (4 * math.pi**2) * u * u + 5 / math.pi * u - 6) ** 2
    return valley + 10 * (1 - 1 / (8 * math.pi)) * math.cos(u) + 10 - 0.39788735772973816


_ALPHA = (1.0, 1.2, 3.0, 3.2)
_A6 = ((10, 3, 17, 3.5, 1.7, 8), (0.05, 10, 17, 0.1, 8, 14), (3, 3.5, 1.7, 10, 17, 8), (17, 8, 0.05, 10, 0.1, 14))
_P6 = (
    (0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886),
    (0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991),
    (0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.6650),
    (0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381),
)
_LOWEST_HARTMANN = 3.322368011415515


def hartmann(x: _Vector) -> float:
    """Four hollows of different depth in six dimensions."""
    rows = zip(_ALPHA, _A6, _P6, strict=True)
    hollows = (
        alpha * math.exp(-sum(a * (one - p) ** 2 for a, one, p in zip(scale, x, place, strict=True)))
        for alpha, scale, place in rows
    )
    return max(0.0, _LOWEST_HARTMANN - sum(hollows))


def mixed(rng: random.Random) -> _Made:
    """A float on a logarithmic scale, two whole numbers and an option that moves the best float."""
    exponent, k, depth = rng.uniform(-1, 1), rng.randint(4, 17), rng.randint(2, 9)
    kernels = ["rbf", "poly", "linear"]
    rng.shuffle(kernels)
    domains = {"c": Real(0.01, 100, log=True), "k": Integer(1, 20), "depth": Integer(1, 10)}

    def regret(values: Sequence[Any]) -> float:
        c, neighbours, levels, kernel = values
        rank = kernels.index(kernel)
        whole = ((neighbours - k) / 6) ** 2 + ((levels - depth) / 4) ** 2
        return float(whole + (math.log10(c) - exponent - 0.3 * rank) ** 2 + 0.2 * rank)

    return {**domains, "kernel": Choice(("rbf", "poly", "linear"))}, regret


def ackley(x: _Vector) -> float:
    """A narrow funnel in a rippled plain."""
    root, waves = math.sqrt(sphere(x) / len(x)), sum(math.cos(2 * math.pi * a) for a in x) / len(x)
    return 20 - 20 * math.exp(-0.2 * root) + math.e - math.exp(waves)


def levy(x: _Vector) -> float:
    """Parallel valleys, lowest at (1, ..., 1)."""
    w = [1 + (a - 1) / 4 for a in x]
    middle = sum((a - 1) ** 2 * (1 + 10 * math.sin(math.pi * a + 1) ** 2) for a in w[:-1])
    return math.sin(math.pi * w[0]) ** 2 + middle + (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)


def styblinski_tang(x: _Vector) -> float:
    """Two hollows along each axis, the lower one at -2.9035."""
    return sum(0.5 * (a**4 - 16 * a * a + 5 * a) + 39.16616570377142 for a in x)


def camel(x: _Vector) -> float:
    """Six hollows, two of them lowest."""
    u, v = x
    return (4 - 2.1 * u * u + u**4 / 3) * u * u + u * v + (4 * v * v - 4) * v * v + 1.0316284534898772


def mixed_branches(rng: random.Random) -> _Made:
    """Two options choose between three functions of two floats and how a whole number enters; Ru et al. 2020, alike."""
    moved, best = [rng.uniform(-1, 1) for _ in range(2)], rng.randint(2, 11)
    shapes, ways = ["a", "b", "c"], ["plain", "steep"]
    rng.shuffle(shapes)
    domains = {"u": Real(-3, 3), "v": Real(-3, 3), "n": Integer(1, 12)}

    def regret(values: Sequence[Any]) -> float:
        u, v, n, shape, way = values
        x = [u - moved[0], v - moved[1]]
        functions = (sphere, lambda z: camel([z[0] / 1.5, z[1] / 1.5]) + 0.3, lambda z: rosenbrock(z) / 20 + 0.6)
        count = abs(n - best) / 4
        return float(functions[shapes.index(shape)](x) + (count * count if way == "plain" else 2 * count + 0.1))

    return {**domains, "shape": Choice(("a", "b", "c")), "way": Choice(tuple(ways))}, regret


SUITE: dict[str, Callable[[random.Random], _Made]] = {
    "sphere 5": _moved(sphere, -5, 5, 4),
    "rosenbrock 5": _moved(rosenbrock, -5, 10, 2),
    "rastrigin 5": _moved(rastrigin, -5.12, 5.12, 4),
    "branin 2": _fixed(branin, (-5, 10), (0, 15)),
    "hartmann 6": _fixed(hartmann, *[(0.0, 1.0)] * 6),
    "mixed 4": mixed,
}
"""What the engines are compared on; choices in our own were looked at here, on seeds 0 to 2."""

HELD_OUT: dict[str, Callable[[random.Random], _Made]] = {
    "ackley 5": _moved(ackley, -32.768, 32.768, 25),
    "levy 5": _moved(levy, -10, 10, 6),
    "styblinski 5": _moved(styblinski_tang, -5, 5, 1.5),
    "camel 2": _fixed(camel, (-3, 3), (-2, 2)),
    "branches 5": mixed_branches,
}
"""What no choice was looked at on."""
