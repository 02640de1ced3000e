"""The best of many trials, kept sorted while trials come and while scores change because candidates are tested again.

How they are ranked: :mod:`llm_optimize.core.standings`.
"""

from __future__ import annotations

import heapq
import math
from bisect import insort
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.core.standings import CAUTION

if TYPE_CHECKING:
    from llm_optimize.core.past import Past
    from llm_optimize.core.types import Trial

__all__ = ["Leaders"]

_KEPT = 64  # of the best; more than these are sorted anew
_SCARCE = 16

_Row = tuple[float, int, "Trial"]  # (score turned round, position, trial): sorts the best first, the earlier of equals


@dataclass(frozen=True, slots=True)
class Leaders:
    """The highest scores, and the highest of those that are means of several.

    Attributes:
        rows: the best, best first.
        tested: the best of the candidates that were scored more than once.
        cut: whether there are more; none of these is better than the last row.
    """

    rows: tuple[_Row, ...] = ()
    tested: tuple[_Row, ...] = ()
    cut: bool = False

    def plus(self, trial: Trial, position: int) -> Leaders:
        """Return the leaders after one more trial; O(1)."""
        score, rows = trial.score, self.rows
        if score is None or (self.cut and rows and (-score, position) > rows[-1][:2]):
            return self
        rows, cut = self._placed(rows, (-score, position, trial))
        return Leaders(rows, self.tested, cut)

    def retested(self, trial: Trial, position: int) -> Leaders:
        """Return the leaders after the score of a trial has changed, or is none any more; O(1)."""
        if trial.score is None:
            rows = tuple(row for row in self.rows if row[1] != position)
            return Leaders(rows, tuple(row for row in self.tested if row[1] != position), self.cut)
        row = (-trial.score, position, trial)
        rows, cut = self._placed(tuple(one for one in self.rows if one[1] != position), row)
        tested = [one for one in self.tested if one[1] != position]
        insort(tested, row, key=_place)
        return Leaders(rows, tuple(tested[:_KEPT]), cut)

    def _placed(self, rows: tuple[_Row, ...], row: _Row) -> tuple[tuple[_Row, ...], bool]:
        """Return the rows with one more, and whether there are others: what may rank below these is not put in."""
        if self.cut and (not self.rows or _place(row) > _place(self.rows[-1])):
            return rows, True
        more = list(rows)
        insort(more, row, key=_place)
        return tuple(more[:_KEPT]), self.cut or len(more) > _KEPT

    @property
    def is_scarce(self) -> bool:
        """Whether so many of the best have fallen back that further ones have to be looked for."""
        return self.cut and len(self.rows) < _SCARCE

    def refilled(self, trials: Past) -> Leaders:
        """Return the leaders as if no trial had ever fallen back; O(n), which some fifty that fall back pay for."""
        rows = tuple((-(trial.score or 0), at, trial) for at, trial in trials.ranked(_KEPT, None))
        return Leaders(rows, self.tested, self.cut and len(rows) == _KEPT)

    def as_of(self, told: int) -> Leaders:
        """Return the leaders among the first ``told`` trials, no score having changed since."""
        rows, tested = (tuple(row for row in some if row[1] < told) for some in (self.rows, self.tested))
        return Leaders(rows, tested, self.cut)

    def top(self, k: int, sigma: float | None) -> list[Trial] | None:
        """Return the ``k`` best, best first, or None if some of them may be unknown; ``sigma`` is an evaluation's."""
        if self.cut and k > len(self.rows):
            return None
        if not sigma:
            return [trial for _, _, trial in self.rows[:k]]
        rows = {row[1]: row for row in (*self.rows, *self.tested)}.values()
        # The key of `ranked`, without a call for each row: this is done at each event of a study with noise.
        caution = CAUTION * sigma
        keyed = ((caution / math.sqrt(trial.tally.n or 1) + turned, at, trial) for turned, at, trial in rows)
        best = [min(keyed)] if k == 1 and rows else heapq.nsmallest(k, keyed)
        return [trial for *_, trial in best]


def _place(row: _Row) -> tuple[float, int]:
    return row[0], row[1]
