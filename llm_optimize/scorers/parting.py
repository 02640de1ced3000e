"""Two parts of a data set that have no text in common, but for case, spacing and punctuation; drawn by seed."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["normalised", "parted"]


def normalised(text: str) -> str:
    """Return what two texts share that differ in nothing but case, spacing and punctuation.

    Example:
        >>> normalised("  What IS  2+2 ?") == normalised("what is 2+2?")
        True
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = re.sub(r"[^\w\s+\-*/=<>%^]", " ", folded).split()
    return "".join(words) or folded.strip()


def parted(bests: Sequence[tuple[str, Sequence[str]]], share: float, seed: int) -> dict[str, str]:
    """Return the part, ``train`` or ``validation``, of each item.

    Items that share a text, but for case, spacing and punctuation, stay together, so that no text is in both parts.
    Which groups are held out depends on the seed and on their texts; their number is the share, rounded, and at least
    one where there are two groups and the share is above 0.

    Args:
        bests: (id, the texts that an item brings into a training file).
        share: to hold out, 0 to below 1.
        seed: another one parts differently.

    Example:
        >>> parted([("a", ["x"]), ("b", ["y"]), ("c", ["X!"])], 0.5, 0) in (
        ...     {"a": "train", "b": "validation", "c": "train"}, {"a": "validation", "b": "train", "c": "validation"})
        True
    """
    groups = _groups(bests)
    drawn = sorted(groups, key=lambda key: hashlib.sha256(f"{seed}\n{key}".encode()).hexdigest())
    wanted = min(max(round(share * len(drawn)), 1 if share else 0), len(drawn) - 1)
    held = {one for key in drawn[: max(wanted, 0)] for one in groups[key]}
    return {name: "validation" if name in held else "train" for name, _ in bests}


def _groups(bests: Sequence[tuple[str, Sequence[str]]]) -> dict[str, list[str]]:
    """Return the ids that belong together, by the smallest text among theirs."""
    leader: dict[str, str] = {}

    def find(text: str) -> str:
        while leader.setdefault(text, text) != text:
            leader[text] = leader[leader[text]]
            text = leader[text]
        return text

    for _, texts in bests:
        first, *others = map(normalised, texts)
        for other in others:
            low, high = sorted((find(first), find(other)))
            leader[high] = low
    groups: dict[str, list[str]] = {}
    for name, texts in bests:
        groups.setdefault(find(normalised(texts[0])), []).append(name)
    return groups
