"""Caps on what a study may spend; :mod:`llm_optimize.core.ledger` refuses a spend before it is made."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from llm_optimize.core.stopping import Rule
from llm_optimize.core.types import Usage
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from llm_optimize.core.history import History

__all__ = ["Budget", "usual_cost"]

_LATELY = 8  # trials whose cost says what the next one may cost


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
            "seconds": history.active_seconds(history.now() if now is None else now),
        }
        caps = {name: getattr(self.raised(history), name) for name in used}
        return {name: (amount, caps[name]) for name, amount in used.items() if caps[name] is not None}

    def raised(self, history: History) -> Budget:
        """Return the caps in force: those that a person has raised while the study ran."""
        if not history.hand.caps:
            return self
        own = {item.name: getattr(self, item.name) for item in fields(self)}
        caps: dict[str, Any] = {name: cap and history.hand.raised(name, cap) for name, cap in own.items()}
        return Budget(**caps)


def usual_cost(history: History, n: int = 1) -> Usage:
    """Return what the model calls of ``n`` evaluations may cost: each as much as the dearest recent one; O(1)."""
    recent = [trial.outcome.usage for trial in history.recent(_LATELY)]
    tokens = max((usage.tokens for usage in recent), default=0)
    return Usage(tokens_in=n * tokens, dollars=n * max((usage.dollars for usage in recent), default=0.0))
