"""One attempt as turns of a chat, written and cut to size once while it is in the window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from llm_optimize.core.chat import Message
from llm_optimize.core.types import Failure
from llm_optimize.proposers import prompts

if TYPE_CHECKING:
    from llm_optimize.core.types import Trial
    from llm_optimize.proposers.measuring import Measure

__all__ = ["TurnWriter", "Turns", "status"]

_REMEMBERED = 128


@dataclass(frozen=True, slots=True)
class Turns:
    """An attempt that is not the current one.

    Attributes:
        proposed: the assistant's turn, idea and candidate.
        result: the user's turn behind it.
        opening: both as the beginning of the first user turn, for the oldest attempt of a chat.
    """

    proposed: Message
    result: Message
    opening: str


class TurnWriter:
    """Writes turns; what it remembers of them is a cache, not state."""

    def __init__(self, measure: Measure, remembered: int = _REMEMBERED) -> None:
        """Cut to size by ``measure``; remember so many attempts."""
        self._measure = measure
        self._written = lru_cache(remembered)(self._write)

    def earlier(self, trial: Trial, status: str, limit: int) -> Turns:
        """Return the turns of a trial, idea and feedback cut to ``limit`` tokens each."""
        return self._written(trial.id, trial.text, trial.candidate.idea, trial.feedback, status, limit)

    def result(self, trial: Trial, status: str, limit: int) -> str:
        """Return what is said of the current attempt, the feedback cut to ``limit`` tokens."""
        return prompts.result(status, self._measure.shorten(trial.feedback.strip("\n"), limit))

    def _write(self, number: int, text: str, idea: str, feedback: str, status: str, limit: int) -> Turns:  # noqa: PLR0913, PLR0917 - the key of the cache
        shorten = self._measure.shorten
        outcome = prompts.result(status, shorten(feedback.strip("\n"), limit))
        return Turns(
            Message("assistant", prompts.proposed(shorten(idea, limit), text)),
            Message("user", prompts.result_of(number, outcome)),
            prompts.opening(number, text, outcome),
        )


def status(trial: Trial, digits: int) -> str:
    """Return the first line of a trial's result: its score in so many digits, or how it failed."""
    outcome = trial.outcome
    if isinstance(outcome, Failure):
        return prompts.failed(outcome.kind)
    return prompts.scored(prompts.show_score(outcome.score if trial.score is None else trial.score, digits))
