"""What models are saying right now, kept so that any number of readers can follow it, each at its own pace."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_optimize.core.chat import Piece

__all__ = ["Speech"]

_KEPT = 20_000  # characters of a reply's end
_MOST = 32  # replies at once; the oldest is forgotten first


@dataclass(slots=True)
class _Voice:
    number: int  # tells a reply from the next one of the same unit
    kind: str = "text"
    tail: str = ""
    length: int = 0
    ended: bool = False


class Speech:
    """The replies that are being written, and those that have just been; bounded, and cheap for each part."""

    def __init__(self, wake: Callable[[], None]) -> None:
        """Hear nothing yet.

        Args:
            wake: called after each part; must be quick.
        """
        self._wake = wake
        self._lock = threading.Lock()
        self._voices: dict[str, _Voice] = {}
        self._count = 0

    def hear(self, piece: Piece) -> None:
        """Take in a part."""
        with self._lock:
            voice = self._voices.get(piece.unit)
            if piece.kind == "end":
                if voice is not None:
                    voice.ended = True
            else:
                if voice is None or voice.ended or voice.kind != piece.kind:
                    voice = self._begin(piece)
                voice.tail = (voice.tail + piece.text)[-_KEPT:]
                voice.length += len(piece.text)
        self._wake()

    def since(self, known: dict[str, tuple[int, int, bool]]) -> list[dict[str, Any]]:
        """Return what a reader has not seen, and note in ``known`` that it has now.

        Args:
            known: by unit: which reply of it, how many of its characters, whether its end; empty at first.

        Returns:
            For each reply: ``unit``, ``kind``, ``text`` (what is new), ``fresh`` (whether it replaces what is shown),
            ``ended``.
        """
        news = []
        with self._lock:
            for unit, voice in self._voices.items():
                number, length, ended = known.get(unit, (0, 0, False))
                missed = voice.length - length
                fresh = number != voice.number or missed > len(voice.tail)
                if fresh or missed or ended != voice.ended:
                    text = voice.tail if fresh else voice.tail[len(voice.tail) - missed :]
                    shown = text.encode("utf-8", "replace").decode()
                    news.append({"unit": unit, "kind": voice.kind, "text": shown, "fresh": fresh, "ended": voice.ended})
                    known[unit] = (voice.number, voice.length, voice.ended)
            for unit in known.keys() - self._voices.keys():
                del known[unit]
        return news

    def _begin(self, piece: Piece) -> _Voice:
        self._count += 1
        self._voices.pop(piece.unit, None)
        while len(self._voices) >= _MOST:
            del self._voices[next(iter(self._voices))]
        voice = self._voices[piece.unit] = _Voice(self._count, piece.kind)
        return voice
