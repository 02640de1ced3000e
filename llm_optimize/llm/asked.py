"""A request as entries of a reply log, each text once: consecutive prompts of a study share most of their messages.

``text/<hash>`` holds a text; ``request/<name>`` holds the rest of a request with the hashes of its texts, and the reply
stands under ``<name>`` itself, as it did before requests were kept. Keys of endpoints and headers are never written.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_optimize.core.chat import Message, Request, ToolCall, ToolSpec
from llm_optimize.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["REQUEST", "TEXT", "Circumstances", "public", "read_request", "request_entries"]

TEXT = "text/"
REQUEST = "request/"

_SECRET = re.compile(
    r"(^|[-_])(api[-_]?key|key|authorization|secret|password|credentials?|headers?|(auth|access|bearer)[-_]?token)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a prompt depended on besides its messages, and what was in force with it.

    Attributes:
        unit: the unit of work that asked, such as ``proposal/17``.
        model: the name of the model that was asked.
        defaults: the model's own settings; those of the request win over them.
        begun: how far the study had come when the unit began, see ``Scope.begun`` of :mod:`llm_optimize.core.metering`.
    """

    unit: str = ""
    model: str = ""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    begun: int = 0


def request_entries(name: str, request: Request, around: Circumstances) -> dict[str, str]:
    """Return what to write so that :func:`read_request` can rebuild the request of the reply kept as ``name``."""
    entries: dict[str, str] = {}
    content: dict[str, Any] = {"unit": around.unit, "key": request.key}
    content["messages"] = [_message(message, entries) for message in request.messages]
    if request.settings:
        content["settings"] = public(request.settings)
    if request.tools:
        tools = [[tool.name, tool.description, tool.parameters] for tool in request.tools]
        content["tools"] = _kept(_json(tools), entries)
    if request.n != 1:
        content["n"] = request.n
    content["model"] = around.model
    if around.defaults:
        content["defaults"] = public(around.defaults)
    content["begun"] = around.begun
    entries[REQUEST + name] = _json(content)
    return entries


def read_request(name: str, body: str, recall: Callable[[str], str | None]) -> tuple[Request, Circumstances]:
    """Rebuild a request.

    Args:
        name: what its reply is kept as.
        body: the entry ``request/<name>``.
        recall: gives the body of another entry of the same study.

    Raises:
        StoreError: an entry is missing or damaged.
    """

    def text(reference: str) -> str:
        found = recall(TEXT + reference)
        if found is None:
            msg = f"text {reference} is missing"
            raise KeyError(msg)
        return found

    try:
        content = json.loads(body)
        messages = tuple(
            Message(role, text(reference), tuple(ToolCall(*call) for call in calls), answers)
            for role, reference, calls, answers in (_filled(message) for message in content["messages"])
        )
        tools = json.loads(text(content["tools"])) if "tools" in content else ()
        specs = tuple(ToolSpec(*tool) for tool in tools)
        settings, n = content.get("settings", {}), content.get("n", 1)
        around = Circumstances(content["unit"], content["model"], content.get("defaults", {}), content["begun"])
        return Request(messages, settings, content["key"], tools=specs, n=n), around
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        msg = f"the request of reply {name!r} cannot be read ({error}): restore the file or upgrade llm_optimize"
        raise StoreError(msg) from error


def public(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without keys, passwords and headers, as JSON holds them.

    Example:
        >>> public({"temperature": 0, "api_key": "sk-...", "extra_headers": {"X": "y"}})
        {'temperature': 0}
    """
    return {str(name): _public(value) for name, value in settings.items() if not _SECRET.search(str(name))}


def _public(value: object) -> object:
    if isinstance(value, Mapping):
        return public(value)
    if isinstance(value, list | tuple):
        return [_public(one) for one in value]
    return value if value is None or isinstance(value, str | int | float) else repr(value)


def _message(message: Message, entries: dict[str, str]) -> list[Any]:
    reference = _kept(message.content, entries)
    if not message.tool_calls and not message.tool_call_id:
        return [message.role, reference]
    calls = [[call.id, call.name, call.arguments] for call in message.tool_calls]
    return [message.role, reference, calls, message.tool_call_id]


def _filled(message: list[Any]) -> list[Any]:
    return message if len(message) > 2 else [*message, (), ""]  # noqa: PLR2004 - role and text alone


def _kept(text: str, entries: dict[str, str]) -> str:
    reference = _reference(text)
    entries[TEXT + reference] = text
    return reference


@lru_cache(maxsize=256)
def _reference(text: str) -> str:
    # 96 bits: no two texts of a study meet. Remembered, as the turns of a window come again as the same objects.
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _json(content: object) -> str:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), default=repr)
