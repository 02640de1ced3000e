"""Which past is shown to the model: small exchangeable policies, each a frozen value.

A policy ranks trials; how they are laid out as a chat and made to fit into an allowance of tokens is not its concern
(:mod:`llm_optimize.proposers.layout`). The first of the ranking is always shown, the others as far as there is room.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Protocol

from llm_optimize.core.checks import check_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial

__all__ = ["Window", "WindowPolicy", "is_ascending", "rounding_of"]

_FAILURES_AMONG = 50  # failures are looked for among so many of the latest trials, which bounds the cost of a prompt


class WindowPolicy(Protocol):
    """Chooses from the past; a pure function of the history.

    A policy may have two attributes more. ``ascending``: True shows the attempts in ascending order of their scores
    instead of by age. ``digits``: decimals to which scores are rounded when they are shown, or None.
    """

    def ranked(self, history: History) -> Sequence[Trial]:
        """Return trials, each once, the most important first; empty only when there are none.

        The first is shown whatever else is left out: it should be the best. The cost must not depend on the number of
        trials.
        """
        ...

    @property
    def rule(self) -> str:
        """How the trials are chosen, as the model is told when it does not see all of them."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """Show the best, the latest and the last failed attempts; all of them while they are no more than these together.

    When the allowance is too small for all of these, the failed ones go first, then the latest, then the best, the
    older (the lower) before the newer (the higher); the best and the latest attempt go last.

    Attributes:
        best: how many of the highest scores, at least 1.
        recent: how many of the latest.
        failed: how many failures that are not among the latest anyway.

    Raises:
        BadInput: one of these is no whole number, or too small.

    Example:
        >>> Window(best=3, recent=5, failed=0).rule
        'the 3 best and the 5 latest'
    """

    best: int = 6
    recent: int = 12
    failed: int = 4

    def __post_init__(self) -> None:
        """Refuse what cannot be counted."""
        check_whole("window: best", self.best, 1)
        check_whole("window: recent", self.recent, 0)
        check_whole("window: failed", self.failed, 0)

    @property
    def rule(self) -> str:
        """How the trials are chosen, in words."""
        named = ((self.best, "best"), (self.recent, "latest"), (self.failed, "last failed"))
        words = [f"the {count} {name}" for count, name in named if count]
        return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]

    def ranked(self, history: History) -> Sequence[Trial]:
        """Return the trials to show, the most important first."""
        capacity = self.best + self.recent + self.failed
        best = history.top(self.best)
        tail = history.recent(max(capacity, _FAILURES_AMONG))[::-1]
        recent = tail[: capacity if len(history.trials) <= capacity else self.recent]
        failed = [trial for trial in tail[len(recent) :] if trial.score is None][: self.failed]
        return list({t.id: t for t in chain(best[:1], recent[:1], best[1:], recent, failed)}.values()) or tail[:1]


def is_ascending(window: WindowPolicy) -> bool:
    """Return whether a window wants its attempts in ascending order of their scores."""
    return bool(getattr(window, "ascending", False))


def rounding_of(window: WindowPolicy) -> int | None:
    """Return the decimals to which a window wants scores rounded, or None for as many as tell them apart."""
    digits = getattr(window, "digits", None)
    return digits if isinstance(digits, int) else None
