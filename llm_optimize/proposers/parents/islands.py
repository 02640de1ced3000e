"""Several populations that seldom meet, each with a grid of unlike candidates if the user names features."""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_optimize.core.checks import check_number, check_whole
from llm_optimize.errors import BadInput
from llm_optimize.proposers.parents.best import Best
from llm_optimize.proposers.parents.features import Feature
from llm_optimize.proposers.parents.following import Following, first_score
from llm_optimize.proposers.parents.policy import check_method
from llm_optimize.proposers.parents.softmax import Softmax
from llm_optimize.proposers.seeding import dice

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial
    from llm_optimize.proposers.parents.policy import Selection

__all__ = ["Islands"]

_ELITES = 16
_MOST_CELLS = 1_024
_MOST_ISLANDS = 64
_BEST = Best()

_Row = tuple[float, int]  # (score turned round, position): sorts the best first, the earlier of equals


@dataclass(frozen=True, slots=True)
class _Island:
    """One population: its best, the best of each cell of the grid, and how many were born in it."""

    elites: tuple[_Row, ...] = ()
    cells: Mapping[tuple[int, ...], _Row] = field(default_factory=dict)
    born: int = 0

    def has(self, position: int) -> bool:
        return any(row[1] == position for row in self.elites)

    def plus(self, row: _Row, cell: tuple[int, ...] | None) -> _Island:
        """Return the island with one more among its elites, and in the grid if it is the best of its cell."""
        elites, cells = self.elites, self.cells
        if (len(elites) < _ELITES or row < elites[-1]) and not self.has(row[1]):
            more = list(elites)
            insort(more, row)
            elites = tuple(more[:_ELITES])
        if cell is not None and (cell not in cells or row < cells[cell]):
            cells = {**cells, cell: row}
        return _Island(elites, cells, self.born)

    def bearing(self) -> _Island:
        """Return the island after a birth."""
        return _Island(self.elites, self.cells, self.born + 1)


_State = tuple[_Island, ...]


class _IslandIndex(Following[_State]):
    """Sorts the trials of a history into islands."""

    def __init__(self, count: int, migrate_every: int, features: Sequence[Feature]) -> None:
        """Take the settings of :class:`Islands`."""
        self._count = count
        self._migrate_every = migrate_every
        self._features = features
        super().__init__(count, migrate_every, features)

    def begin(self) -> _State:
        """Begin with empty islands."""
        self._homes: dict[int, tuple[int, int]] = {}  # by id: position and island
        return (_Island(),) * self._count

    def step(self, state: _State, trial: Trial, position: int) -> _State:
        """Let one more trial be born, and some move when it is time."""
        islands, score = list(state), first_score(trial)
        home = self._home(state, trial, position)
        self._homes[trial.id] = (position, home)
        islands[home] = islands[home].bearing()
        if score is not None:
            everywhere = trial.candidate.origin == "start"
            cell = self._cell(trial)
            for number in range(self._count) if everywhere else (home,):
                islands[number] = islands[number].plus((-score, position), cell)
        return tuple(_migrated(islands) if (position + 1) % self._migrate_every == 0 else islands)

    def _home(self, state: _State, trial: Trial, position: int) -> int:
        """Return the island of a trial: its parent's; of several, or without a parent, the least populous."""
        parent = trial.candidate.parent
        born = None if parent is None else self._homes.get(parent)
        known = list(range(self._count))
        if born is not None and born[0] < position:
            known = [n for n in known if n == born[1] or state[n].has(born[0])]
        return min(known, key=lambda number: (state[number].born, number))

    def _cell(self, trial: Trial) -> tuple[int, ...] | None:
        bins = [feature.bin(trial) for feature in self._features]
        known = tuple(one for one in bins if one is not None)
        return known if bins and len(known) == len(bins) else None


def _migrated(islands: Sequence[_Island]) -> list[_Island]:
    """Return the islands after the best of each has joined the next one in the ring."""
    moved = []
    for number, island in enumerate(islands):
        before = islands[number - 1]
        if before.elites:
            best = before.elites[0]
            cell = next((cell for cell, row in before.cells.items() if row == best), None)
            island = island.plus(best, cell)  # noqa: PLW2901 - the island as it is from now on
        moved.append(island)
    return moved


@dataclass(frozen=True, slots=True)
class Islands:
    """Draft d of proposal s is built on a member of island (s + d) mod ``count``.

    A candidate belongs to the island of its parent, as the log says; the start belongs to all, and a migrant to two:
    its children go to the less populous one. After every ``migrate_every`` trials the best of each island joins the
    next in a ring. As in OpenEvolve (github.com/algorithmicsuperintelligence/openevolve; islands after FunSearch,
    Romera-Paredes et al., Nature 625, 2024; the grid after MAP-Elites, Mouret and Clune, arXiv 1504.04909): a share
    ``explore`` of the drafts builds on any cell of the island's grid, or without features on any of its best 16, the
    others on one of these, by ``inner``. Unlike there, all follows from the log, so that a resumed study goes on
    with the same islands, and bins do not move.

    The defaults are for some hundreds of evaluations: more islands, or rarer migration, spread them too thin
    (``tests/benchmarks/bench_parents.py``; OpenEvolve's five with a migration every 50 are for thousands).

    A new trial costs O(count + cells) once, a draft O(cells); islands keep first scores, a choice among the best
    looks at today's.

    Attributes:
        count: islands, 1 to 64; with 1 it is a grid alone.
        migrate_every: trials between two migrations.
        features: the axes of the grid; at most 1,024 cells in all. Empty: no grid.
        explore: 0 to 1.
        inner: draws among an island's best.

    Raises:
        BadInput: a setting that cannot be.

    Example:
        A grid of length by a metric of the scorer::

            Islands(features=(Feature("length", 100, 10_000, log=True), Feature("seconds", 0, 5)))
    """

    count: int = 3
    migrate_every: int = 15
    features: Sequence[Feature] = ()
    explore: float = 0.1
    inner: Selection = Softmax()  # noqa: RUF009 - frozen
    _index: _IslandIndex = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the settings."""
        check_whole("islands: count", self.count, 1, _MOST_ISLANDS)
        check_whole("islands: migrate_every", self.migrate_every, 1)
        check_number("islands: explore", self.explore, 0, 1)
        check_method("islands: inner", self.inner, "among")
        object.__setattr__(self, "features", _checked(self.features))
        object.__setattr__(self, "_index", _IslandIndex(self.count, self.migrate_every, self.features))

    def choose(self, history: History, draft: int) -> Sequence[Trial]:
        """Return a member of the draft's island; the best attempt of all while the island is empty."""
        island = self._index.at(history)[(history.slot + draft) % self.count]
        if not island.elites:
            return _BEST.choose(history, draft)
        drawn, trials = dice(history, draft, "islands"), history.trials
        if drawn.random() < self.explore:
            rows = [row for _, row in sorted(island.cells.items())] or island.elites
            return (trials[drawn.choice(rows)[1]],)
        best = sorted((trials[position] for _, position in island.elites), key=_standing)
        return (self.inner.among(best, drawn),)

    def members(self, history: History) -> list[list[Trial]]:
        """Return the best of each island, best first by today's scores."""
        islands = self._index.at(history)
        return [sorted((history.trials[position] for _, position in one.elites), key=_standing) for one in islands]


def _standing(trial: Trial) -> tuple[float, int]:
    return -(trial.score or 0.0), trial.id


def _checked(features: object) -> tuple[Feature, ...]:
    listed = tuple(features) if isinstance(features, (tuple, list)) else None
    if listed is None or not all(isinstance(one, Feature) for one in listed):
        msg = f"islands: features is {features!r}: give Feature values, such as (Feature('length', 100, 10_000),)"
        raise BadInput(msg)
    cells = math.prod(one.bins for one in listed)
    if cells > _MOST_CELLS:
        msg = f"islands: features have {cells:,} cells: give fewer features or bins, at most {_MOST_CELLS:,} cells"
        raise BadInput(msg)
    return listed
