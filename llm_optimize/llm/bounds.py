"""How many tokens a prompt can be at most, as far as a budget has to know before it is sent.

Tokenizers that work on bytes, which all current ones do, make at most one token of a byte; with what a chat template
may add, that bound always holds. It is four times too high for prose, though, so as soon as replies have said how
many tokens prompts of a like size were, the highest ratio seen to the estimate stands for it, with a margin.
"""

from __future__ import annotations

import json
import math
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llm_optimize.core.chat import Request
    from llm_optimize.llm.tokens import TokenCounter

__all__ = ["PromptBounds"]

_PER_MESSAGE = 16  # role, separators and line ends that a template puts around a message
_PER_REQUEST = 128  # a system prompt of the template's own, such as the date, and the answer's opening
_PER_TOOL = 64
_SEEN = 16
_TRUSTED = 32  # a shorter prompt is mostly template
_MARGIN = 1.2  # the estimate's ratio to a tokenizer's count differs so much between kinds of text
_UNSEEN = 3  # tokens for each estimated one, where the certain bound does not fit and nothing was seen yet


class PromptBounds:
    """Bounds for one model's prompts; safe to use from many threads.

    Example:
        >>> from llm_optimize.core.chat import Message, Request
        >>> from llm_optimize.llm.tokens import TokenCounter
        >>> PromptBounds(TokenCounter()).certain(Request((Message("user", "hi"),)))
        146
    """

    def __init__(self, counter: TokenCounter) -> None:
        """Estimate with ``counter``."""
        self._counter = counter
        self._lock = threading.Lock()
        self._seen: deque[tuple[int, int]] = deque(maxlen=_SEEN)

    def certain(self, request: Request) -> int:
        """Return how many tokens the prompt can be at most."""
        texts = _texts(request)
        size = sum(len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass")) for text in texts)
        return size + _PER_MESSAGE * len(request.messages) + _PER_TOOL * len(request.tools) + _PER_REQUEST

    def in_turn(self, request: Request) -> tuple[int, ...]:
        """Return what to set aside for the prompt: the first that the budget affords.

        Several only before the first reply: then the certain bound, and one that holds for all but very unusual texts
        and tokenizers, so that a budget that is far from spent does not end a run.
        """
        estimated, certain = self._estimate(request), self.certain(request)
        ratio = self._ratio(estimated)
        if ratio is not None:
            return (min(math.ceil(_MARGIN * ratio * estimated) + _PER_REQUEST // 8, certain),)
        likely = min(_UNSEEN * estimated + _PER_REQUEST + _wide(request), certain)
        return (certain, likely) if likely < certain else (certain,)

    def observe(self, request: Request, tokens: int) -> None:
        """Learn that the prompt was so many tokens."""
        estimated = self._estimate(request)
        if estimated >= _TRUSTED and tokens > 0:
            with self._lock:
                self._seen.append((estimated, tokens))

    def _estimate(self, request: Request) -> int:
        more = sum(self._counter.plain(text) for text in _texts(request)[len(request.messages) :])
        return self._counter.plain_messages(request.messages) + more

    def _ratio(self, estimated: int) -> float | None:
        """Return the highest ratio seen with prompts of at least half the size, else that of the largest."""
        with self._lock:
            seen = list(self._seen)
        if not seen:
            return None
        alike = [pair for pair in seen if 2 * pair[0] >= estimated] or [max(seen)]
        return max(tokens / size for size, tokens in alike)


def _texts(request: Request) -> list[str]:
    texts = [message.content for message in request.messages]
    texts += [f"{call.id} {call.name} {call.arguments}" for one in request.messages for call in one.tool_calls]
    texts += [json.dumps([tool.name, tool.description, tool.parameters], default=repr) for tool in request.tools]
    return texts


def _wide(request: Request) -> int:
    """Return the bytes of what is not ASCII: tokenizers that do not know a script spell it out."""
    texts = (text for text in _texts(request) if not text.isascii())
    return sum(len(text.encode("utf-8", "surrogatepass")) - sum(map(str.isascii, text)) for text in texts)
