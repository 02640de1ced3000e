"""What changed between two texts, word by word."""

from __future__ import annotations

import difflib
import re
from typing import Literal

__all__ = ["Part", "word_changes"]

Part = tuple[Literal["same", "gone", "new"], str]
"""A run of words: in both texts, in the old one only, or in the new one only."""

_WORD = re.compile(r"\s+|\w+|[^\w\s]")
_MOST = 6000  # words of both texts together: the work grows with the product of their lengths


def word_changes(old: str, new: str) -> list[Part]:
    """Return the two texts as one, in parts; what went comes before what came in its place.

    Texts that are too long to be compared word by word are compared line by line.

    Example:
        >>> word_changes("Sum up it.", "Sum it up.")
        [('same', 'Sum '), ('new', 'it '), ('same', 'up'), ('gone', ' it'), ('same', '.')]
    """
    before, after = _WORD.findall(old), _WORD.findall(new)
    if len(before) + len(after) > _MOST:
        before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    parts: list[Part] = []
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for kind, left, right, low, high in matcher.get_opcodes():
        if kind == "equal":
            parts.append(("same", "".join(before[left:right])))
            continue
        parts += [("gone", "".join(before[left:right]))] if left < right else []
        parts += [("new", "".join(after[low:high]))] if low < high else []
    return parts
