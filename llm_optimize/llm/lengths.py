"""How long the replies of a model are, as far as a budget has to know before the next one is asked for."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_optimize.core.chat import Reply

__all__ = ["Lengths"]

_LOG = logging.getLogger("llm_optimize")
_FIRST = 1000  # tokens that a reply may need of which nothing is known
_LATELY = 8
_AMPLE, _TIMES = 4096, 4  # a limit that no useful reply should meet: so many tokens, and times the longest so far
_LEEWAY = 1.05  # endpoints count a reply's last tokens differently
_MARGIN = 2  # times the longest reply, where the endpoint takes no limit


class Lengths:
    """Tokens of one model's replies; safe to use from many threads."""

    def __init__(self, name: str = "") -> None:
        """Know nothing of the model called ``name``."""
        self._name = name
        self._lock = threading.Lock()
        self._lately: deque[int] = deque(maxlen=_LATELY)
        self._longest = 0
        self._ceiling: int | None = None
        self._unlimited = False

    @property
    def longest(self) -> int:
        """Tokens of the longest answer so far."""
        return self._longest

    def needed(self, limit: int | None) -> int:
        """Return the tokens that a reply may need: as many as the longest recent one, 1000 before the first.

        Args:
            limit: the caller's own on the tokens of a reply, or None.
        """
        with self._lock:
            usual = max(self._lately, default=_FIRST)
            if self._unlimited:
                return _MARGIN * self._longest
        return usual if limit is None else min(usual, limit)

    def ample(self, limit: int | None) -> int:
        """Return the tokens that no useful reply should pass; the limit to send where the budget affords it."""
        with self._lock:
            if self._unlimited:
                return _MARGIN * self._longest
            wanted = max(_AMPLE, _TIMES * self._longest) if limit is None else limit
            return wanted if self._ceiling is None else min(wanted, self._ceiling)

    def refused(self, limit: int) -> None:
        """Learn that the endpoint does not take a limit this high."""
        with self._lock:
            self._ceiling = max(limit // 2, 1)

    def saw(self, reply: Reply, limit: int | None = None) -> None:
        """Learn from a reply, and from the limit that was sent with its request."""
        answers = 1 + len(reply.more)
        tokens = -(-reply.usage.tokens_out // answers)
        with self._lock:
            self._lately.append(tokens)
            self._longest = max(self._longest, tokens)
            if limit is None:
                return
            passed = tokens > limit * _LEEWAY and not reply.usage.estimated
            news = passed and not self._unlimited
            self._unlimited = passed or (self._unlimited and reply.finish_reason != "length")
        if news:
            _LOG.warning(
                "%s passed the limit of %d tokens on a reply by %d: its endpoint ignores the limit, so a budget of "
                "tokens or dollars can be passed by its longest reply; twice that is set aside for each call",
                self._name or "the model", limit, tokens - limit,
            )  # fmt: skip
