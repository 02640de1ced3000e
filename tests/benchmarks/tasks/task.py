"""A task of the benchmark: what a user would hand to ``optimize.run``, as one value, made for a seed.

Every task is scored exactly: whatever a candidate does, it gets the score that it deserves or a ``Failure``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from llm_optimize.core.types import Evaluation, Failure

__all__ = ["Make", "Task"]


@dataclass(frozen=True, slots=True)
class Task:
    """One task, for one seed.

    Attributes:
        name: of the task, the same for every seed; its key in ``TASKS``.
        task: the situation and the goal, as the model reads them.
        question: what is asked after each attempt.
        start: the first candidate, which has a score.
        score: text in; an Evaluation (higher is better) or a Failure out; never raises on account of a candidate.
            Safe for several threads. The same text has the same score, unless it is a program that draws lots. A data
            set's scorer also has ``examples`` and ``on(examples)``, as
            :class:`~llm_optimize.scorers.prompt_task.PromptTask` has.
        best: the highest score that can be had, where it is known; else None.
        language: what a candidate is written in.
        numbers: the argument ``tune`` of ``optimize.run``; None means those that are marked in the text, if any.
    """

    name: str
    task: str
    question: str
    start: str
    score: Callable[[str], Evaluation | Failure]
    best: float | None = None
    language: Literal["python", "text", "json"] = "text"
    numbers: Any = None


Make = Callable[[int], Task]
"""Makes the task for a seed: instance, split or start text differ by seed where the module says so, else nothing."""
