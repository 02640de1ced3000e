"""How a sweep goes through its space: all of it, a sample, by an engine, or by halving."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.core.checks import check_whole
from llm_optimize.core.stopping import AnyOf, MaxSteps, Rule
from llm_optimize.errors import BadInput
from llm_optimize.proposers.engines import ENGINES, check_engine
from llm_optimize.sweep.halving import Halving, HalvingDone
from llm_optimize.sweep.permutation import Permutation
from llm_optimize.sweep.proposing import GridWalk, SettingsSearch

if TYPE_CHECKING:
    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import Proposer, Stopper
    from llm_optimize.sweep.options import Options
    from llm_optimize.sweep.space import Space

__all__ = ["SEARCHES", "AllFailed", "Course", "Plan"]

_GRID, _SAMPLE, _HALVING, _BAYES = "grid", "sample", "halving", "bayesian"
_USUAL = 30  # evaluations of a search that names no number

SEARCHES = (_GRID, _SAMPLE, _HALVING, _BAYES, *ENGINES)
"""The ways: ``grid`` (all of it), ``sample`` (``count`` pairs at random), ``halving`` (``count`` pairs at random, the
better ones again), ``bayesian`` (as ``gp``), and the engines ``auto``, ``gp``, ``tpe``, ``cmaes``, ``random``."""


@dataclass(frozen=True, slots=True)
class AllFailed(Rule):
    """Stops when none of the first pairs could be scored: then it is not the settings.

    Attributes:
        pairs: how many are waited for.
    """

    pairs: int = 8

    def __call__(self, history: History) -> str | None:
        """Look at the first trials."""
        if history.best is not None or len(history.trials) < self.pairs:
            return None
        return f"the first {self.pairs} pairs all failed: {history.trials[0].feedback}"


@dataclass(frozen=True, slots=True)
class Course:
    """A way through a space.

    Attributes:
        proposer: which pair is next.
        stop: when it is over.
        pairs: how many pairs are tried.
        evaluations: how often one is evaluated, all together; more than ``pairs`` where some are asked again.
        noise: the policy that asks again, or None.
    """

    proposer: Proposer
    stop: Stopper
    pairs: int
    evaluations: int
    noise: Halving | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What the user chose.

    Attributes:
        search: one of :data:`SEARCHES`.
        count: how many pairs at most; None for the whole grid, or 30 for a search.
        init_points: how many pairs an engine's search begins with.

    Raises:
        BadInput: one of these cannot work.
    """

    search: str = _GRID
    count: int | None = None
    init_points: int = 5

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.search not in SEARCHES:
            msg = f"search is {self.search!r}: give one of {', '.join(SEARCHES)}"
            raise BadInput(msg)
        if self.count is not None:
            check_whole("max_combinations", self.count, 1)
        check_whole("init_points", self.init_points, 1)
        if self.engine is not None:
            check_engine(self.engine)

    @property
    def engine(self) -> str | None:
        """The numeric engine, or None for a way without one."""
        if self.search in {_GRID, _SAMPLE, _HALVING}:
            return None
        return "gp" if self.search == _BAYES else self.search

    def course(self, space: Space, options: Options) -> Course:
        """Return the way through a space.

        Raises:
            BadInput: a grid is wanted of a range without steps.
        """
        if self.engine is not None:
            wanted = self.count or _USUAL
            pairs = wanted if space.size is None else min(wanted, space.size)
            search = SettingsSearch(space, self.engine, min(self.init_points, pairs), options.failed)
            return Course(search, _until(MaxSteps(pairs)), pairs, pairs)
        size = space.check_grid()
        pairs = size if self.count is None else min(self.count, size)
        order = None if self.search == _GRID and pairs == size else Permutation(size, options.seed)
        walk = GridWalk(space, pairs, order)
        if self.search == _HALVING:
            halving = Halving(arms=pairs, most=options.repeats)
            return Course(walk, _until(HalvingDone(halving)), pairs, halving.evaluations, halving)
        return Course(walk, _until(MaxSteps(pairs)), pairs, pairs)


def _until(rule: Rule) -> AnyOf:
    return AnyOf((rule, AllFailed()))
