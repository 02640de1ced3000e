"""What a run came to: the best, everything that led to it, and what may be claimed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.core.notebook import history_html
from llm_optimize.core.pareto import front
from llm_optimize.core.verdict import best_score, gain, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_optimize.core.account import Account
    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial, Usage
    from llm_optimize.core.verdict import Gain

__all__ = ["Result"]


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """What a run came to.

    Unpacks and compares as the predecessor's ``(best_score, scores, best_x)``; prints as the best text.

    Attributes:
        history: everything that happened.
        reason: why it ended.
        study: the study's name in its store.
        error: the error that ended it, if one did; the study can be resumed once that is mended.
        interrupted: whether Ctrl-C ended it.
        confidence: of the interval of the gain.
    """

    history: History
    reason: str
    study: str
    error: Exception | None = None
    interrupted: bool = False
    confidence: float = 0.95

    @property
    def best(self) -> Trial | None:
        """The trial with the highest score, the earliest of equals; None if nothing could be scored."""
        return self.history.best

    @property
    def best_score(self) -> float | None:
        """The score of the best; where it was scored afresh after the search, the mean of that, free of selection."""
        return best_score(self.history)

    @property
    def best_x(self) -> str | None:
        """The best text."""
        return self.best.text if self.best else None

    @property
    def scores(self) -> list[float]:
        """Every score in the order of proposal, x0 first; candidates that failed have none."""
        trials = sorted(self.history.trials, key=lambda trial: trial.id)
        return [trial.score for trial in trials if trial.score is not None]

    @property
    def usage(self) -> Usage:
        """What all proposals and evaluations cost."""
        return self.history.usage

    @property
    def account(self) -> Account:
        """The same by role (``proposer``, ``judge``, ``scorer``, ...) and by model."""
        return self.history.account

    @property
    def verdict(self) -> str:
        """What may be claimed, in a sentence; one evaluation per candidate does not tell a gain from luck."""
        return verdict(self.history, self.confidence)

    @property
    def gain(self) -> Gain | None:
        """The gain over x0 with its interval; None where each was scored only once."""
        return gain(self.history, self.confidence)

    def pareto(self, *names: str) -> list[Trial]:
        """Return the candidates that no other one beats in every respect, in the order of proposal.

        Args:
            *names: metrics by name, more is better; ``-name`` where less is; ``score`` for the score itself.

        Raises:
            BadInput: fewer than two names, or one that no candidate has.

        Example:
            >>> from llm_optimize import Evaluation, ScriptedModel, optimize
            >>> shorter = lambda text: Evaluation(0.5, metrics={"length": len(text)})
            >>> result = optimize.run("t", "q", shorter, "abc", 0, ScriptedModel([]), False, store=None)
            >>> [trial.text for trial in result.pareto("score", "-length")]
            ['abc']
        """
        return front(self.history.trials, names)

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        return history_html(self.history, name=self.study, reason=self.reason, confidence=self.confidence)

    def __iter__(self) -> Iterator[Any]:
        """Unpack as ``best_score, scores, best_x``."""
        return iter((self.best_score, self.scores, self.best_x))

    def __len__(self) -> int:
        """Return 3, as the tuple that it stands for."""
        return 3

    def __getitem__(self, index: int) -> Any:  # noqa: ANN401 - the tuple's three types
        """Return an element of the tuple that it stands for."""
        return tuple(self)[index]

    def __eq__(self, other: object) -> bool:
        """Compare as the tuple that it stands for."""
        return tuple(self) == tuple(other) if isinstance(other, (Result, tuple)) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # equal to tuples that hold lists, which have no hash either

    def __str__(self) -> str:
        """Return the best text without its outer line ends."""
        return (self.best_x or "").strip("\n")
