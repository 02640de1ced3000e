"""What a stand-in can do about one task: how it changes a candidate, well and badly.

A skill is a set of plain functions of texts and dice. None of them knows who asks or what has happened before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

__all__ = ["Skill"]


@dataclass(frozen=True, slots=True)
class Skill:
    """The functions of one task.

    Attributes:
        knows: whether a text looks like a candidate.
        edit: a candidate with one change of an ordinary kind, good or bad.
        leap: a candidate of quite another build.
        mend: a candidate changed as the feedback suggests; None where the feedback suggests nothing.
        repair: a candidate without the faults that keep it from being scored, as far as they can be seen in it.
        combine: a candidate made of parts of two.
        spoil: a candidate with a fault that keeps it from being scored.
        worth: how good the model believes a candidate to be: the task's true score, as what a model that thinks an
            edit through finds out. It is asked only as often as the stand-in's rate ``insight`` says.
    """

    knows: Callable[[str], bool]
    edit: Callable[[str, Random], str]
    leap: Callable[[str, Random], str]
    mend: Callable[[str, str, Random], str | None]
    repair: Callable[[str], str]
    combine: Callable[[str, str, Random], str]
    spoil: Callable[[str, Random], str]
    worth: Callable[[str], float]
