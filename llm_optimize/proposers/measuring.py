"""How long a text is in tokens, and how it is made shorter."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.chat import Message

__all__ = ["LearningCounter", "Measure", "Steady", "TextCounter"]

_REMEMBERED = 512
_PER_MESSAGE = 4
_PER_REPLY = 3
_LONGEST_TOKEN = 16  # characters: text beyond this many for each token wanted is cut without being counted
_SHORTER = 0.9  # by how much a text that is still too long is cut again
_MARGIN = 1.05  # of a steady count for a correction that wavers around one,
_STEP = 1.25  # and the steps in which it follows a larger one


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


@runtime_checkable
class LearningCounter(TextCounter, Protocol):
    """A counter whose answers change with what it observes."""

    @property
    def factor(self) -> float:
        """What plain counts are multiplied by, from what was observed."""
        ...

    def plain(self, text: str) -> int:
        """Return the tokens of ``text`` before any correction: for ever the same."""
        ...


class Steady:
    """Counts without a counter's corrections, which would move what has been laid out already."""

    def __init__(self, counter: TextCounter) -> None:
        """Ask ``counter``; one that does not learn is steady as it is."""
        self._learning = counter if isinstance(counter, LearningCounter) else None
        # A cache, not state: as in a Measure, and here the answers never change.
        self.count = lru_cache(2 * _REMEMBERED)(self._learning.plain if self._learning else counter.count)

    def observe(self, messages: Sequence[Message], actual: int) -> None:
        """Learn nothing."""

    @property
    def factor(self) -> float:
        """The correction as it is now; 1 for a counter that does not learn."""
        return self._learning.factor if self._learning else 1.0

    @property
    def scale(self) -> float:
        """What an allowance is divided by so that a prompt of so many steady tokens keeps to it; moves in wide steps.

        At least :attr:`factor`. A correction that wavers by a percent or two leaves it alone.
        """
        if self._learning is None:
            return 1.0
        return float(_MARGIN * _STEP ** max(0, math.ceil(math.log(self.factor / _MARGIN, _STEP))))


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
