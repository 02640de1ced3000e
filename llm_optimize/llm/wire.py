"""Our request as a Chat Completions body, and a Chat Completions answer as our reply, checked field by field.

The SDK validates nothing: an HTML page with status 200 arrives as a string, ``choices`` may be null, ``usage`` absent.
What is missing and needed is an error; what is missing and can be estimated is estimated and marked so. An answer is
read alike as the SDK's object and as the JSON that a stream was joined into.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_optimize.core.chat import Reply, ToolCall
from llm_optimize.core.types import Usage
from llm_optimize.errors import BadInput, BadReply
from llm_optimize.llm.failures import context_error, one_line
from llm_optimize.llm.tokens import TokenCounter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.core.chat import Message, Request

__all__ = [
    "CLIENT_SETTINGS",
    "chat_body",
    "content_text",
    "estimated_usage",
    "messages_body",
    "read_reply",
    "settings_body",
]

CLIENT_SETTINGS = frozenset({"model", "timeout", "request_timeout"})
"""Settings that are for the client and never sent as they are."""

_THOUGHT = re.compile(r"\s*<think>(.*?)</think>\s*", re.DOTALL)
_FINISHES = {
    "end_turn": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "function_call": "tool_calls",
    "max_tokens": "length",
    "safety": "content_filter",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
}


def chat_body(model: str, request: Request, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the whole body of a request.

    Args:
        model: the model's name.
        request: what is asked.
        settings: the fields besides messages and tools; they win over ``request.n``.

    Raises:
        BadInput: as :func:`settings_body`.
    """
    body: dict[str, Any] = {"model": model, "messages": messages_body(request.messages)}
    if request.tools:
        body["tools"] = [
            {"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.parameters}}
            for t in request.tools
        ]
    if request.n > 1:
        body["n"] = request.n
    return body | settings_body(settings)


def messages_body(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Return the ``messages`` field."""
    return [_message_body(message) for message in messages]


def _message_body(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        body["content"] = message.content or None  # an empty text beside calls is refused by some
        body["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        body["tool_call_id"] = message.tool_call_id
    return body


def settings_body(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields to send besides model and messages; a setting of None is left out.

    Raises:
        BadInput: a setting that is no JSON, or one that would change the form of the answer.
    """
    body = {name: value for name, value in settings.items() if name not in CLIENT_SETTINGS and value is not None}
    for reserved in ("messages", "stream", "stream_options"):
        if body.get(reserved, False) is not False:
            msg = f"settings: {reserved!r} is set by llm_optimize itself; leave it out"
            raise BadInput(msg)
    for name, value in body.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            msg = f"settings: {name!r} is {value!r}, which JSON cannot hold; give numbers, texts, lists or dicts"
            raise BadInput(msg) from error
    return body


def read_reply(answer: object, request: Request, url: str, seconds: float) -> Reply:
    """Return the reply in a Chat Completions answer.

    Args:
        answer: what the SDK returned, or the same as JSON.
        request: what was asked, for the estimate of tokens that the endpoint did not report.
        url: the endpoint, for messages.
        seconds: how long the call took.

    Raises:
        BadReply: no chat completion, or one without a choice.
        ContextTooLong: an answer with status 200 that says so.
    """
    model = str(_field(answer, "model") or "")
    first, *others = (_reply(choice, model) for choice in _choices(answer, url))
    reply = replace(first, more=tuple(others[: max(request.n - 1, 0)]))
    return replace(reply, usage=_usage(_field(answer, "usage"), request, reply, seconds))


def content_text(content: object) -> str:
    """Return a message's content as text; some endpoints send a list of parts instead.

    Example:
        >>> content_text([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])
        'ab'
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if isinstance(content, list | tuple):
        return "".join(content_text(part) for part in content)
    if isinstance(content, dict):
        return content_text(content.get("text"))
    return content_text(getattr(content, "text", None))


def estimated_usage(request: Request, reply: Reply, seconds: float, model: str = "") -> Usage:
    """Return the usage of one call by counting its texts, marked as estimated."""
    counter = _counter(model)
    prompt = counter.count_messages(request.messages)
    if request.tools:
        prompt += counter.count(
            json.dumps([[t.name, t.description, t.parameters] for t in request.tools], default=repr)
        )
    answer = sum(counter.count(text) for one in (reply, *reply.more) for text in _said(one))
    return Usage(1, prompt, 0, answer, 0.0, seconds, estimated=True)


def _said(reply: Reply) -> list[str]:
    calls = [f"{call.name} {call.arguments}" for call in reply.tool_calls]
    return [text for text in (reply.text, reply.reasoning, reply.refusal, *calls) if text]


@lru_cache(maxsize=16)
def _counter(model: str) -> TokenCounter:
    # Shared, so that its cache of texts outlives one call; never corrected, so that estimates repeat exactly.
    return TokenCounter(model)


def _field(holder: object, name: str) -> Any:  # noqa: ANN401 - whatever an endpoint put there
    return holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)


def _choices(answer: object, url: str) -> list[object]:
    choices = _field(answer, "choices")
    if isinstance(answer, str) or not isinstance(choices, list) or not choices:
        said = answer if isinstance(answer, str) else _error_text(answer) or "no choices"
        too_long = None if isinstance(answer, str) else context_error(said)
        if too_long is not None:
            raise too_long
        msg = f"{url} answered with status 200 but no chat completion ({one_line(said)}): check base_url"
        raise BadReply(msg)
    if any(_field(choice, "message") is None for choice in choices):
        msg = f"{url} answered with a choice that holds no message: it is no chat endpoint; check base_url"
        raise BadReply(msg)
    return choices


def _reply(choice: object, model: str) -> Reply:
    message = _field(choice, "message")
    text, thought = _split_thought(content_text(_field(message, "content")))
    reasoning = content_text(_field(message, "reasoning_content") or _field(message, "reasoning")) or thought
    calls = _tool_calls(_field(message, "tool_calls"))
    said = str(_field(choice, "finish_reason") or "stop").lower()
    finish = _FINISHES.get(said, said)
    finish = "tool_calls" if calls and finish == "stop" else finish
    return Reply(text, finish, content_text(_field(message, "refusal")), reasoning, model, tool_calls=calls)


def _tool_calls(calls: object) -> tuple[ToolCall, ...]:
    read = []
    for index, call in enumerate(calls if isinstance(calls, list) else ()):
        function = _field(call, "function")
        arguments = _field(function, "arguments")
        text = arguments if isinstance(arguments, str) else json.dumps(arguments if arguments is not None else {})
        read.append(ToolCall(str(_field(call, "id") or f"call_{index}"), str(_field(function, "name") or ""), text))
    return tuple(read)


def _error_text(answer: object) -> str:
    error = _field(answer, "error")
    return str(error.get("message") if isinstance(error, dict) else error or "")


def _split_thought(text: str) -> tuple[str, str]:
    # Servers without a reasoning parser leave the model's thinking at the head of its answer.
    match = _THOUGHT.match(text)
    return (text[match.end() :], match[1].strip()) if match else (text, "")


def _usage(usage: object, request: Request, reply: Reply, seconds: float) -> Usage:
    prompt, answer = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    if prompt is None or answer is None:
        guess = estimated_usage(request, reply, seconds, reply.model)
        return Usage(1, prompt or guess.tokens_in, 0, answer or guess.tokens_out, 0.0, seconds, estimated=True)
    cached = _count(_field(usage, "prompt_tokens_details"), "cached_tokens") or 0
    return Usage(1, prompt, min(cached, prompt), answer, 0.0, seconds)


def _count(holder: object, name: str) -> int | None:
    value = _field(holder, name)
    return int(value) if isinstance(value, int | float) and value >= 0 else None
