"""Where two requests part, in one line: for a replay that is asked something else than was recorded."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from llm_optimize.llm.asked import public

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_optimize.core.chat import Message, Request

__all__ = ["agreement", "parting"]

_SHOWN = 40
_NOTHING = object()


def parting(recorded: Request, asked: Request, unit: str = "") -> str:
    """Return where ``asked`` departs from ``recorded``, and what probably changed; empty where they are the same.

    ``unit`` is the unit of work that asks: what changed for a proposal is something else than for an evaluation.

    Example:
        >>> from llm_optimize.core.chat import Message, Request
        >>> parting(Request((Message("user", "be long"),)), Request((Message("user", "be brief"),)))
        "the prompts part at message 0 (user), character 3: recorded 'long', asked 'brief'; probably ..."
    """
    mine, yours = asked.messages, recorded.messages
    for index, (now, then) in enumerate(zip_longest(mine, yours)):
        if now != then:
            where = _between(then, now)
            cause = _cause(index, len(yours), then or now, unit)
            return f"the prompts part at message {index} {where}; probably {cause} changed"
    return _other(recorded, asked)


def agreement(recorded: Request, asked: Request) -> int:
    """Return how many characters two prompts share from their beginning."""
    shared = 0
    for now, then in zip(asked.messages, recorded.messages, strict=False):
        if now != then:
            return shared + _common(then.content, now.content)
        shared += len(now.content) + 1
    return shared


def _between(then: Message | None, now: Message | None) -> str:
    if then is None or now is None:
        only = then or now
        assert only is not None  # of two messages that differ, one is there
        who = "recorded" if now is None else "asked"
        return f"({only.role}), which is only {who}: {only.content[:_SHOWN]!r}"
    if then.role != now.role:
        return f"(recorded {then.role}, asked {now.role}), character 0: {_sides(then.content, now.content, 0)}"
    if then.content == now.content:
        return f"({now.role}), in its tool calls: recorded {_calls(then)}, asked {_calls(now)}"
    place = _common(then.content, now.content)
    return f"({now.role}), character {place}: {_sides(then.content, now.content, place)}"


def _sides(then: str, now: str, place: int) -> str:
    return f"recorded {then[place : place + _SHOWN]!r}, asked {now[place : place + _SHOWN]!r}"


def _calls(message: Message) -> str:
    return repr([(call.name, call.arguments[:_SHOWN], call.id) for call in message.tool_calls] or message.tool_call_id)


def _common(one: str, other: str) -> int:
    low, high = 0, min(len(one), len(other))
    while low < high:  # by halves: a comparison of slices is quick, one of characters in Python is not
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


def _cause(index: int, recorded: int, message: Message | None, unit: str) -> str:
    role = message.role if message is not None else ""
    if unit.startswith("evaluation/"):
        return "the prompt of a model that func asks, or the candidate before it,"
    if role == "system":
        return "task_description or system_prompt"
    if role == "tool":
        return "what a function of tools returns"
    if index == recorded - 1:
        return "task_question, human_prompt, x0, or what func says of a candidate"
    return "func, x0, seed, parallel, or the window of past attempts"


def _other(recorded: Request, asked: Request) -> str:
    then, now = public(recorded.settings), public(asked.settings)
    if then != now:
        return f"the settings differ: {_changed(then, now)}"
    if recorded.tools != asked.tools:
        names = [tool.name for tool in recorded.tools], [tool.name for tool in asked.tools]
        which = "" if names[0] != names[1] else " (their descriptions or parameters)"
        return f"the tools differ: recorded {names[0]}, asked {names[1]}{which}; tools changed"
    if recorded.n != asked.n:
        return f"the numbers of answers differ: recorded n={recorded.n}, asked n={asked.n}; ideas changed"
    return ""


def _changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names = [name for name in {**then, **now} if then.get(name, _NOTHING) != now.get(name, _NOTHING)]
    return ", ".join(f"{name} (recorded {_value(then, name)}, asked {_value(now, name)})" for name in names)


def _value(settings: Mapping[str, Any], name: str) -> str:
    return repr(settings[name])[:_SHOWN] if name in settings else "none"
