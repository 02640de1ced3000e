"""A study's log as the data of its report: JSON values alone, so that a page can hold them and a live page fetch them.

Long columns are lists by name, one entry per trial in the order of evaluation; texts are numbers into ``texts``.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from llm_optimize.core.events import Guided, Opened, Proposed, Stopped
from llm_optimize.core.hand import said
from llm_optimize.core.noise import start_of
from llm_optimize.core.types import Evaluation, Failure
from llm_optimize.core.verdict import best_score, gain, verdict
from llm_optimize.report.claims import claims
from llm_optimize.report.conversing import conversations
from llm_optimize.report.course import course
from llm_optimize.report.differences import differences, kind_of
from llm_optimize.report.lineage import ancestry, lineage
from llm_optimize.report.pairs import is_sweep, pairs
from llm_optimize.report.reproduce import commands, in_force
from llm_optimize.report.sweeping import sweep_data
from llm_optimize.report.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Outcome, Trial, Usage
    from llm_optimize.report.log import Log

__all__ = ["FORMAT", "report_data"]

FORMAT = 1
"""Of the data: a reader of another number does not understand it."""

_MOST_NOTES = 500
_MOST_IDS = 50


def report_data(log: Log) -> dict[str, Any]:
    """Return everything that a report shows.

    The keys: ``format``, ``study``, ``summary``, ``difference`` (start against best), ``trials``, ``course``,
    ``claims``, ``lineage``, ``cost``, ``failures``, ``notes``, ``sweep`` (None unless the study is one), ``exchanges``,
    ``reproduce``, ``texts``, ``cut`` (by text: how many characters it has, where it was too long to be kept whole).
    """
    history, texts = log.history, Texts()
    trials = list(log.trials)
    for trial in _by_importance(history, trials):
        _keep(trial, texts)
    sweep = sweep_data(pairs(trials), log.settings["sweep"], texts) if is_sweep(log.settings) else None
    kind = "sweep" if sweep is not None else _kind(history)
    return {
        "format": FORMAT,
        "study": _study(log, kind, texts),
        "summary": _summary(log),
        "difference": _difference(history, kind),
        "trials": _columns(trials, history, texts),
        "course": course(log.moments),
        "claims": [{**one, "claim": texts.add(one["claim"])} for one in claims(history, trials)],
        "lineage": lineage(history, trials),
        "cost": [[role, model, *_spent(usage)] for (role, model), usage in history.account.rows.items()],
        "failures": _failures(trials, texts),
        "notes": _notes(log, texts),
        "sweep": sweep,
        "exchanges": conversations(log.exchanges, log.events, texts),
        "reproduce": {"commands": commands(log), "settings": in_force(log)},
        "texts": texts.table,
        "cut": {str(number): length for number, length in texts.cut.items()},
    }


def _kind(history: History) -> str:
    shown = [one.text for one in (start_of(history), history.best) if one is not None]
    return kind_of(shown[0] if shown else history.problem.start or "")


def _by_importance(history: History, trials: Sequence[Trial]) -> Iterable[Trial]:
    """Yield the trials whose texts must be there first: start, best and its ancestors, then from best to worst."""
    start, best = start_of(history), history.best
    if start is not None:
        yield start
    for number in [] if best is None else reversed(ancestry(history, best.id)):
        trial = history.trial(number)
        if trial is not None:
            yield trial
    yield from sorted(trials, key=lambda one: -math.inf if one.score is None else one.score, reverse=True)


def _keep(trial: Trial, texts: Texts) -> None:
    answers = trial.outcome.answers if isinstance(trial.outcome, Evaluation) else ()
    for text in (trial.text, trial.candidate.idea, trial.feedback, *answers):
        texts.add(text)


def _study(log: Log, kind: str, texts: Texts) -> dict[str, Any]:
    problem, history = log.history.problem, log.history
    return {
        "name": log.name,
        "kind": kind,
        "task": texts.add(problem.task),
        "question": texts.add(problem.question),
        "reason": history.reason or "",
        "begun": history.born,
        "ended": max(event.at for event in log.events),
        "sessions": sum(isinstance(event, Opened) for event in log.events),
        "seconds": history.active_seconds(),
        "sigma": history.sigma,
    }


def _summary(log: Log) -> dict[str, Any]:
    history = log.history
    best, start, gained = history.best, start_of(history), gain(history)
    return {
        "best": None if best is None else best.id,
        "best_score": best_score(history),
        "start": None if start is None else start.id,
        "start_score": None if start is None else start.score,
        "gain": None if gained is None else [gained.value, gained.low, gained.high, gained.confidence, gained.basis],
        "verdict": verdict(history),
        "candidates": history.next_id,
        "evaluations": history.evaluations,
        "failed": log.failed,
        "pending": len(history.pending),
        "usage": _spent(history.usage),
        "estimated": history.usage.estimated,
    }


def _spent(usage: Usage) -> list[float]:
    return [
        usage.calls, usage.tokens_in, usage.tokens_cached, usage.tokens_out, round(usage.dollars, 8),
        round(usage.seconds, 3),
    ]  # fmt: skip


def _difference(history: History, kind: str) -> dict[str, Any] | None:
    start, best = start_of(history), history.best
    if start is None or best is None or kind == "sweep":
        return None
    by = "word" if kind == "prose" else "line"
    return {"by": by, "segments": differences(start.text.strip("\n"), best.text.strip("\n"), by=by)}


def _columns(trials: list[Trial], history: History, texts: Texts) -> dict[str, Any]:
    names = sorted({name for trial in trials for name in getattr(trial.outcome, "metrics", ())})
    return {
        "id": [trial.id for trial in trials],
        "score": [trial.score for trial in trials],
        "n": [trial.n for trial in trials],
        "spread": [trial.spread for trial in trials],
        "origin": [texts.add(trial.candidate.origin) for trial in trials],
        "arm": [texts.add(history.arm(trial.id)) for trial in trials],
        "parent": [trial.candidate.parent for trial in trials],
        "seconds": [round(trial.seconds, 4) for trial in trials],
        "tokens": [trial.outcome.usage.tokens for trial in trials],
        "dollars": [round(trial.outcome.usage.dollars, 8) for trial in trials],
        "text": [texts.add(trial.text) for trial in trials],
        "idea": [texts.add(trial.candidate.idea) for trial in trials],
        "feedback": [texts.add(trial.feedback) for trial in trials],
        "failure": [texts.add(one.outcome.kind) if isinstance(one.outcome, Failure) else -1 for one in trials],
        "answers": [_answers(trial.outcome, texts) for trial in trials],
        "metrics": {name: [_metric(trial.outcome, name) for trial in trials] for name in names},
    }


def _answers(outcome: Outcome, texts: Texts) -> list[int]:
    return [texts.add(text) for text in outcome.answers] if isinstance(outcome, Evaluation) else []


def _metric(outcome: Outcome, name: str) -> float | None:
    value = outcome.metrics.get(name) if isinstance(outcome, Evaluation) else None
    return value if value is not None and math.isfinite(value) else None


def _failures(trials: list[Trial], texts: Texts) -> list[dict[str, Any]]:
    failed = [(trial, trial.outcome) for trial in trials if isinstance(trial.outcome, Failure)]
    counts = Counter(outcome.kind for _, outcome in failed)
    return [
        {
            "kind": kind,
            "count": count,
            "ids": [trial.id for trial, outcome in failed if outcome.kind == kind][:_MOST_IDS],
            "example": texts.add(next(outcome.message for _, outcome in failed if outcome.kind == kind)),
        }
        for kind, count in counts.most_common()
    ]


def _notes(log: Log, texts: Texts) -> list[list[Any]]:
    """Return what people and the study itself noted: time, kind, text; the last of very many."""
    found: list[list[Any]] = []
    for event in log.events:
        if isinstance(event, Guided):
            found.append([event.at, "guidance", texts.add(said(event))])
        elif isinstance(event, Proposed) and event.note:
            found.append([event.at, "note", texts.add(event.note)])
        elif isinstance(event, Stopped):
            found.append([event.at, "stopped", texts.add(event.reason)])
        if isinstance(event, Proposed) and event.lessons is not None:
            found += [[event.at, "lesson", texts.add(text)] for text in event.lessons.texts]
    if log.left_out:
        found.append([log.events[-1].at, "note", texts.add(log.left_out)])
    return found[-_MOST_NOTES:]
