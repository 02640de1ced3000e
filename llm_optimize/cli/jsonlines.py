"""``--json``: one object per line on stdout, for each event after it is on disk and for the result.

While a study runs, what its scorer prints to stdout goes to stderr, so that the lines stay whole.
"""

from __future__ import annotations

import json
import math
import os
import sys
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from llm_optimize.core.events import Guided, Opened, Proposed, Retold, Stopped, Told
from llm_optimize.core.types import Evaluation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TextIO

    from llm_optimize.cli.studies import Location
    from llm_optimize.core.account import Account
    from llm_optimize.core.events import Event
    from llm_optimize.core.study import Study
    from llm_optimize.core.types import Trial
    from llm_optimize.optimize import Result

__all__ = ["JsonLines", "account_fields", "as_line", "event_fields", "print_object", "print_result", "trial_fields"]


class JsonLines:
    """Prints each event of a study; ends quietly when whoever reads has left, since the run is paid for."""

    def __init__(self, study: str) -> None:
        """Name the study."""
        self._name = study
        self._study: Study | None = None
        self._out: TextIO | None = None

    @contextmanager
    def following(self, study: Study) -> Iterator[None]:
        """Print the study's events inside the block; stdout is stderr for all others meanwhile."""
        self._study = study
        with _aside() as self._out:
            yield
        self._out = None

    def __call__(self, event: Event) -> None:
        """Print one event."""
        best = self._study.last.best if self._study else None
        fields = event_fields(event) | (
            {"best_score": best.score if best else None} if isinstance(event, Told | Retold) else {}
        )
        if isinstance(event, Opened):
            fields["study"] = self._name
        if self._out is None:
            return
        try:
            self._out.write(as_line(fields))
            self._out.flush()
        except BrokenPipeError:
            self._out = None


def event_fields(event: Event) -> dict[str, Any]:
    """Return what an event says, as JSON values; ``kind`` is its name in lower case."""
    fields: dict[str, Any] = {"kind": type(event).__name__.lower(), "at": event.at}
    match event:
        case Opened():
            return fields | {"seed": event.seed, "x0": event.problem.start, "settings": dict(event.settings)}
        case Proposed():
            candidates = [asdict(candidate) for candidate in event.candidates]
            tools = [asdict(use) for use in event.tools]
            fields |= {"candidates": candidates, "note": event.note, "usage": asdict(event.usage)}
            fields |= {"tools": tools} if tools else {}
            return fields | ({"lessons": asdict(event.lessons)} if event.lessons else {})
        case Told():
            return fields | {"id": event.candidate_id, "seconds": event.seconds} | _outcome_fields(event.outcome)
        case Retold():
            about = {"id": event.candidate_id, "part": event.part, "serial": event.serial, "seconds": event.seconds}
            return fields | about | _outcome_fields(event.outcome)
        case Guided():
            decided = {} if event.act == "say" else {"act": event.act, "id": event.candidate_id}
            return fields | {"text": event.text} | decided
        case Stopped():
            return fields | {"reason": event.reason}


def account_fields(account: Account) -> list[dict[str, Any]]:
    """Return who spent what as JSON values: an object for each role and model."""
    return [{"role": role, "model": model, **asdict(usage)} for (role, model), usage in account.rows.items()]


def trial_fields(trial: Trial) -> dict[str, Any]:
    """Return a candidate with its outcome, as JSON values."""
    fields = {"kind": "trial", **asdict(trial.candidate), "seconds": trial.seconds} | _outcome_fields(trial.outcome)
    several = {"score": trial.score, "evaluations": trial.n, "spread": trial.spread} if trial.tally.n else {}
    return fields | several


def print_result(result: Result, store: Location) -> None:
    """Print the last line of a session."""
    best = result.best
    print_object(
        {
            "kind": "result",
            "best_id": best.id if best else None,
            "best_score": result.best_score,
            "best_text": result.best_x,
            "scores": result.scores,
            "reason": result.reason,
            "error": None if result.error is None else f"{type(result.error).__name__}: {result.error}",
            "interrupted": result.interrupted,
            "usage": asdict(result.usage),
            "account": account_fields(result.account),
            "study": result.study,
            "store": str(store),
            "verdict": result.verdict,
        }
    )


def print_object(fields: Mapping[str, Any]) -> None:
    """Print one object on one line of stdout."""
    sys.stdout.write(as_line(fields))
    sys.stdout.flush()


def as_line(fields: Mapping[str, Any]) -> str:
    """Return the object as a line of ASCII, so that no terminal or pipe can spoil it."""
    return json.dumps(fields, separators=(",", ":"), allow_nan=False, default=str) + "\n"


def _outcome_fields(outcome: Any) -> dict[str, Any]:  # noqa: ANN401 - an Outcome, a union
    usage = asdict(outcome.usage)
    if not isinstance(outcome, Evaluation):
        return {"score": None, "failure": outcome.kind, "feedback": outcome.message, "metrics": {}, "usage": usage}
    metrics = {name: value if math.isfinite(value) else None for name, value in outcome.metrics.items()}
    return {"score": outcome.score, "failure": None, "feedback": outcome.feedback, "metrics": metrics, "usage": usage}


@contextmanager
def _aside() -> Iterator[TextIO]:
    """Yield a stream to what stdout was, and let stdout be stderr, for child processes as well."""
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        try:
            with redirect_stdout(sys.stderr):
                yield out
        finally:
            sys.stdout.flush()
            os.dup2(out.fileno(), 1)
