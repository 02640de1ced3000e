"""The log folded into a value: everything that proposers and stop rules may know.

A :class:`History` is immutable. :meth:`History.after` returns the next one in O(1) amortized time: successive values
share one growing record and each looks at its own first part of it; two histories that grow apart from the same
point stop sharing (a copy, the only O(n) case).
"""

from __future__ import annotations

import time
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from llm_optimize.core.account import Account
from llm_optimize.core.arms import Arm, after_proposed, after_told, gain
from llm_optimize.core.events import Event, Guided, Opened, Proposed, Retold, Stopped, Told
from llm_optimize.core.hand import Hand
from llm_optimize.core.leaders import Leaders, ranked
from llm_optimize.core.ordinals import first_free, including
from llm_optimize.core.past import Past, Record
from llm_optimize.core.types import Candidate, Learned, Outcome, Problem, Trial, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["History", "Past", "same_text"]

_NOTHING_LEARNED = Learned()
_NOBODYS = -1  # the version of a past that was looked up: what grows from it copies the record


def same_text(text: str) -> str:
    """Return the form in which two texts are compared for being the same candidate: without outer white space."""
    return text.strip()


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
        best: the trial with the highest score, the earliest of equals; None while nothing has a score. Where repeated
            scores differ, the one with the highest lower confidence bound; after the search, the one that was chosen.
        next_id: the id that the next candidate will get.
        stale: trials told since the last improvement.
        fruitless: proposals in a row, up to now, that brought no candidate.
        in_flight: work that has begun beyond what the log shows; counted by ``steps`` and ``evaluations``.
        reason: why the last session ended; None while one is open.
        retold: evaluations of candidates that had been told before, whatever they were for.
        fresh: by id: the outcomes, after the search, of the start and of the chosen candidate.
        sealed: by id: their outcomes on the sealed examples.
        hand: what a person decided about candidates.
        lessons: what the model has learned from trials that prompts may no longer show.
        born: when the study was first opened, seconds since the epoch; with the name, the study's identity.
        arms: what each part of a mixed proposer has brought, by name.
        now: tells the time, in seconds since the epoch: while a session is open, that by which its events are logged.

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
    hand: Hand = field(default_factory=Hand)
    unfinished: Mapping[str, Account] = field(default_factory=dict)
    retold: int = 0
    fresh: Mapping[int, tuple[Outcome, ...]] = field(default_factory=dict)
    sealed: Mapping[int, Outcome] = field(default_factory=dict)
    lessons: Learned = _NOTHING_LEARNED
    arms: Mapping[str, Arm] = field(default_factory=dict)
    now: Callable[[], float] = field(default=time.time, compare=False, repr=False)
    _record: Record = None  # type: ignore[assignment]  # empty() and after() always give one
    _version: int = 0
    _told: int = 0
    _again: int = 0
    _settled: bool = False
    _leaders: Leaders = field(default_factory=Leaders)
    _failed_steps: int = 0
    _starts: int = 0
    _slots: tuple[int, frozenset[int]] = (0, frozenset())
    _serials: tuple[int, frozenset[int]] = (0, frozenset())
    _clock: tuple[float, float | None, float] = (0.0, None, 0.0)
    _booked: tuple[Usage, Account] = (Usage(), Account())

    @classmethod
    def empty(cls) -> History:
        """Return the history of a study that has not been opened."""
        return cls(Problem(""), _record=Record())

    @property
    def logged(self) -> Usage:
        """The cost of what was carried through: ``usage`` without the unfinished work."""
        return self._booked[0]

    @property
    def trials(self) -> Past:
        """Every told trial in the order of arrival."""
        return Past(self._record, self._told, self._again)

    @property
    def evaluations(self) -> int:
        """Evaluations made, failures and repeated ones included, and those in flight."""
        return self._told + self.retold + self.in_flight

    @property
    def retests(self) -> int:
        """Evaluations that joined earlier ones of the same candidate."""
        return self._again - len(self.trials.overruled)

    @property
    def revisions(self) -> int:
        """How often a told trial was changed: by a repeated evaluation that joined it, or by a person who rejected it.

        ``trials.retold(revisions)`` of an earlier history gives the places of those changed since.
        """
        return self._again

    @property
    def sigma(self) -> float | None:
        """The standard deviation of one evaluation, pooled over all candidates scored twice or more; None without."""
        return self._record.sigma(self._again)

    @property
    def steps(self) -> int:
        """Proposals made after x0 and carried through: told candidates, empty proposals, and those in flight."""
        return self._told - self._starts + self._failed_steps + self.in_flight

    @property
    def opening(self) -> bool:
        """Whether the start text still has to be scored; nothing is proposed before."""
        return self.problem.start is not None and not self._told

    def top(self, k: int) -> list[Trial]:
        """Return the ``k`` best scored trials, best first, the earlier of equals first; O(k) up to k = 64.

        Where repeated scores differ, they are ranked by their lower confidence bounds.
        """
        known = self._leaders.top(k, self.sigma)
        return ranked(enumerate(self.trials), k, self.sigma) if known is None else known

    def recent(self, k: int) -> list[Trial]:
        """Return the last ``k`` told trials, oldest first; O(k)."""
        return self.trials[max(0, self._told - k) :]

    def seen(self, text: str) -> int | None:
        """Return the id of the first candidate with this text (outer white space aside), or None; O(1)."""
        found = self._record.first(same_text(text))
        return found if found is not None and found < self.next_id else None

    def trial(self, candidate_id: int) -> Trial | None:
        """Return the told trial with this id, or None; O(1)."""
        position = self._record.position(candidate_id)
        return self._record.at(position, self._again) if position is not None and position < self._told else None

    def arm(self, candidate_id: int) -> str:
        """Return which part of a mixed proposer the candidate is of, empty for none; O(1)."""
        return self._record.arm(candidate_id) if candidate_id < self.next_id else ""

    def free_slots(self, n: int, taken: frozenset[int] = frozenset()) -> list[int]:
        """Return the ``n`` lowest proposal ordinals that neither the log nor ``taken`` holds."""
        return first_free(self._slots, n, taken)

    def free_serial(self, taken: frozenset[int] = frozenset()) -> int:
        """Return the lowest ordinal of a re-test that neither the log nor ``taken`` holds."""
        return first_free(self._serials, 1, taken)[0]

    def knows_slot(self, slot: int) -> bool:
        """Return whether the proposal in ``slot`` has been answered; O(1)."""
        return slot < self._slots[0] or slot in self._slots[1]

    def knows_serial(self, serial: int) -> bool:
        """Return whether the re-test with this ordinal has its outcome; O(1)."""
        return serial < self._serials[0] or serial in self._serials[1]

    def active_seconds(self, now: float | None = None) -> float:
        """Return the seconds during which a session was open, up to ``now`` (epoch) or the last event."""
        closed, since, last = self._clock
        return closed if since is None else closed + max(0.0, (last if now is None else max(now, last)) - since)

    def as_of(self, told: int) -> History:
        """Return the past as it was when ``told`` trials had been told: ``trials``, ``best``, ``top``, ``recent``.

        And the guidance that had come by then; the other fields are those of today. O(1), and so is ``top(k)`` there
        for k up to 64 less the trials told since.
        """
        again = min(bisect_right(self._record.told_at, told), self._again)
        leaders = self._leaders.as_of(told) if again == self._again else Leaders(cut=True)  # else scores have changed
        heard = bisect_right(self.guided, told)
        past = replace(
            self, guidance=self.guidance[:heard], guided=self.guided[:heard], _told=told, _version=_NOBODYS,
            _leaders=leaders, _again=again,
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
            case Retold():
                return self._after_retold(event)
            case Proposed():
                return self._after_proposed(event)
            case Opened():
                return self._after_opened(event)
            case Guided():
                return self._after_guided(event)
            case Stopped():
                closed = self.active_seconds(event.at)
                costs = self._costs(unfinished={**self.unfinished, **event.unfinished})
                return self._next(reason=event.reason, _clock=(closed, None, event.at), **costs)

    def _next(self, **changes: object) -> History:
        if "_record" not in changes:
            changes["_record"] = self._own_record()
        return self._with(_version=self._version + 1, **changes)

    def _with(self, **changes: object) -> History:
        return replace(self, **changes)  # type: ignore[arg-type]  # names are checked at run time

    def _own_record(self) -> Record:
        record = self._record
        if record.version != self._version:
            record = record.copy(self._told, self._again, self.next_id, self._version)
        record.version += 1
        return record

    def _ticked(self, at: float) -> tuple[float, float | None, float]:
        closed, since, last = self._clock
        return closed, since, max(last, at)

    def _after_opened(self, event: Opened) -> History:
        clock = (self.active_seconds(), event.at, event.at)
        born = self.born or event.at
        hand = self.hand.reopened()
        opened = self._next(
            problem=event.problem, seed=event.seed, reason=None, fruitless=0, born=born, hand=hand, _clock=clock
        )
        return opened if self.hand.accepted is None else replace(opened, best=opened.first())

    def _after_guided(self, event: Guided) -> History:
        if event.act == "say":
            return self._next(guidance=(*self.guidance, event.text), guided=(*self.guided, self._told))
        hand = self.hand.after(event)
        trial = None if event.candidate_id is None else self.trial(event.candidate_id)
        decided = self._next(hand=hand)
        if event.act == "reject" and trial is not None and trial.id not in self.hand.rejected:
            return _joined(decided, trial.judged(hand.judged(trial.id, trial.outcome)), overruled=True)
        return replace(decided, best=trial) if event.act == "accept" else decided

    def first(self) -> Trial | None:
        """Return the trial to name as the best: the one that was accepted by hand, else the top one."""
        accepted = None if self.hand.accepted is None else self.trial(self.hand.accepted)
        return accepted or next(iter(self.top(1)), None)

    def _after_proposed(self, event: Proposed) -> History:
        record = self._own_record()
        for candidate in event.candidates:
            if record.first(text := same_text(candidate.text)) is None:
                record.first_by_text[text] = candidate.id
            if event.arm:
                record.arm_by_id[candidate.id] = event.arm
        brought = bool(event.candidates)
        learned = event.lessons
        return self._next(
            pending=(*self.pending, *event.candidates),
            next_id=max([self.next_id, *(candidate.id + 1 for candidate in event.candidates)]),
            fruitless=0 if brought else self.fruitless + 1,
            lessons=learned if learned is not None and learned.upto >= self.lessons.upto else self.lessons,
            arms=after_proposed(self.arms, event.arm, event.usage, len(event.candidates)) if event.arm else self.arms,
            _record=record,
            _failed_steps=self._failed_steps + (not brought),
            _slots=including(self._slots, event.slot),
            _clock=self._ticked(event.at),
            **self._costs_with(f"proposal/{event.slot}", event.usage, event.account.completed(event.usage, "proposer")),
        )

    def _after_told(self, event: Told) -> History:
        candidate = next((one for one in self.pending if one.id == event.candidate_id), None)
        if candidate is None:
            msg = f"candidate {event.candidate_id} is not pending: it is unknown or has been told already"
            raise ValueError(msg)
        trial = Trial(candidate, self.hand.judged(candidate.id, event.outcome), event.seconds)
        record = self._own_record()
        record.position_by_id[candidate.id] = self._told
        record.trials.append(trial)
        spent = event.outcome.usage
        told = self._next(
            pending=tuple(one for one in self.pending if one.id != candidate.id),
            _record=record,
            _told=self._told + 1,
            _leaders=self._leaders.plus(trial, self._told),
            _settled=False,
            _starts=self._starts + (candidate.origin == "start"),
            _clock=self._ticked(event.at),
            **self._costs_with(f"evaluation/{candidate.id}", spent, event.account.completed(spent, "scorer")),
        )
        best = told.first()
        stale = 0 if best is trial else self.stale + 1
        return told._with(best=best, stale=stale, arms=self._arms_after(event, best is trial))  # noqa: SLF001 - one of us

    def _arms_after(self, told: Told, improved: bool) -> Mapping[str, Arm]:  # noqa: FBT001 - one of two cases
        arm = self.arm(told.candidate_id)
        if not arm:
            return self.arms
        gained = gain(self.top(16), told.outcome) if improved else 0.0
        return after_told(self.arms, arm, told.outcome, gained, improved=improved)

    def _after_retold(self, event: Retold) -> History:
        trial, outcome = self.trial(event.candidate_id), event.outcome
        if trial is None:
            msg = f"candidate {event.candidate_id} was evaluated again, yet never before"
            raise ValueError(msg)
        retold = self._next(
            retold=self.retold + 1,
            _serials=including(self._serials, event.serial),
            _clock=self._ticked(event.at),
            **self._costs_with(
                f"retest/{event.serial}", outcome.usage, event.account.completed(outcome.usage, "scorer")
            ),
        )
        match event.part:
            case "fresh":
                retold = replace(retold, fresh={**self.fresh, trial.id: (*self.fresh.get(trial.id, ()), outcome)})
                if trial.id in self.hand.rejected:
                    return retold
                chosen = self._settled or self.hand.accepted is not None
                return replace(retold, best=self.best if chosen else trial, _settled=True)  # the chosen one comes first
            case "sealed":
                return replace(retold, sealed={**self.sealed, trial.id: outcome})
            case _:
                return _joined(retold, trial.again(outcome))

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


def _joined(history: History, trial: Trial, *, overruled: bool = False) -> History:
    """Return the history in which a told trial has changed: by one more evaluation, or by a person's decision."""
    record = history._record  # noqa: SLF001 - a step of History.after, outside for want of room
    position = record.position(trial.id)
    if position is None:  # pragma: no cover - every caller has just looked the trial up
        msg = f"candidate {trial.id} has no outcome"
        raise ValueError(msg)
    record.retested(position, trial, len(history.trials), overruled=overruled)
    leaders = history._leaders.retested(trial, position)  # noqa: SLF001 - as above
    again = history._again + 1  # noqa: SLF001 - as above
    joined = replace(history, _again=again, _leaders=leaders, _settled=False)
    return replace(joined, best=joined.first())
