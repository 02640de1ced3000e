"""One study followed: its log read as it grows, folded, and the latest part of it kept ready for those who watch."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from llm_optimize.core.events import Opened, Told
from llm_optimize.core.history import History
from llm_optimize.report.log import Reading
from llm_optimize.serve.telling import caps_of, row, standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.events import Event
    from llm_optimize.core.protocols import Store
    from llm_optimize.report.log import Log

__all__ = ["Follower"]

_KEPT = 1000  # rows kept ready; a reader that is further behind is served from the store
_PAGE = 500
_CHUNK = 10_000  # events read at a time, so that others see how far it is
_SHOWN = 5_000  # trials of a report that is drawn again and again


class Follower:
    """A study's log as far as this process has read it; safe to use from several threads.

    Its memory is that of the study's history, whoever watches. A long study begins with the snapshot that its store
    keeps; what lies before is in the store for those who ask.
    """

    def __init__(self, store: Store, study: str) -> None:
        """Read nothing yet."""
        self.study = study
        self._store = store
        self._lock = threading.RLock()
        self._reading: Reading | None = None
        self._rows: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._caps: dict[str, float] = {}
        self._best: list[float | None] = []  # after each evaluation
        self.caught_up = False
        """Whether the log has been read to its end once."""

    @property
    def history(self) -> History:
        """The study's past."""
        return History.empty() if self._reading is None else self._reading.history

    @property
    def sequence(self) -> int:
        """The number of the last event that was read."""
        return 0 if self._reading is None else self._reading.sequence

    def refresh(self) -> bool:
        """Read what is new, or of very much a part; return whether there is more.

        Raises:
            StoreError: the log cannot be read.
        """
        with self._lock:
            reading = self._reading or self._begun()
            before = reading.sequence
            reading.read(self._see, _CHUNK)
            more = reading.sequence - before >= _CHUNK
            self.caught_up = self.caught_up or not more
            return more

    def _begun(self) -> Reading:
        """Begin with the snapshot, where there is one."""
        reading = self._reading = Reading(self._store, self.study, _SHOWN, anew=False)
        if reading.sequence:
            self._caps = caps_of(reading.settings)
            self._best.append(None if reading.history.best is None else reading.history.best.score)
        return reading

    def _see(self, sequence: int, event: Event, history: History) -> None:
        self._rows.append(row(sequence, event))
        if isinstance(event, Opened):
            self._caps = caps_of(event.settings)
        elif isinstance(event, Told):
            best = history.best
            self._best.append(None if best is None else best.score)

    def log(self) -> Log:
        """Return what a report shows of the study, as far as it was read.

        Raises:
            BadInput: there is no such study.
        """
        with self._lock:
            reading = self._reading or self._begun()
        said = reading.exchanges()  # which may take a while, so that others are not kept waiting
        with self._lock:
            return reading.log(said)

    def after(self, position: int) -> Sequence[dict[str, Any]]:
        """Return the next rows behind a position, oldest first; some of them where there are many."""
        with self._lock:
            first = self._rows[0]["seq"] if self._rows else self.sequence + 1
            if position + 1 >= first:
                behind = position + 1 - first
                return [self._rows[i] for i in range(behind, min(len(self._rows), behind + _PAGE))]
        older = []
        for sequence, event in self._store.read(self.study, position):
            older.append(row(sequence, event))
            if len(older) == _PAGE:
                break
        return older

    def curve(self, points: int) -> list[float | None]:
        """Return the best score after each evaluation; of more than so many every so many-th, the last one always."""
        with self._lock:
            count = min(points, len(self._best))
            return [self._best[(i + 1) * len(self._best) // count - 1] for i in range(count)]

    def standing(self) -> dict[str, Any]:
        """Return where the study stands, as :func:`~llm_optimize.serve.telling.standing` says it."""
        with self._lock:
            return {"seq": self.sequence, **standing(self.history, self._caps, time.time())}
