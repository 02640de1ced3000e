"""Our request as a Chat Completions body, and a Chat Completions answer as our reply, checked field by field.

The SDK validates nothing: an HTML page with status 200 arrives as a string, ``choices`` may be null, ``usage`` absent.
What is missing and needed is an error; what is missing and can be estimated is estimated and marked so.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_optimize.core.chat import Reply
from llm_optimize.core.types import Usage
from llm_optimize.errors import BadInput, BadReply
from llm_optimize.llm.failures import context_error, one_line
from llm_optimize.llm.tokens import TokenCounter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.core.chat import Message, Request

__all__ = ["CLIENT_SETTINGS", "content_text", "estimated_usage", "messages_body", "read_reply", "settings_body"]

CLIENT_SETTINGS = frozenset({"model", "timeout", "request_timeout"})
"""Settings that are for the client and never sent as they are."""

_THOUGHT = re.compile(r"\s*<think>(.*?)</think>\s*", re.DOTALL)


def messages_body(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Return the ``messages`` field."""
    return [{"role": message.role, "content": message.content} for message in messages]


def settings_body(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields to send besides model and messages; a setting of None is left out.

    Raises:
        BadInput: a setting that is no JSON, or one that would change the form of the answer.
    """
    body = {name: value for name, value in settings.items() if name not in CLIENT_SETTINGS and value is not None}
    for reserved in ("messages", "stream"):
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
        answer: what the SDK returned.
        request: what was asked, for the estimate of tokens that the endpoint did not report.
        url: the endpoint, for messages.
        seconds: how long the call took.

    Raises:
        BadReply: no chat completion, or one without a choice.
        ContextTooLong: an answer with status 200 that says so.
    """
    message, finish_reason = _choice(answer, url)
    text, thought = _split_thought(content_text(getattr(message, "content", None)))
    extra = getattr(message, "model_extra", None) or {}
    reasoning = content_text(extra.get("reasoning_content") or extra.get("reasoning")) or thought
    model = str(getattr(answer, "model", None) or "")
    reply = Reply(text, finish_reason, content_text(getattr(message, "refusal", None)), reasoning, model)
    usage = _usage(getattr(answer, "usage", None), request, reply, seconds)
    return Reply(reply.text, reply.finish_reason, reply.refusal, reply.reasoning, reply.model, usage)


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
    answer = counter.count(reply.text) + counter.count(reply.reasoning) + counter.count(reply.refusal)
    return Usage(1, prompt, 0, answer, 0.0, seconds, estimated=True)


@lru_cache(maxsize=16)
def _counter(model: str) -> TokenCounter:
    # Shared, so that its cache of texts outlives one call; never corrected, so that estimates repeat exactly.
    return TokenCounter(model)


def _choice(answer: object, url: str) -> tuple[object, str]:
    choices = getattr(answer, "choices", None)
    if isinstance(answer, str) or not isinstance(choices, list) or not choices:
        said = answer if isinstance(answer, str) else _error_text(answer) or "no choices"
        too_long = None if isinstance(answer, str) else context_error(said)
        if too_long is not None:
            raise too_long
        msg = f"{url} answered with status 200 but no chat completion ({one_line(said)}): check base_url"
        raise BadReply(msg)
    message = getattr(choices[0], "message", None)
    if message is None:
        msg = f"{url} answered with a choice that holds no message: it is no chat endpoint; check base_url"
        raise BadReply(msg)
    return message, str(getattr(choices[0], "finish_reason", None) or "stop")


def _error_text(answer: object) -> str:
    extra = getattr(answer, "model_extra", None) or {}
    error = extra.get("error")
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
    cached = _count(getattr(usage, "prompt_tokens_details", None), "cached_tokens") or 0
    return Usage(1, prompt, min(cached, prompt), answer, 0.0, seconds)


def _count(holder: object, name: str) -> int | None:
    value = holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)
    return int(value) if isinstance(value, int | float) and value >= 0 else None
