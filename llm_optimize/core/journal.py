"""The one writer of a study's log: an event is on disk before anything builds on it, and observers see it after."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from llm_optimize.core.events import Opened, Stopped
from llm_optimize.core.history import History
from llm_optimize.core.metering import Scope
from llm_optimize.core.order import takes_place
from llm_optimize.core.protocols import Listener, Ownable, ReplyLog
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.core.chat import Piece
    from llm_optimize.core.events import Event
    from llm_optimize.core.metering import SpendGuard
    from llm_optimize.core.protocols import Observer, Store
    from llm_optimize.core.types import Problem

__all__ = ["Journal"]

_LOG = logging.getLogger("llm_optimize")


class Journal:
    """A study's log while this process owns it; used by the owner's thread only."""

    def __init__(self, store: Store, study: str, observers: Sequence[Observer] = ()) -> None:
        """Touch nothing yet; :meth:`open` does."""
        self.store = store
        self.study = study
        self.replies = store if isinstance(store, ReplyLog) else None
        self.history = History.empty()
        self.position = 0
        """Results and words of guidance in the log so far: where in its course the study is."""
        self.observers = tuple(observers)
        watching: Sequence[object] = self.observers  # functions, of which an object may be more
        self._hearing = [one.hear for one in watching if isinstance(one, Listener)]
        self._sequence = 0
        self._owned = False

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
            for sequence, event in self.store.read(self.study):
                self.history = self.history.after(event)
                self.position += takes_place(event)
                self._sequence = sequence
            if self._sequence:
                self._check_same(problem)
                seed = self.history.seed
            self.record(Opened(problem, seed, settings, time.time()))
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
        scope = Scope(self.study, name, guard, self.replies, self.history.born, hear)
        scope.begun = self.position
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
            self.record(Stopped(reason, time.time()))
        finally:
            self._release()

    def _release(self) -> None:
        if self._owned and isinstance(self.store, Ownable):
            self._owned = False
            self.store.release(self.study)

    def _fold(self, sequence: int, event: Event) -> None:
        self.history = self.history.after(event)
        self.position += takes_place(event)
        self._sequence = sequence
        for observer in self.observers:
            try:
                observer(event)
            except Exception:  # noqa: BLE001 - the second of the three borders: what only watches must not end the run
                _LOG.exception("observer %r failed on %s", observer, type(event).__name__)
