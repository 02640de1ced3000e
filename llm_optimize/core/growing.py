"""Many events folded in one go: a history that changes in place, and is frozen once at the end.

The steps are those of :class:`~llm_optimize.core.history.History` itself, of which only the last is another: instead of
making a value of some thirty fields for each event, it sets the few that change.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from llm_optimize.core.events import Proposed, Told
from llm_optimize.core.history import History

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llm_optimize.core.events import Event

__all__ = ["Growing", "folded"]

_NAMES = tuple(item.name for item in fields(History))


class Growing(History):
    """A history in the making; for one thread, and nobody else may hold it."""

    __slots__ = ()

    @classmethod
    def of(cls, history: History) -> Growing:
        """Begin where a history is."""
        return cls(*(getattr(history, name) for name in _NAMES))

    def frozen(self) -> History:
        """Return the history as it is now; what is folded later does not change it."""
        return History(*(getattr(self, name) for name in _NAMES))

    def after(self, event: Event) -> History:
        """Fold the event; return this same object.

        Raises:
            ValueError: the event contradicts the log.
        """
        # An arm's gain is measured beside the leaders before the outcome, so that needs the history before it as well.
        if isinstance(event, Proposed) or (isinstance(event, Told) and not self.arm(event.candidate_id)):
            return super().after(event)
        self._become(self.frozen().after(event))
        return self

    def _with(self, **changes: object) -> History:
        for name, value in changes.items():
            object.__setattr__(self, name, value)
        return self

    def _become(self, history: History) -> None:
        for name in _NAMES:
            object.__setattr__(self, name, getattr(history, name))


def folded(events: Iterable[Event], history: History | None = None) -> History:
    """Return the history that events lead to: what ``after`` gives for one after another, in less time.

    Args:
        events: oldest first.
        history: where they begin; the empty one by default.

    Raises:
        ValueError: an event contradicts the log.

    Example:
        >>> from llm_optimize.core.events import Opened
        >>> from llm_optimize.core.types import Problem
        >>> folded([Opened(Problem("task"), seed=3)]).seed
        3
    """
    growing = Growing.of(History.empty() if history is None else history)
    for event in events:
        growing.after(event)
    return growing.frozen()
