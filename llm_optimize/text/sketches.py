"""How far texts are from each other, at a cost that does not depend on their length.

A text's words and pairs of neighbouring words (w-shingles, Broder 1997, "On the resemblance and containment of
documents") are hashed into the bits of one integer; the resemblance of two texts is that of their sets of bits. Two
texts with the same words in another order differ by their pairs.
"""

from __future__ import annotations

import re
import zlib
from functools import lru_cache
from itertools import pairwise

__all__ = ["distance", "sketch"]

_WORDS = re.compile(r"\w+|[^\w\s]")
_BITS = 4096  # two texts of 300 shingles each share about 20 bits by chance, a twentieth of their union
_REMEMBERED = 1024


@lru_cache(_REMEMBERED)
def sketch(text: str) -> int:
    """Return the set of a text's shingles as bits, the same in every process; remembered for the latest texts."""
    words = _WORDS.findall(text)
    bits = 0
    for shingle in {*words, *(f"{left} {right}" for left, right in pairwise(words))}:
        bits |= 1 << zlib.crc32(shingle.encode("utf-8", "surrogatepass")) % _BITS
    return bits


def distance(one: int, other: int) -> float:
    """Return how far two sketches are apart: 0 for the same set of shingles, 1 for nothing in common.

    Example:
        >>> distance(sketch("a b c"), sketch("a b c")), distance(sketch("a b"), sketch("c d"))
        (0.0, 1.0)
    """
    union = (one | other).bit_count()
    return 1.0 - (one & other).bit_count() / union if union else 0.0
