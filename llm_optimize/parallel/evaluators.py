"""Evaluations on any executor: the study's side of what :mod:`llm_optimize.parallel.worker` does.

An engine that loses a worker makes the call again, so a scorer may run more than once for one evaluation. It counts
once: there is one future per evaluation, its first answer is taken, and what comes later finds nobody.
"""

from __future__ import annotations

import os
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from llm_optimize.core.account import LOST
from llm_optimize.core.ledger import UnitGuard
from llm_optimize.core.metering import CHOSEN
from llm_optimize.core.protocols import ExchangeLog
from llm_optimize.core.types import Evaluation, Failure, Usage
from llm_optimize.core.workers import DaemonThreads
from llm_optimize.errors import BudgetExceeded, LLMOptimizeError
from llm_optimize.parallel.errand import Errand, Sealed
from llm_optimize.parallel.packing import Parcel, pack
from llm_optimize.parallel.suspects import Suspects
from llm_optimize.parallel.worker import KEYS, perform, versions

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_optimize.core.metering import Scope
    from llm_optimize.core.protocols import Executor, Scorer
    from llm_optimize.core.types import Outcome, Trial
    from llm_optimize.parallel.errand import Answer

__all__ = ["RemoteEvaluators"]

_SMALL = 64 * 1024  # bytes: a scorer up to this size goes along with every evaluation, a larger one where it is missed
_SHARES = 4  # of the money that is left, an evaluation whose scorer holds a model gets one of so many parts at first,
_SHARES_UNSEEN = 64  # and one whose model calls, if any, cannot be seen
_LEADERS = 8
_PER_WAITING = 16


class RemoteEvaluators:
    """Evaluates on an executor whose workers are other processes, here or on other machines.

    Example:
        >>> from concurrent.futures import ProcessPoolExecutor
        >>> executor = RemoteEvaluators(ProcessPoolExecutor(2))  # doctest: +SKIP
    """

    def __init__(
        self,
        executor: Executor,
        *,
        lost: tuple[type[BaseException], ...] = (),
        exact: bool = False,
        workers: int | Callable[[], int] | None = None,
        close: Callable[[], None] | None = None,
    ) -> None:
        """Wrap an executor.

        Args:
            executor: anything with the standard library's ``submit``.
            lost: the errors by which it says that workers have ended at a call, and at its repetitions.
            exact: whether it says so of the call alone that they were at. Others also say it of calls that waited at
                the same workers: these are made once more, one at a time, before a candidate is blamed.
            workers: how many it has, where that is known; or a function that says how many it has now, cheap.
            close: gives back what was started for it; None for an executor that is the user's.
        """
        self.executor = executor
        self._workers = workers
        self._lost = lost
        self._suspects = None if exact else Suspects()
        self._close = close
        self._parcels: dict[int, tuple[Scorer, Parcel]] = {}  # with the scorer, so that its id stays its own

    @property
    def workers(self) -> int | None:
        """How many calls it can make at once now; None where that is not known."""
        return self._workers() if callable(self._workers) else self._workers

    def room(self) -> int:
        """Return how many evaluations keep the workers busy; 1 where their number is not known.

        One more than there are workers, and of many one more for every 16: what waits at the engine begins as soon as
        a worker is free, while the study still hears of it. More would wait longer than needed, and be proposed
        without knowing the results of those before.
        """
        workers = self.workers
        return 1 if workers is None else workers + max(1, workers // _PER_WAITING)

    def submit(self, fn: Callable[..., Any], /, *args: Any) -> Future[Any]:  # noqa: ANN401 - any function, any arguments
        """Call anything else there, as the executor does."""
        return self.executor.submit(fn, *args)

    def evaluate(self, scorer: Scorer, text: str, scope: Scope) -> Future[tuple[Outcome, float]]:
        """Start an evaluation; see :class:`llm_optimize.core.workers.Evaluators`.

        Raises:
            BadInput: the scorer cannot be sent.
        """
        parcel = self._parcel(scorer)
        errand = _errand(parcel, text, scope)
        one = _One(self.executor, parcel, scope, self._lost, self._suspects)
        if isinstance(scope.guard, UnitGuard):
            DaemonThreads().submit(one.pay, scope.guard, errand, _SHARES if parcel.asks else _SHARES_UNSEEN)
        else:
            one.send(errand)
        return one.future

    def close(self) -> None:
        """Give back what was started for this; no effect the second time, or on an executor of the user's."""
        close, self._close = self._close, None
        if close is not None:
            close()

    def _parcel(self, scorer: Scorer) -> Parcel:
        known = self._parcels.get(id(scorer))
        if known is None:
            known = self._parcels[id(scorer)] = (scorer, pack(scorer))
        return known[1]


class _Outer(Future[Any]):
    """The future that the loop holds; cancelling it cancels whatever the engine is doing for it."""

    inner: Future[Any] | None = None

    def cancel(self) -> bool:
        """Cancel both."""
        cancelled = super().cancel()
        if self.inner is not None:
            self.inner.cancel()
        return cancelled


@dataclass(slots=True)
class _Fare:
    """What is set aside for an attempt."""

    guard: UnitGuard
    granted: Usage
    shares: int


class _One:
    """One evaluation on its way: paid for, sent, answered, sent once more where something was missing."""

    def __init__(
        self,
        executor: Executor,
        parcel: Parcel,
        scope: Scope,
        lost: tuple[type[BaseException], ...],
        suspects: Suspects | None,
    ) -> None:
        self._executor = executor
        self._parcel = parcel
        self._scope = scope
        self._lost = lost
        self._suspects = suspects
        self._is_suspect = False
        self._is_alone = False  # the one suspect that is out
        self._bereft = 0  # attempts that ended with their workers, as far as the engine says so
        self._fare: _Fare | None = None
        self.future = _Outer()

    def pay(self, guard: UnitGuard, errand: Errand, shares: int) -> None:
        """Set aside what it may spend, waiting for others if need be, then send it."""
        try:
            granted, ledger = guard.allot(shares)
        except BudgetExceeded as error:
            self._fail(error)
            return
        self._fare = _Fare(guard, granted, shares)
        self.send(replace(errand, ledger=ledger))

    def send(self, errand: Errand) -> None:
        """Hand it to the engine."""
        if self.future.cancelled():
            self._let_next()
            return
        sealed = Sealed.of(f"{errand.unit} of {errand.study}", errand)
        try:
            inner = self._executor.submit(perform, sealed)
        except Exception as error:  # noqa: BLE001 - handed on to the future's owner: engines have errors of their own
            self._let_next()
            self._fail(_translated(error))
            return
        self.future.inner = inner
        inner.add_done_callback(lambda done: self._arrived(errand, done))

    def _arrived(self, errand: Errand, done: Future[Any]) -> None:
        self.future.inner = None  # an engine keeps a result while its future lives, and makes it anew if it is lost
        self._bereft += getattr(done, "workers_lost", 0)
        self._let_next()
        if self.future.cancelled():
            return
        error = CancelledError("the engine has cancelled it") if done.cancelled() else done.exception()
        try:
            if error is None:
                self._take(errand, done.result().opened())
            elif isinstance(error, self._lost):
                self._bereaved(errand, error)
            else:
                self._fail(_translated(error))
        except Exception as unfit:  # noqa: BLE001 - handed on to the future's owner, who would wait for ever else
            self._fail(unfit)

    def _bereaved(self, errand: Errand, error: BaseException) -> None:
        if self._suspects is None or self._is_suspect:
            self._finish((Failure("killed", f"its evaluation ends the worker process, each time: {error}"), 0.0))
            return
        self._is_suspect = True
        self._suspects.admit(lambda: self._send_alone(replace(errand, scorer=self._parcel)))

    def _send_alone(self, errand: Errand) -> None:
        self._is_alone = True
        self.send(errand)

    def _let_next(self) -> None:
        if self._is_alone and self._suspects is not None:
            self._is_alone = False
            self._suspects.release()

    def _take(self, errand: Errand, answer: Answer) -> None:
        if answer.lacks:
            self.send(replace(errand, scorer=self._parcel))
            return
        self._book(answer)
        if isinstance(answer.error, BudgetExceeded) and self._fare is not None and self._fare.shares > 1:
            kept = None if errand.replies is None else {**errand.replies, **answer.replies}
            again = replace(errand, scorer=self._parcel, replies=kept)
            DaemonThreads().submit(self.pay, self._fare.guard, again, 1)
        elif answer.error is not None:
            self._fail(answer.error)
        elif answer.scored is not None:
            self._finish(answer.scored)

    def _book(self, answer: Answer) -> None:
        """Write down what was paid for, then count it."""
        scope = self._scope
        if scope.replies is not None and answer.replies:
            if isinstance(scope.replies, ExchangeLog):
                scope.replies.remember_all(scope.study, answer.replies)
            else:
                for key, body in answer.replies.items():
                    scope.replies.remember(scope.study, key, body)
        lost, self._bereft = self._bereft, 0
        for (role, model), usage in answer.account.rows.items():
            scope.add(usage, model, role)
            for _ in range(lost):  # what was paid there was never told; at most as much as here
                scope.add(replace(usage, calls=0, estimated=True), model, LOST)
        spent = answer.account.total
        self._settle(sum([spent] * lost, spent))

    def _settle(self, spent: Usage) -> None:
        if self._fare is not None:
            self._fare.guard.settle(self._fare.granted, spent)

    def _finish(self, scored: tuple[Outcome, float]) -> None:
        if self.future.set_running_or_notify_cancel():
            self.future.set_result(scored)

    def _fail(self, error: BaseException) -> None:
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


def _translated(error: BaseException) -> BaseException:
    """Say that the engine failed; the session ends with that, and a resume evaluates what was in flight first."""
    if isinstance(error, LLMOptimizeError) or not isinstance(error, Exception):
        return error
    failed = LLMOptimizeError(f"executor: {type(error).__name__}: {error}; mend or restart it, then resume the study")
    failed.__cause__ = error
    return failed


def _errand(parcel: Parcel, text: str, scope: Scope) -> Errand:
    keys = {name: value for name in KEYS if (value := os.environ.get(name))} if parcel.asks else {}
    return Errand(
        study=scope.study, born=scope.born, unit=scope.name, begun=scope.begun, text=text, digest=parcel.digest,
        scorer=parcel if len(parcel.body) <= _SMALL else None, ledger=None, replies=_known(scope),
        exchanges=isinstance(scope.replies, ExchangeLog), leaders=_leaders(scope), environment=keys,
        versions=versions(),
    )  # fmt: skip


def _known(scope: Scope) -> dict[str, str] | None:
    """Return the replies that an earlier attempt at this unit was given; None where the study keeps none."""
    log = scope.replies
    if log is None:
        return None
    if not isinstance(log, ExchangeLog):
        return {}
    keys = [key for start in ("", CHOSEN) for key in log.keys(scope.study, f"{start}{scope.name}/")]
    return {key: body for key in keys if (body := log.recall(scope.study, key)) is not None}


def _leaders(scope: Scope) -> tuple[Trial, ...]:
    """Return the best trials, where scores are of several examples, so that candidates can be compared by them."""
    past = scope.past
    if past is None or past.best is None:
        return ()
    outcome = past.best.outcome
    return tuple(past.top(_LEADERS)) if isinstance(outcome, Evaluation) and outcome.examples else ()
