"""What a person decided while a study runs: a candidate rejected, pinned, accepted, written by hand; the run steered.

Each decision is a :class:`~llm_optimize.core.events.Guided` event, which any process may append; the study that runs
heeds it before its next proposal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from llm_optimize.core.types import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_optimize.core.events import Guided
    from llm_optimize.core.types import Outcome

__all__ = ["CAPS", "REJECTED", "Hand", "read_cap", "said"]

CAPS = ("steps", "evaluations", "tokens", "dollars", "seconds")
"""What can be raised by hand while a study runs, where it has a cap."""

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
        paused: nothing new is begun; a resume forgets it.
        stopped: the session ends once what is in flight is done; a resume forgets it.
        caps: by name what a cap was raised to; it holds for the study, its later sessions included.
    """

    rejected: Mapping[int, str] = field(default_factory=dict)
    pinned: int | None = None
    accepted: int | None = None
    texts: tuple[str, ...] = ()
    paused: bool = False
    stopped: bool = False
    caps: Mapping[str, float] = field(default_factory=dict)

    def reopened(self) -> Hand:
        """Return the decisions that hold for the next session."""
        return replace(self, accepted=None, paused=False, stopped=False)

    def raised(self, name: str, cap: float) -> float:
        """Return a cap as it is in force: raised, never lowered."""
        return max(cap, self.caps.get(name, cap))

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
                return self._steered(event)

    def _steered(self, event: Guided) -> Hand:
        """Return the decisions after one about the run, if it is one."""
        match event.act:
            case "pause" | "continue":
                return replace(self, paused=event.act == "pause")
            case "stop":
                return replace(self, stopped=True)
            case "raise" if (cap := read_cap(event.text)) is not None:
                name, value = cap
                return replace(self, caps={**self.caps, name: max(value, self.caps.get(name, value))})
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
    match event.act:
        case "reject":
            return f"candidate #{event.candidate_id} was rejected by hand" + (f": {event.text}" if event.text else "")
        case "raise":
            return f"a cap was raised by hand: {event.text}"
        case act if act in _SAID:
            return _SAID[act].format(event.candidate_id)
        case _:
            return f"guidance: {event.text}"


def read_cap(text: str) -> tuple[str, float] | None:
    """Return the name and the number in ``tokens=50000``; None for anything else.

    Example:
        >>> read_cap("dollars=2.5"), read_cap("tokens=inf"), read_cap("patience=3")
        (('dollars', 2.5), None, None)
    """
    name, _, number = text.partition("=")
    try:
        value = float(number)
    except ValueError:
        return None
    return (name, value) if name in CAPS and 0 < value < math.inf else None


_SAID = {
    "pin": "candidate #{} was pinned: proposals build on it",
    "unpin": "no candidate is pinned any more",
    "accept": "candidate #{} was accepted by hand",
    "inject": "a candidate was written by hand",
    "pause": "the run was paused by hand",
    "continue": "the run was continued by hand",
    "stop": "the run was stopped by hand",
}
