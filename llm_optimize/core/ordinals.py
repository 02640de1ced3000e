"""Sets of ordinals that fill up from 0: all below a frontier, and some beyond it."""

from __future__ import annotations

__all__ = ["Ordinals", "first_free", "including"]

Ordinals = tuple[int, frozenset[int]]
"""The frontier, below which all are known, and those known beyond it."""


def first_free(known: Ordinals, n: int, taken: frozenset[int] = frozenset()) -> list[int]:
    """Return the ``n`` lowest ordinals that are neither known nor taken.

    Example:
        >>> first_free((2, frozenset({3})), 2, frozenset({4}))
        [2, 5]
    """
    free: list[int] = []
    ordinal, beyond = known
    while len(free) < n:
        if ordinal not in beyond and ordinal not in taken:
            free.append(ordinal)
        ordinal += 1
    return free


def including(known: Ordinals, ordinal: int) -> Ordinals:
    """Return the set with one more.

    Example:
        >>> including((0, frozenset({1})), 0)
        (2, frozenset())
    """
    frontier, beyond = known
    if ordinal < frontier:
        return known
    beyond |= {ordinal}
    while frontier in beyond:
        beyond -= {frontier}
        frontier += 1
    return frontier, beyond
