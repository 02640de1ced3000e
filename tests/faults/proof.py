"""What must hold after any number of faults, from three witnesses: the log, the scorer's notes, the server's books."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keeping_server import charges
from noting_scorer import notes

from llm_optimize import Evaluation, History
from llm_optimize.core.account import LOST
from llm_optimize.core.events import Proposed, Told
from llm_optimize.core.metering import ROLES

if TYPE_CHECKING:
    from ground import Ground

__all__ = ["Moment", "Proof", "moment", "proof"]


@dataclass(frozen=True)
class Moment:
    """What was on disk just after a fault: the candidates with an outcome, and where the notes ended."""

    study: str
    told: frozenset[int]
    place: int
    kind: str


@dataclass
class Proof:
    """Figures of one study, or the sums over several; a violation is a sentence."""

    studies: int = 0
    sessions: int = 0
    proposed: int = 0
    told: int = 0
    begun: int = 0
    charged: int = 0
    tokens: int = 0
    lost_tokens: int = 0
    unheard: int = 0
    unheard_tokens: int = 0
    woken: int = 0
    lost: int = 0
    double: int = 0
    begun_again: int = 0
    wrong: int = 0
    money: int = 0
    over_cap: int = 0
    notes: list[str] = field(default_factory=list)

    VIOLATIONS = ("lost", "double", "begun_again", "wrong", "money", "over_cap")

    @property
    def holds(self) -> bool:
        """Whether there is no violation."""
        return not any(getattr(self, name) for name in self.VIOLATIONS)

    def add(self, other: Proof) -> None:
        """Add another's figures."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def moment(ground: Ground, kind: str) -> Moment:
    """Write down what is on disk now: the log first, so that nothing in it is noted later."""
    study = ground.order.study
    told = frozenset(event.candidate_id for _, event in ground.store.read(study) if isinstance(event, Told))
    return Moment(study, told, len(notes(ground.notes_path)), kind)


def proof(ground: Ground, moments: list[Moment]) -> Proof:
    """Look at a study that has come to its end."""
    study, order = ground.order.study, ground.order
    log = list(ground.store.read(study))
    found = Proof(studies=1)
    candidates = [one for _, event in log if isinstance(event, Proposed) for one in event.candidates]
    told = [event for _, event in log if isinstance(event, Told)]
    found.proposed, found.told = len(candidates), len(told)
    found.sessions = sum(type(event).__name__ == "Opened" for _, event in log)
    _count(found, log, candidates, told)
    _begun(found, ground, moments)
    _paid(found, ground, log, _most_unheard(ground, moments))
    if order.evaluations is not None and len(told) > order.evaluations:
        found.over_cap += 1
        found.notes.append(f"{study}: {len(told)} evaluations of {order.evaluations}")
    if order.tokens is not None and found.tokens + found.lost_tokens > order.tokens:
        found.over_cap += 1
        found.notes.append(f"{study}: {found.tokens} + {found.lost_tokens} tokens of {order.tokens}")
    return found


def _count(found: Proof, log: list, candidates: list, told: list[Told]) -> None:
    """Each candidate proposed once and told once, with its own score, in a log without a gap."""
    times = Counter(event.candidate_id for event in told)
    ids = [one.id for one in candidates]
    found.lost = sum(times[one] == 0 for one in ids)
    found.double = sum(count - 1 for count in times.values()) + len(ids) - len(set(ids))
    found.double += [number for number, _ in log] != list(range(1, len(log) + 1))
    texts = {one.id: one.text.strip() for one in candidates}
    for event in told:
        right = float(texts[event.candidate_id].partition("=")[2])
        if not isinstance(event.outcome, Evaluation) or event.outcome.score != right:
            found.wrong += 1
            found.notes.append(f"candidate {event.candidate_id} ({texts[event.candidate_id]}): {event.outcome}")


def _begun(found: Proof, ground: Ground, moments: list[Moment]) -> None:
    """Nothing is begun whose outcome was on disk when a fault had passed, but by an owner that was only stopped."""
    lines = notes(ground.notes_path)
    mine = [note for note in lines if note.what == "begin" and note.study == ground.order.study]
    found.begun = len(mine)
    for one in moments:
        again = [
            note
            for note in lines[one.place :]
            if note.what == "begin" and note.study == one.study and note.candidate in one.told
        ]
        if one.kind == "stop" and ground.variant.owners > 1:
            found.woken += len(again)
        else:
            found.begun_again += len(again)
            found.notes += [f"begun with an outcome on disk, after {one.kind}: {note}" for note in again]


def _most_unheard(ground: Ground, moments: list[Moment]) -> int:
    """Return how many replies can have died on their way with an owner that was killed or fenced off."""
    faults = sum(one.study == ground.order.study and one.kind in {"owner", "stop"} for one in moments)
    return faults * ground.order.parallel


def _paid(found: Proof, ground: Ground, log: list, most_unheard: int) -> None:
    """The log's costs are the server's charges, each key once.

    A reply that was charged and died on its way with its owner is asked for again under the same key, unless the study
    has no more use for it: then nobody here can know of it. Such charges are counted apart.
    """
    history = History.empty()
    for _, event in log:
        history = history.after(event)
    charged = charges(ground.books)[ground.charged_before :]
    found.charged = len(charged)
    found.double += len(charged) - len({line["key"] for line in charged})
    lost = history.account.by_role().get(LOST)
    found.lost_tokens = lost.tokens if lost else 0
    found.tokens = history.usage.tokens - found.lost_tokens
    heard = _heard(ground)
    unheard = [line for line in charged if line["text"] not in heard]
    found.unheard, found.unheard_tokens = len(unheard), sum(line["usage"]["total_tokens"] for line in unheard)
    if found.unheard > most_unheard:
        found.money += found.unheard_tokens
        found.notes.append(f"{found.unheard} replies were never heard, where {most_unheard} can have been on their way")
    server = sum(line["usage"]["total_tokens"] for line in charged) - found.unheard_tokens
    if found.tokens != server:
        found.money += abs(found.tokens - server)
        found.notes.append(f"the log says {found.tokens} tokens, the server charged {server} for what was heard")


def _heard(ground: Ground) -> set[str]:
    """Return the texts of the replies that are on disk."""
    store, study = ground.store, ground.order.study
    bodies = [store.recall(study, key) for key in store.keys(study) if key.startswith(tuple(ROLES))]
    return {json.loads(body)["text"] for body in bodies if body}
