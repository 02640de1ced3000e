"""A run as plain lines on stderr, one for each thing that happened: what is shown without a terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from llm_optimize.cli.wording import clean, one_line, score_text
from llm_optimize.core.events import Event, Guided, Opened, Proposed, Retold, Told
from llm_optimize.core.hand import said
from llm_optimize.core.types import Evaluation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from llm_optimize.core.history import History
    from llm_optimize.core.study import Study

__all__ = ["Lines", "Silence", "Watcher", "sentence"]

_LONGEST = 160
_PARTS = {"again": "tested again", "fresh": "scored afresh", "sealed": "scored on the sealed examples"}


class Watcher(Protocol):
    """An observer that is told which study it observes before the first event comes."""

    def __call__(self, event: Event) -> None:
        """See an event after it is on disk."""
        ...

    def following(self, study: Study) -> AbstractContextManager[None]:
        """Follow the study inside the block."""
        ...


class Silence:
    """Shows nothing: ``--quiet``."""

    def __call__(self, event: Event) -> None:
        """Do nothing."""

    @contextmanager
    def following(self, study: Study) -> Iterator[None]:  # noqa: ARG002 - the protocol's signature
        """Do nothing."""
        yield


class Lines:
    """Prints a line per event."""

    def __init__(self) -> None:
        """Follow no study yet."""
        self._study: Study | None = None

    @contextmanager
    def following(self, study: Study) -> Iterator[None]:
        """Print the study's events inside the block."""
        self._study = study
        yield

    def __call__(self, event: Event) -> None:
        """Print the event, if it is one to tell."""
        text = sentence(event, self._study.last) if self._study else ""
        if text:
            print(text, file=sys.stderr, flush=True)


def sentence(event: Event, history: History) -> str:
    """Return an event as a line for people, or an empty text; ``history`` is the one after it."""
    match event:
        case Opened():
            told = len(history.trials)
            return f"going on after {told} evaluations, best {_best(history)}" if told or history.pending else ""
        case Proposed():
            return f"note: {clean(event.note, _LONGEST)}" if event.note else ""
        case Told():
            return _told(event, history)
        case Retold():
            return _retold(event, history)
        case Guided():
            return clean(said(event), _LONGEST)
        case _:
            return ""


def _told(event: Told, history: History) -> str:
    trial = history.trial(event.candidate_id)
    origin = one_line(trial.candidate.origin) if trial else ""
    head = f"#{event.candidate_id}  {origin}"
    outcome = event.outcome
    if not isinstance(outcome, Evaluation):
        return f"{head}  failed ({outcome.kind}): {clean(outcome.message, _LONGEST)}"
    feedback = f"  {clean(outcome.feedback, _LONGEST)}" if outcome.feedback else ""
    return f"{head}  score {score_text(outcome.score)}  best {_best(history)}{feedback}"


def _retold(event: Retold, history: History) -> str:
    outcome = event.outcome
    head = f"#{event.candidate_id}  {_PARTS.get(event.part, event.part)}"
    if not isinstance(outcome, Evaluation):
        return f"{head}  failed ({outcome.kind}): {clean(outcome.message, _LONGEST)}"
    trial = history.trial(event.candidate_id)
    mean = f"  mean of {trial.n} {score_text(trial.score)}" if trial and trial.score is not None else ""
    return f"{head}  score {score_text(outcome.score)}{mean if event.part == 'again' else ''}  best {_best(history)}"


def _best(history: History) -> str:
    best = history.best
    return f"{score_text(best.score)} (#{best.id})" if best else "none yet"
