"""A population that evolves: a first one of different rewrites, then generation after generation of children.

Each generation is one proposal. Its drafts are asked for side by side by the ordinary chat proposer, each with a part
of its own (who its parents are, what it is to do), so everything that holds for chat proposals holds here: re-asks,
constraints, protection of placeholders, guidance. The generation is the proposal's arm, so the log says which child
came when. All of it depends on scores and ids alone: with a fixed seed and a model that repeats itself the lineage is
the same, however many evaluations run at a time.
"""

from __future__ import annotations

from concurrent.futures import wait
from contextvars import copy_context
from dataclasses import KW_ONLY, dataclass, replace
from typing import TYPE_CHECKING

from llm_optimize.core.checks import check_number, check_whole
from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Proposal, Usage
from llm_optimize.core.workers import DaemonThreads
from llm_optimize.errors import BadInput, BudgetExceeded, ModelError
from llm_optimize.llm.model import model_name
from llm_optimize.proposers.angles import turn
from llm_optimize.proposers.evolving import evolved
from llm_optimize.proposers.mutations import CROSSOVER, Situation
from llm_optimize.proposers.parents.best import Best
from llm_optimize.proposers.parents.crossover import Crossover
from llm_optimize.proposers.parents.population import GENERATION, Population, members
from llm_optimize.proposers.parents.tournament import Tournament
from llm_optimize.proposers.seeding import dice
from llm_optimize.proposers.strategies import STRATEGIES
from llm_optimize.proposers.window import Window

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Future

    from llm_optimize.core.chat import Reply, Request
    from llm_optimize.core.protocols import ChatModel
    from llm_optimize.core.types import Draft, Trial
    from llm_optimize.proposers.brief import Angle
    from llm_optimize.proposers.chat import ChatProposer
    from llm_optimize.proposers.mutations import Operator
    from llm_optimize.proposers.parents.policy import ParentPolicy

__all__ = ["PopulationProposer", "in_order"]

_POOL = 64


@dataclass(frozen=True)
class PopulationProposer:
    """Proposes one generation at a time: give the study ``ideas=size`` and the stop rule ``Generations``.

    Attributes:
        chat: asks; its window, parents and angles are replaced for each draft.
        size: prompts of the first population beside the start; later generations have ``size - elites`` children, one
            at least.
        elites: how many of the best stay parents.
        tournament: how many of the population compete for being a parent; 1 chooses blindly.
        crossover: the share of children that have a second parent, 0 to 1.
        strategies: what the drafts of the first population are told, in turn.
        operators: how children are made, in turn; :data:`~llm_optimize.proposers.mutations.OPERATORS` are those of
            Promptbreeder. ``crossover`` is the share of second parents for those that combine two.
        evolve: whether the instruction for children is written anew for each generation, see
            :mod:`llm_optimize.proposers.evolving`; one call more for each from the second one on.
        parallel: drafts asked for at the same time.

    Raises:
        BadInput: a number that cannot be.

    Example:
        >>> from llm_optimize.llm.fake import ScriptedModel
        >>> from llm_optimize.proposers.chat import ChatProposer
        >>> PopulationProposer(ChatProposer(ScriptedModel([])), size=4, elites=1).children
        3
    """

    chat: ChatProposer
    _: KW_ONLY
    size: int = 10
    elites: int = 2
    tournament: int = 3
    crossover: float = 1.0
    strategies: Sequence[Angle] = STRATEGIES
    operators: Sequence[Operator] = (CROSSOVER,)
    evolve: bool = False
    parallel: int = 8

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_whole("population: size", self.size, 1, _POOL)
        check_whole("population: elites", self.elites, 0, _POOL)
        check_whole("population: parallel", self.parallel, 1)
        check_number("population: crossover", self.crossover, 0, 1)
        check_whole("population: tournament", self.tournament, 1, _POOL)
        if not self.strategies or not self.operators:
            msg = "population: strategies and operators need at least one each: leave them out for the usual ones"
            raise BadInput(msg)

    @property
    def children(self) -> int:
        """Drafts of a generation behind the first."""
        return max(1, self.size - self.elites)

    def propose(self, history: History, n: int) -> Proposal:
        """Return the next generation, of ``n`` drafts at most.

        Raises:
            ModelError: no draft could be had; one that fails beside others is noted.
            BudgetExceeded: likewise.
        """
        past, generation = in_order(history), history.slot
        count = min(n, self.children if generation else self.size)
        grown = evolved(past, generation, self.chat.model) if self.evolve and generation else None
        drafts, usage, notes = _collected(self._ask(past, count, grown.instruction if grown else ""))
        usage, notes = (usage + grown.usage, [grown.note, *notes]) if grown else (usage, notes)
        note = " ".join("; ".join(filter(None, notes)).split())
        learned = grown.learned if grown else None
        return Proposal(drafts, usage, note, lessons=learned, arm=f"{GENERATION}{generation}")

    def _ask(self, past: History, count: int, instruction: str) -> list[Future[Proposal]]:
        """Ask for all drafts, a few at a time, and wait for them."""
        executor, asked = DaemonThreads(), []
        for first in range(0, count, self.parallel):
            block = range(first, min(first + self.parallel, count))
            flying = [executor.submit(copy_context().run, self._draft, past, draft, instruction) for draft in block]
            wait(flying)
            asked += flying
        return asked

    def _draft(self, past: History, draft: int, instruction: str) -> Proposal:
        """Ask for one draft; to the policies it is a proposal of its own, so that each draws its own numbers."""
        alone = replace(past, slot=past.slot * _POOL + draft)
        model = _Tagged(self.chat.model, f"draft-{draft}")
        window = Window(best=1, recent=0, failed=0)
        parent, angles = self._part(alone, instruction)
        return replace(self.chat, model=model, window=window, parent=parent, angles=angles).propose(alone, 1)

    def _part(self, past: History, instruction: str) -> tuple[ParentPolicy, Sequence[Angle]]:
        """Return whom a draft is built on, and what its model is told."""
        pool = members(past, self.elites)
        first = past.slot < _POOL
        if first or not pool:
            return Best(), tuple(self.strategies)
        generation, draft = divmod(past.slot, _POOL)
        ordinal = replace(past, slot=(generation - 1) * self.children + draft)  # among all children
        operator = turn(self.operators, ordinal, 0)
        one = Population(self.elites, Tournament(self.tournament))
        if len(pool) == 1 and operator.parents > 1:  # nobody to cross with
            return one, tuple(self.strategies)
        rate = self.crossover if operator.parents > 1 else 0.0
        focus = turn(self.strategies, ordinal, 0).name
        situation = Situation(pool, _records(past), instruction, dice(past, 0, "operator"), focus)
        return Crossover(one, rate, self.size), (operator.angle(situation),)


def in_order(history: History) -> History:
    """Return the same past as if its outcomes had come in the order of the candidates' ids; O(n).

    Which evaluation ends first is up to chance: nothing that is drawn from the past shall depend on it.
    """
    past = History.empty().after(Opened(history.problem, history.seed))
    for trial in sorted(history.trials, key=lambda trial: trial.id):
        past = past.after(Proposed((trial.candidate,), arm=history.arm(trial.id)))
        past = past.after(Told(trial.id, trial.outcome, trial.seconds))
    return replace(
        past, slot=history.slot, pending=history.pending, guidance=history.guidance, guided=history.guided,
        usage=history.usage, next_id=history.next_id, stale=0, lessons=history.lessons, hand=history.hand,
        arms=history.arms,
    )  # fmt: skip


def _records(past: History) -> list[Trial]:
    """Return the attempts that were the best when they came, oldest first."""
    records: list[Trial] = []
    for trial in past.trials:
        if trial.score is not None and (not records or trial.score > (records[-1].score or 0.0)):
            records.append(trial)
    return records


def _collected(asked: Sequence[Future[Proposal]]) -> tuple[tuple[Draft, ...], Usage, list[str]]:
    """Put the drafts together, in the order in which they were asked for.

    Raises:
        ModelError: the first trouble, where no draft came at all.
        BudgetExceeded: likewise.
    """
    drafts: list[Draft] = []
    usage, notes, trouble = Usage(), list[str](), None
    for future in asked:
        try:
            proposal = future.result()
        except (ModelError, BudgetExceeded) as error:
            trouble = trouble or error
            notes.append(str(error))
            continue
        drafts += proposal.drafts
        usage += proposal.usage
        notes += [proposal.note] if proposal.note else []
    if trouble is not None and not drafts:
        raise trouble
    return tuple(drafts), usage, list(dict.fromkeys(notes))


@dataclass(frozen=True, slots=True)
class _Tagged:
    """A model whose requests carry the draft they are for: so a resume finds each draft's replies."""

    inner: ChatModel
    tag: str

    @property
    def name(self) -> str:
        return model_name(self.inner)

    def complete(self, request: Request) -> Reply:
        return self.inner.complete(replace(request, key=f"{self.tag}/{request.key}"))
