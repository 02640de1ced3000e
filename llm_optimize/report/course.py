"""A study evaluation by evaluation: each score, the best so far with its interval, and what had been spent by then."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.report.log import Moment

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


def course(moments: Sequence[Moment]) -> dict[str, list[Any]]:
    """Return columns with one row for each evaluation, repeated ones included, in the order of their outcomes.

    Returns:
        ``trial`` (id), ``score`` (None for a failure), ``part`` (0 the first, 1 again, 2 afresh after the search,
        3 on sealed examples), ``seconds`` of open sessions up to then, ``tokens`` and ``dollars`` spent up to then,
        ``best`` (score of the best so far) and ``half`` (half the width of its 95 % interval from the pooled spread of
        repeated scores; None where nothing was repeated).
    """
    columns = _Columns()
    for moment in moments:
        _add(columns, moment)
    return {name: getattr(columns, name) for name in _Columns.__slots__}


def _add(columns: _Columns, moment: Moment) -> None:
    sigma = moment.sigma
    columns.trial.append(moment.trial)
    columns.score.append(moment.score)
    columns.part.append(moment.part)
    columns.seconds.append(round(moment.seconds, 2))
    columns.tokens.append(moment.tokens)
    columns.dollars.append(round(moment.dollars, 6))
    columns.best.append(moment.best_score)
    columns.half.append(
        _NORMAL * sigma / math.sqrt(max(moment.best_n, 1)) if moment.best is not None and sigma else None
    )
