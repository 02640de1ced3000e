"""Make ``tests/fixtures/tsp/instances.json``: 20 travelling-salesman instances per size, each with a proven optimum.

Points are whole numbers drawn evenly from [-100, 100] in both coordinates, as in OPRO's code; distances are Euclidean.
Up to 15 points the shortest tour is found by dynamic programming over all subsets (Held and Karp, 1962); beyond that by
the integer program of Dantzig, Fulkerson and Johnson (1954), solved by HiGHS (scipy) without a gap, whose constraints
against subtours are added as they are broken. Both are exact. Where the package ``elkai`` (LKH) is installed, its tours
are compared as well: none may be shorter.

Run it: ``python tests/benchmarks/make_tsp_instances.py`` (about half a minute).
"""

from __future__ import annotations

import importlib.util
import json
import math
import random
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_matrix

SIZES = (10, 15, 20, 50)
COUNT = 20
TARGET = Path(__file__).parents[1] / "fixtures" / "tsp" / "instances.json"


def points_of(n, number):
    """Return n different points."""
    dice = random.Random(f"tsp {n} {number}")
    points = []
    while len(points) < n:
        point = [dice.randint(-100, 100), dice.randint(-100, 100)]
        if point not in points:
            points.append(point)
    return points


def length(points, tour):
    """Return the length of the closed tour."""
    return math.fsum(math.dist(points[a], points[b]) for a, b in pairwise([*tour, tour[0]]))


def held_karp(points):
    """Return a shortest tour by dynamic programming over all subsets of the points behind point 0."""
    count = len(points) - 1
    away = np.array([[math.dist(p, q) for q in points] for p in points])
    masks = np.arange(2**count)
    sizes = np.array([int(mask).bit_count() for mask in masks])
    best = np.full((2**count, count), np.inf)
    came = np.zeros((2**count, count), dtype=np.int8)
    for j in range(count):
        best[1 << j, j] = away[0, j + 1]
    for size in range(2, count + 1):
        for j in range(count):
            chosen = masks[(sizes == size) & (masks >> j & 1 == 1)]
            costs = best[chosen ^ (1 << j)] + away[1:, j + 1]
            came[chosen, j] = costs.argmin(axis=1)
            best[chosen, j] = costs.min(axis=1)
    mask, tour = 2**count - 1, []
    j = int((best[mask] + away[1:, 0]).argmin())
    while mask:
        tour.append(j + 1)
        mask, j = mask ^ (1 << j), int(came[mask, j])
    return [0, *reversed(tour)]


def integer_program(points):
    """Return a shortest tour: edges chosen so that each point has two, and every subtour that appears is forbidden."""
    n = len(points)
    edges = list(combinations(range(n), 2))
    costs = np.array([math.dist(points[a], points[b]) for a, b in edges])
    rows = [[float(point in edge) for edge in edges] for point in range(n)]
    low, high = [2.0] * n, [2.0] * n
    while True:
        found = milp(
            costs,
            constraints=LinearConstraint(csr_matrix(np.array(rows)), low, high),
            integrality=np.ones(len(edges)),
            bounds=Bounds(0, 1),
            options={"mip_rel_gap": 0.0},
        )
        if not found.success:
            raise RuntimeError(found.message)
        parts = tours([edge for edge, used in zip(edges, found.x, strict=True) if used > 0.5])
        if len(parts) == 1:
            return parts[0]
        for part in parts:
            inside = set(part)
            rows.append([float(a in inside and b in inside) for a, b in edges])
            low.append(0.0)
            high.append(len(inside) - 1.0)


def tours(edges):
    """Return the cycles that the edges form."""
    beside = {}
    for a, b in edges:
        beside.setdefault(a, []).append(b)
        beside.setdefault(b, []).append(a)
    found = []
    while beside:
        here = min(beside)
        tour = []
        while here is not None:
            tour.append(here)
            around = beside.pop(here)
            here = next((one for one in around if one in beside), None)
        found.append(tour)
    return found


def by_lkh(points):
    """Return the length of LKH's tour, or infinity where elkai is not installed."""
    if importlib.util.find_spec("elkai") is None:
        return math.inf
    import elkai  # noqa: PLC0415 - only where it is installed

    named = {str(index): tuple(map(float, point)) for index, point in enumerate(points)}
    tour = [int(name) for name in elkai.Coordinates2D(named).solve_tsp(runs=20)]
    return length(points, tour[:-1])


def main():
    """Write the file."""
    instances = {}
    for n in SIZES:
        instances[str(n)] = []
        for number in range(COUNT):
            points = points_of(n, number)
            tour = held_karp(points) if n <= 15 else integer_program(points)
            if tour[1] > tour[-1]:
                tour = [0, *reversed(tour[1:])]
            optimum, rival = length(points, tour), by_lkh(points)
            print(f"{n:3} {number:3} {optimum:10.3f}  LKH {rival - optimum:+.1e}", flush=True)
            if rival < optimum - 1e-9:
                raise RuntimeError(rival)
            instances[str(n)].append({"points": points, "optimum": optimum, "tour": tour})
    TARGET.parent.mkdir(exist_ok=True)
    rows = (
        f"{json.dumps(n)}: [\n" + ",\n".join(f" {json.dumps(one)}" for one in some) + "\n]"
        for n, some in instances.items()
    )
    TARGET.write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
