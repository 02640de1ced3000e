"""What a person decided about candidates while a study runs: rejected, pinned, accepted, written by hand.

Each decision is a :class:`~llm_optimize.core.events.Guided` event, which any process may append; the study that runs
heeds it before its next proposal.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from llm_optimize.core.types import Failure
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_optimize.core.events import Guided
    from llm_optimize.core.history import History
    from llm_optimize.core.types import Outcome, Trial

__all__ = ["Act", "Hand", "accepted_by_hand", "checked", "said"]

Act = Literal["say", "reject", "pin", "unpin", "accept", "inject"]

_REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Hand:
    """The decisions so far.

    Attributes:
        rejected: by id: why; such a candidate counts as failed, so it is neither built on nor returned.
        pinned: the candidate that proposals build on until it is unpinned.
        accepted: the candidate that was taken as the result, which ends the session; a resume forgets it.
        texts: candidates written by hand, in order, those included that have been numbered since.
    """

    rejected: Mapping[int, str] = field(default_factory=dict)
    pinned: int | None = None
    accepted: int | None = None
    texts: tuple[str, ...] = ()

    def after(self, event: Guided) -> Hand:
        """Return the decisions after one more."""
        match event.act:
            case "reject" if event.candidate_id is not None:
                pinned = None if self.pinned == event.candidate_id else self.pinned
                return replace(self, rejected={**self.rejected, event.candidate_id: event.text}, pinned=pinned)
            case "pin":
                return replace(self, pinned=event.candidate_id)
            case "unpin":
                return replace(self, pinned=None)
            case "accept":
                return replace(self, accepted=event.candidate_id)
            case "inject":
                return replace(self, texts=(*self.texts, event.text))
            case _:
                return self

    def judged(self, candidate_id: int, outcome: Outcome) -> Outcome:
        """Return the outcome of a candidate as it counts: that of a rejected one is a failure with the reason."""
        if candidate_id not in self.rejected:
            return outcome
        why = self.rejected[candidate_id] or "no reason was given"
        return Failure(_REJECTED, f"the person who runs this optimization rejected it: {why}", outcome.usage)


def accepted_by_hand(history: History) -> str | None:
    """Stop when a person has accepted a candidate; a :data:`~llm_optimize.core.protocols.Stopper`."""
    accepted = history.hand.accepted
    return None if accepted is None else f"accepted by hand: candidate #{accepted}"


def said(event: Guided) -> str:
    """Return a sentence for people on what one of them said or decided."""
    about = f"candidate #{event.candidate_id}"
    match event.act:
        case "reject":
            return f"{about} was rejected by hand" + (f": {event.text}" if event.text else "")
        case "pin":
            return f"{about} was pinned: proposals build on it"
        case "unpin":
            return "no candidate is pinned any more"
        case "accept":
            return f"{about} was accepted by hand"
        case "inject":
            return "a candidate was written by hand"
        case _:
            return f"guidance: {event.text}"


def checked(history: History, event: Guided) -> Guided:
    """Return a decision that can be carried out.

    Raises:
        BadInput: it is about a candidate that is unknown, has no score, or was rejected; or a text that is empty or
            that the study knows.
    """
    if event.act in ("say", "inject") and not event.text.strip():
        what = "guidance" if event.act == "say" else "the candidate"
        msg = f"{what} is empty: say what the next proposals should heed"
        raise BadInput(msg if event.act == "say" else f"{what} is empty: give its text")
    if event.act == "inject" and (known := history.seen(event.text)) is not None:
        msg = f"this text is candidate #{known} already: change it, or pin #{known} to build on it"
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
        msg = f"candidate #{number} {state}, so it cannot be {event.act}ed: choose one with a score"
        raise BadInput(msg.replace("pined", "pinned"))
