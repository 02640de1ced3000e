"""One study followed: its log read as it grows, folded, and the latest part of it kept ready for those who watch."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from llm_optimize.core.events import Opened, Told
from llm_optimize.core.history import History
from llm_optimize.serve.telling import caps_of, row, standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.protocols import Store

__all__ = ["Follower"]

_KEPT = 1000  # rows kept ready; a reader that is further behind is served from the store
_PAGE = 500


class Follower:
    """A study's log as far as this process has read it; safe to use from several threads.

    Its memory is that of the study's history, whoever watches.
    """

    def __init__(self, store: Store, study: str) -> None:
        """Read nothing yet."""
        self.study = study
        self._store = store
        self._lock = threading.Lock()
        self._rows: deque[dict[str, Any]] = deque(maxlen=_KEPT)
        self._caps: dict[str, float] = {}
        self._best: list[float | None] = []  # after each evaluation
        self.history = History.empty()
        self.sequence = 0
        """Of the last event that was read."""

    def refresh(self) -> bool:
        """Read what is new; return whether there was anything.

        Raises:
            StoreError: the log cannot be read.
        """
        with self._lock:
            before = self.sequence
            for sequence, event in self._store.read(self.study, before):
                self.history = self.history.after(event)
                self._rows.append(row(sequence, event))
                self.sequence = sequence
                if isinstance(event, Opened):
                    self._caps = caps_of(event.settings)
                elif isinstance(event, Told):
                    best = self.history.best
                    self._best.append(None if best is None else best.score)
            return self.sequence > before

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
