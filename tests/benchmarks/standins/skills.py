"""What the stand-ins can do, task by task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from standins import formula, instruction, packing, sorting

if TYPE_CHECKING:
    from collections.abc import Callable

    from standins.skill import Skill

__all__ = ["FAST", "SKILLS"]

SKILLS: dict[str, Callable[[Callable[[str], float]], Skill]] = {
    "circle packing": packing.make,
    "sorting network": sorting.make,
    "symbolic regression": formula.make,
    "text instruction": instruction.make,
}
"""A task's name to a function of its true score; see :class:`standins.skill.Skill`."""

FAST = {"circle packing": packing.fast}
"""Tasks whose candidates may be scored without a process of their own where a stand-in wrote them."""
