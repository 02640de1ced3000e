"""A provider's prompt cache as OpenAI documents it, for the scripted endpoint and for what a layout repeats."""

from __future__ import annotations

import hashlib
import re
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["PrefixCache"]

_PIECE = re.compile(r"\w{1,5}|[^\w\s]")
_BLOCK = 128
_LEAST = 1024


class PrefixCache:
    """Remembers the beginnings of all prompts for ever; safe to use from many threads.

    A prompt's cached tokens are those at its beginning that an earlier prompt began with too: from 1,024 on, in steps
    of 128 (OpenAI, "Prompt caching"). A real provider forgets after minutes of rest, and may send a request to a
    machine that has not seen the earlier one.

    Example:
        >>> cache, chat = PrefixCache(), [{"role": "user", "content": "word " * 2000}]
        >>> cache.serve(chat), cache.serve(chat)
        (0, 1920)
    """

    def __init__(self) -> None:
        """Begin empty."""
        self._known: set[bytes] = set()
        self._lock = threading.Lock()

    def serve(self, messages: Sequence[Mapping[str, Any]]) -> int:
        """Return how many tokens of this prompt were cached, and remember it.

        Args:
            messages: as in the request's body.
        """
        marks = list(_marks(messages))
        with self._lock:
            blocks = next((number for number, mark in enumerate(marks) if mark not in self._known), len(marks))
            self._known.update(marks)
        cached = blocks * _BLOCK
        return cached if cached >= _LEAST else 0


def _marks(messages: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    """Yield a hash of all that comes before the end of each whole block."""
    running, filled = hashlib.sha256(), 0
    for token in _tokens(messages):
        running.update(token.encode() + b"\0")
        filled += 1
        if filled == _BLOCK:
            filled = 0
            yield running.digest()


def _tokens(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield as many tokens as the scripted endpoint counts: four around each message, and its pieces."""
    for message in messages:
        yield from ("<start>", str(message.get("role", "")), "<content>")
        yield from _PIECE.findall(str(message.get("content", "")))
        yield "<end>"
