"""What changed between two texts, as short as it can be said: a unified diff without its noise."""

from __future__ import annotations

import difflib

__all__ = ["changes"]

_LEAST_COMMON = 0.75  # of the lines: below it a diff is about as long as the text, and not worth being worked out
_MOST_LINES = 1000  # between the first and the last that differ: the work may grow with their square


def changes(old: str, new: str, *, context: int = 1) -> str | None:
    r"""Return how ``new`` differs from ``old`` as the hunks of a unified diff, or None where little is the same.

    Without the header of file names, and blind to newlines at the outer ends, which fences add. The cost grows with
    the lines between the first and the last that differ, not with the length of the texts.

    Args:
        old: the text that the reader knows.
        new: the text to describe.
        context: unchanged lines around each change.

    Returns:
        Lines that begin with ``@@``, a blank, ``-`` or ``+``, the last one without a newline; empty for equal texts;
        None if less than three quarters of the lines of ``new`` are in ``old``, or the part that differs has 1,000
        lines or more.

    Example:
        >>> changes("a\nb\nc\nd", "a\nb\nC\nd")
        '@@ -2,3 +2,3 @@\n b\n-c\n+C\n d'
    """
    before, after = old.strip("\n").split("\n"), new.strip("\n").split("\n")
    known = set(before)
    if sum(line in known for line in after) < _LEAST_COMMON * len(after):
        return None
    start = _same(before, after)
    end = min(_same(before[::-1], after[::-1]), len(before) - start, len(after) - start)
    if max(len(before), len(after)) - start - end >= _MOST_LINES:
        return None
    first = max(0, start - context)
    kept = max(0, end - context)
    hunks = difflib.unified_diff(
        before[first : len(before) - kept], after[first : len(after) - kept], n=context, lineterm=""
    )
    return "\n".join(_moved(line, first) for line in list(hunks)[2:])


def _same(one: list[str], other: list[str]) -> int:
    """Return how many first lines two lists have in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((number for number, (left, right) in pairs if left != right), min(len(one), len(other)))


def _moved(line: str, by: int) -> str:
    """Count the lines of a hunk's header from the beginning of the whole text."""
    if not line.startswith("@@"):
        return line
    _, old, new, _ = line.split(" ")
    return f"@@ -{_shifted(old, by)} +{_shifted(new, by)} @@"


def _shifted(span: str, by: int) -> str:
    start, comma, length = span[1:].partition(",")
    return f"{int(start) + by}{comma}{length}"
