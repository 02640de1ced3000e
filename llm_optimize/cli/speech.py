"""What a model is saying right now, in the few lines that the live view has for it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.cli.wording import columns, one_line, trim

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llm_optimize.core.chat import Piece

__all__ = ["Speech"]

_KEPT = 2000  # characters of a reply; more than any terminal shows of it
_LINES = 3
_VERBS = {"text": "writes", "reasoning": "thinks", "tool": "calls"}


@dataclass(slots=True)
class _Voice:
    kind: str = "text"
    tail: str = ""


class Speech:
    """The ends of the replies that are being written; safe to use from many threads, and cheap for each part.

    Of several at once the one that has spoken longest is shown until it ends, so that the lines can be read.
    """

    def __init__(self) -> None:
        """Hear nothing yet."""
        self._voices: dict[str, _Voice] = {}
        self._lock = threading.Lock()

    def hear(self, piece: Piece) -> None:
        """Take in a part."""
        with self._lock:
            if piece.kind == "end":
                self._voices.pop(piece.unit, None)
                return
            voice = self._voices.setdefault(piece.unit, _Voice())
            if voice.kind != piece.kind:
                voice.kind, voice.tail = piece.kind, ""
            voice.tail = (voice.tail + piece.text)[-_KEPT:]

    def lines(self, width: int) -> tuple[bool, Sequence[str]]:
        """Return whether it is only thinking, and the last lines of what is said under a line that says whose it is.

        Args:
            width: columns that may be used.
        """
        with self._lock:
            unit, voice = next(iter(self._voices.items()), ("", _Voice()))
            kind, tail = voice.kind, voice.tail
        if not unit or width < 1:
            return False, ()
        said = [part for line in tail.splitlines() for part in _wrapped(one_line(line), width - 2)]
        head = f"{unit.replace('/', ' ')} {_VERBS[kind]}:"
        return kind == "reasoning", [trim(head, width), *(f"  {line}" for line in said[-_LINES:])]


def _wrapped(line: str, width: int) -> Iterator[str]:
    """Yield ``line`` in parts of at most ``width`` columns; nothing for an empty one."""
    part, used = "", 0
    for character in line if width > 1 else "":
        taken = columns(character)
        if used + taken > width:
            yield part
            part, used = "", 0
        part, used = part + character, used + taken
    if part:
        yield part
