"""Study: ask, tell, guide, run; the loop with one and with many chains in flight."""

from __future__ import annotations

import os
import random
import signal
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from llm_optimize.core.budget import Budget
from llm_optimize.core.events import Guided, Opened, Proposed, Stopped, Told
from llm_optimize.core.stopping import MaxSteps, StopFile, TargetScore
from llm_optimize.core.study import Study
from llm_optimize.core.types import Draft, Evaluation, Failure, Problem, Proposal, Usage
from llm_optimize.errors import BadInput, BudgetExceeded, ModelUnavailable, StartFailed, StudyOwned
from llm_optimize.stores.memory import MemoryStore

PROBLEM = Problem("task", "question", "start")


@dataclass(frozen=True)
class Numbered:
    """Drafts named after their slot, so that every text is new."""

    usage: Usage = Usage()

    def propose(self, history, n):
        return Proposal(tuple(Draft(f"slot {history.slot}, draft {i}") for i in range(n)), self.usage)


@dataclass(frozen=True)
class Function:
    """A proposer from a function."""

    function: object

    def propose(self, history, n):
        return self.function(history, n)


def study(scorer=len, proposer=None, problem=PROBLEM, **options):
    options.setdefault("store", MemoryStore())
    return Study(problem, proposer or Numbered(), scorer, **options)


def length(text):
    return len(text)


def events_of(one):
    return [event for _, event in one._journal.store.read(one.name)]


def test_a_run_evaluates_the_start_and_then_each_step():
    """x0 is no step; each later candidate is one."""
    one = study(stop=MaxSteps(3))
    ending = one.run()
    assert (ending.reason, ending.error) == ("max_steps: 3 steps are done", None)
    assert [trial.id for trial in one.history.trials] == [0, 1, 2, 3]
    assert one.history.trials[0].text == "start"


def test_a_perfect_start_needs_no_proposal():
    """The target score is looked at after x0 as well, unlike the predecessor's."""
    asked = []
    one = study(lambda _: 1.0, Function(lambda h, n: asked.append(n)), stop=TargetScore(1.0))
    assert "stop_score" in one.run().reason
    assert not asked


def test_a_sequential_seeded_run_repeats_exactly():
    """Same seed, same log, but for the times."""

    def drawn(history, n):
        return Proposal((Draft(str(random.Random(f"{history.seed}/{history.slot}").random())),))

    def texts(seed):
        one = study(length, Function(drawn), stop=MaxSteps(20), seed=seed)
        one.run()
        return [(trial.id, trial.text, trial.score) for trial in one.last.trials]

    assert texts(1) == texts(1)
    assert texts(1) != texts(2)


def test_without_a_start_the_first_candidate_is_proposed():
    """x0 may be missing; the scorer never sees None."""
    seen = []
    one = study(lambda text: seen.append(text) or 1.0, problem=Problem("t"), stop=MaxSteps(2))
    one.run()
    assert seen == ["slot 0, draft 0", "slot 1, draft 0"]


@pytest.mark.parametrize("value", [None, "text", float("nan")])
def test_a_start_that_cannot_be_scored_ends_the_run_before_the_model_is_asked(value):
    """The error names x0 and the remedy; x0 stays pending, so that a resume tries it again."""
    asked = []
    one = study(lambda _: value, Function(lambda h, n: asked.append(n)))
    ending = one.run()
    assert isinstance(ending.error, StartFailed)
    assert "x0 failed to score (bad_score)" in ending.reason
    assert not asked
    assert [candidate.id for candidate in one.last.pending] == [0]


def test_a_failure_value_for_the_start_is_something_to_mend():
    """A scorer that judges a broken program says Failure itself; then the model is asked to mend it."""
    one = study(lambda t: Failure("tests", "2 of 3 fail") if t == "start" else 1, stop=MaxSteps(1))
    assert one.run().error is None
    assert one.last.best.text == "slot 0, draft 0"


def test_a_raising_scorer_is_a_failure_and_the_run_goes_on():
    """Only the candidate fails, and what was raised is kept."""

    def scorer(text):
        if "slot 1" in text:
            raise KeyError("key")
        return 1.0

    one = study(scorer, stop=MaxSteps(3))
    one.run()
    assert [trial.score for trial in one.last.trials] == [1.0, 1.0, None, 1.0]
    assert one.last.trials[2].feedback.startswith("KeyError: 'key'")


def test_a_duplicate_is_not_evaluated_again():
    """A text that was tried is dropped with a note that names the first one; three such in a row end the run."""
    one = study(proposer=Function(lambda h, n: Proposal((Draft("\nstart\n"),))))
    assert one.run().reason == "no candidate: 3 proposals in a row brought none"
    assert len(one.last.trials) == 1
    notes = [event.note for event in events_of(one) if isinstance(event, Proposed)]
    assert notes[1:] == ["a duplicate of #0 was dropped"] * 3


def test_ideas_of_one_proposal_are_all_evaluated_and_capped_by_the_steps():
    """Five steps at three ideas each are a proposal of three and one of two."""
    asked = []

    def propose(history, n):
        asked.append(n)
        return Numbered().propose(history, n)

    one = study(proposer=Function(propose), ideas=3, stop=MaxSteps(5))
    one.run()
    assert asked == [3, 2]
    assert len(one.last.trials) == 6


def test_parallel_chains_overlap_and_overshoot_nothing():
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


def test_a_proposal_is_made_while_another_candidate_is_evaluated():
    """No rounds: the scorer of one chain waits for the proposal of the other."""
    second_asked = threading.Event()

    def propose(history, n):
        if history.slot >= 2:
            second_asked.set()
        return Numbered().propose(history, n)

    def scorer(text):
        if "slot 0" in text:
            assert second_asked.wait(timeout=30)
        return 1.0

    one = study(scorer, Function(propose), parallel=2, stop=MaxSteps(4))
    one.run()
    assert [trial.outcome.score for trial in one.last.trials] == [1.0] * 5


def test_any_executor_of_the_standard_library_fits():
    """Thread and process pools run the scorer; results come back with ids intact."""
    for pool in (ThreadPoolExecutor(2), ProcessPoolExecutor(2)):
        with pool:
            one = study(length, executor=pool, parallel=2, stop=MaxSteps(6))
            one.run()
            assert len(one.last.trials) == 7
            assert all(trial.score == len(trial.text) for trial in one.last.trials)


def test_evaluations_in_flight_are_told_when_the_target_is_reached():
    """What is begun is paid: it is waited for and nothing new begins."""
    both = threading.Barrier(2)

    def scorer(text):
        if text == "start":
            return 0
        both.wait(timeout=30)
        return 1 if "slot 0" in text else 0.5

    one = study(scorer, parallel=2, stop=TargetScore(1))
    assert one.run().reason == "stop_score: 1 reaches 1"
    assert len(one.last.pending) <= 1
    assert {trial.score for trial in one.last.trials} >= {1, 0.5}


def test_a_budget_of_evaluations_is_exact_with_many_in_flight():
    """Seven evaluations are seven, x0 included."""
    one = study(parallel=4, budget=Budget(evaluations=7))
    assert one.run().reason == "budget evaluations: 7 of 7 used"
    assert len(one.last.trials) == 7


def test_a_refused_spend_ends_the_run_with_its_reason_and_without_an_error():
    """The proposer's BudgetExceeded is the end of the run, not a failure of it."""

    def propose(history, n):
        raise BudgetExceeded("budget tokens: 90 of 100 used, the next call may need 20")

    ending = study(proposer=Function(propose)).run()
    assert ending.reason.startswith("budget tokens: 90")
    assert ending.error is None


def test_a_failing_endpoint_ends_the_run_and_is_no_score():
    """The best so far stays, the error is handed over, and the next session goes on with the same slot."""
    down = [True]

    def propose(history, n):
        if history.slot == 1 and down:
            raise ModelUnavailable("no answer from http://127.0.0.1:9")
        return Numbered().propose(history, n)

    store = MemoryStore()
    one = study(proposer=Function(propose), store=store, stop=MaxSteps(3))
    ending = one.run()
    assert isinstance(ending.error, ModelUnavailable)
    assert len(one.last.trials) == 2
    down.clear()
    again = study(proposer=Function(propose), store=store, stop=MaxSteps(3))
    again.run()
    assert [trial.text for trial in again.last.trials][1:] == [f"slot {i}, draft 0" for i in range(3)]


def test_an_endpoint_that_fails_in_the_scorer_leaves_the_candidate_pending():
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


def test_a_slow_candidate_is_given_up_and_its_late_answer_does_not_count():
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


def test_when_the_seconds_are_up_nothing_is_waited_for():
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
def test_ctrl_c_begins_nothing_new_and_keeps_everything(parallel):
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


def test_ask_and_tell_make_the_loop_yours():
    """Pending candidates come first, then x0, then new ones; each is told once."""
    one = study()
    first = one.ask()
    assert [candidate.text for candidate in first] == ["start"]
    one.tell(first[0], (0.5, "half"))
    more = one.ask(2)
    assert [candidate.id for candidate in more] == [1, 2]
    one.tell(more[1].id, Evaluation(2.0))
    assert one.history.best.id == 2
    with pytest.raises(BadInput, match="candidate 2 is not pending"):
        one.tell(2, 1.0)
    one.close()
    again = study(store=one._journal.store)
    assert [candidate.id for candidate in again.ask(2)] == [1, 3]


def test_guidance_is_in_the_history_that_the_next_proposal_gets():
    """Another process may append it while the study runs; it is seen before the next proposal."""
    store = MemoryStore()
    heard = []

    def propose(history, n):
        heard.append(history.guidance)
        if history.slot == 0:
            store.append("study", Guided("be brief"))
        return Numbered().propose(history, n)

    one = study(proposer=Function(propose), store=store, stop=MaxSteps(2))
    one.run()
    assert heard == [(), ("be brief",)]
    with pytest.raises(BadInput, match="guidance is empty"):
        one.guide("  ")


def test_a_second_owner_is_refused_and_a_closed_study_is_free():
    """One owner at a time, also within one process."""
    store = MemoryStore()
    with study(store=store), pytest.raises(StudyOwned):
        study(store=store).ask()
    assert study(store=store).ask()


def test_another_problem_under_the_same_name_is_refused():
    """A study goes on only with the problem that it was opened with."""
    store = MemoryStore()
    study(store=store, stop=MaxSteps(0)).run()
    other = study(store=store, problem=Problem("task", "question", "another start"))
    with pytest.raises(BadInput, match="was opened with another x0"):
        other.run()


def test_an_observer_sees_every_event_and_a_failing_one_is_logged(caplog):
    """What only watches cannot end the run."""
    seen = []

    def broken(event):
        raise RuntimeError("observer bug")

    one = study(stop=MaxSteps(1), observers=(broken, seen.append))
    one.run()
    assert [type(event) for event in seen] == [Opened, Proposed, Told, Proposed, Told, Stopped]
    assert "observer bug" in caplog.text


def test_a_stop_file_that_appears_during_the_run_ends_it(tmp_path):
    """Rules are looked at before each new piece of work."""
    path = tmp_path / "STOP"

    def scorer(text):
        if "slot 1" in text:
            path.touch()
        return 1.0

    one = study(scorer, stop=StopFile(path))
    assert "stop file" in one.run().reason
    assert len(one.last.trials) == 3


@pytest.mark.parametrize("field", ["parallel", "ideas", "eval_timeout"])
def test_numbers_that_make_no_sense_are_refused_by_name(field):
    """Nothing is touched before the numbers are checked."""
    with pytest.raises(BadInput, match=field):
        study(**{field: 0})


def test_a_defect_in_a_proposer_is_raised_and_the_study_is_closed():
    """What is not ours to judge is not swallowed, and the next session may own the study."""
    store = MemoryStore()

    def propose(history, n):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        study(proposer=Function(propose), store=store).run()
    assert study(store=store, stop=MaxSteps(1)).run().error is None
