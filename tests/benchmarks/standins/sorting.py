"""How a stand-in changes a sorting network: it drops, moves, swaps and adds comparators.

Dropping one comparator of a network that sorts seldom leaves one that sorts, and the fewer there are the more seldom: a
shorter network is mostly reached over others of the same length, built otherwise, or by mending one that is too short.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from standins.skill import Skill
from tasks import sorting_network

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tasks.task import Task

__all__ = ["make"]

Pairs = list[tuple[int, int]]

_PAIR = re.compile(r"\((\d+), ?(\d+)\)")
_INPUT = re.compile(r"the first is ([01 ]+)")
_FEWEST = 8  # pairs that make a text look like a network


def make(worth: Callable[[str], float], _: Task) -> Skill:
    """Return the skill; ``worth`` scores a text."""
    return Skill(_knows, _on_pairs(_edit), _on_pairs(_leap), _mend, _repair, _combine, _spoil, worth)


def _knows(text: str) -> bool:
    return len(_PAIR.findall(text)) >= _FEWEST and not _PAIR.sub("", text).strip(" \n,;[](0123456789")


def _pairs(text: str) -> Pairs:
    return [(int(i), int(j)) for i, j in _PAIR.findall(text)]


def _text(pairs: Pairs) -> str:
    return " ".join(f"({i}, {j})" for i, j in pairs)


def _on_pairs(change: Callable[[Pairs, Random], Pairs]) -> Callable[[str, Random], str]:
    return lambda text, dice: _text(change(_pairs(text), dice))


def _any(dice: Random) -> tuple[int, int]:
    i, j = sorted(dice.sample(range(sorting_network.CHANNELS), 2))
    return i, j


def _edit(pairs: Pairs, dice: Random) -> Pairs:
    """Drop one comparator (most often), drop one and put another elsewhere, move one, or exchange one."""
    new = list(pairs)
    kind = dice.choices(("drop", "replace", "move", "exchange", "add"), (45, 20, 15, 15, 5))[0]
    at = dice.randrange(len(new))
    if kind == "drop":
        del new[at]
    elif kind == "replace":
        del new[at]
        new.insert(dice.randrange(len(new) + 1), _any(dice))
    elif kind == "move":
        one = new.pop(at)
        new.insert(dice.randrange(len(new) + 1), one)
    elif kind == "exchange":
        new[at] = _any(dice)
    else:
        new.insert(at, _any(dice))
    return new or pairs


def _leap(pairs: Pairs, dice: Random) -> Pairs:
    """Begin with another first layers that many good networks have, and keep the rest of what there is."""
    opening = dice.choice((
        [(0, 1), (2, 3), (4, 5), (6, 7), (0, 2), (1, 3), (4, 6), (5, 7)],
        [(0, 4), (1, 5), (2, 6), (3, 7), (0, 2), (1, 3), (4, 6), (5, 7)],
        [(0, 7), (1, 6), (2, 5), (3, 4), (0, 3), (4, 7), (1, 2), (5, 6)],
    ))  # fmt: skip
    return opening + pairs[dice.randrange(4, 9) :]


def _mend(text: str, feedback: str, dice: Random) -> str | None:
    """Put in a comparator that the unsorted input in the feedback needs, at some place in the second half."""
    said = _INPUT.search(feedback)
    if said is None:
        return None
    values = [int(one) for one in said[1].split()]
    pairs = _pairs(text)
    for i, j in pairs:
        if i < j < len(values) and values[i] > values[j]:
            values[i], values[j] = values[j], values[i]
    wrong = [(i, j) for i in range(len(values)) for j in range(i + 1, len(values)) if values[i] > values[j]]
    if not wrong:
        return None
    pairs.insert(dice.randrange(len(pairs) // 2, len(pairs) + 1), dice.choice(wrong))
    return _text(pairs)


def _repair(text: str) -> str:
    return _text([(i, j) for i, j in _pairs(text) if i < j < sorting_network.CHANNELS])


def _combine(one: str, other: str, dice: Random) -> str:
    first, second = _pairs(one), _pairs(other)
    at = dice.randrange(1, max(2, min(len(first), len(second))))
    return _text(first[:at] + second[at:])


def _spoil(text: str, dice: Random) -> str:
    return f"{text} ({dice.randrange(8)}, 8)"
