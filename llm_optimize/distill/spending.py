"""Caps on calls, tokens and dollars for a whole run, and what it has cost, by stage; both from the replies on disk."""

from __future__ import annotations

import threading
from functools import reduce
from typing import TYPE_CHECKING

from llm_optimize.core.budget import Budget
from llm_optimize.core.ledger import Ledger, UnitGuard
from llm_optimize.core.metering import Scope
from llm_optimize.core.types import Usage
from llm_optimize.errors import BudgetExceeded
from llm_optimize.llm.recorded import reply_from_json

if TYPE_CHECKING:
    from llm_optimize.distill.files import Replies
    from llm_optimize.distill.settings import Caps

__all__ = ["Purse"]

_RUN = "distill"


class Purse:
    """The money of a run; safe from many threads."""

    def __init__(self, caps: Caps, replies: Replies, born: float) -> None:
        """Count what the replies on disk have cost.

        Args:
            caps: what may be spent, earlier sessions included.
            replies: those that are paid; new ones are written there before anything builds on them.
            born: when the run was begun, in seconds since the epoch; tells its calls from those of another run.
        """
        self._replies = replies
        self._born = born
        spent = self.spent()
        ledger = Ledger(Budget(tokens=caps.tokens, dollars=caps.dollars))
        ledger.fold(spent)
        capped = caps.calls is not None or caps.tokens is not None or caps.dollars is not None
        self._guard = _Guard(UnitGuard(ledger, _RUN), caps.calls, spent.calls) if capped else None

    def scope(self, unit: str) -> Scope:
        """Return the scope of a unit of work, such as ``sample/mmlu-3``."""
        return Scope(_RUN, unit, self._guard, self._replies, self._born)

    def spent(self) -> Usage:
        """Return what all replies on disk have cost."""
        return reduce(Usage.__add__, (reply_from_json(body).usage for _, body in self._replies.items()), Usage())

    def by_stage(self) -> dict[str, Usage]:
        """Return the same by stage, the first part of a unit's name, in the order in which they first spent."""
        found: dict[str, Usage] = {}
        for key, body in self._replies.items():
            stage = key.partition("/")[0]
            found[stage] = found.get(stage, Usage()) + reply_from_json(body).usage
        return found


class _Guard:
    """The ledger's guard, with a cap on calls in front of it."""

    def __init__(self, inner: UnitGuard, cap: int | None, made: int) -> None:
        self._inner = inner
        self._cap = cap
        self._made = made
        self._flying = 0
        self._lock = threading.Lock()

    @property
    def caps_dollars(self) -> bool:
        return self._inner.caps_dollars

    def reserve(self, least: Usage, most: Usage | None = None, *, patient: bool = True) -> Usage:
        with self._lock:
            if self._cap is not None and self._made + self._flying >= self._cap:
                msg = f"cap on calls: all {self._cap} are made or under way"
                raise BudgetExceeded(msg)
            self._flying += 1
        granted = None
        try:
            granted = self._inner.reserve(least, most, patient=patient)
        finally:
            if granted is None:
                with self._lock:
                    self._flying -= 1
        return granted

    def settle(self, granted: Usage, actual: Usage) -> None:
        if granted == Usage():
            return  # a reply from the file, which was counted when the file was opened
        with self._lock:
            self._flying -= 1
            self._made += actual != Usage()
        self._inner.settle(granted, actual)
