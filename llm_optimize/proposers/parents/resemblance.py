"""How much two texts have in common, quickly: for finding unlike ones among a few, not for judging a pair."""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["distance"]

_TOKEN = re.compile(r"\w+|[^\w\s]")
_SHINGLE = 3
_TOKENS = 2_000
_REMEMBERED = 256


def distance(one: str, other: str) -> float:
    """Return 0 for texts of the same three-word passages, 1 for texts that share none; white space does not count.

    One minus the resemblance of Broder (1997). Of a long text the first 2,000 words and signs count. A text's passages
    are found once and remembered for a while.

    Example:
        >>> distance("a b c d", "a  b c d"), distance("a b c d", "e f g h")
        (0.0, 1.0)
    """
    left, right = _passages(one), _passages(other)
    return 1 - len(left & right) / (len(left | right) or 1) if left or right else 0.0


@lru_cache(_REMEMBERED)
def _passages(text: str) -> frozenset[tuple[str, ...]]:
    tokens = [match[0] for match, _ in zip(_TOKEN.finditer(text), range(_TOKENS), strict=False)]
    width = min(_SHINGLE, len(tokens)) or 1
    return frozenset(zip(*(tokens[start:] for start in range(width)), strict=False))
