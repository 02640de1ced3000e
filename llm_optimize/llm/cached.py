"""Replies that are had already are not asked for again: a cache in front of the price, so that a hit costs nothing.

By default only what repeats is cached: requests with temperature 0 or a seed. What failed, was refused or was cut off
is never kept. Equal requests that are under way at the same time are asked once. This is a convenience that may forget
at any time; that a resumed study pays for nothing twice is :class:`~llm_optimize.llm.recorded.Recorded`'s work.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llm_optimize.core.metering import current_scope
from llm_optimize.core.types import Usage
from llm_optimize.errors import StoreError
from llm_optimize.llm.cache_stores import MemoryCache
from llm_optimize.llm.gate import requests, time_left
from llm_optimize.llm.provenance import answered_from
from llm_optimize.llm.recorded import reply_from_json, reply_to_json
from llm_optimize.llm.wire import CLIENT_SETTINGS
from llm_optimize.llm.wrapper import Wrapper

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_optimize.core.chat import Reply, Request
    from llm_optimize.core.metering import Scope
    from llm_optimize.core.protocols import ChatModel
    from llm_optimize.llm.cache_stores import CacheStore

__all__ = ["Cached"]

_LOG = logging.getLogger("llm_optimize")
_UNFIT = frozenset({"length", "content_filter"})
_UNIQUE = ("proposal/", "retest/")  # units of work that want what no other one got


class Cached(Wrapper):
    """A model that answers from ``cache`` what it has answered before.

    A reply is found again by what was asked (messages, tools, number of answers, settings with the model's own
    defaults), the model's name, the endpoint, and which sample it is: a caller that asks the same twice within one
    unit of work wants two samples, and so do two proposals of a study.

    Attributes:
        inner: the model.
        cache: where replies are kept; None for memory.
        always: whether to cache also what the model would answer differently each time.

    Example:
        >>> from llm_optimize.core.chat import Message, Request
        >>> from llm_optimize.llm.fake import ScriptedModel
        >>> model = Cached(ScriptedModel(["hello"]))
        >>> ask = Request((Message("user", "hi"),), {"temperature": 0})
        >>> model.complete(ask).text, model.complete(ask).usage.calls
        ('hello', 0)
    """

    def __init__(self, inner: ChatModel, cache: CacheStore | None = None, *, always: bool = False) -> None:
        """Wrap ``inner``."""
        self.inner = inner
        self.cache: CacheStore = MemoryCache() if cache is None else cache
        self.always = always
        self._lock = threading.Lock()
        self._flights: dict[str, Future[str | None]] = {}

    def __reduce__(self) -> tuple[Callable[..., Cached], tuple[Any, ...]]:
        """Pickle the model and the cache; a cache in memory travels empty."""
        return _rebuilt, (self.inner, self.cache, self.always)

    def repeats(self, request: Request) -> bool:
        """Return whether asking again would bring the same: temperature 0, or a seed."""
        settings = _effective(self.inner, request)
        temperature = settings.get("temperature")
        cold = isinstance(temperature, int | float) and not isinstance(temperature, bool) and temperature == 0
        return cold or settings.get("seed") is not None

    def complete(self, request: Request) -> Reply:
        """Answer from the cache, else from ``inner``.

        Raises:
            ModelError: as ``inner``.
        """
        if not self.always and not self.repeats(request):
            return self.inner.complete(request)
        key = self._key(request)
        kept = self._recalled(key)
        return kept if kept is not None else self._ask_once(key, request)

    def _ask_once(self, key: str, request: Request) -> Reply:
        """Ask, or wait for the one who asks the same; if that brings nothing to share, ask all the same."""
        with self._lock:
            flight = self._flights.get(key)
            mine = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        if not mine:
            shared = _landed(flight)
            return self.inner.complete(request) if shared is None else _hit(shared)
        body: str | None = None
        try:
            kept = self._recalled(key)  # it may have landed between the look and the start
            reply = self.inner.complete(request) if kept is None else kept
            if _is_fit(reply):
                body = reply_to_json(replace(reply, usage=Usage()))
            if kept is None and body is not None:
                self.cache.put(key, body)
            return reply
        finally:
            with self._lock:
                del self._flights[key]
            flight.set_result(body)

    def _recalled(self, key: str) -> Reply | None:
        body = self.cache.get(key)
        if body is None:
            return None
        try:
            return _hit(body)
        except StoreError as error:
            _LOG.warning("a reply in the cache cannot be read and is asked for again: %s", error)
            return None

    def _key(self, request: Request) -> str:
        settings = dict(_effective(self.inner, request))
        model = str(settings.get("model") or self.name)
        sent = {name: value for name, value in settings.items() if name not in CLIENT_SETTINGS and value is not None}
        asked = replace(request, settings=sent).digest()
        parts = [_endpoint(self.inner), model, asked]
        sample = _sample(current_scope(), request, hashlib.sha256("\n".join(parts).encode()).hexdigest())
        return hashlib.sha256(json.dumps([*parts, sample]).encode()).hexdigest()


def _rebuilt(inner: ChatModel, cache: CacheStore, always: bool) -> Cached:  # noqa: FBT001 - pickle gives it by place
    return Cached(inner, cache, always=always)


def _hit(body: str) -> Reply:
    reply = reply_from_json(body)
    answered_from("cache")
    return replace(reply, usage=Usage())


def _landed(flight: Future[str | None]) -> str | None:
    """Wait for another's reply; None when there is none to share, or no time to wait."""
    stop: Future[str | None] = Future()
    with requests.waking(lambda: _end(stop)):  # the other may be in the middle of an answer, which nothing interrupts
        if not requests.interrupted:
            wait((flight, stop), time_left(), FIRST_COMPLETED)
    return flight.result() if flight.done() else None


def _end(future: Future[str | None]) -> None:
    if not future.done():
        future.set_result(None)


def _is_fit(reply: Reply) -> bool:
    said = bool(reply.text.strip() or reply.tool_calls)
    fit = said and not reply.refusal and reply.finish_reason not in _UNFIT
    return fit and all(map(_is_fit, reply.more))


def _sample(scope: Scope | None, request: Request, identity: str) -> str:
    """Return which of several samples is asked for; empty for the first or only one.

    The key of a request says so, where it has one; a key that merely counts repetitions (``DIGEST#1``) is read as the
    count. A proposal wants what no other one got, and so does a re-test: their unit is part of it, and the same one of
    another run finds it.
    """
    if scope is None:
        return ""
    digest, counted, count = request.key.rpartition("#")
    if counted and digest == request.digest():
        sample = count
    else:
        sample = request.key or str(scope.occurrence(f"cache/{identity}"))
    unit = scope.name if scope.name.startswith(_UNIQUE) else ""
    return f"{unit}#{sample}" if unit or sample != "0" else ""


def _effective(model: object, request: Request) -> Mapping[str, Any]:
    """Return the settings that will be sent: the innermost model's own, and the request's, which win."""
    return {**_found(model, "settings", {}), **request.settings}


def _endpoint(model: object) -> str:
    address = _found(model, "address", None)
    if address is not None:
        return str(address[0])
    held = model
    while (inner := getattr(held, "inner", None)) is not None:
        held = inner
    return f"{type(held).__module__}.{type(held).__qualname__}"


def _found(model: object, attribute: str, default: Any) -> Any:  # noqa: ANN401 - whatever the attribute holds
    held = model
    while held is not None:
        value = getattr(held, attribute, None)
        if value is not None:
            return value
        held = getattr(held, "inner", None)
    return default
