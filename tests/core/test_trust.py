"""When a score is not to be trusted: failures all alike, judges that cannot be asked, scores too good to be true."""

from __future__ import annotations

import sys

import pytest

from llm_optimize import (
    Draft,
    Evaluation,
    Failure,
    MaxSteps,
    MemoryStore,
    Problem,
    Proposal,
    ScriptedModel,
    Study,
    optimize,
)
from llm_optimize.core.events import Told
from llm_optimize.core.fresh import evaluate_afresh
from llm_optimize.core.noise import Noise
from llm_optimize.errors import BadInput, ContextTooLong, ModelUnavailable, SandboxError


def failing_after(good, message):
    """A scorer that scores so many candidates and then fails."""
    calls = []

    def score(text):
        calls.append(text)
        if len(calls) <= good:
            return len(text)
        raise RuntimeError(message(len(calls)))

    return score, calls


@pytest.mark.parametrize("good", [1, 4])
def test_three_failures_alike_in_a_row_end_the_run(study, good):
    """Not a fourth candidate is spent on a scorer that is broken, and the reason says what it said."""
    score, calls = failing_after(good, lambda _: "disk is full")
    one = study(score, stop=MaxSteps(20))
    ending = one.run()
    assert len(calls) == good + 3
    assert "3 candidates in a row failed the same way (raised): RuntimeError: disk is full" in ending.reason


def test_failures_that_differ_do_not_end_the_run(study):
    """Candidates that fail each in its own way are the model's to mend."""
    score, calls = failing_after(1, lambda call: f"line {call}")
    assert study(score, stop=MaxSteps(9)).run().reason.startswith("max_steps")
    assert len(calls) == 10


def test_a_score_in_between_begins_the_count_anew(study):
    """Two failures, a score, two failures: the scorer works."""
    answers = iter([1.0, *[Failure("timeout", "late")] * 2, 2.0, *[Failure("timeout", "late")] * 2, 3.0])
    one = study(lambda _: next(answers), stop=MaxSteps(6))
    assert one.run().reason.startswith("max_steps")


def test_a_resume_gives_a_mended_scorer_its_chance(study):
    """The count belongs to a session: what was mended in between is not held against the study."""
    store = MemoryStore()
    score, _ = failing_after(1, lambda _: "disk is full")
    study(score, store=store, stop=MaxSteps(20)).run()
    again = study(len, store=store, stop=MaxSteps(20))
    assert again.run().reason.startswith("max_steps")


def test_an_endpoint_that_is_down_leaves_the_candidate_pending(study):
    """Trouble of the judge's endpoint is never a score: the run ends, and a resume scores the candidate first."""
    store, calls = MemoryStore(), []

    def score(text):
        calls.append(text)
        if len(calls) == 3:
            raise ModelUnavailable("503")
        return len(text)

    ending = study(score, store=store, stop=MaxSteps(5)).run()
    assert isinstance(ending.error, ModelUnavailable)
    told = [event for _, event in store.read("study") if isinstance(event, Told)]
    assert [event.candidate_id for event in told] == [0, 1]
    resumed = study(score, store=store, stop=MaxSteps(5))
    resumed.run()
    assert calls[3] == calls[2]
    assert all(trial.score is not None for trial in resumed.last.trials)


def test_a_candidate_that_a_judge_cannot_take_is_excluded_not_scored(study):
    """Too long for the judge, which has judged others: a failure without a score, and the run goes on."""

    def score(text):
        if text.startswith("slot 1,"):
            raise ContextTooLong("9000 tokens of 8192")
        return len(text)

    one = study(score, stop=MaxSteps(4))
    assert one.run().reason.startswith("max_steps")
    assert [trial.score is None for trial in one.last.trials] == [False, False, True, False, False]
    assert one.last.trials[2].outcome.kind == "too_long"


def test_a_judge_that_can_take_nothing_ends_the_run(study):
    """Where not even the start could be judged, it is the set-up that is wrong."""

    def score(text):
        raise ContextTooLong("9000 tokens of 8192")

    one = study(score, stop=MaxSteps(4))
    assert isinstance(one.run().error, ContextTooLong)
    assert not one.last.trials


def test_a_score_above_the_stated_bound_ends_the_run(study):
    """The candidate is kept, the reason names it, and nothing more is proposed."""
    one = study(stop=MaxSteps(9), suspicious_above=10)
    ending = one.run()
    assert ending.reason.startswith("suspicious score: 15 of #1 is above suspicious_above=10")
    assert [trial.text for trial in one.last.trials] == ["start", "slot 0, draft 0"]


def test_a_bound_that_is_no_number_is_refused(study):
    """Before anything is spent."""
    with pytest.raises(BadInput, match="suspicious_above is 'high'"):
        study(suspicious_above="high")


def loud(text):
    """A scorer that prints, at the top of a module."""
    sys.stdout.write("told {}\n")
    return len(text), f"process had {len(sys.argv)} arguments"


def broken(text):
    """A scorer that takes its process down."""
    import os  # noqa: PLC0415 - the scorer's own

    os._exit(3)


def unavailable(text):
    """A scorer whose endpoint is down."""
    raise ModelUnavailable("503")


def test_a_fresh_process_scores_alike():
    """Score and feedback come back as data, whatever the scorer prints; what it raises becomes a failure."""
    outcome, seconds = evaluate_afresh(loud, "four")
    assert (outcome.score, outcome.feedback) == (4, "process had 1 arguments")
    assert seconds > 0
    failed, _ = evaluate_afresh(int, "four")
    assert failed.kind == "raised"


def test_a_scorer_that_cannot_travel_is_called_here():
    """A closure has no way into another process."""
    seen = []
    outcome, _ = evaluate_afresh(lambda text: seen.append(text) or 1.0, "x")
    assert (outcome.score, seen) == (1.0, ["x"])


def test_trouble_in_the_fresh_process_is_no_score():
    """A process that dies and an endpoint that is down are errors of this package."""
    with pytest.raises(SandboxError, match="ended with 3"):
        evaluate_afresh(broken, "x")
    with pytest.raises(Exception, match="ModelUnavailable: 503"):
        evaluate_afresh(unavailable, "x")


CORRUPTED = []


def corruptible(text):
    """A scorer with state in its module, which a candidate may have changed."""
    score = 1000.0 if CORRUPTED else float(len(text))
    if text == "attack":
        CORRUPTED.append(1)
    return score


def test_the_winner_is_scored_in_a_fresh_process():
    """What a candidate did to this process does not help it there: the reported score is the honest one."""
    drafts = iter(["attack", "x"])

    class Proposer:
        def propose(self, history, n):
            return Proposal((Draft(next(drafts)),))

    one = Study(
        Problem("t", "q", "abc"), Proposer(), corruptible, store=MemoryStore(), stop=MaxSteps(2), noise=Noise(fresh=2)
    )
    one.run()
    CORRUPTED.clear()
    assert (one.last.best.text, one.last.best.score) == ("x", 1000.0)
    assert one.last.fresh[2][0].score == 1.0


def test_private_metrics_are_logged_and_not_shown_to_the_model():
    """A metric beginning with an underscore is in the log and in no prompt."""

    def score(text):
        return Evaluation(float(len(text)), "fine", {"_held_back": 0.123456, "open": 0.654321})

    model = ScriptedModel([f"```\n{'x' * n}\n```" for n in range(2, 7)])
    store = MemoryStore()
    result = optimize.run("t", "q", score, "x", 5, model, verbose=False, store=store, study="study")
    shown = "\n".join(str(message.content) for request in model.requests for message in request.messages)
    assert "fine" in shown
    assert "held_back" not in shown
    assert "0.123" not in shown
    assert result.best.outcome.metrics["_held_back"] == 0.123456
