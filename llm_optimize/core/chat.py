"""What is said to a chat model and what comes back; the vocabulary of the Chat Completions protocol."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from llm_optimize.core.types import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Message", "Reply", "Request", "Role"]

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat.

    Attributes:
        role: ``system``, ``user`` or ``assistant``.
        content: the text.
    """

    role: Role
    content: str


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

    Example:
        >>> Request((Message("user", "hi"),), {"temperature": 0}).prompt_characters
        2
    """

    messages: tuple[Message, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    key: str = ""
    idempotency_key: str = ""

    @property
    def prompt_characters(self) -> int:
        """Characters in all messages together."""
        return sum(len(message.content) for message in self.messages)

    def digest(self) -> str:
        """Hash of what the model would see: equal requests, equal digests."""
        seen = {"messages": [asdict(message) for message in self.messages], "settings": dict(self.settings)}
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
        usage: tokens, price and time of this call.
    """

    text: str
    finish_reason: str = "stop"
    refusal: str = ""
    reasoning: str = ""
    model: str = ""
    usage: Usage = Usage()
