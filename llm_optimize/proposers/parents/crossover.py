"""Now and then, ask for a combination of two attempts instead of a change of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.core.checks import check_number, check_whole
from llm_optimize.core.types import Evaluation
from llm_optimize.proposers.parents.best import Best
from llm_optimize.proposers.parents.policy import check_method
from llm_optimize.proposers.seeding import dice
from llm_optimize.text.sketches import distance, sketch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial
    from llm_optimize.proposers.parents.policy import ParentPolicy

__all__ = ["Crossover"]

_MOST = 64
_DRAWN_FROM = 3


@dataclass(frozen=True, slots=True)
class Crossover:
    """Gives a share ``rate`` of the drafts a second parent: good, and with something that the first one lacks.

    Among the best ``pool`` attempts one of the three that complement the first parent most: by how much they are ahead
    of it on the examples where they are ahead, if both have example scores (as GEPA's merge looks for modules that do
    well on different tasks, arXiv 2507.19457); else by how little of their text they share. The model combines them: it
    is told to, and shown both (EoH's operator E2, arXiv 2401.02051; Language Model Crossover, arXiv 2302.12170).

    Costs O(pool times the length of a text) for a draft with a second parent; texts seen lately are not gone through
    again.

    Attributes:
        inner: chooses the first parent.
        rate: 0 to 1.
        pool: how many of the best may be the second one, 1 to 64.

    Raises:
        BadInput: a setting that cannot be.

    Example:
        >>> Crossover(rate=0.5)
        Crossover(inner=Best(), rate=0.5, pool=16)
    """

    inner: ParentPolicy = Best()  # noqa: RUF009 - frozen
    rate: float = 0.2
    pool: int = 16

    def __post_init__(self) -> None:
        """Check the settings."""
        check_method("crossover: inner", self.inner, "choose")
        check_number("crossover: rate", self.rate, 0, 1)
        check_whole("crossover: pool", self.pool, 1, _MOST)

    def choose(self, history: History, draft: int) -> Sequence[Trial]:
        """Return the parent that ``inner`` chooses, and in some drafts another one to combine it with."""
        parents = tuple(self.inner.choose(history, draft))
        drawn = dice(history, draft, "crossover")
        if len(parents) != 1 or drawn.random() >= self.rate:
            return parents
        others = [trial for trial in history.top(self.pool) if trial.id != parents[0].id]
        fitting = _complements(parents[0], others)[:_DRAWN_FROM]
        return (*parents, drawn.choice(fitting)) if fitting else parents


def _complements(first: Trial, others: Sequence[Trial]) -> list[Trial]:
    """Return those that have something to give, the one with most to give first; of equals the better one."""
    ahead = [(_ahead(trial, first), trial) for trial in others]
    if not any(gain > 0 for gain, _ in ahead):
        mark = sketch(first.text)
        ahead = [(distance(sketch(trial.text), mark), trial) for trial in others]
    return [trial for gain, trial in sorted(ahead, key=lambda row: -row[0]) if gain > 0]


def _ahead(one: Trial, other: Trial) -> float:
    """Return by how much a trial is ahead, summed over the examples on which it is."""
    mine, theirs = _examples(one), _examples(other)
    if len(mine) != len(theirs):
        return 0.0
    return sum(a - b for a, b in zip(mine, theirs, strict=True) if a > b)


def _examples(trial: Trial) -> tuple[float, ...]:
    return trial.outcome.examples if isinstance(trial.outcome, Evaluation) else ()
