"""A store that ends with its process: for tests, trials and studies that nobody wants to keep."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from llm_optimize.core.events import Opened, Retold, Stopped, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Evaluation
from llm_optimize.core.verdict import best_score
from llm_optimize.errors import StudyOwned
from llm_optimize.stores.listing import StudyInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_optimize.core.events import Event

__all__ = ["MemoryStore"]


class MemoryStore:
    """Logs, paid replies and owners in dictionaries; safe to use from several threads.

    What models were asked is not kept: over a long study the prompts would outgrow everything else in memory. For
    exchanges that can be exported use :class:`~llm_optimize.stores.sqlite.SQLiteStore`.

    Example:
        >>> from llm_optimize.core.events import Guided
        >>> store = MemoryStore()
        >>> store.append("demo", Guided("shorter"))
        1
        >>> [event.text for _, event in store.read("demo")]
        ['shorter']
    """

    def __init__(self) -> None:
        """Begin empty."""
        self._lock = threading.Lock()
        self._logs: dict[str, list[Event]] = {}
        self._replies: dict[tuple[str, str], str] = {}
        self._owned: set[str] = set()

    def append(self, study: str, event: Event) -> int:
        """Keep the event and return its sequence number (1, 2, ... within the study)."""
        with self._lock:
            log = self._logs.setdefault(study, [])
            log.append(event)
            return len(log)

    def read(self, study: str, after: int = 0) -> Iterator[tuple[int, Event]]:
        """Yield (sequence number, event) behind ``after``, up to the last one at the time of the first step."""
        log = self._logs.get(study, [])
        for index in range(max(after, 0), len(log)):
            yield index + 1, log[index]

    def studies(self) -> tuple[str, ...]:
        """Return the names of all studies, oldest first."""
        with self._lock:
            return tuple(self._logs)

    def overview(self) -> tuple[StudyInfo, ...]:
        """Return one line about each study, oldest first; cost in proportion to the number of events."""
        with self._lock:
            logs = {name: tuple(log) for name, log in self._logs.items()}
            owned = frozenset(self._owned)
        return tuple(_summary(name, log, os.getpid() if name in owned else None) for name, log in logs.items())

    def remember(self, study: str, key: str, body: str) -> None:
        """Keep ``body`` under ``key``; the first body stays."""
        with self._lock:
            self._replies.setdefault((study, key), body)

    def recall(self, study: str, key: str) -> str | None:
        """Return the body under ``key``, or None."""
        with self._lock:
            return self._replies.get((study, key))

    def claim(self, study: str) -> None:
        """Become the owner of the study.

        Raises:
            StudyOwned: it has one; a store in memory cannot tell its users apart, so this holds for the owner too.
        """
        with self._lock:
            if study in self._owned:
                msg = f"study {study!r} is being run by another Study of this process: wait for it or close it"
                raise StudyOwned(msg)
            self._owned.add(study)

    def release(self, study: str) -> None:
        """Give the study up; no effect when nobody owns it."""
        with self._lock:
            self._owned.discard(study)


def _best(log: tuple[Event, ...]) -> float | None:
    if not any(isinstance(event, Retold) for event in log):
        outcomes = (event.outcome for event in log if isinstance(event, Told))
        return max((outcome.score for outcome in outcomes if isinstance(outcome, Evaluation)), default=None)
    history = History.empty()
    for event in log:
        history = history.after(event)
    return best_score(history)


def _summary(name: str, log: tuple[Event, ...], owner_pid: int | None) -> StudyInfo:
    outcomes = [event.outcome for event in log if isinstance(event, Told)]
    sessions = [event for event in log if isinstance(event, Opened | Stopped)]
    last = sessions[-1] if sessions else None
    return StudyInfo(
        name=name,
        trials=len(outcomes),
        best_score=_best(log),
        last_reason=last.reason if isinstance(last, Stopped) else None,
        opened_at=min(event.at for event in log),
        updated_at=max(event.at for event in log),
        owner_pid=owner_pid,
    )
