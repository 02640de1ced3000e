"""What is said to a chat model and what comes back; the vocabulary of the Chat Completions protocol."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from llm_optimize.core.types import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Message", "Piece", "Reply", "Request", "Role", "ToolCall", "ToolSpec"]

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A function that a model may ask to be called, as the model sees it.

    Attributes:
        name: letters, digits, ``_`` and ``-``, at most 64 characters.
        description: what it does and when to use it.
        parameters: JSON schema of its arguments, an object.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to have a function called.

    Attributes:
        id: the endpoint's name for this call; the result is sent back under it.
        name: of the function; a model may invent one.
        arguments: JSON as the model wrote it, which may be malformed.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat.

    Attributes:
        role: ``system``, ``user``, ``assistant``, or ``tool`` for a function's result.
        content: the text.
        tool_calls: what an assistant's turn asked for.
        tool_call_id: of a tool's turn: which call it answers.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One call of a chat model.

    Attributes:
        messages: the chat so far, oldest first.
        settings: fields of the request body besides model and messages, such as ``temperature``; they win over the
            client's own defaults.
        key: identity of this call within its unit of work (for example ``ask-0``); a resumed study recognises a
            reply that it has already paid for by it. Empty: the content identifies the call.
        idempotency_key: sent as the ``Idempotency-Key`` header, the same for each retry and after a resume.
        tools: functions that the model may ask to be called.
        n: how many answers are wanted of this one call; a reply may bring fewer (``Reply.more``), never more.

    Example:
        >>> Request((Message("user", "hi"),), {"temperature": 0}).prompt_characters
        2
    """

    messages: tuple[Message, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    idempotency_key: str = ""
    tools: tuple[ToolSpec, ...] = ()
    n: int = 1

    @property
    def prompt_characters(self) -> int:
        """Characters in all messages together."""
        return sum(len(message.content) for message in self.messages)

    def digest(self) -> str:
        """Hash of what the model would see: equal requests, equal digests."""
        seen: dict[str, Any] = {"messages": list(map(_seen, self.messages)), "settings": dict(self.settings)}
        if self.tools:
            seen["tools"] = [[tool.name, tool.description, tool.parameters] for tool in self.tools]
        if self.n != 1:
            seen["n"] = self.n
        return hashlib.sha256(json.dumps(seen, sort_keys=True, default=repr).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Reply:
    """A chat model's answer; a reply is what was paid for, whether or not it is of use.

    Attributes:
        text: the answer; empty when there is none.
        finish_reason: ``stop``; ``length`` (cut off by a token limit); ``content_filter``; ``tool_calls``.
        refusal: the model's own words when it declines, else empty.
        reasoning: the model's visible thinking where the endpoint gives it, apart from the answer.
        model: the name that the endpoint answered under.
        usage: tokens, price and time of this call, with all its answers.
        tool_calls: functions that the model wants called before it goes on.
        more: the other answers of a call that asked for ``n``; their usage is empty, as it is counted here.
    """

    text: str
    finish_reason: str = "stop"
    refusal: str = ""
    reasoning: str = ""
    model: str = ""
    usage: Usage = Usage()
    tool_calls: tuple[ToolCall, ...] = ()
    more: tuple[Reply, ...] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a reply that is still being written, for those who watch; never for those who build on it.

    Attributes:
        unit: the unit of work that asked, such as ``proposal/17``.
        kind: ``text``; ``reasoning``; ``tool`` (a tool is called: its name and arguments); ``end`` (the reply is
            complete, or was broken off and is asked for again).
        text: the characters that are new.
    """

    unit: str
    kind: Literal["text", "reasoning", "tool", "end"]
    text: str = ""


def _seen(message: Message) -> dict[str, Any]:
    # Only what is there: the digests of plain chats are those of logs written before there were tools.
    seen: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        seen["tool_calls"] = [[call.id, call.name, call.arguments] for call in message.tool_calls]
    if message.tool_call_id:
        seen["tool_call_id"] = message.tool_call_id
    return seen
