"""What to do about noisy scores: how often the start is repeated, which candidates are tested again, which one wins.

A policy is a frozen value and every decision a pure function of the history, so that a study which is killed and
resumed decides the same. Nothing is spent on a scorer that repeats itself: two equal scores of the start settle it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.core.checks import check_whole
from llm_optimize.core.pooling import estimates
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.pooling import Estimate
    from llm_optimize.core.types import Trial

__all__ = ["Again", "Noise", "policy", "start_of", "unsealed"]

_LATEST = 256  # trials that the estimates look at, beside the leaders
_LEADERS = 64
_DRAWS = 32  # after which no challenger has been found, and the leader is tested again itself
_TWICE = 2


@dataclass(frozen=True, slots=True)
class Again:
    """An evaluation of a candidate that has been told: which, and what for; see :class:`~..events.Retold`."""

    candidate_id: int
    part: str = "again"


@dataclass(frozen=True, slots=True)
class Noise:
    """How much is spent on telling a gain from luck.

    Attributes:
        repeats: evaluations of the start in all, from which the noise is first estimated; at least 2.
        share: of all evaluations of the search, 0 to below 1: those that test leaders again.
        fresh: evaluations of the chosen candidate after the search, at least 1; the reported score is their mean, so
            that the luck which made it win is not reported. The start gets half as many.
        confidence: of the interval of the gain, between 0 and 1.
        pool: whether candidates borrow strength from one another, see :mod:`llm_optimize.core.pooling`.

    Raises:
        BadInput: one of these makes no sense.

    Example:
        >>> Noise(share=0.2)
        Noise(repeats=3, share=0.2, fresh=10, confidence=0.95, pool=True)
    """

    repeats: int = 3
    share: float = 0.3
    fresh: int = 10
    confidence: float = 0.95
    pool: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        check_whole("noise repeats", self.repeats, _TWICE)
        check_whole("noise fresh", self.fresh, 1)
        if not 0 <= self.share < 1:
            msg = f"noise share is {self.share!r}: give a share from 0 to below 1"
            raise BadInput(msg)
        if not 0 < self.confidence < 1:
            msg = f"noise confidence is {self.confidence!r}: give a number between 0 and 1, such as 0.95"
            raise BadInput(msg)

    def due(self, history: History, flying: Sequence[Again] = ()) -> Again | None:
        """Return which candidate to test again now, during the search, or None; ``flying`` is on its way."""
        start = start_of(history)
        if start is None:
            return None
        repeats = start.n + start.tally.failed + sum(one.candidate_id == start.id for one in flying)
        if repeats < _TWICE:
            return Again(start.id)
        if not history.sigma:
            return None
        if repeats < self.repeats:
            return Again(start.id)
        made = history.retests + len(flying)
        if made + 1 > self.share * (len(history.trials) + made + 1):
            return None
        chosen = self._top_two(history, made)
        return None if chosen is None else Again(chosen.id)

    def ending(self, history: History, flying: Sequence[Again] = ()) -> Again | None:
        """Return whom to evaluate afresh now that the search is over: the winner, then the start."""
        winner, start = self.choice(history), start_of(history)
        if winner is None:
            return None
        wanted = [(winner.id, self._wanted(history, winner))]
        if start is not None and start.id != winner.id and self._is_noisy(history, winner):
            wanted.append((start.id, (self.fresh + 1) // 2))
        shares = [(self._made(history, id_, flying) / count, id_) for id_, count in wanted]
        share, id_ = min(shares, key=lambda row: row[0])  # in step, so that a budget which ends early is split fairly
        if share < 1:
            return Again(id_, "fresh")
        # A resumed search may have come back to a winner of earlier: one more evaluation puts the choice into the log.
        is_told = history.best is not None and history.best.id == winner.id
        return None if is_told or Again(winner.id, "fresh") in flying else Again(winner.id, "fresh")

    def reserve(self, history: History) -> int:
        """Return how many evaluations are to be kept for :meth:`ending`."""
        return self.fresh + (self.fresh + 1) // 2 if history.sigma else 1

    def choice(self, history: History) -> Trial | None:
        """Return the candidate to trust: the one whose true score has the highest lower confidence bound."""
        if not history.sigma or history.hand.accepted is not None:
            return history.best
        known = [one for one in self.estimates(history) if not one.trial.tally.failed]
        return max(known, key=lambda one: (one.mean - one.error, -one.trial.id)).trial if known else history.best

    def estimates(self, history: History) -> list[Estimate]:
        """Estimate the true scores of the leaders and of the latest candidates."""
        some = {trial.id: trial for trial in (*history.recent(_LATEST), *history.top(_LEADERS))}
        scored = [trial for trial in some.values() if trial.score is not None]
        return estimates(sorted(scored, key=lambda one: one.id), history.sigma or 0.0, pool=self.pool)

    @staticmethod
    def _made(history: History, id_: int, flying: Sequence[Again]) -> int:
        return len(history.fresh.get(id_, ())) + flying.count(Again(id_, "fresh"))

    def _wanted(self, history: History, winner: Trial) -> int:
        """Return how many fresh evaluations the winner gets: one while no two evaluations of anything have differed."""
        return self.fresh if self._is_noisy(history, winner) else 1

    @staticmethod
    def _is_noisy(history: History, winner: Trial) -> bool:
        scores = {getattr(outcome, "score", None) for outcome in history.fresh.get(winner.id, ())}
        return bool(history.sigma) or bool(scores - {winner.score})

    def _top_two(self, history: History, serial: int) -> Trial | None:
        """Choose by top-two Thompson sampling (Russo, Operations Research 68, 2020): the best of a draw, or its rival.

        Each draw is one world that the scores allow; whoever is the best in it may be the best. Half of the tests go
        to the best of another world, since it is the comparison of the two that decides.
        """
        known = self.estimates(history)
        if not known:
            return None
        dice = random.Random(f"{history.seed} retest {serial}")  # noqa: S311 - a policy, not a secret

        def drawn() -> Estimate:
            return max(known, key=lambda one: dice.gauss(one.mean, one.error))

        leader = drawn()
        if dice.random() < 0.5:  # noqa: PLR2004 - Russo's beta, the coin that decides between the two
            return leader.trial
        return next((rival.trial for _ in range(_DRAWS) if (rival := drawn()) is not leader), leader.trial)


def policy(noise: Noise | str | None) -> Noise | None:
    """Return the policy that a user's word stands for.

    Raises:
        BadInput: it is none of a :class:`Noise`, "auto" and None.
    """
    if noise == "auto":
        return Noise()
    if noise is None or isinstance(noise, Noise):
        return noise
    msg = f'noise is {noise!r}: give "auto", a Noise(...), or None to score each candidate once'
    raise BadInput(msg)


def start_of(history: History) -> Trial | None:
    """Return the candidate that a gain is measured from: x0, or without one the first that was scored."""
    if history.problem.start is not None:
        start = history.trial(0)
        return start if start is not None and start.score is not None else None
    return next((trial for trial in history.trials[:_LEADERS] if trial.score is not None), None)


def unsealed(history: History, winner: Trial | None, flying: Sequence[Again] = ()) -> Again | None:
    """Return who is still to be scored on the sealed examples: the start, then the winner.

    Once two have been, nobody ever is again: examples that were looked at twice are no longer sealed.
    """
    start = start_of(history)
    if winner is None or start is None or winner.id == start.id or len(history.sealed) >= _TWICE:
        return None
    waiting = (one.id for one in (start, winner) if one.id not in history.sealed)
    return next((one for id_ in waiting if (one := Again(id_, "sealed")) not in flying), None)
