"""What is said between a prompt and the draft that it leads to: tool calls with their results, and answers asked again.

The chat behind a prompt is kept whole and shortened only when it is sent, so that it can be shortened further.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from llm_optimize.core.chat import Message, ToolCall
from llm_optimize.core.metering import current_scope
from llm_optimize.core.types import ToolUse
from llm_optimize.llm.tools import call_tool
from llm_optimize.proposers import prompts
from llm_optimize.proposers.layout import TURN_TOKENS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llm_optimize.core.chat import Reply
    from llm_optimize.llm.tools import Tool
    from llm_optimize.proposers.measuring import Measure

__all__ = ["Bench", "Talk"]

_LEAST = 64  # tokens of a result below which it is of no use


class Bench:
    """The tools of one proposal: how many calls are left, and what was called.

    Attributes:
        specs: the tools as the model sees them.
        text: the same as one text, to be counted; empty without tools.
        uses: every call in order, those included that were not carried out.
    """

    def __init__(self, tools: Sequence[Tool], calls: int) -> None:
        """Allow so many calls."""
        self.specs = tuple(tool.spec for tool in tools)
        self.text = "\n".join(json.dumps([spec.name, spec.description, dict(spec.parameters)]) for spec in self.specs)
        self.uses: list[ToolUse] = []
        self._tools = {tool.name: tool for tool in tools}
        self._left = calls

    @property
    def open(self) -> bool:
        """Whether another call is possible."""
        return bool(self.specs) and self._left > 0

    def close(self) -> None:
        """Allow no further call."""
        self._left = 0

    def answer(self, calls: Iterable[ToolCall]) -> list[str]:
        """Carry the calls out, one after another; return what the model is to be told of each.

        The last result says so when no more calls are possible: a turn of its own behind a result is something that
        the chat templates of some models refuse.
        """
        results = [self._answer(call) for call in calls]
        if not self.open:
            results[-1] = f"{results[-1]}\n\n{prompts.NO_MORE_CALLS}"
        return results

    def _answer(self, call: ToolCall) -> str:
        if self.open:
            self._left -= 1
            scope = current_scope()
            if scope is not None:
                scope.say("tool", f"{call.name}({call.arguments})")
            use = call_tool(self._tools, call)
        else:
            use = ToolUse(call.name, call.arguments, prompts.NOT_CALLED, ok=False)
        self.uses.append(use)
        return use.result


class Talk:
    """The chat behind the prompt of one draft."""

    def __init__(self, measure: Measure, limit: int) -> None:
        """Show results with ``limit`` tokens each, and what the model said with half as many."""
        self._measure = measure
        self._limit = limit
        self._ids: set[str] = set()
        self._turns: list[tuple[Message, ...]] = []

    @property
    def begun(self) -> bool:
        """Whether anything was said."""
        return bool(self._turns)

    @property
    def has_calls(self) -> bool:
        """Whether a tool was called."""
        return any(turns[-1].role == "tool" for turns in self._turns)

    def called(self, reply: Reply, results: Sequence[str]) -> None:
        """Append a reply that called tools, and what came of it."""
        given = [call.id for call in reply.tool_calls]
        if len({"", *self._ids, *given}) <= len(self._ids) + len(given):  # some servers count anew in every reply
            given = [f"call_{len(self._turns)}_{index}" for index in range(len(given))]
        self._ids.update(given)
        calls = tuple(map(_echo, reply.tool_calls, given))
        answers = (Message("tool", text, tool_call_id=call.id) for call, text in zip(calls, results, strict=True))
        self._turns.append((Message("assistant", reply.text.strip(), calls), *answers))

    def ask_again(self, bad: str, reason: str, reminder: str) -> None:
        """Append a bad reply and why it is asked for again, in place of an earlier one; an empty one makes no turn."""
        self._turns = [turns for turns in self._turns if turns[-1].role == "tool"]
        asked = Message("user", prompts.reask(reason, reminder))
        self._turns.append((Message("assistant", bad.strip()), asked) if bad.strip() else (asked,))

    def shorten(self) -> bool:
        """Show less of the results from now on, in the end no calls at all; return whether that was possible."""
        if not self.has_calls:
            return False
        self._limit //= 4  # each try may be a refused call
        if self._limit < _LEAST:
            self._turns = [turns for turns in self._turns if turns[-1].role != "tool"]
        return True

    def behind(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """Return ``messages`` with this chat behind them."""
        joined = list(messages)
        for message in self._shown():
            if message.role == "user" and joined[-1].role != "assistant":
                joined[-1] = replace(joined[-1], content=f"{joined[-1].content}\n\n{message.content}")
            else:
                joined.append(message)
        return tuple(joined)

    def tokens(self) -> int:
        """Return about how many tokens this chat adds to a prompt; never fewer."""
        return sum(self._measure.count(_counted(message)) + TURN_TOKENS for message in self._shown())

    def _shown(self) -> list[Message]:
        return [self._cut(message) for turns in self._turns for message in turns]

    def _cut(self, message: Message) -> Message:
        if message.role == "user":  # the reason to ask again
            return message
        limit = self._limit if message.role == "tool" else self._limit // 2
        return replace(message, content=self._measure.shorten(message.content, limit))


def _echo(call: ToolCall, identity: str) -> ToolCall:
    """Return a call fit to be sent back: endpoints refuse a whole chat for a malformed call that a model made in it.

    The model reads in the result what was wrong with the call.
    """
    try:
        sound = isinstance(json.loads(call.arguments), dict)
    except (ValueError, RecursionError):
        sound = False
    known = re.sub(r"[^A-Za-z0-9_-]", "_", call.name)[:64] or "unknown"
    return ToolCall(identity, known, call.arguments if sound else "{}")


def _counted(message: Message) -> str:
    return "\n".join([message.content, *(f"{call.id} {call.name} {call.arguments}" for call in message.tool_calls)])
