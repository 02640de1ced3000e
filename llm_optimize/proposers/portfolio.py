"""Several proposers as one: models, forms, parents, angles or engines that take turns, by merit or by fixed shares."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from llm_optimize.core.arms import Arm, joined
from llm_optimize.core.deciding import within
from llm_optimize.core.metering import current_scope
from llm_optimize.core.types import Proposal, Usage
from llm_optimize.errors import BadInput
from llm_optimize.proposers.apart import OwnPast
from llm_optimize.proposers.bandit import Bandit, Weights

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import Proposer
    from llm_optimize.proposers.bandit import ArmPolicy

__all__ = ["Portfolio", "beside", "compared"]

_FLYING = 64  # proposals in flight that are looked at


@dataclass(frozen=True)
class Portfolio:
    """Asks one of its arms for each proposal; keeps nothing, what the arms have brought is in the log.

    An arm that has nothing and has spent nothing (an engine that has tried every combination) passes the turn to the
    next; one that spent and brought nothing is put behind the others until a candidate comes. An error of an arm's
    model is the study's: it ends with its best so far and can be resumed.

    Attributes:
        arms: proposers by name, at least one; a portfolio may be an arm.
        policy: which arm is asked.
        apart: whether each arm sees only what it made itself, and what no arm made, as if it were alone.

    Raises:
        BadInput: there is no arm, an arm cannot propose, a name is empty or holds a slash, or a share is missing.

    Example:
        >>> from llm_optimize.llm.fake import ScriptedModel
        >>> from llm_optimize.proposers.chat import ChatProposer
        >>> from llm_optimize.proposers.numeric import NumericProposer
        >>> chat = ChatProposer(ScriptedModel([]))
        >>> Portfolio({"chat": chat, "engine": NumericProposer()}).policy
        Bandit(discount=0.985, explore=0.05, thrift=1.0)
    """

    arms: Mapping[str, Proposer]
    policy: ArmPolicy = field(default_factory=Bandit)
    apart: bool = False
    _pasts: Mapping[str, OwnPast] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the arms now, before anything is spent."""
        if not self.arms:
            msg = "arms is empty: give at least one proposer by name"
            raise BadInput(msg)
        for name, proposer in self.arms.items():
            if not isinstance(name, str) or not name or "/" in name:
                msg = f"arms has the name {name!r}: give a text without a slash"
                raise BadInput(msg)
            if isinstance(proposer, type) or not hasattr(proposer, "propose"):
                msg = f"arms[{name!r}] is {proposer!r}: give an object with the method propose"
                raise BadInput(msg)
        shares = self.policy.shares if isinstance(self.policy, Weights) else None
        if shares is not None and (odd := set(shares) ^ set(self.arms)):
            msg = f"shares and arms differ in {', '.join(sorted(odd))}: give one share for each arm"
            raise BadInput(msg)
        object.__setattr__(self, "arms", dict(self.arms))
        object.__setattr__(self, "_pasts", {name: OwnPast(name) for name in self.arms})

    def propose(self, history: History, n: int) -> Proposal:
        """Return the drafts of one arm; the proposal's ``arm`` says of which.

        Raises:
            ModelError: the arm's model could not answer.
            BudgetExceeded: the next model call would pass a cap.
        """
        notes: list[str] = []
        proposal = Proposal(())
        for name in self._settled(self.order(history)):
            seen = self._pasts[name].of(history) if self.apart else history
            proposal = self.arms[name].propose(within(seen, name), n)
            proposal = replace(proposal, arm=joined(name, proposal.arm))
            if proposal.drafts or proposal.usage != Usage():
                break
            notes.append(f"{name}: {proposal.note}")
        else:
            return replace(proposal, note="; ".join(notes))
        return replace(proposal, note="; ".join(filter(None, (*notes, proposal.note))))

    def _settled(self, order: list[str]) -> list[str]:
        """Put the arm first that was asked when this proposal was begun in a session that did not end it.

        Else a resume, which may know more than that session did, would ask another and leave paid replies behind.
        """
        scope = current_scope()
        if scope is None or len(order) == 1:
            return order
        first = scope.settled(order[0])
        return sorted(order, key=lambda name: name != first)

    def order(self, history: History) -> list[str]:
        """Return the arms, the one to ask first; those that have just brought nothing come behind the others."""
        arms = {name: history.arms.get(name, Arm()) for name in self.arms}
        for slot in history.free_slots(_FLYING):
            if slot >= history.slot:
                break
            first = self.policy.rank(history.assuming(history.in_flight, slot), arms)[0]
            arms[first] = arms[first].begun()
        ranked = self.policy.rank(history, arms)
        return sorted(ranked, key=lambda name: arms[name].barren if history.fruitless else 0)


def beside(search: Proposer, baseline: Proposer) -> Portfolio:
    """Return a search and a baseline that take turns so that both spend the same, neither seeing what the other found.

    So :func:`compared` says what each would have brought alone, for its half of the budget.
    """
    return Portfolio({"search": search, "baseline": baseline}, Weights(by="cost"), apart=True)


def compared(history: History) -> list[str]:
    """Return a line for each arm: its best score, and what it was given to find it; nothing without arms.

    Unless a portfolio keeps its arms apart they see one another's candidates: then the line says what an arm brought,
    not what it would have brought alone.
    """
    return [f"{name}: {_line(arm)}" for name, arm in history.arms.items()]


def _line(arm: Arm) -> str:
    best = "no score" if arm.best is None else f"best {arm.best:.6g}"
    dollars = f", ${arm.cost.dollars:.4g}" if arm.cost.dollars else ""
    improved = f"{arm.improvements} improvement{'s' * (arm.improvements != 1)}"
    return f"{best} in {arm.told} evaluations, {arm.failures} failed, {improved}, {arm.cost.tokens:,} tokens{dollars}"
