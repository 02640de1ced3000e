"""The one writer of a study's log: an event is on disk before anything builds on it, and observers see it after."""

from __future__ import annotations

import json
import logging
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from llm_optimize.core.account import Account
from llm_optimize.core.clock import SYSTEM, Clock, Steady
from llm_optimize.core.events import Opened, Proposed, Retold, Stopped, Told
from llm_optimize.core.folding import LEAST, Folding
from llm_optimize.core.history import History
from llm_optimize.core.metering import ROLES, Scope
from llm_optimize.core.protocols import ExchangeLog, Listener, Ownable, ReplyLog
from llm_optimize.core.types import Usage
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from llm_optimize.core.chat import Piece
    from llm_optimize.core.events import Event
    from llm_optimize.core.metering import SpendGuard
    from llm_optimize.core.protocols import Observer, Store
    from llm_optimize.core.types import Problem

__all__ = ["Journal"]

_LOG = logging.getLogger("llm_optimize")
_TOGETHER = 1000  # numbers of units that are looked for at once
_AHEAD = 20_000  # units that a session may have had in flight beyond the first that is missing


class Journal:
    """A study's log while this process owns it; used by the owner's thread only."""

    def __init__(
        self,
        store: Store,
        study: str,
        observers: Sequence[Observer] = (),
        clock: Clock = SYSTEM,
        least: int = LEAST,
    ) -> None:
        """Touch nothing yet; :meth:`open` does.

        Args:
            store: where the log is.
            study: its name.
            observers: see each event once it is written.
            clock: tells when an event is logged.
            least: events after which the past is put on the shelf, and a snapshot kept.
        """
        self.clock = clock
        self.now = Steady(clock).time
        """Tells the seconds since the epoch at which an event is logged; they never jump while the study is open."""
        self.store = store
        self.study = study
        self.replies = store if isinstance(store, ReplyLog) else None
        self._folding: Folding | None = None
        self._least = least
        self.observers = tuple(observers)
        watching: Sequence[object] = self.observers  # functions, of which an object may be more
        self._hearing = [one.hear for one in watching if isinstance(one, Listener)]
        self._owned = False
        self._scopes: dict[str, Scope] = {}  # of the units of work that the log does not show yet

    @property
    def history(self) -> History:
        """What the log leads to; empty before :meth:`open`."""
        return History.empty() if self._folding is None else self._folding.history

    @property
    def position(self) -> int:
        """Results and words of guidance in the log so far: where in its course the study is."""
        return 0 if self._folding is None else self._folding.position

    @property
    def _sequence(self) -> int:
        return 0 if self._folding is None else self._folding.sequence

    def open(self, problem: Problem, seed: int, settings: Mapping[str, Any]) -> None:
        """Claim the study, fold its log, and log the session's beginning.

        A study that exists goes on with the seed that it was opened with.

        Raises:
            StudyOwned: another live process runs it.
            BadInput: the study exists and is about another problem.
        """
        if isinstance(self.store, Ownable):
            self.store.claim(self.study)
            self._owned = True
        try:
            self._folding = Folding(self.store, self.study, self._least, keeping=True)
            self._folding.read(self.store)
            self._folding.history = replace(self._folding.history, now=self.now)
            if self._sequence:
                self._check_same(problem)
                seed = self.history.seed
            self.record(Opened(problem, seed, settings, self.now()))
        except BaseException:
            self._release()
            raise

    def _check_same(self, problem: Problem) -> None:
        known = self.history.problem
        for name in ("task", "question", "start"):
            if getattr(known, name) != getattr(problem, name):
                what = "x0" if name == "start" else name
                msg = f"study {self.study!r} was opened with another {what}: choose another study name"
                raise BadInput(msg)

    def record(self, event: Event) -> None:
        """Write the event, then build on it.

        Raises:
            StoreError: it could not be written; the history does not hold it.
        """
        sequence = self.store.append(self.study, event)
        self._scopes.pop(_unit(event), None)
        if sequence == self._sequence + 1:
            self._fold(sequence, event)
        else:  # another process appended guidance in between
            self.refresh()

    def refresh(self) -> None:
        """Fold what other processes have appended since."""
        for sequence, event in self.store.read(self.study, self._sequence):
            self._fold(sequence, event)

    def scope(self, name: str, guard: SpendGuard | None) -> Scope:
        """Return the scope for a unit of work of this study; without a guard its calls are counted, never refused."""
        hear = self._pass_on if self._hearing else None
        scope = self._scopes[name] = Scope(self.study, name, guard, self.replies, self.history.born, hear)
        scope.clock = self.clock
        scope.begun = self.position
        scope.past = self.history
        return scope

    def _pass_on(self, piece: Piece) -> None:
        for hear in self._hearing:
            try:
                hear(piece)
            except Exception:  # noqa: BLE001 - part of the second border: what only watches must not end the run
                _LOG.exception("observer %r failed on a part of a reply", hear)

    def close(self, reason: str) -> None:
        """Log the session's end and give the study up; does nothing for a journal that is not open."""
        if not self._sequence or self.history.reason is not None:
            return
        try:
            self.refresh()  # an interrupt may have come between an event's write and its fold
            unfinished = {name: scope.account for name, scope in self._scopes.items() if scope.account.rows}
            self.record(Stopped(reason, self.now(), self._left() | unfinished))
        finally:
            self._release()

    def _left(self) -> dict[str, Account]:
        """Return the cost of what a killed session has paid for and this one did not need."""
        known = self.history.unfinished
        return {
            unit: known.get(unit, Account()).completed(usage, ROLES[unit.partition("/")[0]])
            for unit, usage in self.unlogged().items()
        }

    def shows(self, unit: str) -> bool:
        """Return whether the log shows what became of a unit of work that was begun."""
        return unit not in self._scopes

    def unlogged(self) -> dict[str, Usage]:
        """Return what work has cost that the log does not show, by unit, as far as the replies are in the reply log.

        A session that was killed could write its replies down, but not what they add up to.
        """
        known = {unit: account.total for unit, account in self.history.unfinished.items()}
        kept: dict[str, Usage] = {}
        if isinstance(self.replies, ExchangeLog):
            for key in dict.fromkeys(key for some in self._begun() for key in self.replies.keys(self.study, some)):
                unit = "/".join(key.split("/", 2)[:2])
                if self._is_open(unit):
                    kept[unit] = kept.get(unit, Usage()) + _cost(self.replies.recall(self.study, key))
        return known | {unit: usage for unit, usage in kept.items() if usage.tokens > _tokens(known.get(unit))}

    def _begun(self) -> Iterator[str]:
        """Yield with what the keys of replies begin whose unit of work may be unlogged, however many are logged.

        Units are begun with the lowest free numbers, so those in flight are among the next ones.
        """
        yield from (f"evaluation/{candidate.id}/" for candidate in self.history.pending)
        firsts = (("proposal", self.history.free_slots(1)[0]), ("retest", self.history.free_serial()))
        for kind, first in firsts:
            if first < _TOGETHER:
                yield f"{kind}/"
            else:  # a number begins with the digits before its last three
                last = (first + _AHEAD) // _TOGETHER
                yield from (f"{kind}/{digits}" for digits in range(first // _TOGETHER, last + 1))

    def _is_open(self, unit: str) -> bool:
        kind, _, number = unit.partition("/")
        if not number.isdigit():
            return False
        if kind == "evaluation":
            return any(candidate.id == int(number) for candidate in self.history.pending)
        if kind == "retest":
            return not self.history.knows_serial(int(number))
        return kind == "proposal" and not self.history.knows_slot(int(number))

    def _release(self) -> None:
        if self._owned and isinstance(self.store, Ownable):
            self._owned = False
            self.store.release(self.study)

    def _fold(self, sequence: int, event: Event) -> None:
        if self._folding is not None:
            self._folding.fold(sequence, event)
        for observer in self.observers:
            try:
                observer(event)
            except Exception:  # noqa: BLE001 - the second of the three borders: what only watches must not end the run
                _LOG.exception("observer %r failed on %s", observer, type(event).__name__)


def _unit(event: Event) -> str:
    """Return the name of the unit of work that an event carries through, or an empty one."""
    match event:
        case Proposed():
            return f"proposal/{event.slot}"
        case Told():
            return f"evaluation/{event.candidate_id}"
        case Retold():
            return f"retest/{event.serial}"
        case _:
            return ""


def _tokens(usage: Usage | None) -> int:
    return 0 if usage is None else usage.tokens


def _cost(body: str | None) -> Usage:
    """Return the usage in an entry of the reply log; nothing for one that is no reply."""
    try:
        known = json.loads(body or "{}").get("usage") or {}
    except (AttributeError, ValueError):
        return Usage()  # a damaged entry is reported by whoever needs the reply
    names = {item.name for item in fields(Usage)}
    return Usage(**{name: value for name, value in known.items() if name in names})
