"""Whatever people have in place of a chat model, made into one: :func:`as_chat_model`.

A chat model is an object with ``complete(request) -> reply`` (:class:`llm_optimize.core.protocols.ChatModel`). Those of
this package also have a ``name``, the model's, for the origin of candidates; :func:`model_name` gives one for any.
"""

from __future__ import annotations

import inspect
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from llm_optimize.core.chat import Reply
from llm_optimize.core.types import Usage
from llm_optimize.errors import BadInput, BadReply, ModelUnavailable
from llm_optimize.llm.endpoint import split_name
from llm_optimize.llm.failures import one_line
from llm_optimize.llm.openai import OpenAIChat
from llm_optimize.llm.replay import is_recorded, replayed
from llm_optimize.llm.wire import content_text, estimated_usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_optimize.core.chat import Message, Request
    from llm_optimize.core.protocols import ChatModel

__all__ = ["CalledModel", "Named", "OldMessage", "as_chat_model", "model_name"]

_OLD_TYPES = {"system": "system", "user": "human", "assistant": "ai"}


@runtime_checkable
class Named(Protocol):
    """A model that knows its name."""

    @property
    def name(self) -> str:
        """The model's name, such as ``gpt-5``."""
        ...


@dataclass(frozen=True, slots=True)
class OldMessage:
    """A message as the predecessor's models expect it.

    Attributes:
        content: the text.
        role: ``system``, ``user`` or ``assistant``.
        type: the same in the predecessor's words: ``system``, ``human`` or ``ai``.
    """

    content: str
    role: str
    type: str


@dataclass(frozen=True, slots=True)
class CalledModel:
    """The predecessor's models: ``model(messages).content``, ``model.invoke(messages)`` or ``model.call_as_llm(text)``.

    Attributes:
        model: the object.

    Example:
        >>> from llm_optimize.core.chat import Message, Request
        >>> CalledModel(lambda messages: "got " + messages[0].content).complete(Request((Message("user", "hi"),))).text
        'got hi'
    """

    model: Any

    @property
    def name(self) -> str:
        """The model's name, else the name of its class or function."""
        return model_name(self.model)

    def complete(self, request: Request) -> Reply:
        """Answer; the request's settings do not reach such a model.

        Raises:
            BadReply: the result holds no text.
            ModelUnavailable: the model could not reach its endpoint (any ``OSError``, as of ``requests``).
        """
        begun = time.monotonic()
        try:
            result = self._ask(request.messages)
        except OSError as error:
            msg = f"the model {self.name} failed: {one_line(f'{type(error).__name__}: {error}')}"
            raise ModelUnavailable(msg) from error
        content = result if isinstance(result, str) else getattr(result, "content", None)
        if not isinstance(content, str | list):
            msg = f"the model {self.name} returned {type(result).__name__}; return a text, or an object with .content"
            raise BadReply(msg)
        reply = Reply(content_text(content), model=self.name)
        return Reply(reply.text, model=reply.model, usage=_usage(result, request, reply, time.monotonic() - begun))

    def _ask(self, messages: tuple[Message, ...]) -> object:
        if callable(self.model):
            return self.model([OldMessage(m.content, m.role, _OLD_TYPES[m.role]) for m in messages])
        if callable(getattr(self.model, "invoke", None)):
            return self.model.invoke([{"role": m.role, "content": m.content} for m in messages])
        return self.model.call_as_llm("\n\n".join(m.content for m in messages))


def as_chat_model(
    model: object,
    *,
    settings: Mapping[str, Any] | None = None,
    timeout: float = 120.0,
    default_name: str = "gpt-4",
) -> ChatModel:
    """Return ``model`` as a chat model, without retries, prices or recording (those: :func:`llm_optimize.llm.connect`).

    Args:
        model: a chat model; a name (``gpt-5``); a URL with a name (``http://127.0.0.1:11434/v1#qwen3``);
            ``recorded:FILE``, a file of exchanges that answers (:mod:`llm_optimize.llm.replay`); an
            ``openai.OpenAI`` client; or one of the predecessor's model objects (callable with messages, ``invoke``,
            ``call_as_llm``).
        settings: fields of the request body for a name, a URL or a client.
        timeout: seconds for one answer, for the same.
        default_name: the model's name for a client, which has none.

    Raises:
        BadInput: none of these.

    Example:
        >>> as_chat_model("http://127.0.0.1:11434/v1#qwen3").base_url
        'http://127.0.0.1:11434/v1'
    """
    body = dict(settings or {})
    if isinstance(model, str):
        if is_recorded(model):
            return replayed(model)
        name, url = split_name(model)
        return OpenAIChat(name, url, settings=body, timeout=timeout)
    if _is_method(model, "complete"):
        return cast("ChatModel", model)
    create = _reach(model, "chat", "completions", "create")
    if callable(create):
        if inspect.iscoroutinefunction(inspect.unwrap(create)):
            msg = "model: an asynchronous client cannot be used; pass openai.OpenAI(...) instead of AsyncOpenAI"
            raise BadInput(msg)
        return OpenAIChat(default_name, settings=body, timeout=timeout, client=model)
    if not isinstance(model, type) and (
        callable(model) or _is_method(model, "invoke") or _is_method(model, "call_as_llm")
    ):
        return CalledModel(model)
    msg = (
        f"model: {one_line(repr(model))} is no chat model; give a name ('gpt-5'), 'URL#name', "
        "an object with complete(), an openai client, or a function of messages"
    )
    raise BadInput(msg)


def model_name(model: object) -> str:
    """Return a model's name for people: its ``name``, ``model_name`` or ``model``, else the name of its class.

    Example:
        >>> model_name(OpenAIChat("gpt-5"))
        'gpt-5'
    """
    for attribute in ("name", "model_name", "model", "__name__"):
        value = getattr(model, attribute, None)
        if isinstance(value, str) and value:
            return value
    return type(model).__name__


def _is_method(model: object, name: str) -> bool:
    return not isinstance(model, type) and callable(getattr(model, name, None))


def _reach(model: object, *names: str) -> Callable[..., Any] | None:
    held: Any = model
    for name in names:
        held = getattr(held, name, None)
    return held if callable(held) else None


def _usage(result: object, request: Request, reply: Reply, seconds: float) -> Usage:
    counts = getattr(result, "usage_metadata", None)
    if isinstance(counts, dict) and {"input_tokens", "output_tokens"} <= counts.keys():
        return Usage(1, int(counts["input_tokens"]), 0, int(counts["output_tokens"]), 0.0, seconds)
    return estimated_usage(request, reply, seconds)
