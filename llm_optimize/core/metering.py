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

from llm_optimize.core.account import LOST, Account
from llm_optimize.core.chat import Piece
from llm_optimize.core.clock import SYSTEM, Clock
from llm_optimize.core.types import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Literal

    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import ReplyLog

__all__ = [
    "CHOSEN",
    "ROLES",
    "Scope",
    "SpendGuard",
    "acting_as",
    "counting",
    "current_clock",
    "current_scope",
    "entered",
]

CHOSEN = "chosen/"
"""Entries of the reply log under this say what a unit of work chose before its first call: a resume chooses the same,
so that it asks who was asked, and finds the replies that were paid."""

ROLES = {"proposal": "proposer", "evaluation": "scorer", "retest": "scorer"}
"""Who spends, by kind of unit of work, unless a model says whose its calls are."""

_COUNTED: ContextVar[list[str] | None] = ContextVar("llm_optimize_counted", default=None)
_ACTING: ContextVar[str] = ContextVar("llm_optimize_acting", default="")
_SCOPE: ContextVar[Scope | None] = ContextVar("llm_optimize_scope", default=None)


class SpendGuard(Protocol):
    """Says no to a spend that would pass a cap; a unit's share of the study's ledger."""

    @property
    def caps_dollars(self) -> bool:
        """Whether dollars are capped, so that prices must be known."""
        ...

    def reserve(self, least: Usage, most: Usage | None = None, *, patient: bool = True) -> Usage:
        """Set aside as much as fits between ``least`` and ``most`` (the same with more answer tokens); return it.

        Args:
            least: what the call needs.
            most: None for ``least``.
            patient: wait for calls in flight where that can help; else refuse at once.

        Raises:
            BudgetExceeded: ``least`` would pass a cap; then nothing is set aside.
        """
        ...

    def settle(self, granted: Usage, actual: Usage) -> None:
        """Replace what was set aside by what it really cost (``Usage()`` when the call was not charged)."""
        ...


class Scope:
    """One unit of work: its name, its guard, its reply log, and what it has spent. Safe to use from many threads."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a unit is, and who has a say in it
        self,
        study: str,
        name: str,
        guard: SpendGuard | None = None,
        replies: ReplyLog | None = None,
        born: float = 0.0,
        hear: Callable[[Piece], None] | None = None,
    ) -> None:
        """Name the unit.

        Args:
            study: the study's name.
            name: for example ``proposal/17`` or ``evaluation/12``; unique within the study.
            guard: refuses what would pass a cap.
            replies: where paid replies are kept.
            born: when the study was first opened; tells it from an earlier study of the same name elsewhere.
            hear: is told what a model says while it says it; None asks for whole replies only. Must not raise.
        """
        self.study = study
        self.born = born
        self.name = name
        self.guard = guard
        self.replies = replies
        self.begun = 0
        """How far the study had come when the unit began, in results and words of guidance."""
        self.past: History | None = None
        """The study's history when the unit began: what a scorer that compares candidates compares with."""
        self.clock: Clock = SYSTEM
        """The study's: what waits inside the unit waits by it."""
        self._hear = hear
        self._account = Account()
        self._role = ROLES.get(name.partition("/")[0], "")
        self._seen: dict[str, int] = {}
        self._lock = threading.Lock()

    @property
    def usage(self) -> Usage:
        """What the calls of this unit have cost so far, replies recalled from the log included."""
        return self.account.total

    @property
    def account(self) -> Account:
        """The same by role and model."""
        return self._account

    @property
    def heard(self) -> bool:
        """Whether anybody wants to know what a model says while it says it."""
        return self._hear is not None

    def add(self, usage: Usage, model: str = "", role: str = "") -> None:
        """Count the cost of one call.

        Args:
            usage: the cost.
            model: the model's name.
            role: what the model is here; empty for the one of :func:`acting_as`, else the unit's own: ``proposer``
                for a proposal, ``scorer`` for an evaluation.
        """
        spent = Account.of(role or _ACTING.get() or self._role, model, usage)
        counted = _COUNTED.get()
        if counted is not None and role != LOST:
            counted.append(model)
        with self._lock:
            self._account += spent

    def recalled(self, usage: Usage, model: str = "", role: str = "") -> None:
        """Count the cost of a reply from the log, which was paid for in a session that ended before counting it."""
        self.add(usage, model, role)
        if self.guard is not None:
            self.guard.settle(Usage(), usage)

    def say(self, kind: Literal["text", "reasoning", "tool", "end"], text: str = "") -> None:
        """Pass on a part of a reply that is being written."""
        if self._hear is not None:
            self._hear(Piece(self.name, kind, text))

    def settled(self, choice: str) -> str:
        """Return what was chosen at this point when the unit was begun in an earlier session, else write it down.

        Args:
            choice: what is chosen now; where the study keeps no replies it simply stands.

        Raises:
            StoreError: it could not be written.
        """
        if self.replies is None:
            return choice
        key = f"{CHOSEN}{self.name}/{self.occurrence(CHOSEN)}"
        self.replies.remember(self.study, key, choice)  # what was written first stays
        return self.replies.recall(self.study, key) or choice

    def occurrence(self, identity: str) -> int:
        """Return how often ``identity`` was asked for before in this unit, and count this time."""
        with self._lock:
            count = self._seen.get(identity, 0)
            self._seen[identity] = count + 1
            return count


@contextmanager
def counting() -> Iterator[list[str]]:
    """Yield a list that gets the model's name for each call that is counted inside the block.

    A model may be made of others that count their calls themselves; whoever counts around it must not do so again.
    """
    counted: list[str] = []
    token = _COUNTED.set(counted)
    try:
        yield counted
    finally:
        _COUNTED.reset(token)


@contextmanager
def acting_as(role: str) -> Iterator[None]:
    """Book the calls made inside the block under ``role``, but for those of models that have a role of their own.

    One model may do different things within one unit of work; what each costs is to be seen.
    """
    token = _ACTING.set(role)
    try:
        yield
    finally:
        _ACTING.reset(token)


def current_scope() -> Scope | None:
    """Return the unit of work that this code runs in, or None outside a study."""
    return _SCOPE.get()


def current_clock() -> Clock:
    """Return the clock of the unit of work that this code runs in, the system's outside a study."""
    scope = _SCOPE.get()
    return SYSTEM if scope is None else scope.clock


@contextmanager
def entered(scope: Scope | None) -> Iterator[Scope | None]:
    """Run the block inside ``scope``."""
    token = _SCOPE.set(scope)
    try:
        yield scope
    finally:
        _SCOPE.reset(token)
