"""The order in which results came in an earlier run, for a run that is to go the same way.

Chains in flight finish in any order, and each prompt shows what had come before it was made. So a run is repeated
exactly only if its results are folded in the order of the first time, and each proposal is begun where it was then.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from llm_optimize.core.events import Guided, Proposed, Retold, Told, dump, load

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from llm_optimize.core.events import Event
    from llm_optimize.core.history import History

__all__ = ["Order", "takes_place"]

_GUIDED = "guided"
_DECIDED = "decided"
_RESULTS = (Told, Retold, Guided)  # a tuple: made anew, the union of them would cost more than the look at it


@dataclass(frozen=True, slots=True)
class Order:
    """What came when; an empty one leaves a run to itself.

    Attributes:
        course: (kind, what) of each result and each word of guidance: ``("proposal", 3)`` is the proposal of slot 3,
            ``("evaluation", 12)`` the outcome of candidate 12, ``("retest", 5)`` that of the re-test with this
            ordinal, ``("guided", text)`` what a person said, ``("decided", JSON)`` what one decided about a candidate.
        begun: by slot: the length of the course when that proposal was begun.

    Example:
        >>> order = Order((("evaluation", 0), ("proposal", 0)), {0: 1})
        >>> order.unit_at(0), order.unit_at(2)
        (('evaluation', 0), None)
    """

    course: tuple[tuple[str, int | str], ...] = ()
    begun: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Iterable[Event], begun: Mapping[int, int]) -> Order:
        """Return the order that a log shows; ``begun`` as the attribute."""
        return cls(tuple(map(_step, filter(takes_place, events))), begun)

    def unit_at(self, position: int) -> tuple[str, int] | None:
        """Return which unit of work came at a place in the course; None where guidance came, or nothing."""
        kind, what = self.course[position] if position < len(self.course) else (_GUIDED, "")
        return None if isinstance(what, str) else (kind, what)

    def guidance_at(self, position: int) -> Guided | None:
        """Return what a person said or decided at a place in the course; None where something else came."""
        kind, what = self.course[position] if position < len(self.course) else ("", 0)
        if not isinstance(what, str):
            return None
        event = load(_GUIDED, what) if kind == _DECIDED else Guided(what)
        return event if isinstance(event, Guided) else None

    def free_slot(self, history: History, taken: frozenset[int], position: int) -> int | None:
        """Return the slot of the proposal to begin now, or None while those that are left have to wait."""
        waiting = frozenset(slot for slot, begun in self.begun.items() if begun > position)
        slot = history.free_slots(1, taken | waiting)[0]
        return slot if slot in self.begun or not waiting else None


def takes_place(event: Event) -> bool:
    """Return whether an event is a step in the course: the result of a unit of work, or guidance."""
    return isinstance(event, _RESULTS) or (isinstance(event, Proposed) and event.slot >= 0)


def _step(event: Event) -> tuple[str, int | str]:
    match event:
        case Proposed():
            return "proposal", event.slot
        case Told():
            return "evaluation", event.candidate_id
        case Retold():
            return "retest", event.serial
        case Guided():
            return (_GUIDED, event.text) if event.act == "say" else (_DECIDED, dump(replace(event, at=0.0))[1])
    msg = f"{type(event).__name__} is no step"
    raise TypeError(msg)
