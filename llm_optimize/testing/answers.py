"""What a scripted endpoint says to one request, and what may go wrong with it on the way."""

from __future__ import annotations

import json
import re
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Answer", "Fault", "Received", "count_tokens"]

_PIECE = re.compile(r"\w{1,5}|[^\w\s]")
_CAPS = ("max_completion_tokens", "max_tokens")


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong on the way, once: the completion was made and charged, and a repeat of its key gets it whole.

    Attributes:
        kind: ``reset``: the connection is reset; ``stall``: nothing more comes; ``cut``: the connection ends in good
            order before the body does; ``instead``: a gateway answers in the server's place; ``slow_headers``: the
            status line comes at once, the rest ``seconds`` later.
        after: how many bytes of the body go out before a reset, stall or cut.
        seconds: see ``slow_headers``.
        body: what the gateway says.
        content_type: the gateway's.
    """

    kind: Literal["reset", "stall", "cut", "instead", "slow_headers"]
    after: int = 0
    seconds: float = 0.0
    body: bytes = b""
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says to one request.

    Attributes:
        text: the content of the first choice; None is sent as null.
        status: the HTTP status; from 400 on ``text`` becomes the error's message.
        headers: further response headers, such as ``Retry-After``.
        finish_reason: ``stop``, ``length``, ``content_filter``; ``stop`` with tool calls is sent as ``tool_calls``.
        refusal: the message's refusal field.
        reasoning: the message's ``reasoning_content`` field, as several servers send it.
        usage: ``"count"`` for plausible figures, a mapping as it is, or None to leave the field out.
        code: the error's ``code`` field.
        raw: bytes sent as the whole body instead of JSON.
        delay: seconds before this answer, on top of the server's latency.
        drop: close the connection instead of answering; nothing is charged.
        lose: charge and keep the answer but close the connection before it is seen; a repeat of the same key gets it.
        tool_calls: (function, arguments) of each call; arguments are an object, or a text that may be malformed.
        more: the further choices of a request with ``n``; where it holds too few the first choice is sent again.
        param: the error's ``param`` field.
        pause: seconds between two events of a stream.
        fault: what goes wrong on the way.
    """

    text: str | None = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    finish_reason: str = "stop"
    refusal: str | None = None
    reasoning: str | None = None
    usage: Mapping[str, Any] | Literal["count"] | None = "count"
    code: str | None = None
    raw: bytes | None = None
    delay: float = 0.0
    drop: bool = False
    lose: bool = False
    tool_calls: Sequence[tuple[str, Mapping[str, Any] | str]] = ()
    more: Sequence[str | Answer] = ()
    param: str | None = None
    pause: float = 0.0
    fault: Fault | None = None

    @property
    def good(self) -> bool:
        """Whether a provider would charge for it and repeat it under the same idempotency key."""
        return self.status < 400 and not self.drop  # noqa: PLR2004 - the first HTTP error status

    def kept(self) -> Answer:
        """Return what a repeat of the same key gets: the same, safe and sound."""
        return replace(self, lose=False, fault=None)

    def choices(self, request: Mapping[str, Any]) -> list[Answer]:
        """Return the choices for ``request``, each cut to its token limit."""
        wanted = request.get("n") or 1
        further = [Answer(one) if isinstance(one, str) else one for one in self.more[: wanted - 1]]
        return [one.capped(request) for one in [self, *further, *[self] * (wanted - 1 - len(further))]]

    def capped(self, request: Mapping[str, Any]) -> Answer:
        """Return the answer within the token limit of ``request``, its end cut off where it is longer."""
        caps = [request[name] for name in _CAPS if isinstance(request.get(name), int)]
        pieces = list(_PIECE.finditer(self.text or "")) if caps else []
        if not caps or len(pieces) <= min(caps):
            return self
        end = pieces[min(caps)].start() if min(caps) > 0 else 0
        return replace(self, text=(self.text or "")[:end].rstrip(), finish_reason="length")

    def message(self) -> dict[str, Any]:
        """Return the assistant's message."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text, "refusal": self.refusal}
        if self.reasoning is not None:
            message["reasoning_content"] = self.reasoning
        if self.tool_calls:
            message["tool_calls"] = [
                {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": _json(arguments)}}
                for index, (name, arguments) in enumerate(self.tool_calls)
            ]
        return message

    @property
    def ended(self) -> str:
        """The finish reason as it is sent."""
        return "tool_calls" if self.tool_calls and self.finish_reason == "stop" else self.finish_reason

    def tokens(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return the figures of the ``usage`` field, plausible ones where none are given."""
        if self.usage is not None and self.usage != "count":
            return dict(self.usage)
        prompt = sum(count_tokens(str(message.get("content", ""))) + 4 for message in request.get("messages", ()))
        answer = sum(_spoken(choice) for choice in self.choices(request))
        return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}

    def body(self, request: Mapping[str, Any]) -> bytes:
        """Return the response body for ``request``."""
        if self.raw is not None:
            return self.raw
        if self.status >= 400:  # noqa: PLR2004 - the first HTTP error status
            error = {"message": self.text, "type": "scripted", "param": self.param, "code": self.code}
            return json.dumps({"error": error}).encode()
        return json.dumps(self._completion(request)).encode()

    def envelope(self, request: Mapping[str, Any], kind: str) -> dict[str, Any]:
        """Return the fields that a completion and each part of a stream have in common."""
        return {
            "id": "chatcmpl-scripted",
            "object": kind,
            "created": int(time.time()),
            "model": request.get("model", ""),
        }

    def _completion(self, request: Mapping[str, Any]) -> dict[str, Any]:
        completion = self.envelope(request, "chat.completion")
        completion["choices"] = [
            {"index": index, "message": choice.message(), "finish_reason": choice.ended}
            for index, choice in enumerate(self.choices(request))
        ]
        if self.usage is not None:
            completion["usage"] = self.tokens(request)
        return completion


@dataclass(slots=True)
class Received:
    """One request as the server saw it.

    Attributes:
        body: the JSON body.
        headers: header names in lower case.
        key: the idempotency key, empty without one.
        repeat: whether it was answered from an earlier request with the same key.
        status: what it was answered with; 0 until then, and for a closed connection.
        written: whether the answer left the server whole; known once ``over`` is set.
        over: set when the server is done with it, which may be after the client has its answer.
    """

    body: dict[str, Any]
    headers: dict[str, str]
    key: str = ""
    repeat: bool = False
    status: int = 0
    written: bool = False
    over: threading.Event = field(default_factory=threading.Event, repr=False, compare=False)

    def left_whole(self, seconds: float = 30.0) -> bool:
        """Wait until the server is done with it, and return :attr:`written`."""
        return self.over.wait(seconds) and self.written


def count_tokens(text: str) -> int:
    """Return how many tokens the scripted endpoint says that ``text`` is."""
    return len(_PIECE.findall(text.rstrip()))


def _spoken(choice: Answer) -> int:
    said = count_tokens(choice.text or "") + count_tokens(choice.reasoning or "") + count_tokens(choice.refusal or "")
    return said + sum(count_tokens(name + _json(arguments)) for name, arguments in choice.tool_calls)


def _json(arguments: Mapping[str, Any] | str) -> str:
    return arguments if isinstance(arguments, str) else json.dumps(arguments)
