"""Which evaluation of a candidate that has been told comes next: during the search, and when it is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.core.budget import usual_cost
from llm_optimize.core.noise import unsealed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.budget import Budget
    from llm_optimize.core.history import History
    from llm_optimize.core.noise import Again, Noise
    from llm_optimize.core.protocols import Scorer

__all__ = ["Retesting"]

_LARGEST = 4  # the end takes at most one in so many evaluations of a small budget
_SPENT = ("tokens", "dollars")
_SEALED = 2  # evaluations on the sealed examples: of the start and of the winner


@dataclass(frozen=True, slots=True)
class Retesting:
    """A study's plan for evaluating candidates more than once; without any parts each is evaluated once.

    Attributes:
        noise: the policy, or None: nobody is tested again.
        final: scores on sealed examples, or None; used for the start and for the winner, once, after the search.
    """

    noise: Noise | None = None
    final: Scorer | None = None

    def due(self, history: History, flying: Sequence[Again]) -> Again | None:
        """Return whom to test again during the search."""
        return self.noise.due(history, flying) if self.noise is not None else None

    def ending(self, history: History, flying: Sequence[Again]) -> Again | None:
        """Return what to evaluate after the search."""
        wanted = self.noise.ending(history, flying) if self.noise is not None else None
        if wanted is not None or self.final is None:
            return wanted
        winner = self.noise.choice(history) if self.noise is not None else history.best
        return unsealed(history, winner, flying)

    def refusal(self, history: History, budget: Budget) -> str | None:
        """Return which cap the search has used up, but for what its end needs of it; None while there is room.

        An evaluation at the end is taken to cost what the dearest of the latest ones has cost.
        """
        reserve = self.reserve(history, budget.evaluations)
        reason = budget(history.assuming(history.in_flight + reserve))
        if reason is not None or not reserve or not budget.caps_calls:
            return reason
        end = usual_cost(history, reserve)
        for name, (used, cap) in budget.used(history).items():
            kept = min(getattr(end, name, 0), cap / _LARGEST) if name in _SPENT else 0
            if used + kept >= cap:
                return f"budget {name}: {used:.6g} of {cap:.6g} used, the rest is for the final evaluations"
        return None

    def reserve(self, history: History, cap: int | None = None) -> int:
        """Return how many evaluations the search has to leave for its end, out of ``cap`` in all."""
        fresh = self.noise.reserve(history) if self.noise is not None else 0
        fresh = fresh if cap is None else min(fresh, cap // _LARGEST)
        return fresh + (_SEALED if self.final is not None and not history.sealed else 0)
