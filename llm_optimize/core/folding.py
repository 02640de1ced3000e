"""A log on its way to a history, whose long past is put on a shelf: what a study remembers fits into memory.

From some ten thousand trials on, and again whenever the log has grown by a tenth, the trials folded so far are left in
the store (:mod:`llm_optimize.core.shelf`) and what is known beside them is written down
(:mod:`llm_optimize.core.snapshot`), from where the next session begins. The log stays the only truth.
"""

from __future__ import annotations

from array import array
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from llm_optimize.core.events import Proposed, Told
from llm_optimize.core.growing import Growing
from llm_optimize.core.hand import REJECTED
from llm_optimize.core.history import History
from llm_optimize.core.order import takes_place
from llm_optimize.core.past import Record
from llm_optimize.core.protocols import Shelving
from llm_optimize.core.shelf import Columns, Run, Shelf, Version, digest, merged
from llm_optimize.core.snapshot import Snapshot, checksum, restored
from llm_optimize.core.types import Failure, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llm_optimize.core.events import Event
    from llm_optimize.core.protocols import Store
    from llm_optimize.core.types import Trial

__all__ = ["LEAST", "Folding", "read_folding"]

LEAST = 20_000
"""Events that are kept in memory in any case."""

_GROWN = 10  # a log is put on the shelf again when it has grown by one part in so many
_SPARSE = 100_000  # ids without a trial, beyond which the tables by id would be a waste
_MOST_ARMS = 30_000  # what a column of small numbers can tell apart


class Folding:
    """A study's history, and where in its log it stands; for one thread.

    Attributes:
        history: of the events folded so far.
        sequence: of the last of them.
        position: results and words of guidance among them: where in its course the study is.
    """

    def __init__(self, store: Store, study: str, least: int = LEAST, *, anew: bool = False) -> None:
        """Begin with the snapshot that the store keeps of the study, if it fits, else with nothing.

        Args:
            store: where the log is; only one that is :class:`~llm_optimize.core.protocols.Shelving` keeps the past.
            study: its name.
            least: events that stay in memory in any case.
            anew: begin with nothing, for who wants to see each event go by.
        """
        self.history = History.empty()
        self.sequence = 0
        self.position = 0
        self._least = least
        self._study = study
        self._store = store if isinstance(store, Shelving) else None
        self._fetch: Callable[[Sequence[int]], Mapping[int, Event]] | None = None
        self._told = array("q")  # sequence numbers of the outcomes that are not on the shelf
        self._made: dict[int, int] = {}  # and of the proposals, by candidate
        self._settled = 0
        self._kept = 0
        self._last: Event | None = None
        if not anew:
            self._begin()

    def fold(self, sequence: int, event: Event) -> None:
        """Take in the next event.

        Raises:
            ValueError: it contradicts the log.
        """
        self.history = self.history.after(event)
        self._note(sequence, event)

    def _note(self, sequence: int, event: Event) -> None:
        self.position += takes_place(event)
        self.sequence, self._last = sequence, event
        if self._store is None:
            return
        if isinstance(event, Told):
            self._told.append(sequence)
        elif isinstance(event, Proposed):
            self._made.update((candidate.id, sequence) for candidate in event.candidates)

    def read(self, store: Store, watch: Callable[[Event, History], object] | None = None) -> None:
        """Take in what the log holds beyond this; nothing is written.

        Args:
            store: where the log is.
            watch: called after each event with the history so far, which must not be kept: it changes.

        Raises:
            StoreError: an event cannot be read.
        """
        growing = Growing.of(self.history)
        try:
            for sequence, event in store.read(self._study, self.sequence):
                growing.after(event)
                self._note(sequence, event)
                if watch is not None:
                    watch(event, growing)
                if self._due():
                    self.history = growing.frozen()
                    self.settle()
                    growing = Growing.of(self.history)
        finally:  # a store that fails in between is read again from there
            self.history = growing.frozen()

    def settle(self) -> bool:
        """Put the trials on the shelf if they have become many; return whether they were."""
        if not self._due():
            return False
        history = self.history
        if history.next_id > 2 * len(history.trials) + _SPARSE or len(history.arms) > _MOST_ARMS:
            self._store = None  # a log that none of ours looks like: it stays in memory
            return False
        self.history = self._shelved(history)
        self._settled = self.sequence
        return True

    def _due(self) -> bool:
        grown = self.sequence - self._settled
        return self._store is not None and grown >= max(self._least, self._settled // _GROWN)

    def keep(self) -> None:
        """Write a snapshot if much has come since the last one.

        Raises:
            StoreError: it could not be written.
        """
        record = self.history._record  # noqa: SLF001 - with its shelf this file takes care of it
        if self._store is None or self._last is None or record.shelf is None:
            return
        if self.sequence - self._kept < max(self._least, self._kept // _GROWN):
            return
        if self.sequence != self._settled:
            self.history = self._shelved(self.history)
            self._settled = self.sequence
        snapshot = Snapshot(self.history, self.sequence, checksum(self._last), self.position, self._made)
        self._store.keep_fold(self._study, snapshot.packed())
        self._kept = self.sequence

    def _begin(self) -> None:
        body = self._store.kept_fold(self._study) if self._store is not None else None
        snapshot = None if body is None else restored(body, Shelf(self._fetching(), Columns()))
        if snapshot is not None:
            self.history, self.sequence, self.position = snapshot.history, snapshot.sequence, snapshot.position
            self._made = dict(snapshot.made)
            self._settled = self._kept = snapshot.sequence

    def _fetching(self) -> Callable[[Sequence[int]], Mapping[int, Event]]:
        """Return how events are fetched: by a connection of their own, since histories outlive their sessions."""
        if self._fetch is None and self._store is not None:
            self._fetch = partial(self._store.twin().fetch, self._study)
        return self._fetch or (lambda _: {})

    def _shelved(self, history: History) -> History:
        """Return an equal history whose trials are all on the shelf."""
        columns = self._columns(history)
        old: Record = history._record  # noqa: SLF001 - as above
        shelf = Shelf(self._fetching(), columns)
        record = Record(shelf, (len(columns.told), history.next_id, len(old.told_at)))
        record.told_at, record.retold, record.overruled, record.pooled = (
            old.told_at, old.retold, old.overruled, old.pooled
        )  # fmt: skip
        pending = {candidate.id for candidate in history.pending}
        self._told = array("q")
        self._made = {id_: sequence for id_, sequence in self._made.items() if id_ in pending}
        return replace(history, _record=record, _version=0)

    def _columns(self, history: History) -> Columns:
        record: Record = history._record  # noqa: SLF001 - as above
        known = record.shelf.columns if record.shelf is not None else Columns()
        ids = array("q", [trial.id for trial in record.trials])
        places = known.places + array("q", [-1]) * (history.next_id - len(known.places))
        for position, id_ in enumerate(ids, len(known.ids)):
            places[id_] = position
        names = (*known.names, *sorted(set(record.arm_by_id.values()) - set(known.names)))
        fresh = {digest(text): id_ for text, id_ in reversed(record.first_by_text.items())}
        return Columns(
            known.told + self._told,
            known.made + array("q", [self._made[id_] for id_ in ids]),
            known.ids + ids,
            places,
            _arms(known, record.arm_by_id, names, history.next_id),
            names,
            merged((*known.runs, Run.of(fresh))),
            _versions(known, record),
        )


def read_folding(store: Store, study: str) -> Folding:
    """Return the folding of a whole log; for readers, who keep no snapshot but use the one that is there.

    Raises:
        StoreError: the log cannot be read.
    """
    folding = Folding(store, study)
    folding.read(store)
    return folding


def _arms(known: Columns, arm_by_id: Mapping[int, str], names: Sequence[str], next_id: int) -> array[int]:
    if not names:
        return array("h")
    arms, number = (
        known.arms + array("h", [-1]) * (next_id - len(known.arms)),
        {name: i for i, name in enumerate(names)},
    )
    for id_, arm in arm_by_id.items():
        arms[id_] = number[arm]
    return arms


def _versions(known: Columns, record: Record) -> dict[int, list[Version]]:
    """Return what trials have become, the changes on the shelf and those since."""
    versions = {position: list(rows) for position, rows in known.versions.items()}
    for position, trial in enumerate(record.trials, record.shelved):
        if (why := _why(trial)) is not None:  # judged when it was told, before any change
            versions[position] = [(0, Tally(), why)]
    for position, rows in record.later.items():
        versions.setdefault(position, []).extend((number, trial.tally, _why(trial)) for number, trial in rows)
    return versions


def _why(trial: Trial) -> str | None:
    outcome = trial.outcome
    return outcome.message if isinstance(outcome, Failure) and outcome.kind == REJECTED else None
