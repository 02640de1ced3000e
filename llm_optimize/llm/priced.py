"""Dollars on every reply, and a word with the study's budget before every call.

A cap can only hold if a call is refused before it is made. So the most that the next call can cost is set aside with
the guard of the unit of work that it belongs to: a bound on its prompt (:mod:`llm_optimize.llm.bounds`), and for the
reply the limit that is sent with the request, the caller's own or one that the budget affords. Afterwards what it
really cost takes the place of that. The full price of prompt tokens is set aside, also where some will come from the
provider's cache.

What a failed attempt may have cost (:mod:`llm_optimize.llm.attempts`) is counted as if it had been charged in full, in
a row of its own (:data:`~llm_optimize.core.account.LOST`), and the next attempt has to find its money too. An endpoint
that honours the ``Idempotency-Key`` of a study's requests repeats such a reply for free; then less was spent than is
counted, never more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llm_optimize.core.account import LOST
from llm_optimize.core.metering import counting, current_scope
from llm_optimize.core.types import Usage
from llm_optimize.errors import BadInput, BudgetExceeded, ContextTooLong, ModelRefused
from llm_optimize.llm.attempts import watching
from llm_optimize.llm.bounds import PromptBounds
from llm_optimize.llm.lengths import Lengths
from llm_optimize.llm.prices import PriceBook, price_remedy
from llm_optimize.llm.tokens import TokenCounter
from llm_optimize.llm.wrapper import Wrapper

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llm_optimize.core.chat import Reply, Request
    from llm_optimize.core.metering import Scope, SpendGuard
    from llm_optimize.core.protocols import ChatModel

__all__ = ["Priced"]

_LIMITS = ("max_completion_tokens", "max_tokens")
_LIMIT_WORDS = (*_LIMITS, "max_new_tokens", "completion tokens", "output tokens")


class Priced(Wrapper):
    """A model whose replies carry their price, and which asks before it spends.

    Attributes:
        inner: the model.
        role: what it is in a study, such as ``judge``; empty for the role of the unit of work.
        counter: counts its prompts, corrected by its replies.
        book: what models cost.
    """

    def __init__(self, inner: ChatModel, prices: Mapping[str, Sequence[float]] | None = None, role: str = "") -> None:
        """Wrap ``inner``; ``prices`` as for :class:`~llm_optimize.llm.prices.PriceBook`."""
        self.inner = inner
        self.role = role
        self.counter = TokenCounter(self.name)
        self.book = PriceBook(prices)
        self._prices = prices
        self._bounds = PromptBounds(self.counter)
        self._lengths = Lengths(self.name)

    def __reduce__(self) -> tuple[Callable[..., Priced], tuple[Any, ...]]:
        """Pickle the model, the prices and the role; what was learned stays here."""
        return Priced, (self.inner, self._prices, self.role)

    @property
    def free(self) -> bool:
        """Whether the model says of itself that it costs nothing."""
        return bool(getattr(self.inner, "free", False))

    def price_known(self) -> bool:
        """Return whether its calls can be priced."""
        return self.free or self.book.price_known(self.name)

    def check_price(self, model: str = "") -> None:
        """Refuse a cap on dollars that could not hold; ``model`` is another name that is asked for.

        Raises:
            BadInput: the price is unknown; says what makes it known.
        """
        model = model or self.name
        if not self.free and not self.book.price_known(model):
            msg = f"budget dollars could not hold, as the price of {model!r} is unknown: {price_remedy(model)}"
            raise BadInput(msg)

    def estimate(self, request: Request) -> Usage:
        """Return what ``request`` will probably cost, for a forecast; nothing of it is a bound."""
        settings = self._settings(request)
        prompt = self.counter.count_messages(request.messages)
        output = request.n * self._lengths.needed(_limit(settings))
        return self._priced(self._asked(settings), Usage(1, prompt, 0, output, estimated=True))

    def cost(self, usage: Usage) -> Usage:
        """Return ``usage`` with its dollars, 0.0 where the price is unknown."""
        return self._priced(self.name, usage)

    def complete(self, request: Request) -> Reply:
        """Answer, with the price in the reply's usage.

        Raises:
            BudgetExceeded: the call would pass a cap; it was not made.
            BadInput: dollars are capped and the model's price is unknown; it was not made.
            ModelError: as ``inner``.
        """
        scope = current_scope()
        if scope is None:
            return self._answer(request)
        if scope.guard is None:
            return self._metered(scope, request)
        return self._within_budget(scope, scope.guard, request)

    def _metered(self, scope: Scope, request: Request) -> Reply:
        asked = self._asked(self._settings(request))

        def lost() -> None:
            scope.add(replace(self.estimate(request), calls=0), asked, LOST)

        with watching(lost), counting() as inside:
            reply = self._answer(request)
        self._lengths.saw(reply)
        if not inside:
            scope.add(reply.usage, asked, self.role)
        return reply

    def _within_budget(self, scope: Scope, guard: SpendGuard, request: Request) -> Reply:
        while True:
            settings = self._settings(request)
            call = _Call(scope, guard, request, settings, self._asked(settings))
            if guard.caps_dollars:
                self.check_price(call.model)
            self._set_aside(call)
            try:
                return self._spend(call)
            except ModelRefused as error:  # it was not charged
                if not call.limits_more_than(self._lengths.needed(call.given)) or not _is_about_limit(error):
                    raise
                self._lengths.refused(call.limit)

    def _spend(self, call: _Call) -> Reply:
        """Make a call whose money is set aside."""
        actual = Usage()
        try:
            with watching(lambda: self._lost(call)), counting() as inside:
                reply = self._answer(call.limited())
            actual = Usage() if inside else reply.usage
        except KeyboardInterrupt:  # nobody waits for the reply, which may be charged all the same
            actual = call.granted
            call.scope.add(replace(actual, calls=0), call.model, LOST)
            raise
        finally:
            call.guard.settle(call.granted, actual)
        self._lengths.saw(reply, call.limit)
        if inside:  # a model that is made of others, each of which has counted its own calls
            return reply
        call.scope.add(actual, call.model, self.role)
        if not actual.estimated:  # only bounds have to hold, so only calls that need one teach
            self.counter.observe(call.request.messages, actual.tokens_in)
            self._bounds.observe(call.request, actual.tokens_in)
        return reply

    def _lost(self, call: _Call) -> None:
        """Count an attempt that may have been charged, and set the money for the next one aside."""
        lost, call.granted = call.granted, Usage()
        call.guard.settle(lost, lost)
        call.scope.add(replace(lost, calls=0), call.model, LOST)
        call.granted = call.guard.reserve(lost)

    def _set_aside(self, call: _Call) -> None:
        """Reserve the most that the call can cost.

        Raises:
            BudgetExceeded: it would pass a cap.
        """
        answers = call.request.n
        needed, ample = self._lengths.needed(call.given), self._lengths.ample(call.given)
        *tried, last = self._bounds.in_turn(call.request)
        for prompt in (*tried, last):
            least, most = (
                self._priced(call.model, Usage(1, prompt, 0, answers * tokens, estimated=True))
                for tokens in (needed, max(ample, needed))
            )
            try:
                call.granted = call.guard.reserve(least, most, patient=prompt == last)
            except BudgetExceeded:
                if prompt == last:
                    raise
            else:
                break
        call.limit = call.granted.tokens_out // answers

    def _answer(self, request: Request) -> Reply:
        reply = self.inner.complete(request)
        usage = reply.usage
        if usage.dollars or self.free:
            return reply
        return replace(reply, usage=replace(usage, dollars=self._dollars(request, reply)))

    def _dollars(self, request: Request, reply: Reply) -> float:
        asked = str(request.settings.get("model") or self.name)
        named = asked if self.book.price_known(asked) or not reply.model else reply.model
        return self.book.dollars(named if self.book.price_known(named) else asked, reply.usage)

    def _priced(self, model: str, usage: Usage) -> Usage:
        return usage if self.free else replace(usage, dollars=self.book.dollars(model, usage))

    def _settings(self, request: Request) -> Mapping[str, Any]:
        """Return the settings in force: the request's, then those of the innermost model that has some."""
        held: Any = self.inner
        while held is not None and not hasattr(held, "settings"):
            held = getattr(held, "inner", None)
        return {**getattr(held, "settings", {}), **request.settings}

    def _asked(self, settings: Mapping[str, Any]) -> str:
        return str(settings.get("model") or self.name)


class _Call:
    """A call on its way through the budget."""

    def __init__(
        self, scope: Scope, guard: SpendGuard, request: Request, settings: Mapping[str, Any], model: str
    ) -> None:
        self.model = model
        self.scope = scope
        self.guard = guard
        self.request = request
        self.given = _limit(settings)
        self.granted = Usage()
        self.limit = 0
        self._field = next((name for name in _LIMITS if isinstance(settings.get(name), int)), "max_tokens")

    def limited(self) -> Request:
        """Return the request with the limit on its reply that the money set aside is for."""
        if self.given == self.limit:
            return self.request
        return replace(self.request, settings={**self.request.settings, self._field: self.limit})

    def limits_more_than(self, tokens: int) -> bool:
        """Return whether a limit was sent that is not the caller's and is higher than ``tokens``."""
        return self.given is None and self.limit > tokens


def _limit(settings: Mapping[str, Any]) -> int | None:
    values = (settings.get(name) for name in _LIMITS)
    return next((value for value in values if isinstance(value, int) and value > 0), None)


def _is_about_limit(error: ModelRefused) -> bool:
    said = str(error).lower()
    return isinstance(error, ContextTooLong) or any(word in said for word in _LIMIT_WORDS)
