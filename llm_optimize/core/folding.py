"""A log on its way to a history, whose long past is put on a shelf: what a study remembers fits into memory.

Each twenty thousand events, the trials folded so far are left in the store (:mod:`llm_optimize.core.shelf`), and what
is known beside them is written down (:mod:`llm_optimize.core.snapshot`), from where the next session begins. So
whenever a session is killed, the next one folds no more than that again. The log stays the only truth.
"""

from __future__ import annotations

import logging
import math
import time
from array import array
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from llm_optimize.core.events import Proposed, Retold, Told
from llm_optimize.core.growing import Growing
from llm_optimize.core.hand import REJECTED
from llm_optimize.core.history import History
from llm_optimize.core.order import takes_place
from llm_optimize.core.part import Part, shelved
from llm_optimize.core.past import Record
from llm_optimize.core.protocols import Shelving
from llm_optimize.core.shelf import Columns, Shelf
from llm_optimize.core.snapshot import Snapshot, checksum, mark, restored
from llm_optimize.core.trace import Trace
from llm_optimize.core.types import Evaluation, Failure
from llm_optimize.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from llm_optimize.core.events import Event
    from llm_optimize.core.protocols import Store
    from llm_optimize.core.types import Trial

__all__ = ["LEAST", "Folding", "read_folding"]

LEAST = 20_000
"""Events that are kept in memory before they are put on the shelf."""

_LOG = logging.getLogger("llm_optimize")
_NOTICE = 500_000  # events after which a fold says how far it has come
_PROGRESS = "study %r has no snapshot to begin with, so its log is read: up to event %d in %.0f s"
_SPARSE = 100_000  # ids without a trial, beyond which the tables by id would be a waste
_MOST_ARMS = 30_000  # what a column of small numbers can tell apart


class Folding:
    """A study's history, and where in its log it stands; for one thread.

    Attributes:
        history: of the events folded so far.
        sequence: of the last of them.
        position: results and words of guidance among them: where in its course the study is.
        trace: how it went.
        rare: sequence numbers of the events that are neither proposals nor outcomes.
    """

    def __init__(
        self, store: Store, study: str, least: int = LEAST, *, keeping: bool = False, trace: Trace | None = None
    ) -> None:
        """Begin with the snapshot that the store keeps of the study, if it fits, else with nothing.

        Args:
            store: where the log is; only one that is :class:`~llm_optimize.core.protocols.Shelving` keeps the past.
            study: its name.
            least: events that stay in memory before they are put on the shelf.
            keeping: write a snapshot each time: for whoever writes the log; who only reads leaves the file alone.
            trace: begin with nothing, and note the course in this.
        """
        self.history = History.empty()
        self.sequence = 0
        self.position = 0
        self.trace = Trace() if trace is None else trace
        self.rare = array("q")
        self._least = least
        self._study = study
        self._store = store if isinstance(store, Shelving) else None
        self._keeping = keeping
        self._fetch: Callable[[Sequence[int]], Mapping[int, Event]] | None = None
        self._told = array("q")  # sequence numbers of the outcomes that are not on the shelf
        self._scores = array("d")  # and their scores
        self._made: dict[int, int] = {}  # and of the proposals, by candidate
        self._settled = 0
        self._shelved = (0, 0, 0)  # texts known, rows of the trace and rare events that are on the shelf
        self._parts: list[str] = []
        self._last: Event | None = None
        if trace is None:
            self._begin()

    @property
    def scores(self) -> array[float]:
        """The score of each trial's first evaluation, in the order of their arrival; minus infinity for a failure."""
        record: Record = self.history._record  # noqa: SLF001 - with its shelf this file takes care of it
        return self._scores[:] if record.shelf is None else record.shelf.columns.scores + self._scores

    def fold(self, sequence: int, event: Event) -> None:
        """Take in the next event.

        Raises:
            ValueError: it contradicts the log.
        """
        self.history = self.history.after(event)
        self._note(sequence, event, self.history)
        if self._is_due():
            self._settle()

    def read(self, store: Store, watch: Callable[[Event, History], object] | None = None) -> None:
        """Take in what the log holds beyond this.

        Args:
            store: where the log is.
            watch: called after each event with the history so far, which must not be kept: it changes.

        Raises:
            StoreError: an event cannot be read; what came before it was taken in.
        """
        self.take(self._announced(store.read(self._study, self.sequence)), watch)

    def take(
        self, events: Iterable[tuple[int, Event]], watch: Callable[[Event, History], object] | None = None
    ) -> None:
        """Take in many events with their sequence numbers; arguments and errors as in :meth:`fold` and :meth:`read`."""
        growing = Growing.of(self.history)
        try:
            for sequence, event in events:
                growing.after(event)
                self._note(sequence, event, growing)
                if watch is not None:
                    watch(event, growing)
                if sequence - self._settled >= self._least and self._is_due():
                    self.history = growing.frozen()
                    self._settle()
                    growing = Growing.of(self.history)
        finally:  # a store that fails in between is read again from there
            self.history = growing.frozen()

    def _announced(self, events: Iterable[tuple[int, Event]]) -> Iterator[tuple[int, Event]]:
        """Say now and then how far a fold has come that takes its time."""
        began, first = time.monotonic(), self.sequence
        for sequence, event in events:
            if sequence > first and (sequence - first) % _NOTICE == 0:
                seconds = time.monotonic() - began
                _LOG.warning(_PROGRESS, self._study, sequence, seconds)
            yield sequence, event

    def _note(self, sequence: int, event: Event, history: History) -> None:
        self.position += takes_place(event)
        self.sequence, self._last = sequence, event
        if isinstance(event, Proposed):
            if self._store is not None:
                for candidate in event.candidates:
                    self._made[candidate.id] = sequence
            return
        if isinstance(event, Told):
            self._told.append(sequence)
            self._scores.append(event.outcome.score if isinstance(event.outcome, Evaluation) else -math.inf)
        elif not isinstance(event, Retold):
            self.rare.append(sequence)
            return
        if self.trace.takes(-1 if history.best is None else history.best.id):
            if isinstance(history, Growing):
                history.flush()
            self.trace.add(event, history)

    def _is_due(self) -> bool:
        return self._store is not None and self.sequence - self._settled >= self._least

    def _settle(self) -> None:
        """Put the trials on the shelf, and keep a snapshot."""
        history = self.history
        if history.next_id > 2 * len(history.trials) + _SPARSE or len(history.arms) > _MOST_ARMS:
            self._store = None  # a log that none of ours looks like: it stays in memory
            return
        part, names = self._part()
        self.history = self._on_shelf(part, names)
        self._settled = self.sequence
        if self._keeping and self._store is not None and self._last is not None:
            body = part.packed()
            parts = [*self._parts, mark(body)]
            snapshot = Snapshot(
                self.history, self.sequence, checksum(self._last), self.position, self._made, parts, self.trace,
                self.rare,
            )  # fmt: skip
            try:
                self._store.keep_fold(self._study, snapshot.packed(), body, len(parts))
                self._parts = parts
            except StoreError as error:  # the event is in the log: a convenience that fails must not end the run
                _LOG.warning("study %r: no snapshot is kept any more in this session: %s", self._study, error)
                self._keeping = False  # a part is missing, which the next session writes

    def _begin(self) -> None:
        bodies = self._store.kept_fold(self._study) if self._store is not None else ()
        snapshot = restored(bodies, self._fetching()) if bodies else None
        if snapshot is not None:
            self.history, self.sequence, self.position = snapshot.history, snapshot.sequence, snapshot.position
            self.trace, self.rare, self._parts = snapshot.trace, snapshot.rare, list(snapshot.parts)
            self._made = dict(snapshot.made)
            self._settled = snapshot.sequence
            self._count()

    def _count(self) -> None:
        record: Record = self.history._record  # noqa: SLF001 - as above
        self._shelved = len(record.first_by_digest), len(self.trace), len(self.rare)

    def _fetching(self) -> Callable[[Sequence[int]], Mapping[int, Event]]:
        """Return how events are fetched: by a connection of their own, since histories outlive their sessions."""
        if self._fetch is None and self._store is not None:
            self._fetch = partial(self._store.twin().fetch, self._study)
        return self._fetch or (lambda _: {})

    def _on_shelf(self, part: Part, names: tuple[str, ...]) -> History:
        """Return an equal history whose trials are all on the shelf."""
        history = self.history
        old: Record = history._record  # noqa: SLF001 - as above
        known = old.shelf.columns if old.shelf is not None else Columns()
        columns = shelved(known, [part], names, old.shelved_changes)
        near = (old.shelf or Shelf(self._fetching(), known)).latest(old.trials)
        record = Record(Shelf(self._fetching(), columns, near), (len(columns.told), history.next_id, len(old.told_at)))
        record.told_at, record.retold, record.overruled, record.pooled, record.first_by_digest = (
            old.told_at, old.retold, old.overruled, old.pooled, old.first_by_digest
        )  # fmt: skip
        old.version += 1  # what is shared now must not grow by two histories: one that grows from an older one copies
        pending = {candidate.id for candidate in history.pending}
        self._told, self._scores = array("q"), array("d")
        self._made = {id_: sequence for id_, sequence in self._made.items() if id_ in pending}
        self.history = replace(history, _record=record, _version=0)
        self._count()
        return self.history

    def _part(self) -> tuple[Part, tuple[str, ...]]:
        """Return what is not on the shelf yet, and the names of all arms."""
        history = self.history
        record: Record = history._record  # noqa: SLF001 - as above
        ids = array("q", [trial.id for trial in record.trials])
        before = record.shelf.columns.names if record.shelf is not None else ()
        names = (*before, *sorted(set(record.arm_by_id.values()) - set(before)))
        texts, rows, rare = self._shelved
        fresh = list(islice(reversed(record.first_by_digest.items()), len(record.first_by_digest) - texts))[::-1]
        part = Part(
            told=self._told, made=array("q", [self._made[id_] for id_ in ids]), ids=ids, scores=self._scores,
            arms=_arms(record, names, history.next_id),
            digests=array("Q", [key for key, _ in fresh]), firsts=array("q", [id_ for _, id_ in fresh]),
            overruled=array("q", [number for number in record.overruled if number > record.shelved_changes]),
            rare=self.rare[rare:], trace=self.trace.columns(rows),
        )  # fmt: skip
        _put_changes(part, record)
        return part, names


def read_folding(store: Store, study: str) -> Folding:
    """Return the folding of a whole log; for readers, who keep no snapshot but use the one that is there.

    Raises:
        StoreError: the log cannot be read.
    """
    folding = Folding(store, study)
    folding.read(store)
    return folding


def _arms(record: Record, names: Sequence[str], next_id: int) -> array[int]:
    arms = array("h", [-1]) * (next_id - record.shelved_ids)
    number = {name: index for index, name in enumerate(names)}
    for id_, arm in record.arm_by_id.items():
        arms[id_ - record.shelved_ids] = number[arm]
    return arms


def _put_changes(part: Part, record: Record) -> None:
    """Note in the part what trials have become since they, or those on the shelf, were put down."""
    for position, trial in enumerate(record.trials, record.shelved):
        if (why := _why(trial)) is not None:  # judged when it was told, before any change
            part.whys.append((0, position, why))
    changes = sorted((number, at, trial) for at, rows in record.later.items() for number, trial in rows)
    for number, position, trial in changes:
        part.n.append(trial.tally.n)
        part.means.append(trial.tally.mean)
        part.spreads.append(trial.tally.squares)
        part.failed.append(trial.tally.failed)
        if (why := _why(trial)) is not None:
            part.whys.append((number, position, why))
    start = record.shelved_changes
    part.told_at, part.retold = array("q", record.told_at[start:]), array("q", record.retold[start:])
    part.degrees = array("q", [degrees for degrees, _ in record.pooled[start + 1 :]])
    part.squares = array("d", [squares for _, squares in record.pooled[start + 1 :]])


def _why(trial: Trial) -> str | None:
    outcome = trial.outcome
    return outcome.message if isinstance(outcome, Failure) and outcome.kind == REJECTED else None
