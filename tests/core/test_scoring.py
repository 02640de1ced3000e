"""The border to a user's scorer."""

from __future__ import annotations

import sys

import pytest

from llm_optimize.core.metering import Scope, current_scope
from llm_optimize.core.scoring import evaluate, to_outcome
from llm_optimize.core.types import Evaluation, Failure, Usage
from llm_optimize.errors import BudgetExceeded, ModelUnavailable
from llm_optimize.scorers.combining import Minimize


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), "0.5", None, [1], (1, 2, 3), b"1", {}])
def test_what_is_no_finite_number_is_a_failure_that_says_what_to_return(value):
    """NaN, infinity, text and None are told apart from scores."""
    outcome = to_outcome(value)
    assert isinstance(outcome, Failure)
    assert outcome.kind == "bad_score"
    assert "return a finite number" in outcome.message


def test_numbers_tuples_and_evaluations_become_evaluations():
    """Ints stay ints, foreign numbers become floats, feedback becomes text."""
    numpy = pytest.importorskip("numpy")
    assert to_outcome(3).score == 3
    assert isinstance(to_outcome(3).score, int)
    assert type(to_outcome(numpy.float32(0.5)).score) is float
    assert to_outcome((True, None)) == Evaluation(1.0, "")
    assert to_outcome((0.5, 7)) == Evaluation(0.5, "7")
    given = Evaluation(1, "why", {"loss": 2.0}, (1.0, 0.0))
    assert to_outcome(given) is given


def test_an_evaluation_cannot_hold_nan():
    """A score that cannot be compared is refused at construction."""
    with pytest.raises(ValueError, match="finite"):
        Evaluation(float("nan"))


def test_a_raising_scorer_is_a_failure_with_the_place():
    """The model and the user see what was raised and where; an exit is no exception to this."""

    def divide(text):
        return 1 / len(text)

    outcome, seconds = evaluate(divide, "")
    assert outcome.kind == "raised"
    assert outcome.message.startswith("ZeroDivisionError: division by zero (test_scoring.py:")
    assert outcome.message.endswith("in divide)")
    assert seconds >= 0
    assert evaluate(lambda _: sys.exit(3), "")[0].message.startswith("SystemExit: 3")


@pytest.mark.parametrize("error", [BudgetExceeded("cap"), ModelUnavailable("down")])
def test_errors_that_say_nothing_about_the_candidate_pass_through(error):
    """A spent budget or a dead endpoint is never scored as a bad candidate."""

    def scorer(_):
        raise error

    with pytest.raises(type(error)):
        evaluate(scorer, "x")


def test_calls_that_a_scorer_makes_are_counted_though_it_returns_a_bare_number():
    """The scope's usage becomes the outcome's, unless the scorer reports its own."""

    def scorer(_):
        current_scope().add(Usage(calls=1, tokens_in=9))
        return 1.0

    outcome, _ = evaluate(scorer, "x", Scope("s", "evaluation/0"))
    assert outcome.usage.tokens_in == 9
    assert current_scope() is None


def test_minimize_turns_the_sign_and_keeps_the_rest():
    """Less is better, and a failure stays one."""
    assert Minimize(lambda text: (len(text), "long"))("four") == Evaluation(-4, "long")
    assert Minimize(lambda _: None)("four").kind == "bad_score"
