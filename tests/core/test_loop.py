"""The loop: chains in flight, caps, failures on the way, clocks and Ctrl-C."""

from __future__ import annotations

import logging
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

from llm_optimize.core.budget import Budget
from llm_optimize.core.events import Stopped, Told
from llm_optimize.core.stopping import MaxSteps, TargetScore
from llm_optimize.errors import BadInput, BudgetExceeded, ModelUnavailable
from llm_optimize.stores.memory import MemoryStore


def length(text):
    return len(text)


def events_of(one):
    return [event for _, event in one._journal.store.read(one.name)]


def test_parallel_chains_overlap_and_overshoot_nothing(study):
    """Four scorers wait for each other, which only four chains at once can pass; caps hold to the one."""
    together = threading.Barrier(4)

    def scorer(text):
        if text != "start":
            together.wait(timeout=30)
        return len(text)

    one = study(scorer, parallel=4, stop=MaxSteps(12))
    one.run()
    assert len(one.last.trials) == 13
    assert sorted(trial.id for trial in one.last.trials) == list(range(13))


def test_a_proposal_is_made_while_another_candidate_is_evaluated(study, numbered):
    """No rounds: the scorer of one chain waits for the proposal of the other."""
    second_asked = threading.Event()

    def propose(history, n):
        if history.slot >= 2:
            second_asked.set()
        return numbered(history, n)

    def scorer(text):
        if "slot 0" in text:
            assert second_asked.wait(timeout=30)
        return 1.0

    one = study(scorer, (propose), parallel=2, stop=MaxSteps(4))
    one.run()
    assert [trial.outcome.score for trial in one.last.trials] == [1.0] * 5


def test_any_executor_of_the_standard_library_fits(study):
    """Thread and process pools run the scorer; results come back with ids intact."""
    for pool in (ThreadPoolExecutor(2), ProcessPoolExecutor(2)):
        with pool:
            one = study(length, executor=pool, parallel=2, stop=MaxSteps(6))
            one.run()
            assert len(one.last.trials) == 7
            assert all(trial.score == len(trial.text) for trial in one.last.trials)


def test_a_scorer_that_cannot_travel_is_named_with_the_remedy(study):
    """A lambda cannot reach another process; that is said in a line, and the study can be resumed."""
    with ProcessPoolExecutor(1) as pool, pytest.raises(BadInput, match="executor: func cannot be sent"):
        study(lambda text: 1.0, executor=pool).run()


def test_evaluations_in_flight_are_told_when_the_target_is_reached(study):
    """What is begun is paid: it is waited for and nothing new begins."""
    other_began, reached = threading.Event(), threading.Event()

    def scorer(text):
        if text == "start":
            return 0
        if "slot 0" in text:
            return 1 if other_began.wait(timeout=30) else 0
        other_began.set()
        return 0.5 if reached.wait(timeout=30) else 0

    def observer(event):
        if isinstance(event, Told) and event.outcome.score == 1:
            reached.set()

    one = study(scorer, parallel=2, stop=TargetScore(1), observers=[observer])
    assert one.run().reason == "stop_score: 1 reaches 1"
    assert [trial.score for trial in one.last.trials] == [0, 1, 0.5]
    assert not one.last.pending


def test_a_budget_of_evaluations_is_exact_with_many_in_flight(study):
    """Seven evaluations are seven, x0 included."""
    one = study(parallel=4, budget=Budget(evaluations=7))
    assert one.run().reason == "budget evaluations: 7 of 7 used"
    assert len(one.last.trials) == 7


def test_a_refused_spend_ends_the_run_with_its_reason_and_without_an_error(study):
    """The proposer's BudgetExceeded is the end of the run, not a failure of it."""

    def propose(history, n):
        raise BudgetExceeded("budget tokens: 90 of 100 used, the next call may need 20")

    ending = study(propose=(propose)).run()
    assert ending.reason.startswith("budget tokens: 90")
    assert ending.error is None


def test_a_failing_endpoint_ends_the_run_and_is_no_score(study, numbered):
    """The best so far stays, the error is handed over, and the next session goes on with the same slot."""
    down = [True]

    def propose(history, n):
        if history.slot == 1 and down:
            raise ModelUnavailable("no answer from http://127.0.0.1:9")
        return numbered(history, n)

    store = MemoryStore()
    one = study(propose=(propose), store=store, stop=MaxSteps(3))
    ending = one.run()
    assert isinstance(ending.error, ModelUnavailable)
    assert len(one.last.trials) == 2
    down.clear()
    again = study(propose=(propose), store=store, stop=MaxSteps(3))
    again.run()
    assert [trial.text for trial in again.last.trials][1:] == [f"slot {i}, draft 0" for i in range(3)]


def test_an_endpoint_that_fails_in_the_scorer_leaves_the_candidate_pending(study):
    """A judge that is down says nothing about the candidate; on resume it comes first."""
    down = [True]

    def scorer(text):
        if "slot 0" in text and down:
            raise ModelUnavailable("judge is down")
        return 1.0

    store = MemoryStore()
    one = study(scorer, store=store, stop=MaxSteps(2))
    assert "judge is down" in one.run().reason
    assert [candidate.id for candidate in one.last.pending] == [1]
    down.clear()
    again = study(scorer, store=store, stop=MaxSteps(2))
    again.run()
    assert [trial.id for trial in again.last.trials] == [0, 1, 2]


def test_a_slow_candidate_is_given_up_and_its_late_answer_does_not_count(study):
    """eval_timeout tells it as failed and the run goes on while the thread is left behind."""
    release = threading.Event()

    def scorer(text):
        if "slot 0" in text:
            release.wait(timeout=60)
        return 1.0

    one = study(scorer, eval_timeout=0.2, stop=MaxSteps(2))
    one.run()
    release.set()
    assert [trial.outcome.kind if trial.score is None else "ok" for trial in one.last.trials] == ["ok", "timeout", "ok"]
    assert "eval_timeout=0.2" in one.last.trials[1].feedback


@pytest.mark.parametrize("parallel", [1, 2])
def test_a_candidate_that_is_long_in_the_scorer_is_named_with_the_remedy(study, parallel):
    """A scorer that hangs is not silent: one warning names the candidate and what ends it."""
    warned = threading.Event()
    records = []

    class Listener(logging.Handler):
        def emit(self, record):
            records.append(record.getMessage())
            warned.set()

    listener = Listener()
    logging.getLogger("llm_optimize").addHandler(listener)
    try:
        study(lambda text: float(warned.wait(timeout=60)), notice_after=0.05, parallel=parallel, stop=MaxSteps(0)).run()
    finally:
        logging.getLogger("llm_optimize").removeHandler(listener)
    assert len(records) == 1
    assert "candidate 0 has been in the scorer" in records[0]
    assert "eval_timeout" in records[0]


def test_when_the_seconds_are_up_nothing_is_waited_for(study):
    """A hanging scorer does not hold up the end; its candidate stays pending."""
    release = threading.Event()

    def scorer(text):
        if text != "start":
            release.wait(timeout=60)
        return 1.0

    one = study(scorer, budget=Budget(seconds=0.3))
    assert "budget seconds" in one.run().reason
    release.set()
    assert [candidate.id for candidate in one.last.pending] == [1]


@pytest.mark.parametrize("parallel", [1, 3])
def test_ctrl_c_begins_nothing_new_and_keeps_everything(parallel, study):
    """SIGINT ends the session with what was told; what was pending stays pending and is evaluated first on resume."""
    release = threading.Event()

    def scorer(text):
        if "slot 2" in text and not release.is_set():
            os.kill(os.getpid(), signal.SIGINT)
            release.wait(timeout=0.05 if parallel == 1 else 60)
        return 1.0

    store = MemoryStore()
    one = study(scorer, store=store, parallel=parallel, stop=MaxSteps(6))
    ending = one.run()
    assert ending.interrupted
    assert any(isinstance(event, Stopped) and "Ctrl-C" in event.reason for event in events_of(one))
    waiting = {candidate.id for candidate in one.last.pending}
    told = {trial.id for trial in one.last.trials}
    assert waiting
    assert not waiting & told
    release.set()
    again = study(scorer, store=store, parallel=1, stop=MaxSteps(6))
    again.run()
    assert {trial.id for trial in again.last.trials} == set(range(7))
    order = [event.candidate_id for event in events_of(again) if isinstance(event, Told)]
    assert set(order[len(told) : len(told) + len(waiting)]) == waiting
