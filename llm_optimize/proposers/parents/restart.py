"""Begin again at the start when a line of descent has come to rest, and give the new line time to grow."""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_optimize.core.checks import check_whole
from llm_optimize.proposers.parents.best import Best
from llm_optimize.proposers.parents.following import Following, first_score
from llm_optimize.proposers.parents.policy import check_method
from llm_optimize.proposers.seeding import dice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial
    from llm_optimize.proposers.parents.policy import Selection

__all__ = ["Restart"]

_ELITES = 64
_START = 0


@dataclass(frozen=True, slots=True)
class _Line:
    """The line that grows: its number, its best as (score turned round, position), trials since its last gain."""

    number: int = 0
    elites: tuple[tuple[float, int], ...] = ()
    stale: int = 0

    def plus(self, score: float | None, position: int) -> _Line:
        """Return the line after one more trial of its own."""
        if score is None:
            return _Line(self.number, self.elites, self.stale + 1)
        gained = score > (-self.elites[0][0] if self.elites else -math.inf)
        elites = list(self.elites)
        insort(elites, (-score, position))
        return _Line(self.number, tuple(elites[:_ELITES]), 0 if gained else self.stale + 1)


class _LineIndex(Following[_Line]):
    """Finds out which line is growing."""

    def __init__(self, after: int) -> None:
        """Take the trials without a gain after which a line has come to rest."""
        self._after = after
        super().__init__(after)

    def begin(self) -> _Line:
        """Begin with the first line."""
        self._lines: dict[int, tuple[int, int]] = {}  # by id: position and line
        return _Line()

    def step(self, state: _Line, trial: Trial, position: int) -> _Line:
        """Take in one more trial; those of a line that has come to rest change nothing."""
        number = self._line(state, trial, position)
        self._lines[trial.id] = (position, number)
        if number != state.number:
            return state
        line = state.plus(first_score(trial), position)
        return _Line(state.number + 1) if line.stale >= self._after else line

    def _line(self, state: _Line, trial: Trial, position: int) -> int:
        parent = trial.candidate.parent
        known = None if parent is None else self._lines.get(parent)
        if known is None or known[0] >= position or known[0] == _START:
            return state.number
        return known[1]


@dataclass(frozen=True, slots=True)
class Restart:
    """Builds on what ``inner`` chooses until ``after`` trials in a row brought no gain, then on the start again.

    A child belongs to the line of its parent, and a child of the first trial to the line that grows when it is told. A
    new line is measured by its own best, not by the best of all, or it would have to win before it may grow; ``inner``
    chooses among its best 64. When it too has come to rest, the next one begins. What earlier lines found is not lost:
    the best attempt is always shown (restarts of local search: Lourenço, Martin and Stützle, "Iterated Local Search",
    2003; for optimizing prompts: VISTA, arXiv 2603.18388).

    A new trial costs O(64) once, and so does a draft. Lines keep first scores, a choice looks at today's.

    Attributes:
        inner: chooses within a line.
        after: trials without a gain, failures included, 1 or more. In studies of 200 trials 40 did better than
            20 and 30 (``tests/benchmarks/bench_parents.py``): a line needs time, and each restart costs some.

    Raises:
        BadInput: a setting that cannot be.

    Example:
        >>> Restart(after=30)
        Restart(inner=Best(), after=30)
    """

    inner: Selection = Best()  # noqa: RUF009 - frozen
    after: int = 40
    _index: _LineIndex = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the settings."""
        check_method("restart: inner", self.inner, "among")
        check_whole("restart: after", self.after, 1)
        object.__setattr__(self, "_index", _LineIndex(self.after))

    def choose(self, history: History, draft: int) -> Sequence[Trial]:
        """Return what to build on within the line that grows: in a new one the first trial of the study."""
        line, trials = self._index.at(history), history.trials
        if not line.number:
            return self.inner.choose(history, draft)
        if not line.elites:
            return (trials[_START],)
        best = sorted((trials[position] for _, position in line.elites), key=_standing)
        return (self.inner.among(best, dice(history, draft, "restart")),)

    def line(self, history: History) -> int:
        """Return the number of the line that grows, 0 before the first restart: for what escalates, and for reports."""
        return self._index.at(history).number


def _standing(trial: Trial) -> tuple[float, int]:
    return -(trial.score or 0.0), trial.id
