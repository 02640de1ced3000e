"""Replies of a given type: a pydantic model is asked for, and a checked instance of it comes back.

Three ways, the best first: ``response_format`` with the JSON schema, one tool that must be called, and the schema in
the prompt. Which of them an endpoint can do is found out and remembered (:mod:`llm_optimize.llm.quirks`): many ignore
the first two in silence. A model that is no endpoint is asked in the third way, which needs nothing of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from llm_optimize.core.chat import Message, Reply, Request, ToolSpec
from llm_optimize.core.checks import check_whole
from llm_optimize.core.types import Usage
from llm_optimize.errors import BadInput, BadReply, ModelRefused
from llm_optimize.llm.failures import one_line
from llm_optimize.llm.quirks import facts_of
from llm_optimize.llm.schemas import check_type, json_values, problems, response_format, schema_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import BaseModel

    from llm_optimize.core.protocols import ChatModel
    from llm_optimize.llm.quirks import Facts

__all__ = ["Structured", "ask"]

T = TypeVar("T", bound="BaseModel")

_SCHEMA, _TOOL, _TEXT = "schema", "tool", "text"
_NEEDS = {_SCHEMA: {"json_schema", "response_format"}, _TOOL: {"tools", "tool_choice", "forced_tool"}}
_WITHHELD = {"length": "was cut off by the limit on tokens", "content_filter": "was withheld by the content filter"}
_SHOW = "{said}\n\nReply with one JSON value that fits this JSON schema, and with nothing else:\n{schema}"
_REPAIR = (
    "That does not fit what was asked for:\n{problems}\nReply with the corrected JSON value, and with nothing else."
)
_NO_JSON = "- there is no JSON value in it"


@dataclass(frozen=True, slots=True)
class Structured(Generic[T]):
    """A checked reply.

    Attributes:
        value: the instance.
        reply: the reply that held it; its usage is that of all calls that were made for it.
    """

    value: T
    reply: Reply


def ask(  # noqa: PLR0913 - what is asked, of whom, and how often
    model: ChatModel,
    messages: Sequence[Message],
    reply_type: type[T],
    *,
    settings: Mapping[str, Any] | None = None,
    key: str = "",
    repairs: int = 1,
) -> Structured[T]:
    """Ask for a reply of a type.

    Args:
        model: any chat model; one that ignores settings and tools will do.
        messages: the chat; the last one is the user's.
        reply_type: a subclass of ``pydantic.BaseModel``.
        settings: further fields of the request body.
        key: as :attr:`Request.key <llm_optimize.core.chat.Request.key>`; later calls get ``-2``, ``-3`` behind it.
        repairs: how often the model is shown what is wrong with a value and asked again; 0 or more.

    Raises:
        BadInput: ``reply_type`` or ``repairs`` cannot work; nothing was asked.
        BadReply: a refusal, a cut-off or withheld reply, or no fitting value in the end; the message says which.
        ModelError: as the model.

    Example:
        >>> from pydantic import BaseModel
        >>> from llm_optimize.llm.fake import ScriptedModel
        >>> class Point(BaseModel):
        ...     x: int
        >>> ask(ScriptedModel(["Here it is: {'x'}", '{"x": 3}']), [Message("user", "a point")], Point).value
        Point(x=3)
    """
    check_type(reply_type)
    check_whole("repairs", repairs, 0)
    if not messages:
        msg = "messages: there are none; give at least the user's"
        raise BadInput(msg)
    facts = facts_of(model, str((settings or {}).get("model") or ""))
    return _Asking(model, tuple(messages), reply_type, dict(settings or {}), key, repairs, facts).run()


@dataclass(slots=True)
class _Asking(Generic[T]):
    model: ChatModel
    messages: tuple[Message, ...]
    reply_type: type[T]
    settings: dict[str, Any]
    key: str
    repairs: int
    facts: Facts | None
    calls: int = 0
    usage: Usage = field(default_factory=Usage)
    wrong: str = _NO_JSON

    def run(self) -> Structured[T]:
        tried: list[str] = []
        said: tuple[Message, ...] = ()
        way = self._way(tried)
        while True:
            reply = self._reply(way, said)
            value = None if reply is None else self._value(reply)
            kept = way == _TEXT or (reply is not None and self._kept(way, reply))
            if reply is not None and value is not None:
                return Structured(value, replace(reply, usage=self.usage))
            if reply is not None and kept:
                said = self._repair(reply)
            else:
                tried.append(way)
                way, said = self._way(tried), ()

    def _way(self, tried: Sequence[str]) -> str:
        """Return the best way that has not been tried."""
        if self.facts is None:
            return _TEXT
        able = (way for way in (_SCHEMA, _TOOL) if way not in tried and way not in self.facts.unable)
        return next((way for way in able if not _NEEDS[way] & self.facts.refused), _TEXT)

    def _reply(self, way: str, said: tuple[Message, ...]) -> Reply | None:
        """Return the next reply, or None where the endpoint does not take the schema."""
        self.calls += 1
        key = f"{self.key}-{self.calls}" if self.key and self.calls > 1 else self.key
        try:
            reply = self.model.complete(replace(self._request(way, said), key=key))
        except ModelRefused as error:
            if way == _TEXT or "schema" not in str(error):
                raise
            return None
        self.usage += reply.usage
        if reply.refusal:
            msg = f"the model declined to answer: {one_line(reply.refusal)}"
            raise BadReply(msg)
        if reply.finish_reason in _WITHHELD:
            msg = f"the reply {_WITHHELD[reply.finish_reason]}: no {self.reply_type.__name__} can be read from it"
            raise BadReply(msg)
        return reply

    def _request(self, way: str, said: tuple[Message, ...]) -> Request:
        if way == _SCHEMA:
            chosen = self.settings | {"response_format": response_format(self.reply_type)}
            return Request((*self.messages, *said), chosen)
        schema = self.reply_type.model_json_schema()
        if way == _TOOL:
            name = schema_name(self.reply_type)
            tool = ToolSpec(name, f"Takes the reply. {schema.get('description', '')}".strip(), schema)
            chosen = self.settings | {"tool_choice": {"type": "function", "function": {"name": name}}}
            return Request((*self.messages, *said), chosen, tools=(tool,))
        *before, last = self.messages
        shown = replace(last, content=_SHOW.format(said=last.content, schema=json.dumps(schema, ensure_ascii=False)))
        return Request((*before, shown, *said), self.settings)

    def _kept(self, way: str, reply: Reply) -> bool:
        """Return whether the endpoint did what the way asks of it; if not, remember that."""
        texts = [reply.text] if way == _SCHEMA else [call.arguments for call in reply.tool_calls]
        if any(text.strip() == next(json_values(text), None) for text in texts):
            return True
        if self.facts is not None:
            self.facts.learn_unable(way)
        return False

    def _value(self, reply: Reply) -> T | None:
        """Return the first fitting value in a reply; else note what is wrong with the last one."""
        import pydantic  # noqa: PLC0415 - heavy: loaded by those who ask for a model of it, who have it anyway

        self.wrong = _NO_JSON
        for text in (*(call.arguments for call in reply.tool_calls), reply.text):
            for found in json_values(text):
                try:
                    value = self.reply_type.model_validate_json(found)
                except pydantic.ValidationError as error:
                    self.wrong = problems(error)
                else:
                    return value
        return None

    def _repair(self, reply: Reply) -> tuple[Message, ...]:
        """Return the turns that show the model what is wrong, or give up."""
        if self.repairs == 0:
            wrong = one_line(self.wrong.replace("\n", ";").replace("- ", ""))
            calls = "1 call" if self.calls == 1 else f"{self.calls} calls"
            msg = f"no {self.reply_type.__name__} after {calls}: {wrong}; the model said: {one_line(_said(reply))}"
            raise BadReply(msg)
        self.repairs -= 1
        return Message("assistant", _said(reply)), Message("user", _REPAIR.format(problems=self.wrong))


def _said(reply: Reply) -> str:
    return reply.tool_calls[0].arguments if reply.tool_calls else reply.text or "(nothing)"
