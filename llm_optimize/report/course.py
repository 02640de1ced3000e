"""A study evaluation by evaluation: each score, the best so far with its interval, and what had been spent by then."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_optimize.core.events import Retold, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Evaluation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.events import Event

__all__ = ["course"]

_NORMAL = 1.96  # standard errors: an interval of 95 %
_PARTS = ("first", "again", "fresh", "sealed")


@dataclass(slots=True)
class _Columns:
    trial: list[int] = field(default_factory=list)
    score: list[float | None] = field(default_factory=list)
    part: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    dollars: list[float] = field(default_factory=list)
    best: list[float | None] = field(default_factory=list)
    half: list[float | None] = field(default_factory=list)


def course(events: Sequence[Event]) -> dict[str, list[Any]]:
    """Return columns with one row for each evaluation, repeated ones included, in the order of their outcomes.

    Returns:
        ``trial`` (id), ``score`` (None for a failure), ``part`` (0 the first, 1 again, 2 afresh after the search,
        3 on sealed examples), ``seconds`` of open sessions up to then, ``tokens`` and ``dollars`` spent up to then,
        ``best`` (score of the best so far) and ``half`` (half the width of its 95 % interval from the pooled spread of
        repeated scores; None where nothing was repeated).
    """
    history, columns = History.empty(), _Columns()
    for event in events:
        history = history.after(event)
        if isinstance(event, (Told, Retold)):
            _add(columns, event, history)
    return {name: getattr(columns, name) for name in _Columns.__slots__}


def _add(columns: _Columns, event: Told | Retold, history: History) -> None:
    best, sigma, usage = history.best, history.sigma, history.usage
    columns.trial.append(event.candidate_id)
    columns.score.append(event.outcome.score if isinstance(event.outcome, Evaluation) else None)
    columns.part.append(_PARTS.index(event.part) if isinstance(event, Retold) else 0)
    columns.seconds.append(round(history.active_seconds(), 2))
    columns.tokens.append(usage.tokens)
    columns.dollars.append(round(usage.dollars, 6))
    columns.best.append(best.score if best else None)
    columns.half.append(_NORMAL * sigma / math.sqrt(max(best.n, 1)) if best and sigma else None)
