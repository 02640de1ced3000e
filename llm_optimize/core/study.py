"""A study: the running thing. ``run()`` is the whole loop; ``ask`` and ``tell`` let the loop be yours."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

from llm_optimize.core.budget import Budget, usual_cost
from llm_optimize.core.checks import check_whole
from llm_optimize.core.clock import SYSTEM, Clock
from llm_optimize.core.deciding import accepted_by_hand, checked, stopped_by_hand
from llm_optimize.core.events import Guided, Proposed, Retold, Told
from llm_optimize.core.journal import Journal
from llm_optimize.core.ledger import Ledger, UnitGuard
from llm_optimize.core.loop import Loop
from llm_optimize.core.metering import entered
from llm_optimize.core.noise import Noise, policy
from llm_optimize.core.notebook import history_html
from llm_optimize.core.numbering import record_injected, record_proposal
from llm_optimize.core.order import Order
from llm_optimize.core.plan import Ending, Plan
from llm_optimize.core.protocols import Roomy
from llm_optimize.core.retesting import Retesting
from llm_optimize.core.scoring import to_outcome
from llm_optimize.core.stopping import AnyOf, Suspicious
from llm_optimize.core.types import Candidate
from llm_optimize.errors import BadInput, LLMOptimizeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from llm_optimize.core.consulting import Consult
    from llm_optimize.core.history import History
    from llm_optimize.core.noise import Again
    from llm_optimize.core.protocols import Executor, Observer, Proposer, Scorer, Stopper, Store
    from llm_optimize.core.types import Problem

__all__ = ["Study"]


class Study:
    """One problem, one log, any number of sessions.

    Example:
        >>> from llm_optimize import Draft, MaxSteps, MemoryStore, Problem, Proposal, Study
        >>> class Longer:
        ...     def propose(self, history, n):
        ...         return Proposal((Draft(history.best.text + "!"),))
        >>> study = Study(Problem("be long", start="hi"), Longer(), len, store=MemoryStore(), stop=MaxSteps(3))
        >>> study.run().reason, study.history.best.text
        ('max_steps: 3 steps are done', 'hi!!!')
    """

    def __init__(  # noqa: PLR0913 - the parts of a study; keyword-only after the first three
        self,
        problem: Problem,
        proposer: Proposer,
        scorer: Scorer,
        *,
        store: Store,
        name: str = "study",
        stop: Stopper | None = None,
        budget: Budget | None = None,
        executor: Executor | None = None,
        parallel: int | None = None,
        ideas: int = 1,
        seed: int = 0,
        eval_timeout: float | None = None,
        notice_after: float = 30.0,
        observers: Sequence[Observer] = (),
        settings: Mapping[str, Any] | None = None,
        order: Order | None = None,
        noise: Noise | Literal["auto"] | None = None,
        final: Scorer | None = None,
        suspicious_above: float | None = None,
        consult: Consult | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        """Check the numbers and keep the parts; the store is touched on first use.

        Args:
            problem: task, question, start text.
            proposer: has ideas; called in this process, in threads when ``parallel`` is above 1.
            scorer: text in; number, (number, text) or Evaluation out; higher is better.
            store: where the log goes.
            name: the study's name in the store; an existing study goes on where it stopped.
            stop: rules; without any and without a budget the study runs until interrupted.
            budget: caps on evaluations, tokens, dollars, seconds.
            executor: runs the scorer; by default the calling thread (``parallel=1``) or threads.
            parallel: chains of propose-then-score kept in flight; None for one, or with an executor that knows its
                workers for as many as keep them busy, as they come and go.
            ideas: drafts asked for in one proposal.
            seed: of everything random; a sequential study repeats exactly.
            eval_timeout: seconds after which a candidate is told as failed; its thread is left behind.
            notice_after: seconds after which a candidate that is still in the scorer is named in a warning.
            observers: see each event after it is on disk.
            settings: kept in the log with the session, for people and for ``resume``.
            order: of an earlier run that this one is to repeat.
            noise: how candidates are tested again; "auto" does so if two scores of the start differ, None never.
            final: scores on sealed examples, called once each for the start and for the winner, after the search.
            suspicious_above: a score above it ends the run with its candidate for inspection.
            consult: asks a person every few evaluations; see :mod:`llm_optimize.core.consulting`.
            clock: what the time is, and what waits for it; a simulation brings its own.

        Raises:
            BadInput: ``parallel``, ``ideas``, ``eval_timeout`` or ``noise`` makes no sense.
        """
        if parallel is None and not isinstance(executor, Roomy):
            parallel = 1
        if parallel is not None:
            check_whole("parallel", parallel, 1)
        check_whole("ideas", ideas, 1)
        if eval_timeout is not None and not eval_timeout > 0:
            msg = f"eval_timeout is {eval_timeout!r} s: give more than 0, or None for no limit"
            raise BadInput(msg)
        self.problem = problem
        self._seed = seed
        self._settings = dict(settings or {})
        rules: list[Stopper] = [accepted_by_hand, stopped_by_hand]
        rules += [] if suspicious_above is None else [Suspicious(suspicious_above)]
        rules += [] if stop is None else [stop]
        ledger = Ledger(budget or Budget(), clock)
        self._plan = Plan(
            proposer, scorer, AnyOf(tuple(rules)), budget or Budget(), ledger, executor, parallel, ideas, eval_timeout,
            notice_after, order or Order(), Retesting(policy(noise), final), consult, clock,
        )  # fmt: skip
        self._journal = Journal(store, name, observers, clock)
        self._is_open = False
        self._handed: set[int] = set()
        self._flying: list[Again] = []

    @property
    def name(self) -> str:
        """The study's name in its store."""
        return self._journal.study

    @property
    def store(self) -> Store:
        """Where its log is kept."""
        return self._journal.store

    @property
    def history(self) -> History:
        """The past so far; opens the study if need be."""
        self._open()
        return self._journal.history

    @property
    def last(self) -> History:
        """The past as this object last knew it; unlike ``history`` it never opens the study."""
        return self._journal.history

    @property
    def proposer(self) -> Proposer:
        """Who has the ideas."""
        return self._plan.proposer

    @property
    def budget(self) -> Budget:
        """The caps."""
        return self._plan.budget

    @property
    def confidence(self) -> float:
        """Of the interval of the gain."""
        noise = self._plan.retesting.noise
        return (noise or Noise()).confidence

    @property
    def ideas(self) -> int:
        """Drafts asked for in one proposal."""
        return self._plan.ideas

    def watch(self, observer: Observer) -> None:
        """Add an observer, from the next session on."""
        journal = self._journal
        journal.observers = (*journal.observers, observer)

    def run(self) -> Ending:
        """Run until a rule, the budget or Ctrl-C ends the session; candidates left pending come first next time.

        Returns:
            Why it ended, with the error if one ended it. The best so far is in ``history.best``.

        Raises:
            StudyOwned: another live process runs this study.
            BadInput: the study exists and is about another problem.
            StoreError: the log could not be written.
        """
        self._open()
        reason = "an unexpected error"
        try:
            self._propose_start()
            ending = Loop(self._journal, self._plan).run()
            reason = ending.reason
        except LLMOptimizeError as error:
            reason = str(error)
            raise
        finally:
            self.close(reason)
        return ending

    def ask(self, n: int = 1, *, ending: bool = False) -> list[Candidate]:
        """Return up to ``n`` candidates to evaluate: those pending from earlier first, then x0, then new ones.

        Fewer than ``n``, or none, come back when the proposer has no more. With ``noise=``, candidates that were told
        before come back where the policy wants another evaluation of them, the same one more than once if need be:
        evaluate and tell them as the others. What was asked and never told, the next session asks again.

        Args:
            n: how many at most.
            ending: the search is over: instead of new candidates return the winner and the start, to be evaluated
                afresh; none once enough of that has been told. Without ``noise=`` there is nothing to do. A scorer
                given as ``final`` is for :meth:`run`.

        Raises:
            ModelError: the proposer's model could not answer.
            BudgetExceeded: its next call would pass a cap.
        """
        check_whole("n", n, 1)
        self._open()
        self._journal.refresh()
        self._propose_start()
        record_injected(self._journal)
        waiting = deque(one for one in self._journal.history.pending if one.id not in self._handed)
        while len(waiting) < n:
            fresh = self._again(ending=ending) or ([] if ending else self._new(n - len(waiting)))
            if not fresh:
                break
            waiting.extend(fresh)
        chosen = [waiting.popleft() for _ in range(min(n, len(waiting)))]
        self._handed.update(one.id for one in chosen)
        return chosen

    def tell(self, candidate: Candidate | int, outcome: object, seconds: float = 0.0) -> None:
        """Log a candidate's outcome; of one that :meth:`ask` has handed out again, one more.

        Args:
            candidate: as :meth:`ask` gave it, or its id.
            outcome: whatever a scorer may return.
            seconds: how long the evaluation took.

        Raises:
            BadInput: the candidate is unknown or has been told already.
        """
        self._open()
        candidate_id = candidate if isinstance(candidate, int) else candidate.id
        history, now = self._journal.history, self._journal.now()
        if any(one.id == candidate_id for one in history.pending):
            self._journal.record(Told(candidate_id, to_outcome(outcome), seconds, now))
            return
        again = next((one for one in self._flying if one.candidate_id == candidate_id), None)
        if again is None:
            msg = f"candidate {candidate_id} is not pending: it is unknown or was told already; tell each one once"
            raise BadInput(msg)
        serial = history.free_serial()
        self._journal.record(Retold(candidate_id, to_outcome(outcome), serial, again.part, seconds, now))
        self._flying.remove(again)

    def guide(self, text: str) -> None:
        """Say something that every following prompt contains.

        Raises:
            BadInput: the text is empty.
        """
        self._decide(Guided(text))

    def reject(self, candidate: Candidate | int, why: str = "") -> None:
        """Count a candidate as failed, for the reason that the model is told: it is not built on, and not returned.

        Raises:
            BadInput: the candidate is unknown, or was rejected before.
        """
        self._decide(Guided(why, act="reject", candidate_id=_number(candidate)))

    def pin(self, candidate: Candidate | int | None) -> None:
        """Have proposals build on a candidate, whatever scores best; None leaves it to the search again.

        Raises:
            BadInput: the candidate is unknown, or has no score.
        """
        act = "unpin" if candidate is None else "pin"
        self._decide(Guided("", act=act, candidate_id=None if candidate is None else _number(candidate)))

    def accept(self, candidate: Candidate | int) -> None:
        """Take a candidate as the result: a run that is under way ends, and returns it.

        Raises:
            BadInput: the candidate is unknown, or has no score.
        """
        self._decide(Guided("", act="accept", candidate_id=_number(candidate)))

    def inject(self, text: str) -> None:
        """Have a candidate evaluated that a person wrote, before the next proposal; it counts as a step.

        Raises:
            BadInput: the text is empty, or the study knows it.
        """
        self._decide(Guided(text, act="inject"))

    def _decide(self, event: Guided) -> None:
        self._open()
        self._journal.refresh()
        self._journal.record(replace(checked(self._journal.history, event), at=self._journal.now()))

    def close(self, reason: str = "closed") -> None:
        """End the session and give the study up to others; a closed study opens again on use."""
        if self._is_open:
            self._is_open = False
            self._flying.clear()
            self._journal.close(reason)

    def _repr_html_(self) -> str:
        """Return what a notebook shows; the study is not opened by it."""
        return history_html(self.last, name=self.name, reason=self.last.reason or "", confidence=self.confidence)

    def __enter__(self) -> Self:
        """Open the study."""
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close("closed" if error is None else f"{type(error).__name__}: {error}")

    def _open(self) -> None:
        if not self._is_open:
            journal = self._journal
            self._journal = Journal(journal.store, journal.study, journal.observers, journal.clock)
            self._journal.open(self.problem, self._seed, self._settings)
            if self._plan.budget.caps_calls:
                self._plan.ledger.owe(self._journal.unlogged())
            self._is_open = True

    def _propose_start(self) -> None:
        if self.problem.start is not None and self._journal.history.next_id == 0:
            start = Candidate(0, self.problem.start, origin="start")
            self._journal.record(Proposed((start,), at=self._journal.now()))

    def _again(self, *, ending: bool) -> Sequence[Candidate]:
        """Return a candidate that is to be evaluated once more, if there is one, and note that it is on its way."""
        noise, history = self._plan.retesting.noise, self._journal.history
        if noise is None:
            return ()
        part, due = ("fresh", noise.ending) if ending else ("again", noise.due)
        again = due(history, [one for one in self._flying if one.part == part])
        trial = history.trial(again.candidate_id) if again is not None else None
        if again is None or trial is None:
            return ()
        self._flying.append(again)
        return (trial.candidate,)

    def _new(self, n: int) -> Sequence[Candidate]:
        """Ask the proposer once, here and now."""
        history = self._journal.history
        slot = history.free_slots(1)[0]
        ledger, unit = self._plan.ledger, f"proposal/{slot}"
        ledger.fold(history.logged)
        guard = UnitGuard(ledger, unit, follow=usual_cost(history, n)) if self._plan.budget.caps_calls else None
        scope = self._journal.scope(unit, guard)
        try:
            with entered(scope):
                proposal = self._plan.proposer.propose(history.assuming(0, slot), n)
            candidates = record_proposal(self._journal, slot, proposal, scope.account)
        finally:
            if guard is not None:
                guard.give_up()
        ledger.drop(unit, self._journal.history.logged, {})
        return candidates


def _number(candidate: Candidate | int) -> int:
    return candidate if isinstance(candidate, int) else candidate.id
