"""What the stand-ins can do, task by task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standins import formula, golf, instruction, learning, packing, sorting

if TYPE_CHECKING:
    from collections.abc import Callable

    from standins.skill import Skill
    from tasks.task import Task

    from llm_optimize.core.types import Evaluation, Failure

__all__ = ["FAST", "SKILLS"]

SKILLS: dict[str, Callable[[Callable[[str], float], Task], Skill]] = {
    "circle packing": packing.make,
    "sorting network": sorting.make,
    "symbolic regression": formula.make,
    "automl": learning.make,
    "code golf": golf.make,
    "text instruction": instruction.make,
}
"""A task's name to a function of its true score and the task; see :class:`standins.skill.Skill`."""

FAST: dict[str, Callable[[Task, str], Evaluation | Failure | None]] = {
    "circle packing": packing.fast,
    "automl": learning.fast,
}
"""Tasks whose candidates are scored without a process of their own where a stand-in wrote them."""
