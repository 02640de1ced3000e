"""The texts of a report, each once: prompts, answers and candidates repeat, and a page has to stay small."""

from __future__ import annotations

__all__ = ["Texts"]

_LIMIT = 6_500_000  # bytes in all: with the columns and the assets a page stays under 10 MB
_LEAST = 240  # characters that are kept of a text for which there is no more room


class Texts:
    """A table of texts with a bound on its size; what is added first is kept whole.

    Example:
        >>> texts = Texts()
        >>> texts.add("a"), texts.add("b"), texts.add("a"), texts.table
        (0, 1, 0, ['a', 'b'])
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        """Begin empty.

        Args:
            limit: bytes of UTF-8 that texts may take before later ones are cut to a beginning.
        """
        self._room = limit
        self._known: dict[str, int] = {}
        self.table: list[str] = []
        """The texts in order of their numbers."""
        self.cut: dict[int, int] = {}
        """By number: how many characters the whole text has, for those that were cut."""

    def add(self, text: str) -> int:
        """Return the text's number; a text that is too large for what room is left is cut."""
        number = self._known.get(text)
        if number is None:
            number = self._known[text] = len(self.table)
            size = len(text.encode("utf-8", "replace"))
            if size > self._room and len(text) > _LEAST:
                self.cut[number], text = len(text), text[:_LEAST]
                size = _LEAST
            self._room -= size
            self.table.append(text)
        return number
