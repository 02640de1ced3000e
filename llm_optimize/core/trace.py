"""How a study went, as columns of numbers: what a curve needs, without the trials.

Of a long study each eighth evaluation has a row, and each that made another candidate the best; a curve of a million
points shows no more.
"""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Any

from llm_optimize.core.events import Retold
from llm_optimize.core.types import Evaluation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.events import Told
    from llm_optimize.core.history import History

__all__ = ["PARTS", "Trace"]

PARTS = ("first", "again", "fresh", "sealed")
"""What an evaluation was for, by its number in the column ``parts``."""

_STRIDE = 8
_KINDS = (
    ("places", "q"), ("ids", "q"), ("scores", "d"), ("parts", "b"), ("seconds", "d"), ("tokens", "q"), ("dollars", "d"),
    ("best", "q"), ("best_scores", "d"), ("best_n", "q"), ("sigmas", "d"),
)  # fmt: skip


class Trace:
    """A row for each evaluation that was noted, in the order of their outcomes.

    Attributes:
        places: its number among all evaluations; turned round, ``-1 - number``, where another became the best.
        ids: of the candidate.
        scores: NaN for a failure.
        parts: index into :data:`PARTS`.
        seconds: for how long sessions had been open.
        tokens, dollars: spent by then.
        best, best_scores, best_n: the best candidate by then: id (-1 for none), score, how often it was scored.
        sigmas: the pooled standard deviation of one evaluation; NaN while nothing was repeated.
        seen: evaluations so far, those without a row too.
        last: id of the best candidate after the latest of them, -1 for none.
    """

    __slots__ = (*(name for name, _ in _KINDS), "last", "seen", "stride")

    def __init__(self, stride: int = _STRIDE, seen: int = 0, last: int = -1) -> None:
        """Begin with no rows; one evaluation in ``stride`` gets one."""
        self.stride, self.seen, self.last = stride, seen, last
        self.places, self.ids, self.best, self.best_n = (array("q") for _ in range(4))
        self.scores, self.seconds, self.dollars, self.best_scores, self.sigmas = (array("d") for _ in range(5))
        self.tokens, self.parts = array("q"), array("b")

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.places)

    def takes(self, best: int) -> bool:
        """Count an evaluation after which ``best`` is the id of the best one; return whether it gets a row."""
        self.seen += 1
        changed, self.last = best != self.last, best
        if changed or (self.seen - 1) % self.stride == 0:
            self.places.append(-self.seen if changed else self.seen - 1)
            return True
        return False

    def add(self, event: Told | Retold, history: History) -> None:
        """Write the row of an evaluation that :meth:`takes` has just wanted; ``history`` is the one after it."""
        best, outcome, sigma = history.best, event.outcome, history.sigma
        self.ids.append(event.candidate_id)
        self.scores.append(outcome.score if isinstance(outcome, Evaluation) else math.nan)
        self.parts.append(PARTS.index(event.part) if isinstance(event, Retold) else 0)
        self.seconds.append(history.active_seconds())
        self.tokens.append(history.usage.tokens)
        self.dollars.append(history.usage.dollars)
        self.best.append(-1 if best is None else best.id)
        self.best_scores.append(math.nan if best is None or best.score is None else best.score)
        self.best_n.append(0 if best is None else best.n)
        self.sigmas.append(math.nan if sigma is None else sigma)

    def columns(self, start: int = 0) -> list[array[Any]]:
        """Return the columns from a row on, always in the same order."""
        return [getattr(self, name)[start:] for name, _ in _KINDS]

    def extend(self, columns: Sequence[array[Any]]) -> None:
        """Add rows that :meth:`columns` gave.

        Raises:
            ValueError: they are not such columns.
        """
        for (name, kind), column in zip(_KINDS, columns, strict=True):
            if column.typecode != kind or len(column) != len(columns[0]):
                msg = f"column {name!r} of a trace is of another kind or length"
                raise ValueError(msg)
            getattr(self, name).extend(column)
