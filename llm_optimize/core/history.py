"""The log folded into a value: everything that proposers and stop rules may know.

A :class:`History` is immutable. :meth:`History.after` returns the next one in O(1) amortized time: successive values
share one growing record and each looks at its own first part of it; two histories that grow apart from the same
point stop sharing (a copy, the only O(n) case).
"""

from __future__ import annotations

import heapq
from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, overload

from llm_optimize.core.account import Account
from llm_optimize.core.events import Event, Guided, Opened, Proposed, Stopped, Told
from llm_optimize.core.types import Candidate, Evaluation, Problem, Trial, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["History", "Past", "same_text"]

_NOBODYS = -1  # the version of a past that was looked up: what grows from it copies the record
_LEADERS = 64  # how many of the best are kept sorted; top(k) beyond that sorts anew


def same_text(text: str) -> str:
    """Return the form in which two texts are compared for being the same candidate: without outer white space."""
    return text.strip()


class Past(Sequence[Trial]):
    """The told trials in the order of their arrival; a read-only window on a shared list."""

    __slots__ = ("_items", "_length")

    def __init__(self, items: list[Trial], length: int) -> None:
        """Look at the first ``length`` items."""
        self._items = items
        self._length = length

    def __len__(self) -> int:
        """Return the number of told trials."""
        return self._length

    @overload
    def __getitem__(self, index: int) -> Trial: ...
    @overload
    def __getitem__(self, index: slice) -> list[Trial]: ...
    def __getitem__(self, index: int | slice) -> Trial | list[Trial]:
        """Return one trial, or a list for a slice; cost in proportion to what is returned."""
        if isinstance(index, slice):
            return [self._items[i] for i in range(*index.indices(self._length))]
        if not -self._length <= index < self._length:
            msg = f"trial {index} of {self._length}"
            raise IndexError(msg)
        return self._items[index % self._length]

    def __iter__(self) -> Iterator[Trial]:
        """Yield the trials, oldest first."""
        return (self._items[i] for i in range(self._length))


class _Record:
    """What successive histories share: grows at its end only."""

    __slots__ = ("first_by_text", "position_by_id", "trials", "version")

    def __init__(self) -> None:
        self.trials: list[Trial] = []
        self.first_by_text: dict[str, int] = {}
        self.position_by_id: dict[int, int] = {}
        self.version = 0

    def copy(self, told: int, next_id: int, version: int) -> _Record:
        twin = _Record()
        twin.trials = self.trials[:told]
        twin.first_by_text = {text: id_ for text, id_ in self.first_by_text.items() if id_ < next_id}
        twin.position_by_id = {id_: position for id_, position in self.position_by_id.items() if position < told}
        twin.version = version
        return twin


@dataclass(frozen=True, slots=True)
class History:
    """The past of one study.

    Attributes:
        problem: what is optimized.
        seed: the study's seed.
        slot: ordinal of the proposal that is being asked for; the study sets it, proposers draw from (seed, slot).
        pending: candidates without an outcome, oldest first.
        guidance: what people said, oldest first.
        guided: for each of them, how many trials had been told when it came.
        usage: the cost of all proposals and evaluations.
        account: the same by role and model.
        unfinished: the part of them that belongs to work which is still to be carried through, by unit.
        best: the trial with the highest score, the earliest of equals; None while nothing has a score.
        next_id: the id that the next candidate will get.
        stale: trials told since the last improvement.
        fruitless: proposals in a row, up to now, that brought no candidate.
        in_flight: work that has begun beyond what the log shows; counted by ``steps`` and ``evaluations``.
        reason: why the last session ended; None while one is open.
        born: when the study was first opened, seconds since the epoch; with the name, the study's identity.

    Example:
        >>> from llm_optimize.core.events import Opened, Proposed, Told
        >>> history = History.empty().after(Opened(Problem("task"))).after(Proposed((Candidate(0, "x"),)))
        >>> history.after(Told(0, Evaluation(3))).best.score
        3
    """

    problem: Problem
    seed: int = 0
    slot: int = 0
    pending: tuple[Candidate, ...] = ()
    guidance: tuple[str, ...] = ()
    guided: tuple[int, ...] = ()
    usage: Usage = Usage()
    best: Trial | None = None
    next_id: int = 0
    stale: int = 0
    fruitless: int = 0
    in_flight: int = 0
    reason: str | None = None
    born: float = 0.0
    account: Account = Account()
    unfinished: Mapping[str, Account] = field(default_factory=dict)
    _record: _Record = None  # type: ignore[assignment]  # empty() and after() always give one
    _version: int = 0
    _told: int = 0
    _leaders: tuple[tuple[float, int, Trial], ...] = ()
    _failed_steps: int = 0
    _starts: int = 0
    _slots: tuple[int, frozenset[int]] = (0, frozenset())
    _clock: tuple[float, float | None, float] = (0.0, None, 0.0)
    _shortened: bool = False
    _booked: tuple[Usage, Account] = (Usage(), Account())

    @classmethod
    def empty(cls) -> History:
        """Return the history of a study that has not been opened."""
        return cls(Problem(""), _record=_Record())

    @property
    def logged(self) -> Usage:
        """The cost of what was carried through: ``usage`` without the unfinished work."""
        return self._booked[0]

    @property
    def trials(self) -> Past:
        """Every told trial in the order of arrival."""
        return Past(self._record.trials, self._told)

    @property
    def evaluations(self) -> int:
        """Evaluations made, failures included, and those in flight."""
        return self._told + self.in_flight

    @property
    def steps(self) -> int:
        """Proposals made after x0 and carried through: told candidates, empty proposals, and those in flight."""
        return self._told - self._starts + self._failed_steps + self.in_flight

    @property
    def opening(self) -> bool:
        """Whether the start text still has to be scored; nothing is proposed before."""
        return self.problem.start is not None and not self._told

    def top(self, k: int) -> list[Trial]:
        """Return the ``k`` best scored trials, best first, the earlier of equals first; O(k) up to k = 64."""
        if k <= len(self._leaders) or (len(self._leaders) < _LEADERS and not self._shortened):
            return [trial for _, _, trial in self._leaders[:k]]
        scored = ((trial.score, -i, trial) for i, trial in enumerate(self.trials) if trial.score is not None)
        return [trial for _, _, trial in heapq.nlargest(k, scored, key=lambda row: row[:2])]

    def recent(self, k: int) -> list[Trial]:
        """Return the last ``k`` told trials, oldest first; O(k)."""
        return self.trials[max(0, self._told - k) :]

    def seen(self, text: str) -> int | None:
        """Return the id of the first candidate with this text (outer white space aside), or None; O(1)."""
        found = self._record.first_by_text.get(same_text(text))
        return found if found is not None and found < self.next_id else None

    def trial(self, candidate_id: int) -> Trial | None:
        """Return the told trial with this id, or None; O(1)."""
        position = self._record.position_by_id.get(candidate_id)
        return self._record.trials[position] if position is not None and position < self._told else None

    def free_slots(self, n: int, taken: frozenset[int] = frozenset()) -> list[int]:
        """Return the ``n`` lowest proposal ordinals that neither the log nor ``taken`` holds."""
        free: list[int] = []
        slot, beyond = self._slots
        while len(free) < n:
            if slot not in beyond and slot not in taken:
                free.append(slot)
            slot += 1
        return free

    def knows_slot(self, slot: int) -> bool:
        """Return whether the proposal in ``slot`` has been answered; O(1)."""
        frontier, beyond = self._slots
        return slot < frontier or slot in beyond

    def active_seconds(self, now: float | None = None) -> float:
        """Return the seconds during which a session was open, up to ``now`` (epoch) or the last event."""
        closed, since, last = self._clock
        return closed if since is None else closed + max(0.0, (last if now is None else max(now, last)) - since)

    def as_of(self, told: int) -> History:
        """Return the past as it was when ``told`` trials had been told: ``trials``, ``best``, ``top``, ``recent``.

        And the guidance that had come by then; the other fields are those of today. O(1), and so is ``top(k)`` there
        for k up to 64 less the trials told since.
        """
        leaders = tuple(row for row in self._leaders if row[1] < told)
        cut = len(self._leaders) == _LEADERS and len(leaders) < _LEADERS
        heard = bisect_right(self.guided, told)
        past = replace(
            self, guidance=self.guidance[:heard], guided=self.guided[:heard], _told=told, _version=_NOBODYS,
            _leaders=leaders, _shortened=self._shortened or cut,
        )  # fmt: skip
        return replace(past, best=next(iter(past.top(1)), None))

    def assuming(self, in_flight: int, slot: int | None = None) -> History:
        """Return this history as seen with that much work in flight, for the proposal in ``slot``."""
        slot = self.slot if slot is None else slot
        if (in_flight, slot) == (self.in_flight, self.slot):
            return self
        return replace(self, in_flight=in_flight, slot=slot)

    def after(self, event: Event) -> History:
        """Return the history that this event leads to.

        Raises:
            ValueError: the event contradicts the log, for example an outcome for an unknown candidate.
        """
        match event:
            case Told():
                return self._after_told(event)
            case Proposed():
                return self._after_proposed(event)
            case Opened():
                return self._after_opened(event)
            case Guided():
                return self._next(guidance=(*self.guidance, event.text), guided=(*self.guided, self._told))
            case Stopped():
                closed = self.active_seconds(event.at)
                costs = self._costs(unfinished={**self.unfinished, **event.unfinished})
                return self._next(reason=event.reason, _clock=(closed, None, event.at), **costs)

    def _next(self, **changes: object) -> History:
        if "_record" not in changes:
            changes["_record"] = self._own_record()
        return replace(self, _version=self._version + 1, **changes)  # type: ignore[arg-type]  # names are checked at run time

    def _own_record(self) -> _Record:
        record = self._record
        if record.version != self._version:
            record = record.copy(self._told, self.next_id, self._version)
        record.version += 1
        return record

    def _ticked(self, at: float) -> tuple[float, float | None, float]:
        closed, since, last = self._clock
        return closed, since, max(last, at)

    def _after_opened(self, event: Opened) -> History:
        clock = (self.active_seconds(), event.at, event.at)
        born = self.born or event.at
        return self._next(problem=event.problem, seed=event.seed, reason=None, fruitless=0, born=born, _clock=clock)

    def _after_proposed(self, event: Proposed) -> History:
        record = self._own_record()
        for candidate in event.candidates:
            record.first_by_text.setdefault(same_text(candidate.text), candidate.id)
        brought = bool(event.candidates)
        return self._next(
            pending=(*self.pending, *event.candidates),
            next_id=max([self.next_id, *(candidate.id + 1 for candidate in event.candidates)]),
            fruitless=0 if brought else self.fruitless + 1,
            _record=record,
            _failed_steps=self._failed_steps + (not brought),
            _slots=self._slots_with(event.slot),
            _clock=self._ticked(event.at),
            **self._costs_with(f"proposal/{event.slot}", event.usage, event.account.completed(event.usage, "proposer")),
        )

    def _slots_with(self, slot: int) -> tuple[int, frozenset[int]]:
        frontier, beyond = self._slots
        if slot < frontier:
            return self._slots
        beyond |= {slot}
        while frontier in beyond:
            beyond -= {frontier}
            frontier += 1
        return frontier, beyond

    def _after_told(self, event: Told) -> History:
        candidate = next((one for one in self.pending if one.id == event.candidate_id), None)
        if candidate is None:
            msg = f"candidate {event.candidate_id} is not pending: it is unknown or has been told already"
            raise ValueError(msg)
        trial = Trial(candidate, event.outcome, event.seconds)
        record = self._own_record()
        record.position_by_id[candidate.id] = self._told
        record.trials.append(trial)
        best = self.best
        spent = event.outcome.usage
        better = isinstance(event.outcome, Evaluation) and (best is None or event.outcome.score > (best.score or 0))
        return self._next(
            pending=tuple(one for one in self.pending if one.id != candidate.id),
            best=trial if better else best,
            stale=0 if better else self.stale + 1,
            _record=record,
            _told=self._told + 1,
            _leaders=self._leaders_with(trial),
            _starts=self._starts + (candidate.origin == "start"),
            _clock=self._ticked(event.at),
            **self._costs_with(f"evaluation/{candidate.id}", spent, event.account.completed(spent, "scorer")),
        )

    def _costs_with(self, unit: str, usage: Usage, account: Account) -> dict[str, object]:
        """Return the fields after ``unit`` has reached the log; what it had cost unfinished is in there again."""
        booked = self._booked[0] + usage, self._booked[1] + account
        if unit not in self.unfinished:
            return self._costs(booked, self.unfinished)
        return self._costs(booked, {name: cost for name, cost in self.unfinished.items() if name != unit})

    def _costs(
        self, booked: tuple[Usage, Account] | None = None, unfinished: Mapping[str, Account] | None = None
    ) -> dict[str, object]:
        booked, unfinished = booked or self._booked, unfinished or {}
        usage, account = booked
        for cost in unfinished.values():
            usage, account = usage + cost.total, account + cost
        return {"usage": usage, "account": account, "unfinished": unfinished, "_booked": booked}

    def _leaders_with(self, trial: Trial) -> tuple[tuple[float, int, Trial], ...]:
        score = trial.score
        if score is None or (len(self._leaders) == _LEADERS and -score >= self._leaders[-1][0]):
            return self._leaders
        leaders = list(self._leaders)
        insort(leaders, (-score, self._told, trial), key=lambda row: row[:2])
        return tuple(leaders[:_LEADERS])
