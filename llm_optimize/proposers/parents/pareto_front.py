"""Build on a candidate that is among the best on some example, though it may be mediocre on the whole."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_optimize.core.types import Evaluation
from llm_optimize.proposers.parents.best import Best
from llm_optimize.proposers.parents.following import Following
from llm_optimize.proposers.seeding import dice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial

__all__ = ["ParetoFront"]

_BEST = Best()


@dataclass(frozen=True, slots=True)
class _Held:
    """A candidate of the front: bit i of ``examples`` says that it is among the best on example i."""

    position: int
    examples: int
    mean: float


@dataclass(frozen=True, slots=True)
class _Front:
    """The best score on each example, and who has it; each member holds an example that no other one holds."""

    best: tuple[float, ...] = ()
    held: tuple[_Held, ...] = ()

    def plus(self, scores: Sequence[float], position: int, mean: float) -> _Front:
        """Return the front after one more candidate with these scores on the examples.

        Where the number of examples grows, the front begins anew; a shorter list says nothing of the others.
        """
        if len(scores) != len(self.best):
            empty = _Front((-math.inf,) * len(scores))
            return empty.plus(scores, position, mean) if len(scores) > len(self.best) else self
        pairs = list(zip(scores, self.best, strict=True))
        higher = sum(1 << i for i, (score, best) in enumerate(pairs) if score > best)
        reached = sum(1 << i for i, (score, best) in enumerate(pairs) if score >= best)
        if not reached:
            return self
        left = [_Held(one.position, one.examples & ~higher, one.mean) for one in self.held] if higher else self.held
        best = tuple(max(old, score) for score, old in pairs) if higher else self.best
        return _Front(best, _pruned([*left, _Held(position, reached, mean)]))


def _pruned(held: Sequence[_Held]) -> tuple[_Held, ...]:
    """Drop whoever holds nothing that no other one holds: the lowest mean first, the newest of equals first."""
    kept = [one for one in held if one.examples]
    alone = _held_once(kept)
    for one in sorted(kept, key=lambda one: (one.mean, -one.position)):
        if not one.examples & alone:
            kept.remove(one)
            alone = _held_once(kept)
    return tuple(kept)


def _held_once(held: Sequence[_Held]) -> int:
    """Return the examples that only one of them holds."""
    once = twice = 0
    for one in held:
        twice |= once & one.examples
        once |= one.examples
    return once & ~twice


class _FrontIndex(Following[_Front]):
    """Keeps the front of a history."""

    def begin(self) -> _Front:
        """Begin with nobody."""
        return _Front()

    def step(self, state: _Front, trial: Trial, position: int) -> _Front:
        """Take in one more candidate."""
        return _plus(state, trial, position)


@dataclass(frozen=True, slots=True)
class ParetoFront:
    """Draws a candidate with a probability in proportion to the number of examples on which it is among the best.

    After GEPA, Algorithm 2 (Agrawal et al., arXiv 2507.19457): a candidate whose examples are all held by others is
    left out first, the lowest mean first, so that the front has at most as many members as there are examples. Unlike
    there this is done as candidates come, not over all of them at each choice: where scores are equal on an example,
    as pass and fail are, a candidate that was left out does not come back, and another one of equal rank may stand
    for it. The example scores are those of ``Evaluation.examples`` at the first evaluation; candidates without them,
    such as those that racing stopped, are not on the front, and while there is none it is :class:`Best`.

    A new candidate costs O(examples + members) for each one that it displaces, once; a draft O(members).

    Example:
        >>> ParetoFront()
        ParetoFront()
    """

    _index: _FrontIndex = field(init=False, repr=False, compare=False, default_factory=_FrontIndex)

    def choose(self, history: History, draft: int) -> Sequence[Trial]:
        """Return a member of the front, drawn anew for each draft."""
        held = self._index.at(history).held
        if not held:
            return _BEST.choose(history, draft)
        return (history.trials[_drawn(held, dice(history, draft, "front"))],)

    def among(self, trials: Sequence[Trial], dice: Random) -> Trial:
        """Return a member of the front of ``trials``; the first where they have no example scores."""
        front = _Front()
        for place, trial in enumerate(trials):
            front = _plus(front, trial, place)
        return trials[_drawn(front.held, dice)] if front.held else trials[0]

    def front(self, history: History) -> list[Trial]:
        """Return the members of the front, the earliest first; empty without example scores."""
        return [history.trials[one.position] for one in self._index.at(history).held]


def _plus(front: _Front, trial: Trial, position: int) -> _Front:
    outcome = trial.outcome
    if not isinstance(outcome, Evaluation) or not outcome.examples:
        return front
    return front.plus(outcome.examples, position, outcome.score)


def _drawn(held: Sequence[_Held], dice: Random) -> int:
    return dice.choices(held, [one.examples.bit_count() for one in held])[0].position
