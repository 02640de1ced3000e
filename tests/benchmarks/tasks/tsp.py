"""OPRO's travelling salesman (Yang et al., 2023, table 3): seeded instances, their proven optima, and two heuristics.

The instances lie in ``tests/fixtures/tsp/instances.json``; ``tests/benchmarks/make_tsp_instances.py`` made them. A
candidate is a trace through all points that begins at 0, or, for a numeric engine, ``keys:`` and a number for each
other point, which are visited in the order of their numbers (random keys; Bean, ORSA Journal on Computing 6, 1994).
"""

from __future__ import annotations

import json
import math
import random
import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.core.types import Evaluation, Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llm_optimize.core.types import Trial

__all__ = [
    "BEST_SHOWN", "COUNT", "SIZES", "Tsp", "as_keys", "farthest_insertion", "instance", "nearest_neighbour",
    "read_trace", "written",
]  # fmt: skip

SIZES = (10, 15, 20, 50)
COUNT = 20
"""Instances per size."""

BEST_SHOWN = 10
"""Traces that a prompt shows at most."""

_STARTS = 5
_FILE = Path(__file__).parents[2] / "fixtures" / "tsp" / "instances.json"
_TRACE = re.compile(r"<trace>([^<]*)</trace>", re.IGNORECASE)
_LISTED = re.compile(r"[0-9]+(?:\s*(?:,|->|\s)\s*[0-9]+)+")
_KEYS = re.compile(r"\s*keys:\s*([-+0-9.eE,\s]+)")

_BEFORE = """These are points, by number, with their coordinates: {points}. Below are traces through them with their
lengths, the longest first and the shortest last; shorter is better."""
_AFTER = """Give one new trace that is none of those above and shorter than any of them. It visits every point exactly
once, beginning at 0, and is written between <trace> and </trace>."""


@dataclass(frozen=True, slots=True)
class Tsp:
    """One instance.

    Attributes:
        points: coordinates.
        optimum: the length of a shortest closed tour, proven.
        tour: one of that length, beginning at 0.
        number: of the instance among those of its size; seeds the starts.
    """

    points: tuple[tuple[int, int], ...]
    optimum: float
    tour: tuple[int, ...]
    number: int

    def length(self, tour: Sequence[int]) -> float:
        """Return the length of a closed tour."""
        return math.fsum(math.dist(self.points[a], self.points[b]) for a, b in pairwise([*tour, tour[0]]))

    def gap(self, tour: Sequence[int]) -> float:
        """Return by how much a tour is longer than the optimum, as a share of it; 0 for the optimum."""
        return self.length(tour) / self.optimum - 1

    @property
    def starts(self) -> tuple[tuple[int, ...], ...]:
        """Five random traces to begin with."""
        dice = random.Random(f"starts {len(self.points)} {self.number}")
        others = range(1, len(self.points))
        return tuple((0, *dice.sample(others, len(others))) for _ in range(_STARTS))

    def __call__(self, text: str) -> Evaluation | Failure:
        """Score a candidate: minus its length."""
        tour = read_trace(text, len(self.points))
        if tour is None:
            return Failure("trace", f"there is no trace through all of 0 to {len(self.points) - 1}, each once, from 0")
        length = self.length(tour)
        return Evaluation(-length, f"the length is {int(length)}", {"gap": self.gap(tour)})

    def prompt(self, trials: Sequence[Trial]) -> str:
        """Return the prompt: the points, then the best traces, longest first, lengths cut to whole numbers.

        Args:
            trials: those to be shown, best first, each with a score.
        """
        points = ", ".join(f"({index}): ({x}, {y})" for index, (x, y) in enumerate(self.points))
        shown = "\n\n".join(
            f"{written(read_trace(trial.text, len(self.points)) or ())}\nlength:\n{int(-(trial.score or 0))}"
            for trial in reversed(trials)
        )
        return f"{_BEFORE.format(points=points)}\n\n{shown}\n\n{_AFTER}"


def read_trace(text: str, n: int) -> tuple[int, ...] | None:
    """Return the trace of a candidate or a reply, None if it holds none that visits 0 to n - 1 once, from 0.

    The last tagged trace counts; without tags the last list of numbers; a 0 at the end that closes the tour is taken
    off.

    Example:
        >>> read_trace("Shorter: <trace>0,2,1</trace>", 3), read_trace("<trace>0,2</trace>", 3)
        ((0, 2, 1), None)
        >>> read_trace("keys: 0.9, 0.1", 3)
        (0, 2, 1)
    """
    keyed = _KEYS.fullmatch(text)
    if keyed:
        return _by_keys(keyed[1], n)
    listed = _TRACE.findall(text) or _LISTED.findall(text)
    if not listed:
        return None
    tour = tuple(map(int, re.findall("[0-9]+", listed[-1])))
    tour = tour[:-1] if len(tour) == n + 1 and tour[-1] == 0 else tour
    return tour if tour[:1] == (0,) and sorted(tour) == list(range(n)) else None


def _by_keys(listed: str, n: int) -> tuple[int, ...] | None:
    try:
        keys = [float(key) for key in listed.split(",")]
    except ValueError:
        return None
    if len(keys) != n - 1 or not all(map(math.isfinite, keys)):
        return None
    return (0, *sorted(range(1, n), key=lambda point: keys[point - 1]))


def written(tour: Sequence[int]) -> str:
    """Return a tour as a candidate's text."""
    return f"<trace>{','.join(map(str, tour))}</trace>"


def as_keys(tour: Sequence[int]) -> str:
    """Return a tour as random keys, evenly spread over 0 to 1, for a numeric engine to tune."""
    rank = {point: place for place, point in enumerate(tour)}
    return "keys: " + ", ".join(f"{rank[point] / len(tour):.4f}" for point in range(1, len(tour)))


def nearest_neighbour(points: Sequence[tuple[int, int]]) -> list[int]:
    """Return the tour from 0 that goes on to the nearest point not yet visited."""
    tour, left = [0], set(range(1, len(points)))
    while left:
        tour.append(min(left, key=lambda point: (math.dist(points[tour[-1]], points[point]), point)))
        left.remove(tour[-1])
    return tour


def farthest_insertion(points: Sequence[tuple[int, int]]) -> list[int]:
    """Return the tour from 0 into which the point farthest from it is put, where it lengthens the tour least."""
    tour, away = [0], {point: math.dist(points[0], points[point]) for point in range(1, len(points))}
    while away:
        point = max(away, key=lambda one: (away[one], -one))
        del away[point]
        place = min(range(len(tour)), key=_lengthening(points, tour, point))
        tour.insert(place + 1, point)
        away = {one: min(dist, math.dist(points[one], points[point])) for one, dist in away.items()}
    return tour


def _lengthening(points: Sequence[tuple[int, int]], tour: Sequence[int], point: int) -> Callable[[int], float]:
    def by(place: int) -> float:
        a, b = points[tour[place]], points[tour[(place + 1) % len(tour)]]
        return math.dist(a, points[point]) + math.dist(points[point], b) - math.dist(a, b)

    return by


@cache
def _instances() -> Any:
    return json.loads(_FILE.read_text(encoding="utf-8"))


def instance(n: int, number: int) -> Tsp:
    """Return an instance of n points, number 0 to 19.

    Raises:
        KeyError: there are none of that size.
    """
    row = _instances()[str(n)][number]
    points = tuple((x, y) for x, y in row["points"])
    return Tsp(points, row["optimum"], tuple(row["tour"]), number)
