"""The reply log of one evaluation on a worker: what came along, and what is to go back."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Exchanges", "Replies"]


class Replies:
    """A :class:`~llm_optimize.core.protocols.ReplyLog` in memory; safe to use from many threads."""

    def __init__(self, known: Mapping[str, str]) -> None:
        """Begin with the replies of an earlier attempt, by key."""
        self._known = dict(known)
        self._fresh: dict[str, str] = {}
        self._lock = threading.Lock()  # a scorer may ask several models at once

    def remember(self, study: str, key: str, body: str) -> None:  # noqa: ARG002 - there is one study here
        """Keep ``body``; the first under a key stays."""
        with self._lock:
            if key not in self._known:
                self._known[key] = self._fresh[key] = body

    def recall(self, study: str, key: str) -> str | None:  # noqa: ARG002 - as above
        """Return the body under ``key``, or None."""
        return self._known.get(key)

    def fresh(self) -> dict[str, str]:
        """Return what was written here, in that order."""
        with self._lock:
            return dict(self._fresh)


class Exchanges(Replies):
    """One that also keeps what was asked: an :class:`~llm_optimize.core.protocols.ExchangeLog`."""

    def remember_all(self, study: str, entries: Mapping[str, str]) -> None:
        """Keep all bodies by key."""
        for key, body in entries.items():
            self.remember(study, key, body)

    def keys(self, study: str, prefix: str = "") -> Sequence[str]:  # noqa: ARG002 - as above
        """Return the keys that begin with ``prefix``, in the order in which they were first written."""
        return [key for key in self._known if key.startswith(prefix)]
