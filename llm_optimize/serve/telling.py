"""A log's events as lines for the live page, and where a study stands, as JSON values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from llm_optimize.core.events import Guided, Opened, Proposed, Retold, Stopped, Told
from llm_optimize.core.hand import CAPS, said
from llm_optimize.core.types import Failure
from llm_optimize.core.verdict import best_score

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_optimize.core.events import Event
    from llm_optimize.core.history import History

__all__ = ["caps_of", "cut", "row", "standing"]

_LONGEST = 300


def row(sequence: int, event: Event) -> dict[str, Any]:
    """Return one event as the page shows it; its texts are cut, the report has them whole.

    Returns:
        ``seq``, ``kind``, ``at`` (seconds since the epoch), ``line``, ``ids`` (of candidates), ``score`` (or None).
    """
    outcome = event.outcome if isinstance(event, Told | Retold) else None
    return {
        "seq": sequence,
        "kind": event.act if isinstance(event, Guided) else type(event).__name__.lower(),
        "at": event.at,
        "line": cut(_line(event)),
        "ids": _ids(event),
        "score": getattr(outcome, "score", None),
    }


def cut(text: str, most: int = _LONGEST) -> str:
    """Return the text's beginning, without halves of surrogate pairs."""
    short = text if len(text) <= most else f"{text[:most]}…"
    return short.encode("utf-8", "replace").decode()


def _ids(event: Event) -> list[int]:
    if isinstance(event, Proposed):
        return [one.id for one in event.candidates]
    number = getattr(event, "candidate_id", None)
    return [] if number is None else [number]


def _line(event: Event) -> str:
    match event:
        case Opened():
            return "a session began"
        case Proposed():
            made = [f"#{one.id} by {one.origin}" + (f": {one.idea}" if one.idea else "") for one in event.candidates]
            return "; ".join([*made, event.note] if event.note else made) or "a proposal without a candidate"
        case Told() | Retold():
            again = " again" if isinstance(event, Retold) else ""
            outcome = event.outcome
            if isinstance(outcome, Failure):
                return f"#{event.candidate_id} failed{again} ({outcome.kind}): {outcome.message}"
            return f"#{event.candidate_id} scored{again} {outcome.score:.6g}. {outcome.feedback}"
        case Guided():
            return said(event)
        case Stopped():
            return f"the session ended: {event.reason}"


def caps_of(settings: Mapping[str, Any]) -> dict[str, float]:
    """Return the caps that a session was opened with, as far as its settings say so; by the names of ``CAPS``."""
    in_force = settings.get("in_force")
    known = in_force if isinstance(in_force, dict) else settings
    budget = known.get("budget")
    caps = dict(budget) if isinstance(budget, dict) else {}
    caps["steps"] = known.get("max_steps")
    return {name: caps[name] for name in CAPS if _is_number(caps.get(name))}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def standing(history: History, caps: Mapping[str, float], now: float) -> dict[str, Any]:
    """Return where a study stands: its best, what it has spent by cap, and what a person has decided.

    Args:
        history: the study's past.
        caps: as :func:`caps_of` returns them.
        now: seconds since the epoch.
    """
    best, start, hand = history.best, history.problem.start, history.hand
    spent = {
        "steps": history.steps,
        "evaluations": history.evaluations,
        "tokens": history.usage.tokens,
        "dollars": round(history.usage.dollars, 8),
        "seconds": round(history.active_seconds(now if history.reason is None else None), 1),
    }
    return {
        "best": None if best is None else best.id,
        "best_score": best_score(history),
        "pending": len(history.pending),
        "has_start": start is not None,
        "spent": spent,
        "caps": {name: hand.raised(name, cap) for name, cap in caps.items()},
        "guidance": [cut(text) for text in history.guidance[-20:]],
        "pinned": hand.pinned,
        "paused": hand.paused,
        "stopping": hand.stopped or hand.accepted is not None,
        "reason": history.reason,
    }
