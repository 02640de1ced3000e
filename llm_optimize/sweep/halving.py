"""Successive halving over repeats: each pair is asked once, the better half again, the better half of those twice more.

After Jamieson and Talwalkar ("Non-stochastic Best Arm Identification", 2016). A noisy similarity is measured exactly
only where it matters: of 64 pairs with up to 8 repeats, 64 + 32 + 32 + 32 calls are made instead of 512. A rung begins
when the one below it is complete, so who rises does not depend on whose answer came first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.core.checks import check_whole
from llm_optimize.core.noise import Again, Noise
from llm_optimize.core.stopping import Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial

__all__ = ["Halving", "HalvingDone"]


@dataclass(frozen=True, slots=True)
class Halving(Noise):
    """The policy; see the module.

    Attributes:
        arms: how many pairs are asked once.
        most: evaluations of a pair at most; rungs have 1, 2, 4, ... of them, up to this.
    """

    arms: int = 2
    most: int = 8

    def __post_init__(self) -> None:
        """Refuse what cannot be halved."""
        check_whole("halving arms", self.arms, 1)
        check_whole("halving repeats", self.most, 1)

    @property
    def rungs(self) -> tuple[tuple[int, int], ...]:
        """(pairs, evaluations of each in all) of every rung, the first with one evaluation of each.

        Example:
            >>> Halving(arms=8, most=4).rungs
            ((8, 1), (4, 2), (2, 4))
        """
        rungs = [(self.arms, 1)]
        while rungs[-1][0] > 1 and 2 * rungs[-1][1] <= self.most:
            rungs.append((-(-rungs[-1][0] // 2), 2 * rungs[-1][1]))
        return tuple(rungs)

    @property
    def evaluations(self) -> int:
        """How many evaluations all rungs take together."""
        before = 0, 0
        total = 0
        for pairs, each in self.rungs:
            total += pairs * (each - before[1])
            before = pairs, each
        return total

    def due(self, history: History, flying: Sequence[Again] = ()) -> Again | None:
        """Return whom to ask again now; None while the rung below is not complete, and at the end."""
        wanted = self.missing(history)
        for one in flying:
            if one.candidate_id in wanted:
                wanted.remove(one.candidate_id)
        return Again(wanted[0]) if wanted else None

    def missing(self, history: History) -> list[int]:
        """Return the candidates of the rung that is under way, each as often as it is to be evaluated again."""
        if len(history.trials) < self.arms:
            return []
        alive = [trial for trial in history.trials if trial.score is not None]
        for (_, below), (pairs, each) in zip(self.rungs, self.rungs[1:], strict=False):
            # Those that have risen were the best of the rung below; the scores of the others have not changed since.
            risen = [trial for trial in alive if _asked(trial) > below]
            waiting = sorted(
                (one for one in alive if _asked(one) <= below), key=lambda one: (-(one.score or 0.0), one.id)
            )
            alive = (risen + waiting)[: max(pairs, len(risen))]
            wanted = [trial.id for trial in alive for _ in range(each - _asked(trial))]
            if wanted:
                return wanted
        return []

    def ending(self, history: History, flying: Sequence[Again] = ()) -> None:
        """Ask nobody afresh: the last rung has done that."""

    def reserve(self, history: History) -> int:  # noqa: ARG002 - as the base class has it
        """Keep nothing back."""
        return 0


@dataclass(frozen=True, slots=True)
class HalvingDone(Rule):
    """Stops when the last rung is complete, and lets nothing new be proposed beside the rungs.

    Attributes:
        halving: the policy.
    """

    halving: Halving

    def __call__(self, history: History) -> str | None:
        """Compare what is in flight with what the rung still needs."""
        if history.steps < self.halving.arms or history.in_flight < len(self.halving.missing(history)):
            return None
        return f"halving: {len(self.halving.rungs)} rungs are done"


def _asked(trial: Trial) -> int:
    return trial.n + trial.tally.failed
