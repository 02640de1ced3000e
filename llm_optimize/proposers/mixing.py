"""The model writes structure, the numeric engine tunes its numbers; the split of LLM-SR (Shojaee et al., 2024).

A model is good at the shape of a program and poor at its constants; an engine is the reverse, and costs no tokens.
Judging a new structure by the constants that the model happened to write would throw good ones away, so each gets a
few numeric evaluations before it is compared, and the better half of them twice as many, and again: successive halving
(Jamieson and Talwalkar, "Non-stochastic Best Arm Identification", 2016), in the form that waits for nobody (Li et al.,
"A System for Massively Parallel Hyperparameter Tuning", 2020). The best structure of all gets more.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from llm_optimize.core.checks import check_whole
from llm_optimize.proposers.numeric import NumericProposer
from llm_optimize.proposers.structures import is_numeric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import Proposer
    from llm_optimize.core.types import Proposal
    from llm_optimize.proposers.structures import Group, Standing

__all__ = ["Contribution", "Hybrid", "Quota", "who_did_what"]


_WEIGHED = 48  # of the latest evaluations: who has improved on the best is looked up among them
_GRACE = 12  # numeric ones among them are made in any case
_IDLE = 3  # proposals in a row that brought nothing but other numbers: such a model is no rival of the engine
_LEAST = 0.2  # of the evaluations are for the engine, whatever it brings, as long as there is something to tune


@dataclass(frozen=True, slots=True)
class Quota:
    """How many numeric evaluations a structure gets, by its number of tunable values.

    Attributes:
        base: for any structure that the model (or the user) wrote, once.
        per_hole: as many more for each tunable value.
        polish: for the best structure, in all, for each tunable value; it gets them in portions, so that the model is
            asked in between. Beyond them it gets one per tunable value between two proposals of the model. Portions
            double with each of the model's latest proposals, up to three, that brought nothing but other numbers.
        rungs: how often the allowance may double for a structure in the better half of those of the latest 16 ideas
            that have used theirs up; 0 for never.

    Raises:
        BadInput: one of them is no whole number of 0 or more.
    """

    base: int = 2
    per_hole: int = 2
    polish: int = 8
    rungs: int = 2

    def __post_init__(self) -> None:
        """Refuse a quota that is owed by a structure."""
        for name in ("base", "per_hole", "polish", "rungs"):
            check_whole(f"quota {name}", getattr(self, name), 0)

    def share(self, holes: int, rung: int = 0) -> int:
        """Return what a structure gets in all by the time that it leaves a rung; a new one stands on rung 0."""
        return (self.base + self.per_hole * holes) << rung


@dataclass(frozen=True, slots=True)
class Hybrid:
    """Asks the model for structure and the engine for numbers, as the history demands; keeps nothing itself.

    While a candidate is pinned by hand, only its structure is tuned. Else, in this order: (1) the latest structures
    that the model or the user wrote and that have a score get their share of numeric evaluations, however low that
    score; (2) those of them that are in the better half after as many evaluations get their share doubled, the best
    first, by their scores as they are now; (3) the best structure gets a further portion since the model's last
    proposal; (4) the model is asked; (5) if it has nothing new, the best structure is tuned further. Candidates under
    evaluation count.

    Attributes:
        chat: proposes structure; None leaves everything to the engine.
        numeric: tunes numbers.
        quota: how many numeric evaluations a structure gets.
        earned: whether the engine, beyond the first few, gets no more of the latest evaluations than it has earned by
            improvements on the best, as the model does. Without that a model that finds better structures waits until
            each of them has had its numbers: on the symbolic regression of ``tests/benchmarks/bench_search.py`` it was
            asked 6 times in 60 evaluations, and the median fell from 0.44 to 0.31.

    Example:
        >>> proposer = Hybrid(None, NumericProposer())
    """

    chat: Proposer | None
    numeric: NumericProposer = field(default_factory=NumericProposer)
    quota: Quota = field(default_factory=Quota)
    earned: bool = True

    def propose(self, history: History, n: int) -> Proposal:
        """Return up to ``n`` drafts, all from the engine or all from the model; their origin says from which.

        Raises:
            ModelError: the model could not answer.
            BudgetExceeded: the next model call would pass a cap.
        """
        if self.chat is None:
            return self.numeric.propose(history, n)
        for group, allowance in self._now(history):
            proposal = self.numeric.refine(history, group, min(n, allowance))
            if proposal.drafts:
                return proposal
        proposal = self.chat.propose(history, n)
        return proposal if proposal.drafts else self._instead(history, n, proposal)

    def _instead(self, history: History, n: int, failed: Proposal) -> Proposal:
        """Tune the best structure beyond its portion when the model had nothing new; its note and price stay."""
        best = self.numeric.structures.best(history)
        if best is None or best.base.score is None:
            return failed
        further = self.numeric.refine(history, best, n)
        note = "; ".join(part for part in (failed.note, further.note) if part)
        return replace(
            further, usage=failed.usage + further.usage, note=note, tools=failed.tools, lessons=failed.lessons
        )

    def _now(self, history: History) -> Iterator[tuple[Group, int]]:
        """Yield what is due, as far as the engine has earned it; the first to be served first."""
        if not self.earned or self.numeric.structures.idle(history) >= _IDLE:
            return self._due(history, rationed=False)
        had, part = _numbers_share(history)
        return self._due(history, rationed=had >= _GRACE) if had < max(_GRACE, part) else iter(())

    def _due(self, history: History, *, rationed: bool) -> Iterator[tuple[Group, int]]:
        """Yield the structures that numeric evaluations are due to, and how many, the first to be served first.

        Where they are ``rationed`` the best comes first: spread over all they would help none.
        """
        structures = self.numeric.structures
        best = structures.best(history)
        portion = 0 if best is None else self._portion(history, best)
        if rationed and best is not None and portion > 0:
            yield best, portion
        latest = [] if history.hand.pinned is not None else structures.latest(history)
        for rung in range(self.quota.rungs + 1):
            for one in self._standing_on(rung, latest):
                allowance = self.quota.share(one.holes, rung) - one.tuned - one.under_way
                if allowance > 0:
                    yield structures.group(history, one.key), allowance
        if best is not None and portion > 0:
            yield best, portion

    def _standing_on(self, rung: int, latest: Sequence[Standing]) -> Sequence[Standing]:
        """Return the structures that have come to a rung: all to the first, the better half of each to the next."""
        for below in range(rung):
            finished = [one for one in latest if one.tuned >= self.quota.share(one.holes, below)]
            latest = sorted(finished, key=lambda one: -one.best)[: len(finished) // 2]
        return latest

    def _portion(self, history: History, best: Group) -> int:
        if best.base.score is None:
            return 0  # nothing has a score: mending it is the model's work
        holes = len(best.holes)
        since = sum(candidate_id > _last_idea(history) for candidate_id in best.tuned)
        left = self.quota.polish * holes - best.tuned_count
        idle = self.numeric.structures.idle(history)
        return min(self.quota.share(holes, idle) - since, max(left, (holes << idle) - since))


def _numbers_share(history: History) -> tuple[int, float]:
    """Return how many of the latest evaluations are of numeric candidates, and how many of them it has earned.

    Each side's rate is its improvements on the best per evaluation among the latest, with one evaluation at the rate of
    both taken for granted; the engine's part is its rate by the sum of the two.
    """
    latest = history.recent(_WEIGHED)
    before = history.as_of(len(history.trials) - len(latest)).best
    record = None if before is None else before.score
    had, improved = {True: 0, False: 0}, {True: 0, False: 0}
    for trial in latest:
        better = trial.score is not None and (record is None or trial.score > record)
        record = trial.score if better else record
        if trial.candidate.origin != "start":
            had[is_numeric(trial.candidate)] += 1
            improved[is_numeric(trial.candidate)] += better
    for candidate in history.pending:
        had[is_numeric(candidate)] += candidate.origin != "start"
    total = had[True] + had[False]
    usual = (improved[True] + improved[False] + 1) / (total + 2)
    rate = {numeric: (improved[numeric] + usual) / (had[numeric] + 1) for numeric in (True, False)}
    part = max(rate[True] / (rate[True] + rate[False]), _LEAST)
    return had[True], part * (total + 1)


def _last_idea(history: History) -> int:
    """Return the highest id of a candidate that no numeric engine made; the model's last proposal, told or pending."""
    waiting = [candidate.id for candidate in history.pending if not is_numeric(candidate)]
    trials = history.trials
    told = next((trials[i].id for i in reversed(range(len(trials))) if not is_numeric(trials[i].candidate)), -1)
    return max([told, *waiting])


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one origin brought to a study.

    Attributes:
        evaluations: its candidates that were evaluated, failures included.
        failures: how many of them failed.
        improvements: how often one of them was better than everything before.
        best: its best score, None without one.
    """

    evaluations: int = 0
    failures: int = 0
    improvements: int = 0
    best: float | None = None


def who_did_what(history: History) -> dict[str, Contribution]:
    """Return what each origin (``start``, ``chat:gpt-5``, ``numeric:gp``) brought, in order of appearance."""
    brought: dict[str, Contribution] = {}
    record: float | None = None
    for trial in history.trials:
        before = brought.get(trial.candidate.origin, Contribution())
        score = trial.score
        better = score is not None and (record is None or score > record)
        record = score if better else record
        brought[trial.candidate.origin] = Contribution(
            before.evaluations + 1,
            before.failures + (score is None),
            before.improvements + better,
            score if before.best is None or (score is not None and score > before.best) else before.best,
        )
    return brought
