"""A folded log as bytes: written now and then, so that opening a long study need not fold all of it again.

A snapshot is a convenience that may be lost: whatever does not fit (another version of this package, another log, a
damaged byte) makes :func:`restored` return None, and the log is folded from its beginning. It is JSON and columns of
numbers, nothing that runs.
"""

from __future__ import annotations

import json
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
from llm_optimize.core.past import Record
from llm_optimize.core.shelf import Columns, Run, Shelf
from llm_optimize.core.types import Candidate, Learned, Problem, Tally, Usage
from llm_optimize.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.core.account import Account
    from llm_optimize.core.events import Event
    from llm_optimize.core.types import Outcome

__all__ = ["Snapshot", "checksum", "restored"]

_FORMAT = 1  # to be raised whenever an event is folded differently, so that what was folded before is folded again
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
    """

    history: History
    sequence: int
    last: str
    position: int
    made: Mapping[int, int]

    def packed(self) -> bytes:
        """Return the bytes; :func:`restored` is the inverse."""
        history, record = self.history, self.history._record  # noqa: SLF001 - this file is the history's other form
        if record.shelf is None or record.trials or record.shelved_ids != history.next_id or record.later:
            msg = "only a history whose trials are all on a shelf has a snapshot"
            raise ValueError(msg)
        columns = record.shelf.columns
        arrays: list[array[Any]] = [columns.told, columns.made, columns.ids, columns.places, columns.arms]
        arrays += [part for run in columns.runs for part in (run.digests, run.ids)]
        arrays += [array("q", record.told_at), array("q", record.retold), array("q", record.overruled)]
        arrays += [array("q", [row[0] for row in record.pooled]), array("d", [row[1] for row in record.pooled])]
        head = {
            "shape": _SHAPE, "sequence": self.sequence, "last": self.last, "position": self.position,
            "made": list(self.made.items()), "arrays": [[part.typecode, len(part)] for part in arrays],
            "names": columns.names, "history": _state(history),
            "versions": [
                [position, [[number, [t.n, t.mean, t.squares, t.failed], why] for number, t, why in rows]]
                for position, rows in columns.versions.items()
            ],
        }  # fmt: skip
        packer = zlib.compressobj(1)
        parts = [json.dumps(head).encode(), b"\n", *(part.tobytes() for part in arrays if part)]
        body = b"".join([*(packer.compress(part) for part in parts), packer.flush()])
        return blake2b(body, digest_size=16).digest() + body


def restored(body: bytes, shelf: Shelf) -> Snapshot | None:
    """Return what was packed, or None for what cannot be used.

    Args:
        body: the bytes.
        shelf: an empty one, whose ``fetch`` looks into the log that the snapshot is of.
    """
    if blake2b(body[16:], digest_size=16).digest() != body[:16]:
        return None
    try:
        head, _, rest = _parted(zlib.decompress(body[16:]))
        fields_ = json.loads(head)
        if fields_["shape"] != _SHAPE:
            return None
        events = shelf.fetch([fields_["sequence"]])
        if checksum(events[fields_["sequence"]]) != fields_["last"]:
            return None
        return _rebuilt(fields_, _arrays(fields_["arrays"], rest), shelf)
    except (KeyError, TypeError, ValueError, IndexError, StoreError, zlib.error):
        return None


def _parted(body: bytes) -> tuple[bytes, int, memoryview]:
    """Return the first line, its length, and the rest without a copy."""
    end = body.index(b"\n")
    return body[:end], end, memoryview(body)[end + 1 :]


def _arrays(kinds: Sequence[tuple[str, int]], rest: memoryview) -> list[array[Any]]:
    found, at = [], 0
    for kind, length in kinds:
        part = array(kind)
        size = length * part.itemsize
        part.frombytes(rest[at : at + size])
        found.append(part)
        at += size
    return found


def _rebuilt(head: dict[str, Any], arrays: list[array[Any]], empty: Shelf) -> Snapshot:
    *first, told_at, retold, overruled, degrees, squares = arrays
    versions = {
        position: [(number, Tally(*tally), why) for number, tally, why in rows] for position, rows in head["versions"]
    }
    runs = tuple(Run(digests, ids) for digests, ids in zip(first[5::2], first[6::2], strict=True))
    told, made_at, ids, places, arms = first[:5]
    columns = Columns(told, made_at, ids, places, arms, tuple(head["names"]), runs, versions)
    shelf, state = Shelf(empty.fetch, columns), head["history"]
    record = Record(shelf, (len(columns.told), state["next_id"], len(told_at)))
    record.told_at, record.retold, record.overruled = told_at.tolist(), retold.tolist(), overruled.tolist()
    record.pooled = list(zip(degrees.tolist(), squares.tolist(), strict=True))
    made = dict(head["made"])
    history = _history(state, record, _pending(made, shelf))
    return Snapshot(history, head["sequence"], head["last"], head["position"], made)


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
