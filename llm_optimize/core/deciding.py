"""What is read off a history about decisions by hand and about arms: whether they can be, and what they come to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from llm_optimize.core.hand import CAPS, read_cap
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from llm_optimize.core.events import Guided
    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial

__all__ = ["accepted_by_hand", "checked", "stopped_by_hand", "within"]

_DONE = {"pin": "pinned", "accept": "accepted"}


def accepted_by_hand(history: History) -> str | None:
    """Stop when a person has accepted a candidate; a :data:`~llm_optimize.core.protocols.Stopper`."""
    accepted = history.hand.accepted
    return None if accepted is None else f"accepted by hand: candidate #{accepted}"


def stopped_by_hand(history: History) -> str | None:
    """Stop when a person has said so; a :data:`~llm_optimize.core.protocols.Stopper`."""
    return "stopped by hand" if history.hand.stopped else None


def within(history: History, name: str) -> History:
    """Return the history as one arm sees it: ``arms`` holds the arms of that arm."""
    prefix = f"{name}/"
    inner = {path.removeprefix(prefix): arm for path, arm in history.arms.items() if path.startswith(prefix)}
    return replace(history, arms=inner) if history.arms else history


def checked(history: History, event: Guided) -> Guided:
    """Return a decision that can be carried out.

    Raises:
        BadInput: it is about a candidate that is unknown, has no score, or was rejected; or a text that is empty or
            that the study knows; or it names no cap.
    """
    if event.act in ("say", "inject") and not event.text.strip():
        what = "guidance" if event.act == "say" else "the candidate"
        msg = f"{what} is empty: say what the next proposals should heed"
        raise BadInput(msg if event.act == "say" else f"{what} is empty: give its text")
    if event.act == "inject" and (known := history.seen(event.text)) is not None:
        msg = f"this text is candidate #{known} already: change it, or pin #{known} to build on it"
        raise BadInput(msg)
    if event.act == "raise" and read_cap(event.text) is None:
        msg = f"{event.text!r} raises no cap: give one of {', '.join(CAPS)}, =, and a number above 0"
        raise BadInput(msg)
    if event.act in ("reject", "pin", "accept"):
        _check_candidate(history, event)
    return event


def _check_candidate(history: History, event: Guided) -> None:
    number = event.candidate_id
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < history.next_id:
        msg = f"candidate {number!r} is unknown to this study: give a number from 0 to {history.next_id - 1}"
        raise BadInput(msg)
    if number in history.hand.rejected:
        msg = f"candidate #{number} was rejected: inject its text with a change to bring it back"
        raise BadInput(msg)
    trial: Trial | None = history.trial(number)
    if event.act != "reject" and (trial is None or trial.score is None):
        state = "has no score yet" if trial is None else "failed"
        msg = f"candidate #{number} {state}, so it cannot be {_DONE[event.act]}: choose one with a score"
        raise BadInput(msg)
