"""Caps on what a study may spend, and the ledger that refuses a spend before it is made."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from llm_optimize.core.stopping import Rule
from llm_optimize.core.types import Usage
from llm_optimize.errors import BadInput, BudgetExceeded

if TYPE_CHECKING:
    from llm_optimize.core.history import History

__all__ = ["Budget", "Ledger", "UnitGuard"]


@dataclass(frozen=True, slots=True)
class Budget(Rule):
    """Caps for a whole study, all its sessions together; None means no cap.

    It covers the scorers' own model calls as far as they are made through :mod:`llm_optimize.llm` in this process, or
    reported in :class:`~llm_optimize.core.types.Evaluation`.

    Attributes:
        evaluations: calls of the scorer, that of x0 and failures included.
        tokens: prompt and completion tokens.
        dollars: US dollars, for models whose price is known.
        seconds: wall time of open sessions; when it is up, work in flight is not waited for.

    Raises:
        BadInput: a cap is not above 0.
    """

    evaluations: int | None = None
    tokens: int | None = None
    dollars: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        """Refuse a budget that buys nothing."""
        for item in fields(self):
            cap = getattr(self, item.name)
            if cap is not None and (isinstance(cap, bool) or not isinstance(cap, (int, float)) or not cap > 0):
                msg = f"budget {item.name} is {cap!r}: it would buy nothing; give a number above 0, or None for no cap"
                raise BadInput(msg)

    def __call__(self, history: History) -> str | None:
        """Return which cap is used up, or None."""
        for name, (used, cap) in self.used(history).items():
            if used >= cap:
                return f"budget {name}: {used:.6g} of {cap:.6g} used"
        return None

    @property
    def caps_calls(self) -> bool:
        """Whether model calls have to be estimated and reserved before they are made."""
        return self.tokens is not None or self.dollars is not None

    def used(self, history: History, now: float | None = None) -> dict[str, tuple[float, float]]:
        """Return (used, cap) for each cap that is set, for example ``{"tokens": (1200, 50000)}``."""
        used = {
            "evaluations": history.evaluations,
            "tokens": history.usage.tokens,
            "dollars": history.usage.dollars,
            "seconds": history.active_seconds(time.time() if now is None else now),
        }
        return {name: (amount, cap) for name, amount in used.items() if (cap := getattr(self, name)) is not None}


class Ledger:
    """What is spent, and what is set aside for calls in flight; reserve first, then spend. Safe from many threads."""

    def __init__(self, budget: Budget) -> None:
        """Start with nothing spent."""
        self._budget = budget
        self._lock = threading.Lock()  # model calls reserve from worker threads, at the same time
        self._folded = Usage()
        self._open_tokens = 0
        self._open_dollars = 0.0

    def fold(self, spent: Usage) -> None:
        """Take over the usage that the log shows."""
        with self._lock:
            self._folded = spent

    def change(self, tokens: int, dollars: float, *, refuse: bool) -> None:
        """Set aside (or give back, when negative) tokens and dollars that the log does not show yet.

        Raises:
            BudgetExceeded: ``refuse`` is set and a cap would be passed; then nothing is set aside.
        """
        with self._lock:
            if refuse:
                self._check("tokens", self._folded.tokens + self._open_tokens, tokens, self._budget.tokens)
                self._check("dollars", self._folded.dollars + self._open_dollars, dollars, self._budget.dollars)
            self._open_tokens += tokens
            self._open_dollars += dollars

    @staticmethod
    def _check(name: str, committed: float, wanted: float, cap: float | None) -> None:
        if cap is not None and wanted and committed + wanted > cap:
            msg = f"budget {name}: {committed:.6g} of {cap:.6g} used or set aside, the next call may need {wanted:.6g}"
            raise BudgetExceeded(msg)


class UnitGuard:
    """One unit of work's share of the ledger; closed when its usage has reached the log."""

    def __init__(self, ledger: Ledger) -> None:
        """Hold nothing yet."""
        self._ledger = ledger
        self._lock = threading.Lock()
        self._tokens = 0
        self._dollars = 0.0

    def reserve(self, estimate: Usage) -> None:
        """Set the estimate aside.

        Raises:
            BudgetExceeded: it would pass a cap.
        """
        self._move(estimate.tokens, estimate.dollars, refuse=True)

    def settle(self, estimate: Usage, actual: Usage) -> None:
        """Replace the estimate by the real cost."""
        self._move(actual.tokens - estimate.tokens, actual.dollars - estimate.dollars, refuse=False)

    def close(self) -> None:
        """Give back whatever is held: the log shows it now, or nobody will spend it."""
        self._move(-self._tokens, -self._dollars, refuse=False)

    def _move(self, tokens: int, dollars: float, *, refuse: bool) -> None:
        self._ledger.change(tokens, dollars, refuse=refuse)
        with self._lock:
            self._tokens += tokens
            self._dollars += dollars
