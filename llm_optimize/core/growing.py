"""Many events folded in one go: a history that changes in place, and is frozen once at the end.

Proposals and outcomes, of which a long log consists, take a short way to what the steps of
:class:`~llm_optimize.core.history.History` lead to: instead of a value of some thirty fields for each event, the few
that change are set, and costs are added up in tables of numbers. All other events go those steps.
"""

from __future__ import annotations

from dataclasses import fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from llm_optimize.core.account import Account
from llm_optimize.core.arms import after_proposed, after_told, gain
from llm_optimize.core.events import Proposed, Retold, Told
from llm_optimize.core.history import History, same_text
from llm_optimize.core.ordinals import including
from llm_optimize.core.past import digest
from llm_optimize.core.types import Trial, Usage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llm_optimize.core.events import Event
    from llm_optimize.core.leaders import Leaders

__all__ = ["Growing", "folded"]

_NAMES = tuple(item.name for item in fields(History))
_AMONG = 16  # leaders that an improvement is measured beside
_OPEN = ("_settled", False)
_put: Any = object.__setattr__


class Growing(History):
    """A history in the making; for one thread, and nobody else may hold it.

    ``usage`` and ``account`` lag behind until :meth:`flush`.
    """

    __slots__ = ("_first", "_ledger")

    _ledger: _Ledger | None
    _first: tuple[Leaders, float | None, Trial | None] | None

    @classmethod
    def of(cls, history: History) -> Growing:
        """Begin where a history is."""
        growing = cls(*(getattr(history, name) for name in _NAMES))
        _put(growing, "_ledger", None)
        _put(growing, "_first", None)
        return growing

    def frozen(self) -> History:
        """Return the history as it is now; what is folded later does not change it."""
        self.flush()
        return History(*(getattr(self, name) for name in _NAMES))

    def flush(self) -> None:
        """Bring the costs up to the last event."""
        if self._ledger is not None:
            for name, value in self._costs(self._ledger.booked(), self.unfinished).items():
                _put(self, name, value)
            _put(self, "_ledger", None)

    def after(self, event: Event) -> History:
        """Fold the event; return this same object.

        Raises:
            ValueError: the event contradicts the log.
        """
        kind = type(event)
        if kind is Told:
            if self._tell(event):  # type: ignore[arg-type]  # mypy does not narrow by `type() is`
                return self
        elif kind is Proposed and self._propose(event):  # type: ignore[arg-type]  # as above
            return self
        self.flush()
        # An arm's gain is measured beside the leaders before the outcome, so that needs the history before it.
        in_place = isinstance(event, Proposed | Retold) or (
            isinstance(event, Told) and not self.arm(event.candidate_id)
        )
        history = super().after(event) if in_place else self.frozen().after(event)
        if history is not self:
            self._become(history)
        return self

    def _with(self, **changes: object) -> History:
        for name, value in changes.items():
            _put(self, name, value)
        return self

    def _become(self, history: History) -> None:
        for name in _NAMES:
            _put(self, name, getattr(history, name))

    def _propose(self, event: Proposed) -> bool:
        """Take the short way of a proposal, if it is of the usual kind; return whether it was."""
        record, made = self._record, event.candidates
        if not made or event.lessons is not None or record.version != self._version or self._is_owed("proposal", event):
            return False
        next_id = self.next_id
        for candidate in made:
            id_ = candidate.id
            record.first_by_digest.setdefault(digest(same_text(candidate.text)), id_)
            if event.arm:
                record.arm_by_id[id_] = event.arm
            next_id = max(next_id, id_ + 1)
        record.version = version = record.version + 1
        _put(self, "_version", version)
        _put(self, "pending", (*self.pending, *made) if self.pending else made)
        _put(self, "next_id", next_id)
        _put(self, "fruitless", 0)
        _put(self, "_slots", including(self._slots, event.slot))
        closed, since, last = self._clock
        _put(self, "_clock", (closed, since, max(last, event.at)))
        if event.arm:
            _put(self, "arms", after_proposed(self.arms, event.arm, event.usage, len(made)))
        self._spend(event.usage, event.account, "proposer")
        return True

    def _tell(self, event: Told) -> bool:
        """Take the short way of an outcome, if it is of the usual kind; return whether it was."""
        record, leaders, id_, pending = self._record, self._leaders, event.candidate_id, self.pending
        candidate = next((one for one in pending if one.id == id_), None)
        if candidate is None or record.version != self._version or self._is_owed("evaluation", event):
            return False
        if self.hand.accepted is not None or (leaders.cut and len(leaders.rows) < _AMONG):
            return False
        told, arm = self._told, record.arm(id_)
        trial = Trial(candidate, self.hand.judged(id_, event.outcome), event.seconds)
        record.position_by_id[id_] = told
        record.trials.append(trial)
        record.version = version = record.version + 1
        _put(self, "_version", version)
        _put(self, "pending", () if len(pending) == 1 else tuple([one for one in pending if one.id != id_]))
        _put(self, "_told", told + 1)
        _put(self, "_leaders", leaders.plus(trial, told))
        _put(self, *_OPEN)
        if candidate.origin == "start":
            _put(self, "_starts", self._starts + 1)
        closed, since, last = self._clock
        _put(self, "_clock", (closed, since, max(last, event.at)))
        best, sigma = self._top_one()
        _put(self, "best", best)
        _put(self, "stale", 0 if best is trial else self.stale + 1)
        if arm:
            gained = gain(leaders.top(_AMONG, sigma) or (), event.outcome) if best is trial else 0.0
            _put(self, "arms", after_told(self.arms, arm, event.outcome, gained, improved=best is trial))
        self._spend(event.outcome.usage, event.account, "scorer")
        return True

    def _top_one(self) -> tuple[Trial | None, float | None]:
        """Return the best by the scores, and what one evaluation varies by; looked for where it may have changed."""
        leaders, sigma = self._leaders, self.sigma
        if not sigma:
            return (leaders.rows[0][2] if leaders.rows else None), sigma
        if self._first is None or self._first[0] is not leaders or self._first[1] != sigma:
            _put(self, "_first", (leaders, sigma, next(iter(leaders.top(1, sigma) or ()), None)))
        known = self._first
        return (None if known is None else known[2]), sigma

    def _is_owed(self, kind: str, event: Proposed | Told) -> bool:
        """Return whether a session before has paid for a part of this unit."""
        if not self.unfinished:
            return False
        return f"{kind}/{event.slot if isinstance(event, Proposed) else event.candidate_id}" in self.unfinished

    def _spend(self, usage: Usage, account: Account, role: str) -> None:
        ledger = self._ledger
        if ledger is None:
            ledger = _Ledger(*self._booked)
            _put(self, "_ledger", ledger)
        ledger.add(usage, account, role)


class _Ledger:
    """Sums of costs as plain numbers, added up in the order of the log, so that they are the same to the last bit."""

    __slots__ = ("rows", "total")

    def __init__(self, total: Usage, account: Account) -> None:
        self.total = _numbers(total)
        self.rows = {key: _numbers(usage) for key, usage in account.rows.items()}

    def add(self, usage: Usage, account: Account, role: str) -> None:
        """Add the cost of one unit of work."""
        _plus(self.total, usage)
        rows = account.rows
        if len(rows) == 1:
            [(key, known)] = rows.items()
            if known is usage or known == usage:
                self._add(key, usage)
                return
        for key, known in account.completed(usage, role).rows.items():
            self._add(key, known)

    def booked(self) -> tuple[Usage, Account]:
        """Return the sums as values."""
        return Usage(*self.total), Account(MappingProxyType({key: Usage(*row) for key, row in self.rows.items()}))

    def _add(self, key: tuple[str, str], usage: Usage) -> None:
        row = self.rows.get(key)
        if row is None:
            self.rows[key] = _numbers(usage)
        else:
            _plus(row, usage)


def _numbers(usage: Usage) -> list[Any]:
    return [
        usage.calls, usage.tokens_in, usage.tokens_cached, usage.tokens_out, usage.dollars, usage.seconds,
        usage.estimated,
    ]  # fmt: skip


def _plus(row: list[Any], usage: Usage) -> None:
    row[0] += usage.calls
    row[1] += usage.tokens_in
    row[2] += usage.tokens_cached
    row[3] += usage.tokens_out
    row[4] += usage.dollars
    row[5] += usage.seconds
    row[6] = row[6] or usage.estimated


def folded(events: Iterable[Event], history: History | None = None) -> History:
    """Return the history that events lead to: what ``after`` gives for one after another, in less time.

    Args:
        events: oldest first.
        history: where they begin; the empty one by default.

    Raises:
        ValueError: an event contradicts the log.

    Example:
        >>> from llm_optimize.core.events import Opened
        >>> from llm_optimize.core.types import Problem
        >>> folded([Opened(Problem("task"), seed=3)]).seed
        3
    """
    growing = Growing.of(History.empty() if history is None else history)
    for event in events:
        growing.after(event)
    return growing.frozen()
