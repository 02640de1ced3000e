"""When racing stops, and what a candidate that was stopped is said to score."""

from __future__ import annotations

import random
from statistics import fmean

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from llm_optimize.errors import BadInput
from llm_optimize.scorers.racing import FixedGate, Racing, estimate, t_test_less


@pytest.mark.parametrize("n", [2, 3, 10, 57, 1000, 20000])
def test_the_test_is_students(n) -> None:
    """The probability is scipy's, for few and for many differences, on either side."""
    draw = random.Random(n)
    for _ in range(10):
        shift = draw.gauss(0, 1) / n**0.5
        differences = [draw.gauss(shift, 1) for _ in range(n)]
        wanted = scipy.stats.ttest_1samp(differences, 0, alternative="less").pvalue
        assert t_test_less(differences) == pytest.approx(wanted, abs=1e-10)


def test_the_test_without_spread() -> None:
    """Equal differences decide by their sign; one difference decides nothing."""
    assert [t_test_less([d] * 5) for d in (-0.5, 0.0, 0.5)] == [0.0, 1.0, 1.0]
    assert t_test_less([-1.0]) == 1.0


def test_a_look_holds_its_level() -> None:
    """At one look, a candidate as good as the incumbent is stopped in about alpha of all races."""
    draw = random.Random(3)
    stopped = sum(Racing(alpha=0.2).stops([draw.gauss(0, 1) for _ in range(10)], 10**9) for _ in range(2000))
    assert stopped / 2000 == pytest.approx(0.2, abs=0.03)


def test_a_race_is_for_this_data_set() -> None:
    """The fewer examples are left, the surer is who will be ahead; with none left it is certain."""
    differences = [-1.0, 0.0, 0.0, 1.0, -1.0]
    sure = [t_test_less(differences, total) for total in (None, 100, 10, 6, 5)]
    assert sure == sorted(sure, reverse=True)
    assert sure[-1] == 0.0
    wanted = scipy.stats.t.cdf(-0.2 / (0.7 / 5) ** 0.5 / (1 - 5 / 10) ** 0.5, 4)
    assert t_test_less(differences, 10) == pytest.approx(wanted)


def test_the_gate_looks_once() -> None:
    """The gate lets only a gain pass, by more than its margin, and is open afterwards."""
    gate = FixedGate(4, margin=0.25)
    assert gate.stops([1, 0, 0, 0], 9)
    assert not gate.stops([1, 1, 0, 0], 9)
    assert not gate.stops([-1] * 5, 9)
    assert gate.next_block(0) == 4
    assert gate.next_block(4) > 10**9


scores = st.floats(-100, 100, allow_nan=False).map(lambda x: round(x, 3))


@given(st.lists(st.tuples(scores, scores), min_size=2, max_size=30), st.integers(1, 30), scores)
def test_an_estimate_is_never_the_best(pairs, seen, level) -> None:
    """It is below the incumbent's mean and score, however lucky the examples seen, and within what was ever scored."""
    own, incumbent = [a for a, _ in pairs][:seen], [b for _, b in pairs]
    found = estimate(own, incumbent[:seen], incumbent, level)
    assert found < fmean(incumbent)
    assert found < level
    assert found >= min(*own, *incumbent) - 1e-9 or found == pytest.approx(min(fmean(incumbent), level), abs=1e-9)


def test_an_estimate_makes_up_for_easy_examples() -> None:
    """A candidate that fails on easy examples is rated below one that fails equally often on hard ones."""
    incumbent = [1.0] * 5 + [0.0] * 5
    on_easy, on_hard = estimate([0.4] * 5, [1.0] * 5, incumbent), estimate([0.0] * 5, [0.0] * 5, incumbent)
    assert on_easy == pytest.approx(0.0)
    assert on_hard == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Racing(block=0), "Racing.block is 0: give a whole number, at least 1"),
        (lambda: Racing(least=1), "Racing.least is 1: give a whole number, at least 2"),
        (lambda: Racing(alpha=1.0), "Racing.alpha is 1.0"),
        (lambda: FixedGate(0), "FixedGate.size is 0"),
        (lambda: FixedGate(margin=float("nan")), "FixedGate.margin is nan"),
    ],
)
def test_rules_that_make_no_sense(make, message) -> None:
    """A wrong number is refused with the field's name."""
    with pytest.raises(BadInput, match=message):
        make()
