"""What a person decided about candidates while a study runs: rejected, pinned, accepted, written by hand.

Each decision is a :class:`~llm_optimize.core.events.Guided` event, which any process may append; the study that runs
heeds it before its next proposal.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from llm_optimize.core.types import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_optimize.core.events import Guided
    from llm_optimize.core.types import Outcome

__all__ = ["REJECTED", "Hand", "said"]

REJECTED = "rejected"
"""The kind of the failure that a candidate becomes which a person has rejected."""


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
                accepted = None if self.accepted == event.candidate_id else self.accepted
                rejected = {**self.rejected, event.candidate_id: event.text}
                return replace(self, rejected=rejected, pinned=pinned, accepted=accepted)
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
        return Failure(REJECTED, f"the person who runs this optimization rejected it: {why}", outcome.usage)


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
