"""How long a text is in tokens, and how it is made shorter."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.chat import Message

__all__ = ["Measure", "TextCounter"]

_REMEMBERED = 512
_PER_MESSAGE = 4
_PER_REPLY = 3
_LONGEST_TOKEN = 16  # characters: text beyond this many for each token wanted is cut without being counted
_SHORTER = 0.9  # by how much a text that is still too long is cut again


class TextCounter(Protocol):
    """Counts tokens, or estimates them; :class:`llm_optimize.llm.tokens.TokenCounter` does both.

    The same texts are asked for at each step: a counter should remember its latest answers.
    """

    def count(self, text: str) -> int:
        """Return the number of tokens."""
        ...

    def observe(self, messages: Sequence[Message], actual: int) -> None:
        """Learn that these messages were ``actual`` tokens; may do nothing."""
        ...


class Measure:
    """Counts and shortens texts by a counter."""

    def __init__(self, counter: TextCounter) -> None:
        """Ask ``counter`` for everything."""
        self.count = counter.count
        # A cache, not state: the texts in a window are the same from step to step.
        self.shorten = lru_cache(_REMEMBERED)(self._shorten)

    def chat(self, messages: Sequence[Message]) -> int:
        """Return the tokens of a chat, with those that OpenAI's chat format adds to messages and before the reply."""
        return sum(self.count(message.content) + _PER_MESSAGE for message in messages) + _PER_REPLY

    def _shorten(self, text: str, limit: int) -> str:
        """Cut the middle out of a text of more than ``limit`` tokens, with a mark that says how much is missing."""
        if len(text) <= limit:  # no token is shorter than a character
            return text
        keep = min(len(text), limit * _LONGEST_TOKEN)
        shorter = text if keep == len(text) else _without_middle(text, keep)
        while (tokens := self.count(shorter)) > limit and keep > 0:
            keep = int(keep * min(_SHORTER, limit / tokens))
            shorter = _without_middle(text, keep)
        return shorter


def _without_middle(text: str, keep: int) -> str:
    head = (keep + 1) // 2
    return f"{text[:head]}\n[... {len(text) - keep:,} characters cut ...]\n{text[len(text) - keep // 2 :]}"
