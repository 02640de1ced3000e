"""Logs that come from elsewhere, many events at a time: folded on the way, so that they open as fast as our own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_optimize.core.folding import LEAST, Folding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.events import Event
    from llm_optimize.core.protocols import Store

__all__ = ["Importing"]


class Importing:
    """Keeps the snapshot of a study to which many events are added at once."""

    def __init__(self, store: Store, study: str, least: int = LEAST) -> None:
        """Do nothing yet: few events need no snapshot.

        Args:
            store: where the log is.
            study: its name.
            least: events from which on there is a snapshot, and each so many another.
        """
        self._store, self._study, self._least = store, study, least
        self._folding: Folding | None = None
        self._seen = 0
        self._is_sound = True

    def wrote(self, first: int, events: Sequence[Event]) -> None:
        """Take in what was written just now.

        Args:
            first: the sequence number of the first event.
            events: in their order.
        """
        self._seen += len(events)
        if self._seen < self._least or not self._is_sound:
            return
        try:
            self._fold(first, events)
        except ValueError:
            self._is_sound = False  # a log that contradicts itself is kept as it is, and refused by who opens it

    def _fold(self, first: int, events: Sequence[Event]) -> None:
        if self._folding is None:
            self._folding = Folding(self._store, self._study, self._least, keeping=True)
        if self._folding.sequence + 1 == first:
            self._folding.take(enumerate(events, first))
        else:
            self._folding.read(self._store)
