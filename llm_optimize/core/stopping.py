"""Stop rules: pure functions of the history that say why, so that a resume changes nothing.

Compose them with ``|`` (either) and ``&`` (both); a plain function ``History -> str | None`` composes as well:
``MaxSteps(50) | TargetScore(1.0) | (lambda history: "enough" if history.stale > 9 else None)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import Stopper

__all__ = ["AllOf", "AnyOf", "MaxSteps", "Plateau", "Rule", "StopFile", "Suspicious", "TargetScore", "WallClock"]


class Rule:
    """A stop rule that composes; subclasses say in ``__call__`` why to stop."""

    __slots__ = ()

    def __call__(self, history: History) -> str | None:
        """Return the reason to stop, or None to go on."""
        raise NotImplementedError

    def __or__(self, other: Stopper) -> AnyOf:
        """Stop when either does."""
        return AnyOf((self, other))

    def __ror__(self, other: Stopper) -> AnyOf:
        """Stop when either does."""
        return AnyOf((other, self))

    def __and__(self, other: Stopper) -> AllOf:
        """Stop when both do."""
        return AllOf((self, other))

    def __rand__(self, other: Stopper) -> AllOf:
        """Stop when both do."""
        return AllOf((other, self))


@dataclass(frozen=True, slots=True)
class AnyOf(Rule):
    """Stops when one of the rules does, for that rule's reason."""

    rules: tuple[Stopper, ...]

    def __call__(self, history: History) -> str | None:
        """Return the first rule's reason."""
        return next((reason for rule in self.rules if (reason := rule(history))), None)


@dataclass(frozen=True, slots=True)
class AllOf(Rule):
    """Stops when all of the rules do, for all their reasons."""

    rules: tuple[Stopper, ...]

    def __call__(self, history: History) -> str | None:
        """Return the reasons joined by 'and', or None while one rule would go on."""
        reasons = [rule(history) for rule in self.rules]
        return " and ".join(reason for reason in reasons if reason) if reasons and all(reasons) else None


@dataclass(frozen=True, slots=True)
class MaxSteps(Rule):
    """Stops after ``steps`` proposals, x0 not counted; 0 evaluates x0 only."""

    steps: int

    def __post_init__(self) -> None:
        """Refuse a number that no study can have.

        Raises:
            BadInput: ``steps`` is negative or not an integer.
        """
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 0:
            msg = f"max_steps is {self.steps!r}: give an integer of 0 or more, or None for no limit"
            raise BadInput(msg)

    def __call__(self, history: History) -> str | None:
        """Count told candidates and empty proposals, and what is in flight; x0 comes before the first step."""
        steps = int(history.hand.raised("steps", self.steps))
        done = history.steps >= steps and not history.opening
        return f"max_steps: {steps} steps are done" if done else None


@dataclass(frozen=True, slots=True)
class TargetScore(Rule):
    """Stops as soon as a score, that of x0 included, reaches ``score``."""

    score: float

    def __post_init__(self) -> None:
        """Refuse what cannot be compared.

        Raises:
            BadInput: ``score`` is not a number, or NaN.
        """
        if isinstance(self.score, bool) or not isinstance(self.score, (int, float)) or math.isnan(self.score):
            msg = f"stop_score is {self.score!r}: give a number, or None for no target"
            raise BadInput(msg)

    def __call__(self, history: History) -> str | None:
        """Compare the best score."""
        best = history.best
        if best is None or best.score is None or best.score < self.score:
            return None
        return f"stop_score: {best.score:.6g} reaches {self.score:.6g}"


@dataclass(frozen=True, slots=True)
class Plateau(Rule):
    """Stops after ``trials`` told trials in a row without an improvement."""

    trials: int

    def __post_init__(self) -> None:
        """Refuse a patience of nothing.

        Raises:
            BadInput: ``trials`` is below 1.
        """
        if self.trials < 1:
            msg = f"plateau is {self.trials!r}: give at least 1 trial without improvement"
            raise BadInput(msg)

    def __call__(self, history: History) -> str | None:
        """Look at the trials since the last improvement."""
        return f"plateau: {history.stale} trials without improvement" if history.stale >= self.trials else None


@dataclass(frozen=True, slots=True)
class WallClock(Rule):
    """Stops when the study has been running for ``seconds``, idle time between sessions not counted.

    It begins nothing new and lets work in flight end; ``Budget(seconds=...)`` does not wait for it.
    """

    seconds: float

    def __post_init__(self) -> None:
        """Refuse a time of nothing.

        Raises:
            BadInput: ``seconds`` is not above 0.
        """
        if not self.seconds > 0:
            msg = f"wall clock is {self.seconds!r} seconds: give more than 0"
            raise BadInput(msg)

    def __call__(self, history: History) -> str | None:
        """Ask the history for the time: the one rule that needs it."""
        active = history.active_seconds(history.now())
        return f"wall clock: {active:.0f} of {self.seconds:g} s" if active >= self.seconds else None


@dataclass(frozen=True, slots=True)
class StopFile(Rule):
    """Stops when the file exists, for example after ``touch STOP``; the file is left where it is."""

    path: str | Path

    def __call__(self, history: History) -> str | None:  # noqa: ARG002 - every rule takes the history
        """Look for the file."""
        return f"stop file: {self.path} exists" if Path(self.path).exists() else None


@dataclass(frozen=True, slots=True)
class Suspicious(Rule):
    """Stops when a score is better than the user holds possible: then the scorer is more likely to have been misled.

    The candidate stays in the log. A resume stops again at once unless the bound is raised.
    """

    above: float

    def __post_init__(self) -> None:
        """Refuse what cannot be compared.

        Raises:
            BadInput: ``above`` is not a number, or NaN.
        """
        if isinstance(self.above, bool) or not isinstance(self.above, (int, float)) or math.isnan(self.above):
            msg = f"suspicious_above is {self.above!r}: give the highest score that can be honest, or None"
            raise BadInput(msg)

    def __call__(self, history: History) -> str | None:
        """Compare the best score."""
        best = history.best
        if best is None or best.score is None or best.score <= self.above:
            return None
        return (
            f"suspicious score: {best.score:.6g} of #{best.id} is above suspicious_above={self.above:g}; "
            "read the candidate and the scorer before you rely on it"
        )
