"""The prompts and replies of a study as a report holds them: columns of numbers, and each text once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llm_optimize.core.events import Proposed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llm_optimize.core.chat import Message
    from llm_optimize.core.events import Event
    from llm_optimize.llm.exchanges import Exchange
    from llm_optimize.report.texts import Texts

__all__ = ["conversations"]

_MOST = 20_000


def conversations(exchanges: Sequence[Exchange], events: Iterable[Event], texts: Texts) -> dict[str, Any]:
    """Return what was said, exchange by exchange, as JSON values.

    Args:
        exchanges: in the order in which the replies came.
        events: the study's log, which tells which proposal made which candidates.
        texts: where texts are kept.

    Returns:
        ``of``: how many exchanges there are; ``rows``: for each, up to 20,000: unit of work, model, ids of the
        candidates that it is about, settings (a text's number), messages as [role, text's number], the reply's text or
        -1, its reasoning or -1, how it finished, tokens in, cached and out, dollars, seconds.
    """
    made = {
        f"proposal/{event.slot}": [one.id for one in event.candidates]
        for event in events
        if isinstance(event, Proposed) and event.slot >= 0
    }
    return {"of": len(exchanges), "rows": [_row(one, made, texts) for one in exchanges[:_MOST]]}


def _row(one: Exchange, made: dict[str, list[int]], texts: Texts) -> list[Any]:
    kind, _, number = one.unit.partition("/")
    about = made.get(one.unit, [int(number)] if kind == "evaluation" and number.isdigit() else [])
    request, reply = one.request, one.reply
    settings = {**one.defaults, **(request.settings if request is not None else {})}
    said = ", ".join(f"{name}={value}" for name, value in sorted(settings.items()))
    head = [one.unit, one.model, about, texts.add(said), _messages(request.messages if request else (), texts)]
    if reply is None:
        return [*head, texts.add(str(one.refusal or "")), -1, "refused", 0, 0, 0, 0.0, 0.0]
    usage = reply.usage
    calls = "".join(f"\n[calls {call.name}({call.arguments})]" for call in reply.tool_calls)
    further = "".join(f"\n\n[another answer]\n{other.text}" for other in reply.more)
    thought = texts.add(reply.reasoning) if reply.reasoning else -1
    text = texts.add((reply.text or reply.refusal) + calls + further)
    spent = [usage.tokens_in, usage.tokens_cached, usage.tokens_out, round(usage.dollars, 8), round(usage.seconds, 3)]
    return [*head, text, thought, reply.finish_reason, *spent]


def _messages(messages: Sequence[Message], texts: Texts) -> list[list[Any]]:
    return [
        [
            one.role,
            texts.add(one.content + "".join(f"\n[calls {call.name}({call.arguments})]" for call in one.tool_calls)),
        ]
        for one in messages
    ]
