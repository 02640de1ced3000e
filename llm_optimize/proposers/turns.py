"""One attempt as turns of a chat, written and cut to size once while it is in the window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from llm_optimize.core.chat import Message
from llm_optimize.core.types import Failure
from llm_optimize.proposers import prompts
from llm_optimize.proposers.hypotheses import verdict
from llm_optimize.text.diff import changes

if TYPE_CHECKING:
    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial
    from llm_optimize.proposers.hypotheses import Figures
    from llm_optimize.proposers.measuring import Measure

__all__ = ["Said", "TurnWriter", "Turns", "said"]

_REMEMBERED = 128
_LONG = 100  # tokens of a candidate from which on it may be shown as a diff,
_MUCH_SHORTER = 2  # if the diff has no more than half of them


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of an attempt beside its feedback.

    Attributes:
        status: its score, or how it failed.
        verdict: how it did against the attempt that it was built on; empty where that cannot be said.
    """

    status: str
    verdict: str = ""


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
        self.count = measure.count
        self._measure = measure
        self._written = lru_cache(remembered)(self._write)
        self._abridged = lru_cache(remembered)(self._abridge)
        self._changed = lru_cache(4 * remembered)(self._change)

    def earlier(self, trial: Trial, said: Said, limit: int) -> Turns:
        """Return the turns of a trial, idea and feedback cut to ``limit`` tokens each."""
        return self._written(trial.id, trial.text, trial.candidate.idea, trial.feedback, said, limit)

    def abridged(self, trial: Trial, base: Trial, said: Said, limit: int) -> Turns:
        """Return the turns of a trial with its text as the changes to ``base``; see :meth:`differs_little`."""
        whole, diff = self.earlier(trial, said, limit), self._changes(base, trial)
        return self._abridged(trial.id, trial.candidate.idea, base.id, diff, whole, limit)

    def differs_little(self, trial: Trial, base: Trial) -> bool:
        """Return whether a trial's text is long, and its changes to that of ``base`` are much shorter."""
        return bool(self._changes(base, trial))

    def result(self, trial: Trial, said: Said, limit: int) -> str:
        """Return what is said of the current attempt, the feedback cut to ``limit`` tokens."""
        return prompts.result(said.status, self._measure.shorten(trial.feedback.strip("\n"), limit), said.verdict)

    def _write(self, number: int, text: str, idea: str, feedback: str, said: Said, limit: int) -> Turns:  # noqa: PLR0913, PLR0917 - the key of the cache
        shorten = self._measure.shorten
        outcome = prompts.result(said.status, shorten(feedback.strip("\n"), limit), said.verdict)
        return Turns(
            Message("assistant", prompts.proposed(shorten(idea, limit), text)),
            Message("user", prompts.result_of(number, outcome)),
            prompts.opening(number, text, outcome),
        )

    def _abridge(self, number: int, idea: str, base: int, diff: str, whole: Turns, limit: int) -> Turns:  # noqa: PLR0913, PLR0917 - the key of the cache
        shown = prompts.abridged(number, base, diff)
        idea = self._measure.shorten(idea, limit)
        return Turns(
            Message("assistant", f"{idea}\n\n{shown}" if idea else shown),
            whole.result,
            f"{shown}\n\n{whole.result.content}",
        )

    def _changes(self, base: Trial, trial: Trial) -> str:
        return self._changed(base.text, trial.text)

    def _change(self, old: str, new: str) -> str:
        """Return the diff, or nothing where the text itself is not much longer."""
        tokens = self._measure.count(new)
        if tokens < _LONG:
            return ""
        diff = changes(old, new) or ""
        return diff if self._measure.count(diff) * _MUCH_SHORTER <= tokens else ""


def said(history: History, trial: Trial, figures: Figures) -> Said:
    """Return the first lines of a trial's result: its score, or how it failed, and what that says of its idea."""
    outcome = trial.outcome
    if isinstance(outcome, Failure):
        status = prompts.failed(outcome.kind)
    else:
        status = prompts.scored(figures.show(outcome.score if trial.score is None else trial.score))
    return Said(status, verdict(history, trial, figures))
