"""Paid replies written down before anything builds on them, so that a killed and resumed study never pays twice.

What was asked is written with them, in the same transaction, where the store can hold it: every exchange can be
exported and replayed (:mod:`llm_optimize.llm.exchanges`, :mod:`llm_optimize.llm.replay`). A prompt that the endpoint
refused as too long is written too, as a fact about the run; it is not an answer, so a resume asks again.

Outside a study, or where its store keeps no replies, a call passes through unchanged.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from llm_optimize.core.chat import Reply, ToolCall
from llm_optimize.core.metering import current_scope
from llm_optimize.core.protocols import ExchangeLog
from llm_optimize.core.types import Usage
from llm_optimize.errors import ContextTooLong, StoreError
from llm_optimize.llm.asked import Circumstances, request_entries
from llm_optimize.llm.provenance import answered_from
from llm_optimize.llm.wrapper import Wrapper

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_optimize.core.chat import Request
    from llm_optimize.core.metering import Scope
    from llm_optimize.core.protocols import ChatModel, ReplyLog

__all__ = [
    "RECALLED",
    "REFUSED",
    "Recorded",
    "refusal_from_json",
    "refusal_to_json",
    "reply_from_json",
    "reply_to_json",
    "request_key",
]

REFUSED = "refused/"
"""Entries of the log under this are prompts that were too long, with what the endpoint said."""


RECALLED = "recalled/"
"""Entries under this say how far the study had come when a reply of an earlier session was used: another prompt was
made then, which showed more of the past than the one that the reply was given to."""


@dataclass(frozen=True, slots=True)
class Recorded(Wrapper):
    """A model whose replies within a study are looked up in its reply log first, and written there before use.

    A reply is found again by the unit of work and the request's key, or its content and how often that was asked
    before. A reply from the log costs nothing now, but its usage is counted: it was paid for in a session that ended
    before counting it. The same identity goes out as ``Idempotency-Key``, so an endpoint that honours it does not
    charge for a reply that was lost on the way.

    Attributes:
        inner: the model that is asked for what the log does not hold.
    """

    inner: ChatModel

    def complete(self, request: Request) -> Reply:
        """Answer from the log, else from ``inner``.

        Raises:
            ModelError: as ``inner``.
            StoreError: the log cannot be read or written.
        """
        scope = current_scope()
        if scope is None or scope.replies is None:
            return self.inner.complete(request)
        key = request_key(scope, request)
        kept = scope.replies.recall(scope.study, f"{scope.name}/{key}")
        if kept is not None:
            reply = reply_from_json(kept)
            answered_from("log")
            if _keeps_exchanges(scope.replies):
                scope.replies.remember_all(scope.study, {f"{RECALLED}{scope.begun}/{scope.name}/{key}": ""})
            model = {**_settings(self.inner), **request.settings}.get("model") or self.name
            scope.recalled(reply.usage, str(model), _role(self.inner))
            return reply
        return self._ask(scope, scope.replies, replace(request, key=key))

    def _ask(self, scope: Scope, log: ReplyLog, request: Request) -> Reply:
        name = f"{scope.name}/{request.key}"
        identity = hashlib.sha256(f"{scope.study}\n{scope.born!r}\n{name}".encode()).hexdigest()[:32]
        try:
            reply = self.inner.complete(replace(request, idempotency_key=identity))
        except ContextTooLong as error:
            if _keeps_exchanges(log):
                refused = f"{REFUSED}{scope.occurrence(REFUSED + name)}/{name}"
                entries = request_entries(refused, request, self._around(scope))
                log.remember_all(scope.study, entries | {refused: refusal_to_json(error)})
            raise
        body = reply_to_json(reply)
        if _keeps_exchanges(log):
            log.remember_all(scope.study, request_entries(name, request, self._around(scope)) | {name: body})
        else:
            log.remember(scope.study, name, body)
        return reply

    def _around(self, scope: Scope) -> Circumstances:
        return Circumstances(scope.name, self.name, _settings(self.inner), scope.begun)


def request_key(scope: Scope, request: Request) -> str:
    """Return the identity of a call within its unit of work: the request's key, else its content and a count."""
    if request.key:
        return request.key
    digest = request.digest()
    return f"{digest}#{scope.occurrence(digest)}"


def reply_to_json(reply: Reply) -> str:
    """Return a reply as one line of JSON; :func:`reply_from_json` is its inverse."""
    content = _content(reply) | {"usage": _content(reply.usage)}
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


def reply_from_json(body: str) -> Reply:
    """Rebuild a reply.

    Raises:
        StoreError: a field is missing, unknown or of the wrong type: the log is damaged or from a newer version.
    """
    try:
        content = json.loads(body)
        return _reply(content)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        msg = f"the reply log holds an entry that cannot be read ({error}): restore the file or upgrade llm_optimize"
        raise StoreError(msg) from error


def refusal_to_json(error: ContextTooLong) -> str:
    """Return what an endpoint said of a prompt that is too long; :func:`refusal_from_json` is its inverse."""
    return json.dumps({"message": str(error), "limit": error.limit}, ensure_ascii=False)


def refusal_from_json(body: str) -> ContextTooLong:
    """Rebuild the error.

    Raises:
        StoreError: the entry is damaged.
    """
    try:
        content = json.loads(body)
        return ContextTooLong(str(content["message"]), content["limit"])
    except (KeyError, TypeError, ValueError) as error:
        msg = f"the reply log holds an entry that cannot be read ({error}): restore the file or upgrade llm_optimize"
        raise StoreError(msg) from error


def _content(value: Reply | Usage) -> dict[str, Any]:
    # dataclasses.asdict copies deeply, which costs more than all else between a model and its study.
    content = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Reply):
        content["tool_calls"] = [[call.id, call.name, call.arguments] for call in value.tool_calls]
        content["more"] = [_content(one) | {"usage": _content(one.usage)} for one in value.more]
    return content


def _reply(content: dict[str, Any]) -> Reply:
    usage = Usage(**_checked(Usage(), content["usage"]))
    calls = tuple(ToolCall(*call) for call in content.get("tool_calls", ()))  # older logs have neither field
    more = tuple(map(_reply, content.get("more", ())))
    return Reply(**_checked(Reply(""), content | {"usage": usage, "tool_calls": calls, "more": more}))


def _checked(example: Reply | Usage, content: dict[str, Any]) -> dict[str, Any]:
    wanted = {field.name: type(getattr(example, field.name)) for field in fields(example)}
    if wanted.keys() != content.keys():
        msg = f"fields {sorted(content)} instead of {sorted(wanted)}"
        raise ValueError(msg)
    for name, kind in wanted.items():
        value = content[name]
        if type(value) is not kind and not (kind is float and type(value) is int):
            msg = f"{name} is {value!r}"
            raise TypeError(msg)
    return content


def _role(model: object) -> str:
    """Return what the model is in a study, as the layer that books its calls knows it."""
    held = model
    while held is not None and not hasattr(held, "role"):
        held = getattr(held, "inner", None)
    return str(getattr(held, "role", ""))


def _keeps_exchanges(log: ReplyLog) -> TypeGuard[ExchangeLog]:
    return _is_exchange_log(type(log))


@lru_cache(maxsize=16)
def _is_exchange_log(kind: type) -> bool:
    return issubclass(kind, ExchangeLog)  # remembered: Python 3.11 takes a tenth of a call's budget to find it out


def _settings(model: object) -> Mapping[str, Any]:
    """Return the settings that the innermost model adds to each request."""
    held = model
    while held is not None:
        settings = getattr(held, "settings", None)
        if settings is not None:
            return cast("Mapping[str, Any]", settings)
        held = getattr(held, "inner", None)
    return {}
