"""History: the log folded into a value."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_optimize.core.events import Guided, Opened, Proposed, Stopped, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem, Usage

START = Opened(Problem("task", "question", "x0"), seed=7, at=100.0)


def folded(*events):
    history = History.empty()
    for event in events:
        history = history.after(event)
    return history


def study_of(scores):
    """Return a history whose candidate i was told with scores[i]; None stands for a failure."""
    events = [START]
    for i, score in enumerate(scores):
        events.append(Proposed((Candidate(i, f"text {i}", origin="start" if i == 0 else ""),), slot=i - 1))
        events.append(Told(i, Failure("raised", "no") if score is None else Evaluation(score)))
    return folded(*events)


@given(st.lists(st.none() | st.integers(-5, 5), min_size=1, max_size=120), st.integers(1, 100))
def test_what_is_folded_equals_what_is_computed_from_the_whole_log(scores, k):
    """Best, top(k), recent(k) and the streak are what a look at all trials at once gives."""
    history = study_of(scores)
    scored = sorted(((-s, i) for i, s in enumerate(scores) if s is not None))
    assert [trial.id for trial in history.top(k)] == [i for _, i in scored[:k]]
    assert (history.best.id if history.best else None) == (scored[0][1] if scored else None)
    assert [trial.id for trial in history.recent(k)] == list(range(len(scores)))[-k:]
    last_improvement = next((i for i, s in enumerate(scores) if s is not None and (-s, i) == scored[0]), -1)
    assert history.stale == len(scores) - 1 - last_improvement
    assert history.steps == len(scores) - 1


def test_two_histories_that_grow_apart_do_not_see_each_other():
    """A value keeps what it was when another one grows from the same point."""
    common = study_of([1, 2])
    left = common.after(Proposed((Candidate(2, "left"),))).after(Told(2, Evaluation(5)))
    right = common.after(Proposed((Candidate(2, "right"),))).after(Told(2, Failure("raised", "x")))
    assert [trial.text for trial in left.trials] == ["text 0", "text 1", "left"]
    assert [trial.text for trial in right.trials] == ["text 0", "text 1", "right"]
    assert len(common.trials) == 2
    assert (left.seen("left"), left.seen("right")) == (2, None)
    assert (right.seen("left"), right.seen("right")) == (None, 2)
    assert (common.seen("left"), common.best.id, left.best.id, right.best.id) == (None, 1, 2, 1)


def test_the_earlier_of_equal_scores_is_the_best():
    """A tie is no improvement."""
    history = study_of([3, 3, 3])
    assert history.best.id == 0
    assert [trial.id for trial in history.top(3)] == [0, 1, 2]
    assert history.stale == 2


def test_an_int_score_below_zero_can_be_the_best():
    """Scores may be negative, and ints stay ints."""
    history = study_of([-10, -3.5, -7])
    assert history.best.score == -3.5
    assert study_of([-10]).best.score == -10
    assert isinstance(study_of([-10]).best.score, int)


def test_the_same_text_is_recognised_without_its_outer_line_ends():
    """A candidate in a fence carries line ends that make it no other candidate."""
    history = study_of([1])
    assert history.seen("\ntext 0\n") == 0
    assert history.seen("text 00") is None


def test_slots_that_were_never_answered_are_found_again():
    """A proposal that was in flight when the process died leaves a gap, which comes first on resume."""
    history = folded(START, *(Proposed((Candidate(slot, f"t{slot}"),), slot=slot) for slot in (0, 2, 5)))
    assert history.free_slots(4) == [1, 3, 4, 6]
    assert history.free_slots(2, frozenset({1, 3})) == [4, 6]


def test_empty_proposals_count_as_steps_and_as_a_streak():
    """A proposer that brings nothing cannot go on for ever."""
    history = folded(START, Proposed((), slot=0), Proposed((), slot=1))
    assert (history.fruitless, history.steps) == (2, 2)
    assert history.after(Proposed((Candidate(0, "x"),), slot=2)).fruitless == 0


def test_usage_adds_proposals_and_evaluations():
    """What the scorer's own model calls cost is part of the study's usage."""
    history = folded(
        START,
        Proposed((Candidate(0, "x"),), Usage(calls=1, tokens_in=10, dollars=0.5), slot=0),
        Told(0, Evaluation(1, usage=Usage(calls=2, tokens_out=7, dollars=0.25))),
    )
    assert (history.usage.calls, history.usage.tokens, history.usage.dollars) == (3, 17, 0.75)


def test_time_between_sessions_is_not_active():
    """Only the seconds of open sessions count, and a killed session ends with its last event."""
    killed = folded(START, Proposed((Candidate(0, "x"),), at=110.0))
    assert killed.active_seconds() == 10
    assert killed.active_seconds(now=112.0) == 12
    resumed = killed.after(Guided("idle", at=500.0)).after(Opened(START.problem, at=1000.0))
    assert resumed.active_seconds(now=1005.0) == 15
    assert resumed.after(Stopped("done", at=1007.0)).active_seconds(now=9999.0) == 17


def test_work_in_flight_counts_as_steps_and_evaluations():
    """Rules see what has begun, so that no cap is overshot."""
    history = study_of([1, 2]).assuming(3, slot=9)
    assert (history.steps, history.evaluations, history.slot) == (4, 5, 9)


def test_an_outcome_for_an_unknown_candidate_is_refused():
    """A log that contradicts itself is not folded."""
    with pytest.raises(ValueError, match="candidate 9 is not pending"):
        study_of([1]).after(Told(9, Evaluation(1)))


def test_past_is_a_sequence():
    """Indexing, slicing and iterating the past work as for a list."""
    past = study_of([0, 1, 2, 3]).trials
    assert [trial.id for trial in past[-2:]] == [2, 3]
    assert past[-1].id == 3
    assert [trial.id for trial in past] == [0, 1, 2, 3]
    with pytest.raises(IndexError):
        past[4]


def test_top_beyond_the_kept_leaders_is_sorted_anew():
    """Asking for more than is kept sorted still gives the right order."""
    scores = [random.Random(i).random() for i in range(300)]
    wanted = sorted(range(300), key=lambda i: -scores[i])
    assert [trial.id for trial in study_of(scores).top(200)] == wanted[:200]
