"""How a study shows itself in a notebook: the figures, the course of the scores, the best text, the best candidates.

Static HTML from the standard library, every text escaped, colours that follow the notebook's own.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from llm_optimize.core.noise import start_of
from llm_optimize.core.verdict import best_score, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial

__all__ = ["history_html"]

_LISTED = 10
_WIDE, _HIGH, _PAD = 480, 90, 6
_MOST_POINTS = 400
_TEXT = 20_000  # characters of the best text that a notebook is made to hold
_LINE = 90
_UNSHOWABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_CELL = "text-align:left;padding:2px 12px 2px 0;vertical-align:top"


def history_html(history: History, *, name: str, reason: str = "", confidence: float = 0.95) -> str:
    """Return a fragment of HTML that shows what a study has come to.

    Args:
        history: its past.
        name: of the study.
        reason: why it ended; empty while it has not.
        confidence: of the interval in the verdict.
    """
    best, start = history.best, start_of(history)
    figures = [
        ("best", _figure(best_score(history)) + (f" (#{best.id}, {best.candidate.origin})" if best else "")),
        ("start", _figure(start.score if start else None)),
        ("evaluations", f"{history.evaluations}, {sum(one.score is None for one in history.trials)} candidates failed"),
        ("model calls", f"{history.usage.calls}, {history.usage.tokens:,} tokens, ${history.usage.dollars:.4g}"),
        ("ended", reason or "not ended"),
    ]
    shown = "".join(_row(label, value) for label, value in figures if value)
    parts = [
        f"<p><b>{_text(name)}</b>: {_text(verdict(history, confidence))}</p>" if history.trials else _row_of_none(name),
        f'<table style="border-collapse:collapse">{shown}</table>',
        _curve(history.trials),
        _folded("best text", _pre(best.text), is_open=True) if best else "",
        _folded(f"the best of {len(history.trials)} candidates", _table(history.top(_LISTED))) if best else "",
    ]
    return f'<div class="llm-optimize">{"".join(parts)}</div>'


def _text(value: object) -> str:
    return html.escape(_UNSHOWABLE.sub("\ufffd", str(value)))


def _row_of_none(name: str) -> str:
    return f"<p><b>{_text(name)}</b>: nothing has been evaluated yet</p>"


def _row(label: str, value: str) -> str:
    return f'<tr><th scope="row" style="{_CELL}">{_text(label)}</th><td style="{_CELL}">{_text(value)}</td></tr>'


def _figure(score: float | None) -> str:
    return "none" if score is None else f"{score:.6g}"


def _pre(text: str) -> str:
    more = f"\n[{len(text) - _TEXT} more characters]" if len(text) > _TEXT else ""
    return f'<pre style="white-space:pre-wrap;max-height:30em;overflow:auto">{_text(text[:_TEXT] + more)}</pre>'


def _folded(title: str, body: str, *, is_open: bool = False) -> str:
    return f"<details{' open' if is_open else ''}><summary>{_text(title)}</summary>{body}</details>"


def _table(trials: Sequence[Trial]) -> str:
    head = "".join(f'<th scope="col" style="{_CELL}">{label}</th>' for label in ("id", "score", "made by", "text"))
    rows = "".join(
        "<tr>" + "".join(f'<td style="{_CELL}">{_text(cell)}</td>' for cell in _cells(trial)) + "</tr>"
        for trial in trials
    )
    return f'<table style="border-collapse:collapse"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _cells(trial: Trial) -> tuple[str, str, str, str]:
    line = " ".join(trial.text[: 2 * _LINE].split())
    cut = line if len(line) <= _LINE else line[:_LINE] + "\u2026"
    return f"#{trial.id}", _figure(trial.score), trial.candidate.origin, cut


def _curve(trials: Sequence[Trial]) -> str:
    """Return the scores as dots and the best so far as a line; of very many, evenly chosen ones."""
    scored = [(place, one.score) for place, one in enumerate(trials) if one.score is not None]
    if len(scored) < 2:  # noqa: PLR2004 - one score is no curve
        return ""
    low, high = min(score for _, score in scored), max(score for _, score in scored)
    last = scored[-1][0] or 1

    def at(place: int, score: float) -> tuple[float, float]:
        share = (score - low) / (high - low) if high > low else 0.5
        return _PAD + (_WIDE - 2 * _PAD) * place / last, _HIGH - _PAD - (_HIGH - 2 * _PAD) * share

    every = -(-len(scored) // _MOST_POINTS)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2"/>' for x, y in (at(*one) for one in scored[::every]))
    best = scored[0][1]
    corners = [at(0, best)]
    for place, score in scored:
        if score > best:
            corners += [at(place, best), at(place, score)]
            best = score
    line = [f"{x:.1f},{y:.1f}" for x, y in [*corners, at(last, best)]]
    label = f"{len(scored)} scores from {_figure(low)} to {_figure(high)}"
    return (
        f'<svg width="{_WIDE}" height="{_HIGH}" viewBox="0 0 {_WIDE} {_HIGH}" role="img" aria-label="{label}">'
        f'<g fill="currentColor" opacity="0.45">{dots}</g>'
        f'<polyline points="{" ".join(line)}" fill="none" stroke="#2f6fdf" stroke-width="2"/></svg>'
    )
