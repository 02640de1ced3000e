"""The loop: keeps chains of propose-then-score in flight, without rounds, and folds results as they arrive.

One thread owns the journal. Workers get a text or a history and hand a value back through a queue; they share
nothing. Work is begun only while no rule says stop, counting what is in flight, so that no cap is overshot; when a
rule says stop, what is in flight is waited for, since it is paid. Three things do not wait: Ctrl-C, a spent
``Budget.seconds``, and a candidate that is longer in the scorer than ``eval_timeout``.

Errors of a scorer are not scores. Endpoint trouble, after the retries of :mod:`llm_optimize.llm`, ends the session and
leaves the candidate pending: a resume scores it first. A candidate that is too long for a judge which has judged others
is excluded, a failure without a score. Three candidates in a row that fail the same way end the session.
"""

from __future__ import annotations

import logging
import math
import queue
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from llm_optimize.core.alike import Alike
from llm_optimize.core.budget import usual_cost
from llm_optimize.core.events import Retold, Told
from llm_optimize.core.flight import Flight, Work
from llm_optimize.core.fresh import evaluate_afresh
from llm_optimize.core.ledger import UnitGuard
from llm_optimize.core.metering import entered
from llm_optimize.core.numbering import record_injected, record_proposal
from llm_optimize.core.plan import Ending, Plan
from llm_optimize.core.scoring import evaluate
from llm_optimize.core.types import Failure, Usage
from llm_optimize.core.workers import DaemonThreads, Evaluators, Inline, cannot_travel, repeating
from llm_optimize.errors import BadInput, BudgetExceeded, ContextTooLong, LLMOptimizeError, StartFailed

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from llm_optimize.core.flight import Key
    from llm_optimize.core.history import History
    from llm_optimize.core.journal import Journal
    from llm_optimize.core.metering import Scope
    from llm_optimize.core.noise import Again
    from llm_optimize.core.protocols import Executor, Proposer, Scorer
    from llm_optimize.core.types import Candidate, Outcome, Proposal

__all__ = ["Ending", "Loop", "Plan"]

_LOG = logging.getLogger("llm_optimize")
_POLL_S = 0.5  # how often clocks, stop files and guidance are looked at while nothing arrives
_GLANCE = 0.1  # of notice_after: how often is looked for slow candidates
_FRUITLESS = 3  # proposals in a row without a candidate after which asking on is a waste,
_FRUITLESS_LATER = 8  # and once some have brought one: the model can do it, but repeats itself


class Loop:
    """Runs one session of a study to its end."""

    def __init__(self, journal: Journal, plan: Plan) -> None:
        """Begin nothing yet."""
        self._journal = journal
        self._plan = plan
        self._clock = plan.clock
        self._done = plan.clock.queue()  # of keys with their futures
        self._look_by = plan.clock.monotonic() + _POLL_S  # when the clocks are looked at at the latest
        self._ready: deque[Candidate] = deque(journal.history.pending)
        self._work = Flight()
        self._early: dict[Key, Future[Any]] = {}  # done before their turn in the order that is repeated
        self._reason: str | None = None
        self._error: LLMOptimizeError | None = None
        self._alike = Alike()
        self._consulted = len(journal.history.trials)
        self._is_spent = False  # a proposal was refused for want of money; that for scoring what came is set aside
        self._is_broken = False  # a call was refused or failed: nothing more is begun, not even what ends a run
        alone = plan.parallel == 1 and plan.eval_timeout is None and plan.budget.seconds is None
        self._own: Inline | DaemonThreads = Inline() if alone else DaemonThreads(plan.clock)
        self._executor: Executor = plan.executor or self._own
        # A scope cannot travel to another process, so only executors that run threads of this one get it.
        self._scoped = isinstance(self._executor, (Inline, DaemonThreads, ThreadPoolExecutor))

    def run(self) -> Ending:
        """Go on until a rule says stop, then wait for what is in flight."""
        try:
            with repeating(self._notice, self._plan.notice_after * _GLANCE, self._clock):
                self._begin()
                while self._work or self._is_paused():
                    self._arrive()
                    self._begin()
        except KeyboardInterrupt:
            self._abandon()
            return Ending("interrupted by Ctrl-C", interrupted=True)
        return Ending(self._reason or "nothing left to do", self._error)

    # --- beginning work -------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Begin whatever may be begun now: evaluations of waiting candidates first, then proposals."""
        self._begin_here()
        while said := self._plan.order.guidance_at(self._journal.position):
            self._journal.record(replace(said, at=self._journal.now()))
            self._begin_here()

    def _begin_here(self) -> None:
        self._journal.refresh()
        self._plan.ledger.cap(self._plan.budget.raised(self._journal.history))
        self._plan.ledger.fold(self._journal.history.logged)
        if not self._journal.history.opening and self._may(self._work.scoring):
            self._consult()
            self._ready.extendleft(reversed(record_injected(self._journal)))
        while self._ready and self._work.scoring < self._plan.room() and self._may_score():
            self._evaluate(self._ready.popleft())
        if self._ready and self._work.scoring < self._plan.room():
            self._plan.ledger.disinherit()
        while (again := self._due()) is not None and self._may(self._work.scoring):
            self._test_again(again)
        while (n := self._wanted()) > 0 and (slot := self._free_slot()) is not None:
            self._propose(n, slot)
        while not (self._is_broken or self._is_paused()) and (again := self._ending()) is not None:
            self._test_again(again)

    def _consult(self) -> None:
        consult, history = self._plan.consult, self._journal.history
        if consult is not None and consult.due(history, self._consulted):
            self._consulted = len(history.trials)
            for event in consult.ask(history):
                self._journal.record(replace(event, at=self._journal.now()))

    def _may(self, in_flight: int) -> bool:
        """Say whether one more unit of work may begin beside ``in_flight``; the first reason against it stays."""
        if self._reason is None:
            history = self._journal.history.assuming(in_flight)
            reason = self._plan.stop(history) if self._plan.stop else None
            reason = reason or self._plan.retesting.refusal(history, self._plan.budget.raised(history))
            if in_flight == 0:
                self._reason = reason
            return reason is None and not history.hand.paused
        return False

    def _may_score(self) -> bool:
        """Say whether a waiting candidate may be scored: also where the money is spent, as long as that is all."""
        flying, stop = self._work.scoring, self._plan.stop
        spent = self._is_spent and self._error is None
        if not spent:
            return self._may(flying)
        history = self._journal.history.assuming(flying)
        return not history.hand.paused and not (stop and stop(history))

    def _is_paused(self) -> bool:
        """Say whether nothing is to be begun until a person says so; a reason to stop ends the pause."""
        return self._reason is None and self._journal.history.hand.paused

    def _wanted(self) -> int:
        """Return how many drafts to ask for now: as many as fit, 0 for none."""
        waiting = len(self._ready) + self._work.size
        history = self._journal.history
        if waiting >= self._plan.room() or (history.opening and waiting):
            return 0
        limit = _FRUITLESS if history.next_id <= (history.problem.start is not None) else _FRUITLESS_LATER
        if not waiting and history.fruitless >= limit and self._reason is None:
            self._reason = f"no candidate: {limit} proposals in a row brought none"
        if history.fruitless >= limit:
            return 0
        return next((n for n in range(self._plan.ideas, 0, -1) if self._may(waiting + n - 1)), 0)

    def _due(self) -> Again | None:
        """Return whom to test again during the search, if there is room."""
        if self._reason is not None or self._work.scoring >= self._plan.room():
            return None
        return self._plan.retesting.due(self._journal.history, self._work.retests())

    def _ending(self) -> Again | None:
        """Return what to evaluate once the search is over, as far as the budget has room for it."""
        flying, history = self._work.retests(), self._journal.history
        if len(flying) < len(self._work) or len(flying) >= self._plan.room() or any(a.part == "again" for a in flying):
            return None
        if self._plan.budget(history.assuming(len(flying))) is not None:
            return None
        return self._plan.retesting.ending(history, flying)

    def _evaluate(self, candidate: Candidate) -> None:
        key = ("evaluation", candidate.id)
        scope = self._start(key, 1)
        self._score(key, evaluate, self._plan.scorer, candidate.text, scope)

    def _test_again(self, again: Again) -> None:
        history, retesting = self._journal.history, self._plan.retesting
        serial = history.free_serial(self._work.numbers("retest"))
        key, trial = ("retest", serial), history.trial(again.candidate_id)
        if trial is None:
            return  # a policy names candidates of the history it was given
        scope = self._start(key, 1, again)
        scorer = retesting.final if again.part == "sealed" and retesting.final is not None else self._plan.scorer
        first = again.part == "fresh" and not history.fresh.get(trial.id)
        # A scope cannot travel to another process, so scorers that ask models stay here.
        afresh = first and self._plan.executor is None and not trial.outcome.usage.calls
        how = evaluate_afresh if afresh else evaluate
        self._score(key, how, scorer, trial.text, scope)

    def _free_slot(self) -> int | None:
        taken = self._work.numbers("proposal")
        history = self._journal.history
        order, position = self._plan.order, self._journal.position
        slot = order.free_slot(history, taken, position)
        if slot is None and not self._work and not order.guidance_at(position):
            return history.free_slots(1, taken)[0]  # nothing is left to wait for: the run has left the order
        return slot

    def _propose(self, n: int, slot: int) -> None:
        history = self._journal.history
        key = ("proposal", slot)
        scope = self._start(key, n)
        self._submit(self._own, key, _propose, self._plan.proposer, history.assuming(0, slot), n, scope)

    def _start(self, key: Key, size: int, again: Again | None = None) -> Scope:
        name, guard = _name(*key), None
        if self._plan.budget.caps_calls:
            scoring = usual_cost(self._journal.history, size)
            least, follow = (Usage(), scoring) if key[0] == "proposal" else (scoring, Usage())
            guard = UnitGuard(self._plan.ledger, name, least=least, follow=follow)
        scope = self._journal.scope(name, guard)
        self._work.add(Work(key, size, scope, guard, self._clock.monotonic(), again))
        return scope

    def _score(self, key: Key, how: Callable[..., Any], scorer: Scorer, text: str, scope: Scope) -> None:
        if isinstance(self._executor, Evaluators):
            self._await(key, self._executor.evaluate(scorer, text, scope))
        else:
            self._submit(self._executor, key, how, scorer, text, scope if self._scoped else None)

    def _submit(self, executor: Executor, key: Key, fn: Callable[..., Any], *args: Any) -> None:  # noqa: ANN401
        self._await(key, executor.submit(fn, *args))

    def _await(self, key: Key, future: Future[Any]) -> None:
        self._work.sent(key, future)
        future.add_done_callback(lambda done: self._done.put((key, done)))

    # --- folding results ------------------------------------------------------------------------------------------

    def _arrive(self) -> None:
        """Wait for a result and fold it; look at the clocks while none arrives."""
        try:
            key, future = self._next()
        except queue.Empty:
            self._look_at_clocks()
            return
        work = self._work.land(key)
        if work is None:
            return  # a candidate that was given up; its late answer does not count
        self._fold(work, future)
        self._close(work)
        if self._clock.monotonic() >= self._look_by:  # results that come without a break must not hide them
            self._look_at_clocks()

    def _next(self) -> tuple[Key, Future[Any]]:
        """Return a result: that whose turn it is, as far as an order is repeated and it is on its way.

        Raises:
            queue.Empty: none has come so far.
        """
        turn = self._plan.order.unit_at(self._journal.position)
        while not self._early or (turn in self._work and turn not in self._early):
            key, future = self._done.get(timeout=self._patience())
            self._early[key] = future
        key = turn if turn is not None and turn in self._early else next(iter(self._early))
        return key, self._early.pop(key)

    def _patience(self) -> float:
        """Return the seconds until the clocks have to be looked at."""
        now, limit, began = self._clock.monotonic(), self._plan.eval_timeout, self._work.first_scored()
        late = self._look_by if limit is None or began is None else min(self._look_by, began + limit)
        return max(0.0, min(late - now, self._seconds_left()))

    def _seconds_left(self) -> float:
        cap = self._plan.budget.seconds and self._plan.budget.raised(self._journal.history).seconds
        return math.inf if cap is None else cap - self._journal.history.active_seconds(self._journal.now())

    def _fold(self, work: Work, future: Future[Any]) -> None:
        error = future.exception()
        if isinstance(error, ContextTooLong) and self._excludes(work):
            self._fold_outcome(work, Failure("too_long", f"it could not be judged: {error}"), 0.0)
        elif isinstance(error, LLMOptimizeError):
            refused = isinstance(error, BudgetExceeded) and work.proposes
            self._is_spent = refused and (self._is_spent or self._reason is None)
            self._fail(error)
        elif error is not None and not work.proposes and cannot_travel(error):
            msg = f"executor: func cannot be sent to its workers ({error}); define it at the top of a module"
            raise BadInput(msg) from error
        elif error is not None:
            raise error  # a defect in a proposer or an executor that broke: not a property of any candidate
        elif work.proposes:
            self._ready.extend(record_proposal(self._journal, work.key[1], future.result(), work.scope.account))
        else:
            self._fold_outcome(work, *future.result())

    def _close(self, work: Work) -> None:
        """Make the ledger forget a unit that the log shows; what another has spent stays counted.

        What was kept free for scoring the candidates of a proposal stays so, one by one, until they are scored.
        """
        if work.guard is None:
            return
        if self._journal.shows(work.scope.name):
            cost = usual_cost(self._journal.history)
            heirs = {_name("evaluation", one.id): cost for one in self._ready} if work.proposes else {}
            work.guard.close(self._journal.history.logged, heirs)
        else:
            work.give_up()

    def _fail(self, error: LLMOptimizeError) -> None:
        if self._error is None and not isinstance(error, BudgetExceeded):
            self._error = error
        self._reason = self._reason or str(error)
        self._is_broken = True

    def _excludes(self, work: Work) -> bool:
        """Say whether a judge's complaint is about the candidate, since it has judged others: then the run goes on."""
        return work.key[0] == "evaluation" and self._journal.history.best is not None

    def _fold_outcome(self, work: Work, outcome: Outcome, seconds: float) -> None:
        candidate_id, account, again = work.key[1], work.scope.account, work.again
        if again is not None:
            serial = candidate_id
            self._journal.record(
                Retold(again.candidate_id, outcome, serial, again.part, seconds, self._journal.now(), account)
            )
            return
        if isinstance(outcome, Failure) and self._is_start(candidate_id) and outcome.kind in _SCORER_FAULTS:
            self._fail(StartFailed(f"x0 failed to score ({outcome.kind}): {outcome.message}; mend x0 or the scorer"))
            return
        self._journal.record(Told(candidate_id, outcome, seconds, self._journal.now(), account))
        self._reason = self._reason or self._alike.after(outcome)

    def _is_start(self, candidate_id: int) -> bool:
        return any(one.id == candidate_id and one.origin == "start" for one in self._journal.history.pending)

    # --- clocks ---------------------------------------------------------------------------------------------------

    def _look_at_clocks(self) -> None:
        self._look_by = self._clock.monotonic() + _POLL_S
        if self._seconds_left() <= 0:
            cap = self._plan.budget.raised(self._journal.history).seconds
            self._reason = self._reason or f"budget seconds: {cap:g} s are up"
            self._abandon()
            return
        for work in self._work:
            if not work.proposes:
                self._look_at(work, self._clock.monotonic() - work.began)

    def _look_at(self, work: Work, seconds: float) -> None:
        limit = self._plan.eval_timeout
        if limit is not None and seconds >= limit:
            self._work.land(work.key)
            work.give_up()
            self._call_off(work)
            late = Failure("timeout", f"the scorer took longer than eval_timeout={limit:g} s", work.scope.usage)
            self._fold_outcome(work, late, seconds)
            self._close(work)

    def _notice(self) -> None:
        """Name candidates that are long in the scorer; runs beside the owner's thread, which may be in the scorer."""
        for work in self._work:
            seconds = self._clock.monotonic() - work.began
            if work.key[0] == "evaluation" and not work.noted and seconds >= self._plan.notice_after:
                work.noted = True
                _LOG.warning(_SLOW, work.key[1], seconds)

    def _abandon(self) -> None:
        """Stop waiting: candidates in the scorer stay pending, so a resume evaluates them first."""
        for work in self._work:
            work.give_up()
            self._call_off(work)
            self._work.land(work.key)

    def _call_off(self, work: Work) -> None:
        """Have an engine drop work that nobody waits for; a thread of our own cannot be stopped."""
        if work.future is not None and not work.proposes and self._executor is not self._own:
            work.future.cancel()


_SLOW = "candidate %d has been in the scorer for %.0f s: eval_timeout gives up on slow ones, Ctrl-C on all"
_SCORER_FAULTS = frozenset({"raised", "bad_score", "timeout"})


def _name(kind: str, number: int) -> str:
    return f"{kind}/{number}"


def _propose(proposer: Proposer, history: History, n: int, scope: Scope) -> Proposal:
    with entered(scope):
        return proposer.propose(history, n)
