"""A thread that waits for what a store announces, so that nobody has to look again and again."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from llm_optimize.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_optimize.serve.sources import Announcing

__all__ = ["Listening"]

_REST_S = 1.0  # after the store could not be reached


class Listening:
    """Waits for all followed studies at once: one connection, however many are watched."""

    def __init__(self, store: Announcing, known: Callable[[], Mapping[str, int]], tell: Callable[[], None]) -> None:
        """Begin to wait.

        Args:
            store: announces.
            known: the studies that are followed, with the last event of each that was read; asked from the thread.
            tell: called from the thread when one of them holds more.
        """
        self._store, self._known, self._tell = store, known, tell
        self._told: dict[str, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._wait, name="live-page-news", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Tell nothing more; the thread ends when the store is closed."""
        self._ended.set()

    def _behind(self) -> dict[str, int]:
        """Return what is known, with what was told already: it is not told again while it is being read."""
        return {study: max(last, self._told.get(study, 0)) for study, last in self._known().items()}

    def _wait(self) -> None:
        while not self._ended.is_set():
            try:
                news = self._store.news(self._behind)
            except StoreError:  # it is away for long; what is written meanwhile is found at the first look afterwards
                self._ended.wait(_REST_S)
                continue
            self._told.update(news)
            if news and not self._ended.is_set():
                self._tell()
