"""What every executor must do, as tests that anyone can run for one of their own.

Subclass :class:`ExecutorContract` in a test file and give it the fixture ``executor``, with two workers or more::

    class TestMyPool(ExecutorContract):
        @pytest.fixture
        def executor(self):
            with MyPool(2) as pool:
                yield as_executor(pool)

A pool whose workers are other processes is wrapped by :func:`llm_optimize.parallel.as_executor`, as
``optimize.run(executor=...)`` does it. Workers must be able to import this module.
"""

from __future__ import annotations

import operator
import os
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from llm_optimize.core.stopping import MaxSteps
from llm_optimize.core.study import Study
from llm_optimize.core.types import Draft, Evaluation, Failure, Problem, Proposal
from llm_optimize.stores.memory import MemoryStore

if TYPE_CHECKING:
    from concurrent.futures import Future

    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import Executor

__all__ = ["ExecutorContract"]

_CALLS = 40
_STEPS = 24
_FAILING = ("slot 6,", "slot 13,", "slot 20,")
_PARALLEL = 2
_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class _Numbered:
    """Drafts named after their slot, so that each run of a study makes the same ones."""

    def propose(self, history: History, n: int) -> Proposal:
        return Proposal(tuple(Draft(f"slot {history.slot}, draft {i}") for i in range(n)))


@dataclass(frozen=True)
class _Noting:
    """Scores by length, fails at some slots, and notes each evaluation that it begins and ends in a file."""

    path: str

    def __call__(self, text: str) -> Evaluation:
        self._note(f"begin {text}")
        if text.startswith(_FAILING):
            msg = f"no score for {text}"
            raise ArithmeticError(msg)
        self._note(f"end {text}")
        return Evaluation(len(text), f"seen by {os.getpid()}", {"spaces": float(text.count(" "))}, (1.0, 0.0))

    def _note(self, line: str) -> None:
        with Path(self.path).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")  # less than a page: one write


class ExecutorContract:
    """The tests; each says in one sentence what must hold."""

    @pytest.fixture
    def executor(self) -> Executor:
        """Return an executor with at least two workers; a subclass overrides this."""
        msg = "override the fixture `executor`"
        raise NotImplementedError(msg)

    def test_a_call_gives_a_future_with_its_value(self, executor: Executor) -> None:
        """Arguments reach the function and its value comes back."""
        assert executor.submit(operator.mul, 6, _CALLS).result(_TIMEOUT_S) == 6 * _CALLS

    def test_an_error_is_the_futures_error(self, executor: Executor) -> None:
        """What the function raises comes back as itself, and later calls go on."""
        error = executor.submit(operator.truediv, 1, 0).exception(_TIMEOUT_S)
        assert isinstance(error, ZeroDivisionError)
        assert executor.submit(operator.pos, _CALLS).result(_TIMEOUT_S) == _CALLS

    def test_each_of_many_calls_is_answered_once(self, executor: Executor) -> None:
        """More calls than workers, submitted from several threads: each future calls back exactly once."""
        seen: Counter[int] = Counter()
        all_in, lock = threading.Event(), threading.Lock()

        def heard(value: int) -> None:
            with lock:
                seen[value] += 1
                if seen.total() == _CALLS:
                    all_in.set()

        def submit(first: int) -> None:
            for number in range(first, _CALLS, 4):
                executor.submit(operator.pos, number).add_done_callback(lambda done: heard(done.result()))

        threads = [threading.Thread(target=submit, args=(first,)) for first in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all_in.wait(_TIMEOUT_S)
        assert seen == Counter(range(_CALLS))

    def test_a_study_evaluates_each_candidate_once(self, executor: Executor, tmp_path: Path) -> None:
        """By the scorer's own notes each candidate is begun once; those that fail are failures, the others scored."""
        path = tmp_path / "notes"
        history = _study(executor, path).last
        begun = Counter(line.removeprefix("begin ") for line in _notes(path) if line.startswith("begin "))
        assert begun == Counter(trial.text for trial in history.trials)
        assert history.evaluations == len(history.trials) == _STEPS + 1
        failed = {trial.text for trial in history.trials if isinstance(trial.outcome, Failure)}
        assert failed == set(begun) - {line.removeprefix("end ") for line in _notes(path) if line.startswith("end ")}
        assert len(failed) == len(_FAILING)

    def test_a_study_comes_to_the_same_as_in_this_process(self, executor: Executor, tmp_path: Path) -> None:
        """Same candidates, same scores, metrics and failures, same best, whatever the order in which results came."""
        there, here = (_study(one, tmp_path / name).last for one, name in ((executor, "there"), (None, "here")))
        assert _outcomes(there) == _outcomes(here)
        assert there.best is not None
        assert here.best is not None
        assert there.best.score == here.best.score

    def test_no_more_is_in_flight_than_was_asked_for(self, executor: Executor) -> None:
        """With ``parallel=2`` no third evaluation is handed over before one of two has come back."""
        counting = _Counting(executor)
        study = Study(
            Problem("task", "question", "start"), _Numbered(), len, store=MemoryStore(), stop=MaxSteps(_STEPS),
            executor=counting, parallel=_PARALLEL,
        )  # fmt: skip
        study.run()
        assert counting.calls == _STEPS + 1
        assert counting.most <= _PARALLEL


class _Counting:
    """Hands calls on and counts those that are out."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._lock = threading.Lock()  # answers come from threads of the engine
        self._out = 0
        self.calls = 0
        self.most = 0

    def submit(self, fn: Any, /, *args: Any) -> Future[Any]:  # noqa: ANN401 - any function, any arguments
        with self._lock:
            self.calls += 1
            self._out += 1
            self.most = max(self.most, self._out)
        future = self._executor.submit(fn, *args)
        future.add_done_callback(self._back)
        return future

    def _back(self, _: object) -> None:
        with self._lock:
            self._out -= 1


def _study(executor: Executor | None, path: Path) -> Study:
    study = Study(
        Problem("task", "question", "start"), _Numbered(), _Noting(str(path)), store=MemoryStore(),
        stop=MaxSteps(_STEPS), executor=executor, parallel=_PARALLEL,
    )  # fmt: skip
    study.run()
    return study


def _outcomes(history: History) -> set[tuple[object, ...]]:
    return {
        (trial.text, trial.outcome.kind, trial.outcome.message)
        if isinstance(trial.outcome, Failure)
        else (trial.text, trial.outcome.score, *sorted(trial.outcome.metrics.items()), trial.outcome.examples)
        for trial in history.trials
    }


def _notes(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
