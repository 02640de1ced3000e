"""A scripted answer as a stream of server-sent events, in the parts that real endpoints send."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llm_optimize.testing.answers import Answer

__all__ = ["events"]

_PART = re.compile(r"\s*\S{1,12}|\s+")


def events(answer: Answer, request: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the events of ``answer``: roles, thinking, text, tool calls, finish reasons, usage where asked, the end."""
    options = request.get("stream_options") or {}
    usage = {"usage": None} if options.get("include_usage") else {}
    choices = answer.choices(request)
    for index, choice in enumerate(choices):
        for delta in _deltas(choice):
            yield _event(_part(answer, request, index, delta) | usage)
    for index, choice in enumerate(choices):
        yield _event(_part(answer, request, index, {}, choice.ended) | usage)
    if usage and answer.usage is not None:
        yield _event(
            answer.envelope(request, "chat.completion.chunk") | {"choices": [], "usage": answer.tokens(request)}
        )
    yield b"data: [DONE]\n\n"


def _event(content: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(content, ensure_ascii=False).encode() + b"\n\n"


def _part(
    answer: Answer, request: Mapping[str, Any], index: int, delta: Mapping[str, Any], finish: str | None = None
) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return answer.envelope(request, "chat.completion.chunk") | {"choices": [choice]}


def _deltas(choice: Answer) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": "" if choice.text is not None else None}
    for field, text in (
        ("reasoning_content", choice.reasoning),
        ("content", choice.text),
        ("refusal", choice.refusal),
    ):
        for part in _PART.findall(text or ""):
            yield {field: part}
    for index, call in enumerate(choice.message().get("tool_calls", ())):
        arguments = call["function"]["arguments"]
        yield {"tool_calls": [{**call, "index": index, "function": {**call["function"], "arguments": ""}}]}
        for part in _PART.findall(arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": part}}]}
