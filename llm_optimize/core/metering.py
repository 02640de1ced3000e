"""What one unit of work (a proposal, an evaluation) spends on model calls, while it is being spent.

Costs travel in return values (``Proposal.usage``, ``Evaluation.usage``). Two things cannot: a scorer that returns
a bare number still has model calls to account for, and a call must be refused *before* it passes a cap. So the study
runs each unit of work inside a :class:`Scope`, and the wrappers of :mod:`llm_optimize.llm` ask
:func:`current_scope` for it. Threads that a scorer starts itself see the scope only if it hands its context on
(``contextvars.copy_context().run``); other processes never do, and return their usage.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from llm_optimize.core.types import Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_optimize.core.protocols import ReplyLog

__all__ = ["Scope", "SpendGuard", "current_scope", "entered"]

_SCOPE: ContextVar[Scope | None] = ContextVar("llm_optimize_scope", default=None)


class SpendGuard(Protocol):
    """Says no to a spend that would pass a cap; the study's ledger."""

    def reserve(self, estimate: Usage) -> None:
        """Set ``estimate`` aside.

        Raises:
            BudgetExceeded: spent, set aside and estimate together would pass a cap; then nothing is set aside.
        """
        ...

    def settle(self, estimate: Usage, actual: Usage) -> None:
        """Replace what was set aside by what it really cost (``Usage()`` when the call failed)."""
        ...


class Scope:
    """One unit of work: its name, its guard, its reply log, and what it has spent. Safe to use from many threads."""

    def __init__(
        self,
        study: str,
        name: str,
        guard: SpendGuard | None = None,
        replies: ReplyLog | None = None,
        born: float = 0.0,
    ) -> None:
        """Name the unit.

        Args:
            study: the study's name.
            name: for example ``proposal/17`` or ``evaluation/12``; unique within the study.
            guard: refuses what would pass a cap.
            replies: where paid replies are kept.
            born: when the study was first opened; tells it from an earlier study of the same name elsewhere.
        """
        self.study = study
        self.born = born
        self.name = name
        self.guard = guard
        self.replies = replies
        self._usage = Usage()
        self._seen: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def usage(self) -> Usage:
        """What the calls of this unit have cost so far, replies recalled from the log included."""
        return self._usage

    def add(self, usage: Usage) -> None:
        """Count the cost of one call."""
        with self._lock:
            self._usage = self._usage + usage

    def occurrence(self, identity: str) -> int:
        """Return how often ``identity`` was asked for before in this unit, and count this time."""
        with self._lock:
            count = self._seen.get(identity, 0)
            self._seen[identity] = count + 1
            return count


def current_scope() -> Scope | None:
    """Return the unit of work that this code runs in, or None outside a study."""
    return _SCOPE.get()


@contextmanager
def entered(scope: Scope | None) -> Iterator[Scope | None]:
    """Run the block inside ``scope``."""
    token = _SCOPE.set(scope)
    try:
        yield scope
    finally:
        _SCOPE.reset(token)
