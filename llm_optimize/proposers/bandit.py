"""Which arm of a portfolio is asked next: by what each has brought for its price, or by fixed shares.

A policy is a pure function of what the log says of each arm, and of the study's seed and the proposal's slot; work in
flight counts as begun, so that proposals made at the same time spread over the arms.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from llm_optimize.core.checks import check_number
from llm_optimize.errors import BadInput
from llm_optimize.proposers.seeding import dice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llm_optimize.core.arms import Arm
    from llm_optimize.core.history import History
    from llm_optimize.core.types import Usage

__all__ = ["ArmPolicy", "Bandit", "Weights", "costs"]

_UNITS: tuple[Callable[[Usage], float], ...] = (
    lambda usage: usage.dollars,
    lambda usage: float(usage.tokens),
    lambda usage: float(usage.calls),
)
_LEAST = 0.1
# Of the settings tried in tests/proposers/test_portfolio.py's simulation these find the better arm soonest in 150
# plays without losing sight of the others: 0.25 to 0.5, and 1 to 4, differ by less than the seeds do.
_PRIOR = 0.25  # successes that an arm of which nothing is known is taken to have had
_SHARPNESS = 2.0  # draws vary as if there had been so many times the observations


class ArmPolicy(Protocol):
    """Says in which order the arms of a portfolio are worth being asked."""

    def rank(self, history: History, arms: Mapping[str, Arm]) -> Sequence[str]:
        """Return the names, each once, the one to ask first.

        Args:
            history: gives seed and slot.
            arms: at least one, in the order in which the user named them; proposals in flight count as begun.
        """
        ...


@dataclass(frozen=True, slots=True)
class Bandit:
    """Ask the arm that brings the most improvement for its price, as far as is known; learn on the way.

    Discounted Thompson sampling (Thompson, Biometrika 25, 1933; for rewards that change with time Raj and Kalyani,
    arXiv 1707.09727): what a play of an arm gains (0 to 1, :func:`llm_optimize.core.arms.gain`) is drawn from a beta
    distribution of what its latest plays gained, older ones counting less, and the arm with the highest draw per price
    is asked. That suits this search: improvements get rarer, the arm that is best at the beginning seldom is at the
    end (adaptive operator selection: Fialho et al., Annals of Mathematics and AI 60, 2010), and draws spread
    proposals that are in flight together where the fixed order of an upper confidence bound would not. ShinkaEvolve
    chooses models by an asymmetric UCB on the improvement over the parent with a factor for the price; here the price
    divides, as it must for the most improvement per dollar (Ding et al., Multi-armed bandit with budget constraint
    and variable costs, AAAI 2013).

    Each arm is asked once before any is asked twice. The prior is what plays of all arms gained, so an arm of which
    nothing recent is known counts as average, and a share of the proposals goes by lot: none is given up for ever.

    Attributes:
        discount: by how much an observation loses weight with each play of any arm, 0 to 1; 0.985 remembers some 65.
        explore: the share of proposals that go to an arm drawn by lot, dearer ones less often, 0 to 1.
        thrift: the exponent of the price: 1 for improvement per dollar, 0 for improvement whatever it costs.

    Raises:
        BadInput: a number is out of range.
    """

    discount: float = 0.985
    explore: float = 0.05
    thrift: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        check_number("discount", self.discount, 0, 1)
        check_number("explore", self.explore, 0, 1)
        check_number("thrift", self.thrift, 0, 10)

    def rank(self, history: History, arms: Mapping[str, Arm]) -> Sequence[str]:
        """Return the arms by what a draw promises for their price, untried ones first."""
        rng = dice(history, 0, "bandit")
        price = costs(arms)
        if rng.random() < self.explore:
            value = {name: rng.random() ** (price[name] ** 0.5) for name in arms}  # drawn with weights 1 / sqrt(price)
        else:
            promised = self._draws(rng, arms)
            value = {name: promised[name] / price[name] ** self.thrift for name in arms}
        lot = {name: rng.random() for name in arms}
        return sorted(arms, key=lambda name: (arms[name].asked > 0, -value[name], lot[name]))

    def _draws(self, rng: random.Random, arms: Mapping[str, Arm]) -> dict[str, float]:
        now = sum(arm.played for arm in arms.values())
        known = {name: self._known(arm, now) for name, arm in arms.items()}
        plays, gained = (sum(column) for column in zip(*known.values(), strict=True))
        usual = (gained + _PRIOR) / (plays + 1.0)
        won_before, lost_before = _PRIOR, _PRIOR * (1.0 / usual - 1.0)  # a beta distribution whose mean is the usual
        return {
            name: rng.betavariate(_SHARPNESS * (won_before + won), _SHARPNESS * (lost_before + max(n - won, 0.0)))
            for name, (n, won) in known.items()
        }

    def _known(self, arm: Arm, now: int) -> tuple[float, float]:
        """Return how many plays of an arm are remembered, and what they gained, both discounted."""
        weights = [(self.discount ** (now - tick), gained) for tick, gained in arm.plays]
        return sum(weight for weight, _ in weights), sum(weight * gained for weight, gained in weights)


@dataclass(frozen=True, slots=True)
class Weights:
    """Ask each arm in proportion to its share: of proposals, or of what is spent.

    Shares are kept as exactly as whole proposals allow, without chance: the arm that is furthest behind its share is
    next.

    Attributes:
        shares: by the arm's name, positive; None for equal shares.
        by: ``proposals``, or ``cost`` for shares of the dollars spent, else of the tokens, else of the calls.

    Raises:
        BadInput: a share is not positive, or ``by`` is neither.
    """

    shares: Mapping[str, float] | None = None
    by: Literal["proposals", "cost"] = "proposals"

    def __post_init__(self) -> None:
        """Refuse what is no share."""
        if self.by not in {"proposals", "cost"}:
            msg = f"by is {self.by!r}: give 'proposals' or 'cost'"
            raise BadInput(msg)
        for name, share in (self.shares or {}).items():
            if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < float("inf"):
                msg = f"shares[{name!r}] is {share!r}: give a positive number, or leave the arm out of the portfolio"
                raise BadInput(msg)

    def rank(self, history: History, arms: Mapping[str, Arm]) -> Sequence[str]:
        """Return the arms, the one that is furthest behind its share first; of equals in an order drawn by the seed."""
        share = {name: 1.0 if self.shares is None else self.shares[name] for name in arms}
        price = costs(arms)
        had = {
            name: arm.asked if self.by == "proposals" else (arm.candidates + arm.empty + arm.flying) * price[name]
            for name, arm in arms.items()
        }
        rng = random.Random(repr((history.seed, "weights")))  # noqa: S311 - a search, not a secret
        lot = {name: rng.random() for name in arms}
        return sorted(arms, key=lambda name: (had[name] / share[name], lot[name]))


def costs(arms: Mapping[str, Arm]) -> dict[str, float]:
    """Return what a candidate of each arm costs, the usual one being 1; scoring it included.

    In dollars if any arm has cost some, else in tokens, else in calls; an empty proposal counts as a candidate. None is
    free: it takes an evaluation and time, so it counts as a tenth of the usual one at least. An arm that was never
    asked is taken to cost what is usual.
    """
    unit = next((unit for unit in _UNITS if any(unit(arm.cost) for arm in arms.values())), None)
    if unit is None:
        return dict.fromkeys(arms, 1.0)
    each = {name: unit(arm.cost) / (arm.candidates + arm.empty) for name, arm in arms.items() if arm.proposals}
    usual = sum(each.values()) / len(each)
    return {name: max(each[name] / usual, _LEAST) if name in each else 1.0 for name in arms}
