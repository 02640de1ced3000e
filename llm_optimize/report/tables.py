"""A report for other programs: every candidate, or every pair of a sweep, as JSON or as rows of a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from llm_optimize.report.data import report_data
from llm_optimize.report.pairs import is_sweep, pairs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_optimize.core.types import Trial
    from llm_optimize.report.log import Log
    from llm_optimize.report.pairs import Pair

__all__ = ["as_csv", "as_json", "pair_fields"]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def pair_fields(pair: Pair) -> dict[str, Any]:
    """Return a pair as JSON values: what ``results.json`` and ``results.jsonl`` hold of it.

    ``answer`` is the first answer, ``answers`` all of them; ``similarity`` and ``answer`` are None for a failure.
    """
    return {
        "id": pair.id,
        "prompt": pair.prompt,
        "system_prompt": pair.system_prompt,
        "settings": dict(pair.settings),
        "answer": pair.answers[0] if pair.answers else None,
        "answers": list(pair.answers),
        "similarity": pair.similarity,
        "spread": pair.spread,
        "n": pair.n,
        "tokens": pair.usage.tokens,
        "tokens_in": pair.usage.tokens_in,
        "tokens_out": pair.usage.tokens_out,
        "dollars": pair.usage.dollars,
        "seconds": pair.seconds,
        "failure": pair.failure,
    }


def as_json(log: Log) -> str:
    """Return the data of the report, with the pairs of a sweep written out under ``pairs``, as indented JSON."""
    data = report_data(log)
    if is_sweep(log.settings):
        data["pairs"] = [pair_fields(pair) for pair in pairs(log.trials)]
    return json.dumps(data, indent=1, allow_nan=False, default=str) + "\n"


def as_csv(log: Log) -> str:
    """Return one row for each candidate, or pair, with a header.

    A text that a spreadsheet would take for a formula is written with ``'`` before it: candidates and answers are a
    stranger's text.
    """
    trials = list(log.trials)
    rows = _pair_rows(pairs(trials)) if is_sweep(log.settings) else [_trial_row(trial) for trial in trials]
    out = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row)) or ["id"]
    writer = csv.DictWriter(out, names, restval="")
    writer.writeheader()
    writer.writerows({name: _safe(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def _pair_rows(ranked: list[Pair]) -> list[dict[str, Any]]:
    names = sorted({name for pair in ranked for name in pair.settings})
    return [_pair_row(place, pair, names) for place, pair in enumerate(ranked, 1)]


def _pair_row(rank: int, pair: Pair, names: list[str]) -> dict[str, Any]:
    fields = pair_fields(pair)
    settings = fields.pop("settings")
    answers = fields.pop("answers")
    fields["answer"] = "\n---\n".join(answers) if answers else None
    return {"rank": rank} | fields | {name: _plain(settings.get(name)) for name in names if name not in fields}


def _trial_row(trial: Trial) -> dict[str, Any]:
    outcome = trial.outcome
    metrics: Mapping[str, float] = getattr(outcome, "metrics", {})
    candidate = trial.candidate
    return {
        "id": trial.id,
        "score": trial.score,
        "n": trial.n,
        "spread": trial.spread,
        "origin": candidate.origin,
        "parent": candidate.parent,
        "seconds": trial.seconds,
        "tokens": outcome.usage.tokens,
        "dollars": outcome.usage.dollars,
        "failure": getattr(outcome, "kind", ""),
        "text": trial.text,
        "idea": candidate.idea,
        "feedback": trial.feedback,
    } | {f"metric {name}": value for name, value in metrics.items()}


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return value if value is None or isinstance(value, (int, float, str)) else json.dumps(value, default=str)


def _safe(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
