"""Study: ask, tell, guide, run."""

from __future__ import annotations

import random

import pytest

from llm_optimize.core.events import Guided, Opened, Proposed, Stopped, Told
from llm_optimize.core.stopping import MaxSteps, StopFile, TargetScore
from llm_optimize.core.types import Draft, Evaluation, Failure, Problem, Proposal
from llm_optimize.errors import BadInput, StartFailed, StudyOwned
from llm_optimize.stores.memory import MemoryStore


def length(text):
    return len(text)


def events_of(one):
    return [event for _, event in one._journal.store.read(one.name)]


def test_a_run_evaluates_the_start_and_then_each_step(study):
    """x0 is no step; each later candidate is one."""
    one = study(stop=MaxSteps(3))
    ending = one.run()
    assert (ending.reason, ending.error) == ("max_steps: 3 steps are done", None)
    assert [trial.id for trial in one.history.trials] == [0, 1, 2, 3]
    assert one.history.trials[0].text == "start"


def test_no_steps_still_evaluate_the_start(study):
    """``max_steps=0`` scores x0 and asks for nothing."""
    one = study(propose=(lambda h, n: 1 / 0), stop=MaxSteps(0))
    assert one.run().reason == "max_steps: 0 steps are done"
    assert [trial.text for trial in one.last.trials] == ["start"]


def test_a_perfect_start_needs_no_proposal(study):
    """The target score is looked at after x0 as well, unlike the predecessor's."""
    asked = []
    one = study(lambda _: 1.0, (lambda h, n: asked.append(n)), stop=TargetScore(1.0))
    assert "stop_score" in one.run().reason
    assert not asked


def test_a_sequential_seeded_run_repeats_exactly(study):
    """Same seed, same log, but for the times."""

    def drawn(history, n):
        return Proposal((Draft(str(random.Random(f"{history.seed}/{history.slot}").random())),))

    def texts(seed):
        one = study(length, (drawn), stop=MaxSteps(20), seed=seed)
        one.run()
        return [(trial.id, trial.text, trial.score) for trial in one.last.trials]

    assert texts(1) == texts(1)
    assert texts(1) != texts(2)


def test_without_a_start_the_first_candidate_is_proposed(study):
    """x0 may be missing; the scorer never sees None."""
    seen = []
    one = study(lambda text: seen.append(text) or 1.0, problem=Problem("t"), stop=MaxSteps(2))
    one.run()
    assert seen == ["slot 0, draft 0", "slot 1, draft 0"]


@pytest.mark.parametrize("value", [None, "text", float("nan")])
def test_a_start_that_cannot_be_scored_ends_the_run_before_the_model_is_asked(value, study):
    """The error names x0 and the remedy; x0 stays pending, so that a resume tries it again."""
    asked = []
    one = study(lambda _: value, (lambda h, n: asked.append(n)))
    ending = one.run()
    assert isinstance(ending.error, StartFailed)
    assert "x0 failed to score (bad_score)" in ending.reason
    assert not asked
    assert [candidate.id for candidate in one.last.pending] == [0]


def test_a_failure_value_for_the_start_is_something_to_mend(study):
    """A scorer that judges a broken program says Failure itself; then the model is asked to mend it."""
    one = study(lambda t: Failure("tests", "2 of 3 fail") if t == "start" else 1, stop=MaxSteps(1))
    assert one.run().error is None
    assert one.last.best.text == "slot 0, draft 0"


def test_a_raising_scorer_is_a_failure_and_the_run_goes_on(study):
    """Only the candidate fails, and what was raised is kept."""

    def scorer(text):
        if "slot 1" in text:
            raise KeyError("key")
        return 1.0

    one = study(scorer, stop=MaxSteps(3))
    one.run()
    assert [trial.score for trial in one.last.trials] == [1.0, 1.0, None, 1.0]
    assert one.last.trials[2].feedback.startswith("KeyError: 'key'")


def test_a_duplicate_is_not_evaluated_again(study):
    """A text that was tried is dropped with a note that names the first one; three such in a row end the run."""
    one = study(propose=(lambda h, n: Proposal((Draft("\nstart\n"),))))
    assert one.run().reason == "no candidate: 3 proposals in a row brought none"
    assert len(one.last.trials) == 1
    notes = [event.note for event in events_of(one) if isinstance(event, Proposed)]
    assert notes[1:] == ["a duplicate of #0 was dropped"] * 3


def test_ideas_of_one_proposal_are_all_evaluated_and_capped_by_the_steps(study, numbered):
    """Five steps at three ideas each are a proposal of three and one of two."""
    asked = []

    def propose(history, n):
        asked.append(n)
        return numbered(history, n)

    one = study(propose=(propose), ideas=3, stop=MaxSteps(5))
    one.run()
    assert asked == [3, 2]
    assert len(one.last.trials) == 6


def test_ask_and_tell_make_the_loop_yours(study):
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


def test_guidance_is_in_the_history_that_the_next_proposal_gets(study, numbered):
    """Another process may append it while the study runs; it is seen before the next proposal."""
    store = MemoryStore()
    heard = []

    def propose(history, n):
        heard.append(history.guidance)
        if history.slot == 0:
            store.append("study", Guided("be brief"))
        return numbered(history, n)

    one = study(propose=(propose), store=store, stop=MaxSteps(2))
    one.run()
    assert heard == [(), ("be brief",)]
    with pytest.raises(BadInput, match="guidance is empty"):
        one.guide("  ")


def test_a_second_owner_is_refused_and_a_closed_study_is_free(study):
    """One owner at a time, also within one process."""
    store = MemoryStore()
    with study(store=store), pytest.raises(StudyOwned):
        study(store=store).ask()
    assert study(store=store).ask()


def test_another_problem_under_the_same_name_is_refused(study):
    """A study goes on only with the problem that it was opened with."""
    store = MemoryStore()
    study(store=store, stop=MaxSteps(0)).run()
    other = study(store=store, problem=Problem("task", "question", "another start"))
    with pytest.raises(BadInput, match="was opened with another x0"):
        other.run()


def test_an_observer_sees_every_event_and_a_failing_one_is_logged(caplog, study):
    """What only watches cannot end the run."""
    seen = []

    def broken(event):
        raise RuntimeError("observer bug")

    one = study(stop=MaxSteps(1), observers=(broken, seen.append))
    one.run()
    assert [type(event) for event in seen] == [Opened, Proposed, Told, Proposed, Told, Stopped]
    assert "observer bug" in caplog.text


def test_a_stop_file_that_appears_during_the_run_ends_it(tmp_path, study):
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
def test_numbers_that_make_no_sense_are_refused_by_name(field, study):
    """Nothing is touched before the numbers are checked."""
    with pytest.raises(BadInput, match=field):
        study(**{field: 0})


def test_a_defect_in_a_proposer_is_raised_and_the_study_is_closed(study):
    """What is not ours to judge is not swallowed, and the next session may own the study."""
    store = MemoryStore()

    def propose(history, n):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        study(propose=(propose), store=store).run()
    assert study(store=store, stop=MaxSteps(1)).run().error is None
