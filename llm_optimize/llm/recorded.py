"""Paid replies written down before anything builds on them, so that a killed and resumed study never pays twice.

Outside a study, or where its store keeps no replies, a call passes through unchanged.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from llm_optimize.core.chat import Reply, ToolCall
from llm_optimize.core.metering import current_scope
from llm_optimize.core.types import Usage
from llm_optimize.errors import StoreError

if TYPE_CHECKING:
    from llm_optimize.core.chat import Request
    from llm_optimize.core.metering import Scope
    from llm_optimize.core.protocols import ChatModel

__all__ = ["Recorded", "reply_from_json", "reply_to_json"]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A model whose replies within a study are looked up in its reply log first, and written there before use.

    A reply is found again by the unit of work and the request's key, or its content and how often that was asked
    before. A reply from the log costs nothing now, but its usage is counted: it was paid for in a session that ended
    before counting it. The same identity goes out as ``Idempotency-Key``, so an endpoint that honours it does not
    charge for a reply that was lost on the way.

    Attributes:
        inner: the model that is asked for what the log does not hold.
    """

    inner: ChatModel

    @property
    def name(self) -> str:
        """The model's name."""
        return str(getattr(self.inner, "name", ""))

    def complete(self, request: Request) -> Reply:
        """Answer from the log, else from ``inner``.

        Raises:
            ModelError: as ``inner``.
            StoreError: the log cannot be read or written.
        """
        scope = current_scope()
        if scope is None or scope.replies is None:
            return self.inner.complete(request)
        key = _key(scope, request)
        kept = scope.replies.recall(scope.study, key)
        if kept is not None:
            reply = reply_from_json(kept)
            scope.add(reply.usage)
            return reply
        identity = hashlib.sha256(f"{scope.study}\n{scope.born!r}\n{key}".encode()).hexdigest()[:32]
        reply = self.inner.complete(replace(request, idempotency_key=identity))
        scope.replies.remember(scope.study, key, reply_to_json(reply))
        return reply


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


def _key(scope: Scope, request: Request) -> str:
    if request.key:
        return f"{scope.name}/{request.key}"
    digest = request.digest()
    return f"{scope.name}/{digest}#{scope.occurrence(digest)}"
