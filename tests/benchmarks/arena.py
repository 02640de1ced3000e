"""Where searches meet: one task, one stand-in model, one scorer that counts, and what each search makes of them.

Every system gets the same numbers: a task's score on a scale from 0 (failed) to 1, since some of them take a failure
for 0 and cannot work with scores below it. What counts is what the scorer was asked: each call is one evaluation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from standins.model import RATES, Rates, Said, StandIn
from standins.reading import inner
from standins.skills import FAST, SKILLS
from tasks.automl import Automl
from tasks.registry import TASKS

from llm_optimize import Limits, Sandbox
from llm_optimize.core.types import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasks.task import Task

    from llm_optimize.scorers.code_tests import CodeTests

__all__ = ["SCALES", "Arena", "Judged", "Meter", "Point", "judge", "unit"]

SCALES: dict[str, tuple[tuple[float, float], ...]] = {
    "circle packing": ((0.0, 0.0), (2.7, 1.0)),
    "sorting network": ((-317, 0.0), (-61, 0.3), (-60, 0.4), (-32, 0.6), (-19, 1.0)),
    "symbolic regression": ((-1e6, 0.0), (-10, 0.05), (-2.0, 0.2), (-1.0, 0.3), (-0.1, 0.8), (0.0, 1.0)),
    "automl": ((0.0, 0.0), (1.0, 1.0)),
    "code golf": ((-3.0, 0.0), (-1.0, 0.3), (0.0, 1.0)),
    "text instruction": ((0.0, 0.0), (1.0, 1.0)),
}
"""Corners of a rising line from a task's score to 0..1."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What the scorer says: 0..1, 0 for a failure; words; whether it failed."""

    value: float
    feedback: str
    failed: bool


@dataclass(frozen=True, slots=True)
class Point:
    """The state after one evaluation: calls of the model and of the scorer so far, and the best value."""

    calls: int
    evaluations: int
    best: float


def unit(name: str, score: float) -> float:
    """Put a task's score on the scale from 0 to 1."""
    corners = SCALES[name]
    for (low, bottom), (high, top) in pairwise(corners):
        if score <= high:
            return bottom + (top - bottom) * max(0.0, score - low) / (high - low)
    return corners[-1][1]


@lru_cache(maxsize=4)
def _task(name: str, seed: int) -> Task:
    task = TASKS[name](seed)
    if name == "automl":  # one of its three data sets, the one with the most classes: the others cost time alone
        return replace(task, score=Automl({"digits": cast("Automl", task.score).parts["digits"]}))
    if name == "code golf":  # a right program takes milliseconds, and an edit in twenty never ends
        return replace(task, score=replace(cast("CodeTests", task.score), box=_box()))
    return task


@cache
def _box() -> Sandbox:
    return Sandbox(limits=Limits(wall_s=20, cpu_s=0.3))


@lru_cache(maxsize=200_000)
def judge(name: str, seed: int, text: str) -> Judged:
    """Score a text; marker lines of regions are no part of it. The same text is scored once in a process."""
    text = inner(text)
    task = _task(name, seed)
    outcome = FAST[name](task, text) if name in FAST else None
    if outcome is None:
        outcome = task.score(text)
    if isinstance(outcome, Failure):
        return Judged(0.0, f"failed: {outcome.message}", failed=True)
    return Judged(unit(name, float(outcome.score)), outcome.feedback, failed=False)


class Meter:
    """Counts what is asked of the scorer and of the model."""

    def __init__(self, judged: Callable[[str], Judged]) -> None:
        """Begin at nothing."""
        self.calls = 0
        self.points: list[Point] = []
        self.texts: set[str] = set()
        self._judged = judged

    @property
    def evaluations(self) -> int:
        """How often the scorer was asked."""
        return len(self.points)

    def score(self, text: str) -> Judged:
        """Score a text and count it."""
        judged = self._judged(text)
        self.texts.add(inner(text))
        self.add(judged.value)
        return judged

    def add(self, value: float) -> None:
        """Count an evaluation that was made elsewhere."""
        best = max(value, self.points[-1].best if self.points else 0.0)
        self.points.append(Point(self.calls, len(self.points) + 1, best))


class Arena:
    """One task and seed, with a model and a meter of its own.

    Attributes:
        task: what is to be done.
        meter: counts.
        seed: of the task's instance, the stand-in and the system.
        limit: evaluations, or calls of the model, that may be spent; the system stops there as well as it can.
        by: which of the two.
    """

    def __init__(self, name: str, seed: int, limit: int, by: str = "evaluations", rates: Rates = RATES) -> None:
        """Begin with nothing spent."""
        self.task = _task(name, seed)
        self.seed = seed
        self.limit = limit
        self.by = by
        self.meter = Meter(self.judged)
        self._model = StandIn(SKILLS[name](lambda text: self.judged(text).value, self.task), seed, rates)

    @property
    def spent(self) -> bool:
        """Whether the limit is reached."""
        return (self.meter.evaluations if self.by == "evaluations" else self.meter.calls) >= self.limit

    def judged(self, text: str) -> Judged:
        """Score a text without counting it."""
        return judge(self.task.name, self.seed, text)

    def ask(self, messages: Sequence[tuple[str, str]]) -> Said:
        """Ask the model, and count it."""
        self.meter.calls += 1
        return self._model(messages)

    def best(self) -> float:
        """Return the best value within the limit; what came later does not count."""
        return [point for point in self.meter.points if getattr(point, self.by) <= self.limit][-1].best
