"""A sorting network for eight channels with as few comparators as possible; 19 is the least there can be.

A candidate is text: comparators ``(i, j)`` with ``i < j``, in the order in which they work; each puts the smaller value
on channel i. Whether it sorts is decided for every input by the 0-1 principle (Knuth, The Art of Computer Programming,
volume 3, section 5.3.4): a network that sorts the 256 inputs of zeros and ones sorts everything. That 19 comparators
are needed is proven there as well (for eight channels by Floyd and Knuth, 1966).
"""

from __future__ import annotations

import itertools
import random
import re

from tasks.task import Task

from llm_optimize.core.types import Evaluation, Failure

__all__ = ["CHANNELS", "MOST", "comparators", "make", "score", "unsorted"]

CHANNELS = 8
MOST = 60
"""A network of more comparators is refused, so that one which sorts always scores above one that does not."""

_LEAST = 19
_PAIR = re.compile(r"\(\s*([0-9]{1,3})\s*,\s*([0-9]{1,3})\s*\)")
_REST = re.compile(r"[\s,;\[\]]*")

TASK = f"""x is a sorting network for {CHANNELS} channels, numbered 0 to {CHANNELS - 1}: comparators (i, j) with i < j,
in the order in which they work. A comparator puts the smaller of the two values on channel i, the larger on channel j.
f(x) is minus the number of comparators if the network sorts every input; a network that does not sort every input
scores below every network that does, the lower the more inputs it leaves unsorted. At most {MOST} comparators."""


def comparators(text: str) -> list[tuple[int, int]] | str:
    """Return the comparators that a text holds, or what is wrong with it.

    Example:
        >>> comparators("(0, 1) (2, 3)")
        [(0, 1), (2, 3)]
        >>> comparators("(1, 0)")
        'the comparator (1, 0) is none: write (i, j) with 0 <= i < j <= 7'
    """
    rest = _PAIR.sub("", text)
    if not _REST.fullmatch(rest):
        return f"{rest.strip()[:40]!r} is no comparator: write nothing but pairs (i, j)"
    pairs = [(int(i), int(j)) for i, j in _PAIR.findall(text)]
    for i, j in pairs:
        if not i < j < CHANNELS:
            return f"the comparator ({i}, {j}) is none: write (i, j) with 0 <= i < j <= {CHANNELS - 1}"
    if not 0 < len(pairs) <= MOST:
        return f"there are {len(pairs)} comparators: write 1 to {MOST}"
    return pairs


def unsorted(pairs: list[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Return every input of zeros and ones that the network leaves unsorted.

    All inputs go through at once: bit m of a channel's number is its value for input m, so that a comparator is one
    ``and`` and one ``or``.
    """
    inputs = range(2**CHANNELS)
    before = [sum(((m >> c) & 1) << m for m in inputs) for c in range(CHANNELS)]
    lanes = list(before)
    for i, j in pairs:
        lanes[i], lanes[j] = lanes[i] & lanes[j], lanes[i] | lanes[j]
    wrong = 0
    for low, high in itertools.pairwise(lanes):
        wrong |= low & ~high
    return [tuple((one >> m) & 1 for one in before) for m in inputs if (wrong >> m) & 1]


def score(text: str) -> Evaluation | Failure:
    """Return minus the number of comparators of a network that sorts, else less than that of any that does."""
    pairs = comparators(text)
    if isinstance(pairs, str):
        return Failure("network", pairs)
    left = unsorted(pairs)
    sizes = {"comparators": float(len(pairs)), "unsorted": float(len(left))}
    if not left:
        return Evaluation(-len(pairs), f"{len(pairs)} comparators, every input is sorted", sizes)
    shown = " ".join(map(str, left[0]))
    words = f"{len(left)} of {2**CHANNELS} inputs of zeros and ones stay unsorted, the first is {shown}"
    return Evaluation(-MOST - 1 - len(left), words, sizes)


def make(seed: int) -> Task:
    """Return the task: it starts with bubble sort, 28 comparators, behind four that the seed chooses and nothing needs.

    A network that sorts does so whatever stands in front of it.
    """
    dice = random.Random(f"sorting network {seed}")
    pairs = [(i, j) for j in range(CHANNELS) for i in range(j)]
    start = [dice.choice(pairs) for _ in range(4)]
    start += [(i, i + 1) for last in range(CHANNELS - 1, 0, -1) for i in range(last)]
    text = " ".join(f"({i}, {j})" for i, j in start)
    return Task(
        "sorting network", TASK, "Which network should be tried next, so that it has fewer comparators?", text, score,
        best=-_LEAST,
    )  # fmt: skip
