"""A run as plain lines: what ``verbose=True`` prints. Colours only in a terminal, and never where NO_COLOR is set."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, TextIO

from llm_optimize.core.events import Guided, Proposed, Retold, Stopped, Told
from llm_optimize.core.hand import said
from llm_optimize.core.types import Candidate, Evaluation

if TYPE_CHECKING:
    from llm_optimize.core.events import Event

__all__ = ["Printer"]

_PARTS = {"again": "again", "fresh": "afresh", "sealed": "on the sealed examples"}
_CANDIDATE, _FEEDBACK, _IDEA, _ERROR = "36;1", "32;1", "33;1", "31;1"  # the predecessor's colours


@dataclass(slots=True)
class Printer:
    """An observer that prints each candidate, its idea, its score and feedback, and how the run ended.

    Attributes:
        stream: where to; None for whatever ``sys.stdout`` is when something is printed.
    """

    stream: TextIO | None = None
    _best: tuple[float, Candidate] | None = None
    _known: dict[int, Candidate] = field(default_factory=dict)
    _chosen: Candidate | None = None
    _fresh: list[float] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Print what the event says."""
        match event:
            case Proposed():
                self._proposed(event)
            case Told():
                self._told(event)
            case Retold():
                self._retold(event)
            case Guided():
                self._print(said(event), _IDEA)
            case Stopped():
                self._stopped(event)

    def _proposed(self, event: Proposed) -> None:
        if event.note:
            self._print(f"note: {event.note}", _ERROR)
        for candidate in event.candidates:
            self._known[candidate.id] = candidate
            if candidate.idea:
                self._print(candidate.idea, _IDEA)
            origin = f" ({candidate.origin})" if candidate.origin else ""
            self._print(f"#{candidate.id}{origin}\n{candidate.text.strip(chr(10))}", _CANDIDATE)

    def _told(self, event: Told) -> None:
        candidate = self._known.get(event.candidate_id)
        self._chosen, self._fresh = None, []
        outcome = event.outcome
        if not isinstance(outcome, Evaluation):
            self._print(f"#{event.candidate_id} failed ({outcome.kind}): {outcome.message}", _ERROR)
            return
        mark = ""
        if candidate is not None and (self._best is None or outcome.score > self._best[0]):
            mark = "" if self._best is None else " *best so far*"
            self._best = (outcome.score, candidate)
        feedback = f"\n{outcome.feedback}" if outcome.feedback else ""
        self._print(f"#{event.candidate_id} score {outcome.score:.10g}{mark}{feedback}", _FEEDBACK)

    def _retold(self, event: Retold) -> None:
        outcome = event.outcome
        said = f"score {outcome.score:.10g}" if isinstance(outcome, Evaluation) else f"failed ({outcome.kind})"
        self._print(f"#{event.candidate_id} {_PARTS.get(event.part, event.part)}: {said}", _FEEDBACK)
        candidate = self._known.get(event.candidate_id)
        if event.part != "fresh" or candidate is None or not isinstance(outcome, Evaluation):
            return
        if self._chosen is None:
            self._chosen = candidate  # the winner is scored afresh before the start is
        if self._chosen is candidate:
            self._fresh.append(outcome.score)
            self._best = (fmean(self._fresh), candidate)

    def _stopped(self, event: Stopped) -> None:
        self._print(f"stopped: {event.reason}", _IDEA)
        if self._best is not None:
            score, candidate = self._best
            self._print(f"best: {score:.10g} (#{candidate.id})\n{candidate.text.strip(chr(10))}", _FEEDBACK)

    def _print(self, text: str, colour: str) -> None:
        stream = self.stream or sys.stdout
        if stream.isatty() and not os.environ.get("NO_COLOR"):
            text = f"\x1b[{colour}m{text}\x1b[0m"
        print(text, file=stream, flush=True)
