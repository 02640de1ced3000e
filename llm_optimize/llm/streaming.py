"""A reply taken in while it is being written: server-sent events joined into the answer that would have come whole.

Whoever listens (:meth:`llm_optimize.core.metering.Scope.say`) is told each part of the first choice as it comes. What
is returned is a whole answer or nothing: a stream that breaks off, stalls or cannot be read is an error like an answer
that was lost, and is asked for again.

The bytes are split here because the SDK's iterator hides whether the end was announced, and because the HTTP library's
own splits lines at characters that JSON allows inside a text (U+2028).
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadReply
from llm_optimize.llm.failures import RetryLater, context_error, one_line
from llm_optimize.llm.gate import time_left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from llm_optimize.core.metering import Scope

__all__ = ["Joining", "event_data", "read_stream"]

_DONE = "[DONE]"
_TEXTS = {"content": "text", "reasoning_content": "reasoning", "reasoning": "reasoning"}


def read_stream(chunks: Iterable[bytes], content_type: str, scope: Scope, url: str) -> object:
    """Return the answer that a stream's bytes hold, as JSON of a whole Chat Completions answer.

    Args:
        chunks: the body, split anyhow.
        content_type: of the response; what is no stream of events is returned as the JSON or the text that it is.
        scope: is told what is said, and at the end, however it comes, that it has ended.
        url: the endpoint, for messages.

    Raises:
        RetryLater: the stream broke off, stalled, or reports an error.
        ContextTooLong: the error that it reports says so.
        BadReply: an event that is no JSON object.
    """
    try:
        if "event-stream" in content_type:
            return _joined(_timely(chunks, url), scope, url)
        return _whole(b"".join(_timely(chunks, url)), scope, url)
    finally:
        scope.say("end")


def event_data(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the data of each server-sent event; comments and other fields are passed over.

    Args:
        chunks: the bytes, split anyhow; lines end with LF, CR LF or CR.
    """
    data: list[bytes] = []
    for line in _lines(chunks):
        if not line and data:
            yield b"\n".join(data).decode("utf-8", "replace")
            data = []
        elif line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
    if data:
        yield b"\n".join(data).decode("utf-8", "replace")


class Joining:
    """The parts of an answer, joined."""

    def __init__(self, say: Callable[[str, str], None]) -> None:
        """Hold nothing yet.

        Args:
            say: is told (kind, text) of each part of the first choice.
        """
        self._say = say
        self._head: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    @property
    def complete(self) -> bool:
        """Whether every choice has said why it ended."""
        return bool(self._choices) and all(choice["finish_reason"] for choice in self._choices.values())

    def add(self, event: Mapping[str, Any]) -> None:
        """Take in one event."""
        for name in ("id", "model", "usage"):
            if event.get(name):
                self._head[name] = event[name]
        for part in event.get("choices") or ():
            index = part.get("index") or 0
            choice = self._choices.setdefault(
                index, {"index": index, "message": {"role": "assistant"}, "finish_reason": None}
            )
            choice["finish_reason"] = part.get("finish_reason") or choice["finish_reason"]
            self._extend(choice["message"], part.get("delta") or {}, heard=index == min(self._choices))

    def answer(self) -> dict[str, Any]:
        """Return all of it."""
        return self._head | {"choices": [_closed(choice) for _, choice in sorted(self._choices.items())]}

    def _extend(self, message: dict[str, Any], delta: Mapping[str, Any], *, heard: bool) -> None:
        for name in ("content", "reasoning_content", "reasoning", "refusal"):
            text = _text(delta.get(name))
            if text:
                message.setdefault(name, []).append(text)
                if heard and name in _TEXTS:
                    self._say(_TEXTS[name], text)
        for call in delta.get("tool_calls") or ():
            _extend_calls(message.setdefault("tool_calls", {}), call)


def _extend_calls(calls: dict[int, dict[str, Any]], part: Mapping[str, Any]) -> None:
    index = part.get("index")
    if index is None:  # some number nothing; then a new id begins a new call
        index = len(calls) if part.get("id") or not calls else len(calls) - 1
    call = calls.setdefault(index, {"id": None, "function": {"name": "", "arguments": []}})
    function, said = call["function"], part.get("function") or {}
    call["id"] = part.get("id") or call["id"]
    function["name"] = said.get("name") or function["name"]
    arguments = said.get("arguments")
    if arguments is not None:
        function["arguments"].append(arguments if isinstance(arguments, str) else json.dumps(arguments))


def _closed(choice: Mapping[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {
        name: "".join(value) if isinstance(value, list) else value for name, value in choice["message"].items()
    }
    if "tool_calls" in message:
        message["tool_calls"] = [
            {"id": call["id"], "function": {**call["function"], "arguments": "".join(call["function"]["arguments"])}}
            for _, call in sorted(message["tool_calls"].items())
        ]
    return {**choice, "message": message}


def _text(value: object) -> str:
    if isinstance(value, list):
        return "".join(str(part.get("text") or "") for part in value if isinstance(part, dict))
    return value if isinstance(value, str) else ""


def _joined(chunks: Iterable[bytes], scope: Scope, url: str) -> object:
    joining = Joining(lambda kind, text: scope.say("reasoning" if kind == "reasoning" else "text", text))
    announced = False
    for data in event_data(chunks):
        if data.strip() == _DONE:
            announced = True
            break
        _take(joining, data, url)
    if not announced and not joining.complete:
        msg = f"{url} broke off in the middle of its answer"
        raise RetryLater(msg)
    return joining.answer()


def _take(joining: Joining, data: str, url: str) -> None:
    try:
        event = json.loads(data)
        _check_error(event.get("error"), url)
        joining.add(event)
    except (AttributeError, TypeError, ValueError) as error:
        msg = f"{url} sent a part of an answer that cannot be read ({one_line(data)})"
        raise BadReply(msg) from error


def _check_error(error: object, url: str) -> None:
    if not error:
        return
    said = one_line(str(error.get("message") or error) if isinstance(error, dict) else str(error))
    too_long = context_error(said, error)
    if too_long is not None:
        raise too_long
    msg = f"{url} broke off its answer with an error: {said}"
    raise RetryLater(msg)


def _whole(body: bytes, scope: Scope, url: str) -> object:
    text = body.decode("utf-8", "replace")
    if text.startswith("data:"):
        return _joined([body], scope, url)
    try:
        answer = json.loads(text)
    except ValueError:
        if text.lstrip().startswith(("{", "[")):
            msg = f"{url} answered with malformed JSON ({one_line(text)}): no chat endpoint, or cut off"
            raise BadReply(msg) from None
        return text
    for choice in (answer.get("choices") if isinstance(answer, dict) else None) or ():
        message = choice.get("message") if isinstance(choice, dict) else None
        for name, kind in _TEXTS.items():
            if isinstance(message, dict) and _text(message.get(name)):
                scope.say("reasoning" if kind == "reasoning" else "text", _text(message.get(name)))
    return answer


def _timely(chunks: Iterable[bytes], url: str) -> Iterator[bytes]:
    """Pass the bytes on as long as they come, and there is time."""
    transport, timeout = _transport_errors("HTTPError"), _transport_errors("TimeoutException")
    try:
        for chunk in chunks:
            yield chunk
            if time_left() == 0:
                msg = f"{url} was still writing its answer when the time for the call was up"
                raise RetryLater(msg)
    except timeout as error:
        msg = f"{url} fell silent in the middle of its answer: is the server alive? a slow model needs a longer timeout"
        raise RetryLater(msg) from error
    except transport as error:
        msg = f"{url} broke off in the middle of its answer ({one_line(str(error))})"
        raise RetryLater(msg) from error


def _transport_errors(name: str) -> tuple[type[Exception], ...]:
    # The SDK changed its HTTP library with version 3, and takes a client of the earlier one still; neither is ours.
    return tuple(getattr(sys.modules[library], name) for library in ("httpx2", "httpx") if library in sys.modules)


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    begun: list[bytes] = []
    returned = False  # whether the last chunk ended with CR: an LF that follows belongs to it
    for chunk in chunks:
        if not chunk:
            continue
        fresh = chunk[1:] if returned and chunk.startswith(b"\n") else chunk
        returned = chunk.endswith(b"\r")
        first, *others = fresh.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        begun.append(first)
        for line in others:
            yield b"".join(begun)
            begun = [line]
    yield b"".join(begun)
