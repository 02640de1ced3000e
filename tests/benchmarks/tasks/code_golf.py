"""Code golf on ten small functions with hidden tests; the seed chooses the function and draws 20 of its tests.

A program that passes every test scores minus its bytes over those of the start program, so that functions of different
length can be compared; the start scores -1. (Bytes, not characters: two letters of a program fit into one character of
a wide alphabet.) One that fails a test has no score. Expected values are worked
out here, from the start program, and never enter the sandbox (:mod:`llm_optimize.sandbox.checking`).
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from tasks.golf_functions import GOLF
from tasks.task import Task

from llm_optimize import Limits, Sandbox
from llm_optimize.scorers.code_measures import Size
from llm_optimize.scorers.code_tests import CodeTests

if TYPE_CHECKING:
    from tasks.golf_functions import Golf

    from llm_optimize.core.types import Evaluation
    from llm_optimize.scorers.code_measures import Subject

__all__ = ["Share", "make"]

_DRAWN = 20

_TASK = """x is a Python program that defines the function f: {does}.
f(x) is minus the number of bytes of x (UTF-8) divided by {size}, the number of the first program; an x that fails one
of the hidden tests has no score. Only the standard library may be imported."""


@dataclass(frozen=True, slots=True)
class Share:
    """Scores a right program by its bytes as a share of so many.

    Attributes:
        whole: bytes that score -1.
    """

    whole: int

    def __call__(self, subject: Subject, /) -> Evaluation:
        """Measure the candidate; see :class:`llm_optimize.scorers.code_measures.Measure`."""
        measured = Size("bytes")(subject)
        return replace(measured, score=measured.score / self.whole)


@cache
def _box() -> Sandbox:
    return Sandbox(limits=Limits(wall_s=10, cpu_s=10))


def _expected(golf: Golf, arguments: tuple[Any, ...]) -> Any:
    namespace: dict[str, Any] = {}
    exec(golf.start, namespace)  # our own text
    return namespace["f"](*arguments)


def make(seed: int) -> Task:
    """Return the task of the function at ``seed % 10``."""
    golf = GOLF[seed % len(GOLF)]
    dice = random.Random(f"code golf {seed}")
    inputs = [*golf.fixed, *(golf.drawn(dice) for _ in range(_DRAWN))]
    size = len(golf.start.strip())
    cases = [(arguments, _expected(golf, arguments)) for arguments in inputs]
    return Task(
        "code golf",
        _TASK.format(does=golf.does, size=size),
        "Which x should be tried next, so that it is shorter and still passes?",
        golf.start,
        CodeTests("f", cases, Share(size), box=_box()),
        language="python",
    )
