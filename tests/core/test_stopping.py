"""Stop rules and budgets: why a study ends."""

from __future__ import annotations

import pytest

from llm_optimize.core.budget import Budget
from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.ledger import Ledger, UnitGuard
from llm_optimize.core.stopping import MaxSteps, Plateau, StopFile, TargetScore, WallClock
from llm_optimize.core.types import Candidate, Evaluation, Problem, Usage
from llm_optimize.errors import BadInput, BudgetExceeded


def told(*scores, usage=Usage()):
    history = History.empty().after(Opened(Problem("t"), at=1.0))
    for i, score in enumerate(scores):
        history = history.after(Proposed((Candidate(i, str(i), origin="" if i else "start"),), usage, at=1.0))
        history = history.after(Told(i, Evaluation(score), at=1.0))
    return history


def test_each_rule_says_why():
    """A rule gives its reason when it holds, and None before."""
    assert MaxSteps(2)(told(1, 1)) is None
    assert MaxSteps(2)(told(1, 1, 1)) == "max_steps: 2 steps are done"
    assert TargetScore(3)(told(1, 2)) is None
    assert TargetScore(3)(told(1, 3)) == "stop_score: 3 reaches 3"
    assert Plateau(2)(told(5, 1)) is None
    assert Plateau(2)(told(5, 1, 5)) == "plateau: 2 trials without improvement"


def test_rules_compose_with_each_other_and_with_functions():
    """``|`` stops for the first reason, ``&`` for all of them; a plain function may stand on either side."""

    def enough(history):
        return "enough" if len(history.trials) > 1 else None

    either, turned = MaxSteps(5) | enough, enough | MaxSteps(5)
    assert either(told(1)) is None
    assert either(told(1, 1)) == turned(told(1, 1)) == "enough"
    both = MaxSteps(1) & enough & TargetScore(2)
    assert both(told(1, 1)) is None
    assert both(told(1, 2)) == "max_steps: 1 steps are done and enough and stop_score: 2 reaches 2"


def test_a_stop_file_stops_when_it_appears(tmp_path):
    """Touching the file is enough."""
    rule = StopFile(tmp_path / "STOP")
    assert rule(told(1)) is None
    (tmp_path / "STOP").touch()
    assert "exists" in rule(told(1))


def test_the_wall_clock_counts_open_sessions():
    """A session opened long ago is over its time."""
    assert "wall clock" in WallClock(60)(told(1))


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: MaxSteps(-1), "max_steps"),
        (lambda: MaxSteps(2.5), "max_steps"),
        (lambda: TargetScore(float("nan")), "stop_score"),
        (lambda: Plateau(0), "plateau"),
        (lambda: WallClock(0), "wall clock"),
        (lambda: Budget(evaluations=0), "budget evaluations"),
        (lambda: Budget(dollars=-1), "budget dollars"),
        (lambda: Budget(seconds=float("nan")), "budget seconds"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_by_name(make, field):
    """The message names the field, on one line."""
    with pytest.raises(BadInput, match=field) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_budget_is_a_stop_rule_over_everything_spent():
    """Each cap says how much of it is used."""
    history = told(1, 2, usage=Usage(calls=1, tokens_in=40, tokens_out=10, dollars=0.5))
    assert Budget(tokens=101)(history) is None
    assert Budget(tokens=100)(history) == "budget tokens: 100 of 100 used"
    assert Budget(dollars=1.0)(history) == "budget dollars: 1 of 1 used"
    assert Budget(evaluations=2)(history) == "budget evaluations: 2 of 2 used"
    assert Budget(evaluations=3)(history.assuming(1)) == "budget evaluations: 3 of 3 used"


def test_the_ledger_refuses_what_would_pass_a_cap_and_counts_what_is_in_flight():
    """Reservations of several units add up; settling and closing give back."""
    ledger = Ledger(Budget(tokens=100))
    ledger.fold(Usage(tokens_in=20))
    first, second = UnitGuard(ledger, "proposal/0"), UnitGuard(ledger, "proposal/1")
    first.reserve(Usage(tokens_in=50))
    with pytest.raises(BudgetExceeded, match="70 of 100 used or set aside, the next call may need 31"):
        second.reserve(Usage(tokens_out=31), patient=False)
    first.settle(Usage(tokens_in=50), Usage(tokens_in=10))
    second.reserve(Usage(tokens_out=31))
    second.close()
    first.close()
    UnitGuard(ledger, "proposal/2").reserve(Usage(tokens_in=80))
