"""What the live page needs of a store: its logs, a line about each study, and perhaps to be told what is new."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from llm_optimize.core.protocols import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llm_optimize.stores.listing import StudyInfo

__all__ = ["Announcing", "Source"]


class Source(Store, Protocol):
    """A store that can be shown: on a file or on a server."""

    def overview(self) -> Sequence[StudyInfo]:
        """Return one line about each study, oldest first."""
        ...


@runtime_checkable
class Announcing(Protocol):
    """A store that says when another process has written, so that its logs need not be looked at again and again."""

    def news(self, known: Callable[[], Mapping[str, int]], timeout: float | None = None) -> Mapping[str, int]:
        """Return the studies that hold more than is known as soon as one does, with the numbers of their last events.

        Args:
            known: returns the studies to look at, with the last event known of each; called again before each look.
            timeout: seconds; None waits until the store is closed.

        Raises:
            StoreError: the store cannot be reached.
        """
        ...
