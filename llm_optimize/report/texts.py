"""The texts of a report, each once: prompts, answers and candidates repeat, and a page has to stay small."""

from __future__ import annotations

import zlib

__all__ = ["Texts"]

_LIMIT = 4_000_000  # bytes of compressed texts: base64 makes 5.4 MB of them, so that a page stays under 10 MB
_LEAST = 240  # characters that are kept of a text for which there is no more room
_RESERVE = 0.15  # of the limit, for such beginnings; behind it nothing is kept


class Texts:
    """A table of texts with a bound on its compressed size; what is added first is kept whole.

    Example:
        >>> texts = Texts()
        >>> texts.add("a"), texts.add("b"), texts.add("a"), texts.table
        (0, 1, 0, ['a', 'b'])
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        """Begin empty.

        Args:
            limit: bytes that the texts may take, compressed one after the other, before later ones are cut.
        """
        self._limit = limit
        self._size = 0
        self._press = zlib.compressobj()
        self._known: dict[str, int] = {}
        self.table: list[str] = []
        """The texts in order of their numbers."""
        self.cut: dict[int, int] = {}
        """By number: how many characters the whole text has, for those that were cut."""

    def add(self, text: str) -> int:
        """Return the text's number; a text for which no room is left is cut to its beginning."""
        number = self._known.get(text)
        if number is None:
            number = self._known[text] = len(self.table)
            kept = self._kept(text)
            if kept != text:
                self.cut[number] = len(text)
            self._size += len(self._press.compress(kept.encode("utf-8", "replace")))
            self.table.append(kept)
        return number

    def _kept(self, text: str) -> str:
        if self._size + len(text) <= self._limit:  # whatever it is compressed to
            return text
        if self._size > self._limit * (1 + _RESERVE):
            return ""
        size = len(zlib.compress(text.encode("utf-8", "replace"), 1))
        return text if self._size + size <= self._limit else text[:_LEAST]
