"""A folded log as bytes: written now and then, so that opening a long study need not fold all of it again.

It consists of a small head, written anew each time, and of parts (:mod:`llm_optimize.core.part`), each written once:
to go on with a long snapshot costs what came since. It is a convenience that may be lost: whatever does not fit
(another version of this package, another log, a damaged byte) makes :func:`restored` return None, and the log is folded
from its beginning. It is JSON and columns of numbers, nothing that runs.
"""

from __future__ import annotations

import sys
import zlib
from array import array
from dataclasses import asdict, dataclass, fields
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from llm_optimize.core.arms import Arm
from llm_optimize.core.events import Opened, Proposed, Retold, Stopped, dump, load
from llm_optimize.core.hand import Hand
from llm_optimize.core.history import History
from llm_optimize.core.leaders import Leaders
from llm_optimize.core.part import Part, packed, shelved, unpacked
from llm_optimize.core.past import Record
from llm_optimize.core.shelf import Columns, Shelf
from llm_optimize.core.trace import Trace
from llm_optimize.core.types import Candidate, Learned, Problem, Usage
from llm_optimize.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llm_optimize.core.account import Account
    from llm_optimize.core.events import Event
    from llm_optimize.core.types import Outcome

__all__ = ["Snapshot", "checksum", "mark", "restored"]

_FORMAT = 2  # to be raised whenever an event is folded differently, so that what was folded before is folded again
_SHAPE = [
    _FORMAT,
    sys.byteorder,
    *(item.name for kind in (History, Arm, Usage, Hand, Leaders) for item in fields(kind)),
]
_PLAIN = ("seed", "next_id", "stale", "fruitless", "reason", "born", "retold")
_HIDDEN = ("_told", "_again", "_settled", "_failed_steps", "_starts")


def checksum(event: Event) -> str:
    """Return what tells an event from any other."""
    return blake2b("\n".join(dump(event)).encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A history and where in the log it stands.

    Attributes:
        history: all of whose trials are on a shelf.
        sequence: of the last event that it holds.
        last: the checksum of that event.
        position: results and words of guidance up to there.
        made: by id of each candidate without an outcome: the sequence number of its proposal.
        parts: of each part that the shelf was put together from: its checksum.
        trace: how the study went.
        rare: sequence numbers of the events that are neither proposals nor outcomes.
    """

    history: History
    sequence: int
    last: str
    position: int
    made: Mapping[int, int]
    parts: Sequence[str]
    trace: Trace
    rare: array[int]

    def packed(self) -> bytes:
        """Return the head's bytes, which with those of the parts :func:`restored` makes the same of."""
        history, record = self.history, self.history._record  # noqa: SLF001 - this file is the history's other form
        if record.shelf is None or record.trials or record.shelved_ids != history.next_id or record.later:
            msg = "only a history whose trials are all on a shelf has a snapshot"
            raise ValueError(msg)
        trace = self.trace
        head = {
            "shape": _SHAPE, "sequence": self.sequence, "last": self.last, "position": self.position,
            "made": list(self.made.items()), "parts": list(self.parts), "trace": [trace.stride, trace.seen, trace.last],
            "names": record.shelf.columns.names, "history": _state(history),
        }  # fmt: skip
        return packed(head)


def mark(part: bytes) -> str:
    """Return by what a head knows its parts."""
    return part[:16].hex()


def restored(bodies: Sequence[bytes], fetch: Callable[[Sequence[int]], Mapping[int, Event]]) -> Snapshot | None:
    """Return what was packed, or None for what cannot be used.

    Args:
        bodies: the head and the parts.
        fetch: returns the events of the log that the snapshot is of, by sequence number.
    """
    try:
        head, _ = unpacked(bodies[0])
        if head["shape"] != _SHAPE or head["parts"] != [mark(one) for one in bodies[1 : len(head["parts"]) + 1]]:
            return None
        if checksum(fetch([head["sequence"]])[head["sequence"]]) != head["last"]:
            return None
        return _rebuilt(head, [Part.restored(one) for one in bodies[1 : len(head["parts"]) + 1]], fetch)
    except (KeyError, TypeError, ValueError, IndexError, StoreError, zlib.error):
        return None


def _rebuilt(
    head: dict[str, Any], parts: Sequence[Part], fetch: Callable[[Sequence[int]], Mapping[int, Event]]
) -> Snapshot:
    columns, state, made = shelved(Columns(), parts, tuple(head["names"]), 0), head["history"], dict(head["made"])
    shelf = Shelf(fetch, columns)
    trace, rare = Trace(*head["trace"]), array("q")
    record = Record(shelf, (len(columns.told), state["next_id"], sum(len(part.told_at) for part in parts)))
    for part in parts:
        record.first_by_digest.update(zip(part.digests, part.firsts, strict=True))
        record.told_at.extend(part.told_at)
        record.retold.extend(part.retold)
        record.overruled.extend(part.overruled)
        record.pooled.extend(zip(part.degrees, part.squares, strict=True))
        trace.extend(part.trace)
        rare.extend(part.rare)
    history = _history(state, record, _pending(made, shelf))
    return Snapshot(history, head["sequence"], head["last"], head["position"], made, head["parts"], trace, rare)


def _pending(made: Mapping[int, int], shelf: Shelf) -> tuple[Candidate, ...]:
    """Return the candidates without an outcome, in the order in which they were proposed."""
    proposals = shelf.fetch(list(made.values()))
    found = {one.id: one for event in proposals.values() if isinstance(event, Proposed) for one in event.candidates}
    return tuple(found[id_] for id_ in made)


def _state(history: History) -> dict[str, Any]:
    """Return what a history is beside its trials."""
    leaders: Leaders = history._leaders  # noqa: SLF001 - as above
    state = {name: getattr(history, name) for name in (*_PLAIN, *_HIDDEN)}
    slots, serials, clock, booked = history._slots, history._serials, history._clock, history._booked  # noqa: SLF001
    lessons, problem, hand = history.lessons, history.problem, history.hand
    return state | {
        "problem": dump(Opened(problem)),
        "guidance": history.guidance, "guided": history.guided,
        "costs": dump(Stopped("", 0.0, {"all": history.account, "booked": booked[1]})),
        "unfinished": dump(Stopped("", 0.0, history.unfinished)),
        "usage": [asdict(history.usage), asdict(booked[0])],
        "best": None if history.best is None else history._record.position(history.best.id),  # noqa: SLF001
        "hand": asdict(hand) | {"rejected": list(hand.rejected.items())},
        "fresh": [[id_, [dump(Retold(id_, one)) for one in some]] for id_, some in history.fresh.items()],
        "sealed": [dump(Retold(id_, one)) for id_, one in history.sealed.items()],
        "lessons": dump(Proposed((), lessons=lessons)),
        "arms": [[name, asdict(arm)] for name, arm in history.arms.items()],
        "leaders": [[[row[0], row[1]] for row in rows] for rows in (leaders.rows, leaders.tested)], "cut": leaders.cut,
        "slots": [slots[0], sorted(slots[1])], "serials": [serials[0], sorted(serials[1])], "clock": clock,
    }  # fmt: skip


def _history(state: dict[str, Any], record: Record, pending: tuple[Candidate, ...]) -> History:
    again = state["_again"]
    rows, tested = (tuple((key, at, record.at(at, again)) for key, at in some) for some in state["leaders"])
    opened, costs, unfinished, lessons = (load(*state[name]) for name in ("problem", "costs", "unfinished", "lessons"))
    problem = opened.problem if isinstance(opened, Opened) else Problem("")
    account, booked = _accounts(costs)["all"], _accounts(costs)["booked"]
    usage, logged = (Usage(**one) for one in state["usage"])
    hand = state["hand"]
    closed, since, last = state["clock"]
    return History(
        problem,
        pending=pending, guidance=tuple(state["guidance"]), guided=tuple(state["guided"]), usage=usage, account=account,
        best=None if state["best"] is None else record.at(state["best"], again),
        hand=Hand(**hand | {"rejected": dict(hand["rejected"]), "texts": tuple(hand["texts"])}),
        unfinished=_accounts(unfinished),
        fresh={id_: tuple(_outcome(one)[1] for one in some) for id_, some in state["fresh"]},
        sealed=dict(_outcome(one) for one in state["sealed"]),
        lessons=_lessons(lessons), arms={name: _arm(arm) for name, arm in state["arms"]},
        _record=record, _leaders=Leaders(rows, tested, state["cut"]), _clock=(closed, since, last),
        _slots=(state["slots"][0], frozenset(state["slots"][1])), _booked=(logged, booked),
        _serials=(state["serials"][0], frozenset(state["serials"][1])),
        **{name: state[name] for name in (*_PLAIN, *_HIDDEN)},
    )  # fmt: skip


def _accounts(event: Event) -> Mapping[str, Account]:
    return event.unfinished if isinstance(event, Stopped) else {}


def _lessons(event: Event) -> Learned:
    return event.lessons if isinstance(event, Proposed) and event.lessons is not None else Learned()


def _outcome(dumped: tuple[str, str]) -> tuple[int, Outcome]:
    event = load(*dumped)
    if not isinstance(event, Retold):
        msg = "an outcome is kept as a re-test"
        raise TypeError(msg)
    return event.candidate_id, event.outcome


def _arm(state: dict[str, Any]) -> Arm:
    usage, scoring = Usage(**state["usage"]), Usage(**state["scoring"])
    plays = tuple((tick, gained) for tick, gained in state["plays"])
    return Arm(**(state | {"usage": usage, "scoring": scoring, "plays": plays}))
