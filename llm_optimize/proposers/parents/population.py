"""Parents out of a population: the best so far, and the children of the latest generation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.core.checks import check_whole
from llm_optimize.proposers.parents.policy import check_method
from llm_optimize.proposers.parents.tournament import Tournament
from llm_optimize.proposers.seeding import dice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial
    from llm_optimize.proposers.parents.policy import Selection

__all__ = ["GENERATION", "Population", "generation_of", "members"]

GENERATION = "generation-"
"""Begins the name under which the log keeps the candidates of one generation, the arm of its proposal."""

_MOST = 64  # that a selection is made among


@dataclass(frozen=True, slots=True)
class Population:
    """Chooses one parent by a selection, a tournament unless another is given, among the population.

    The population are the ``elites`` best of all, and the latest generation; the start text belongs to the first one.
    With ``elites`` of 1 and one child a generation this is a (1+1) strategy, and with many a plus strategy with a
    short memory (Baeck, "Evolutionary Algorithms in Theory and Practice", 1996). The choice depends on scores and
    ids, not on the order in which scores came. :class:`~llm_optimize.proposers.parents.crossover.Crossover` around it
    adds the second parent.

    Attributes:
        elites: how many of the best of all generations stay parents, 0 or more.
        selection: chooses among the members, the best of them first.

    Raises:
        BadInput: a setting that cannot be.

    Example:
        >>> Population(elites=1)
        Population(elites=1, selection=Tournament(size=3))
    """

    elites: int = 2
    selection: Selection = Tournament(3)  # noqa: RUF009 - frozen

    def __post_init__(self) -> None:
        """Check the settings."""
        check_whole("population: elites", self.elites, 0, _MOST)
        check_method("population: selection", self.selection, "among")

    def choose(self, history: History, draft: int) -> Sequence[Trial]:
        """Return the parent; nothing while nobody has a score."""
        pool = members(history, self.elites)[:_MOST]
        return (self.selection.among(pool, dice(history, draft, "population")),) if pool else ()


def members(history: History, elites: int) -> list[Trial]:
    """Return the population, the best first, the earlier of equals first; empty while nobody has a score.

    Costs O(n log n) for n trials, of which a search by generations has few.

    Args:
        history: the past.
        elites: how many of the best of all belong to it.
    """
    ranked = sorted((trial for trial in history.trials if trial.score is not None), key=_place)
    latest = max((generation_of(history, trial.id) for trial in ranked), default=0)
    young = [trial for trial in ranked if generation_of(history, trial.id) == latest]
    pool = {trial.id: trial for trial in (*ranked[:elites], *young)}
    return sorted(pool.values(), key=_place)


def generation_of(history: History, candidate_id: int) -> int:
    """Return the generation of a candidate; 0 for the start, and for what a person wrote."""
    name = history.arm(candidate_id).rpartition("/")[2]
    number = name.removeprefix(GENERATION)
    return int(number) if number != name and number.isdecimal() else 0


def _place(trial: Trial) -> tuple[float, int]:
    return -(trial.score or 0.0), trial.id
