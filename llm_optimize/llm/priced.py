"""Dollars on every reply, and a word with the study's budget before every call.

A cap can only hold if a call is refused before it is made. So the next call is estimated, set aside with the guard of
the unit of work that it belongs to, and replaced by what it really cost, also when it fails.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from llm_optimize.core.metering import current_scope
from llm_optimize.core.types import Usage
from llm_optimize.llm.prices import PriceBook
from llm_optimize.llm.tokens import TokenCounter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llm_optimize.core.chat import Reply, Request
    from llm_optimize.core.metering import Scope
    from llm_optimize.core.protocols import ChatModel

__all__ = ["Priced"]

_FIRST_OUTPUT = 1000


class Priced:
    """A model whose replies carry their price, and which asks before it spends.

    The estimate is the counted prompt plus the output's cap (``max_tokens`` or ``max_completion_tokens``); without a
    cap, the longest reply so far stands for it, and 1000 tokens before the first.

    Attributes:
        inner: the model.
        counter: counts its prompts, corrected by its replies.
        book: what models cost.
    """

    def __init__(self, inner: ChatModel, prices: Mapping[str, Sequence[float]] | None = None) -> None:
        """Wrap ``inner``; ``prices`` as for :class:`~llm_optimize.llm.prices.PriceBook`."""
        self.inner = inner
        self.counter = TokenCounter(self.name)
        self.book = PriceBook(prices)
        self._prices = prices
        self._lock = threading.Lock()
        self._longest = 0

    def __reduce__(self) -> tuple[Callable[..., Priced], tuple[ChatModel, Mapping[str, Sequence[float]] | None]]:
        """Pickle the model and the prices; what was learned stays here."""
        return Priced, (self.inner, self._prices)

    @property
    def name(self) -> str:
        """The model's name."""
        return str(getattr(self.inner, "name", ""))

    @property
    def free(self) -> bool:
        """Whether the model says of itself that it costs nothing."""
        return bool(getattr(self.inner, "free", False))

    def price_known(self) -> bool:
        """Return whether its calls can be priced."""
        return self.free or self.book.price_known(self.name)

    def estimate(self, request: Request) -> Usage:
        """Return what ``request`` will cost at most, as far as can be known before it is made."""
        settings = {**getattr(self.inner, "settings", {}), **request.settings}
        capped = settings.get("max_completion_tokens") or settings.get("max_tokens")
        output = capped if isinstance(capped, int) else self._longest or _FIRST_OUTPUT
        prompt = self.counter.count_messages(request.messages)
        usage = Usage(1, prompt, 0, output, estimated=True)
        if self.free:
            return usage
        return replace(usage, dollars=self.book.dollars(str(settings.get("model") or self.name), usage))

    def complete(self, request: Request) -> Reply:
        """Answer, with the price in the reply's usage.

        Raises:
            BudgetExceeded: the call would pass a cap; it was not made.
            ModelError: as ``inner``.
        """
        scope = current_scope()
        if scope is None:
            return self._answer(request)
        if scope.guard is None:
            return self._metered(scope, request)
        estimate, actual = self.estimate(request), Usage()
        scope.guard.reserve(estimate)
        try:
            reply = self._metered(scope, request)
            actual = reply.usage
        finally:
            scope.guard.settle(estimate, actual)
        if not actual.estimated:  # only estimates have to be right, so only calls that need one teach the counter
            self.counter.observe(request.messages, actual.tokens_in)
        return reply

    def _metered(self, scope: Scope, request: Request) -> Reply:
        reply = self._answer(request)
        scope.add(reply.usage)
        return reply

    def _answer(self, request: Request) -> Reply:
        reply = self.inner.complete(request)
        usage = reply.usage
        with self._lock:
            self._longest = max(self._longest, usage.tokens_out)
        if usage.dollars or self.free:
            return reply
        return replace(reply, usage=replace(usage, dollars=self._dollars(request, reply)))

    def _dollars(self, request: Request, reply: Reply) -> float:
        asked = str(request.settings.get("model") or self.name)
        named = asked if self.book.price_known(asked) or not reply.model else reply.model
        return self.book.dollars(named if self.book.price_known(named) else asked, reply.usage)
