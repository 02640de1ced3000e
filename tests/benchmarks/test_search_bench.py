"""The comparison of searches counts what was spent and calls a winner a winner."""

from __future__ import annotations

import pytest
from arena import SCALES, Arena, Meter, judge, unit
from bench_search import interval, p_value, ranks, verdict
from rivals import SYSTEMS, plays, system

UP = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]


def test_what_comes_after_the_limit_does_not_count():
    """The best value is that of the evaluations within the budget, or of those made before the last call within it."""
    arena = Arena("sorting network", 0, 2)
    for value in (0.1, 0.3, 0.9):
        arena.meter.calls += 1
        arena.meter.add(value)
    assert arena.best() == 0.3
    assert arena.spent
    assert [point.best for point in arena.meter.points] == [0.1, 0.3, 0.9]


def test_every_call_of_the_scorer_is_an_evaluation():
    """A text that is asked about twice costs two."""
    meter = Meter(lambda text: judge("sorting network", 0, text))
    for text in ("(0, 1)", "(0, 1)", "(0, 2)"):
        meter.score(text)
    assert meter.evaluations == 3
    assert len(meter.texts) == 2


@pytest.mark.parametrize("name", SCALES)
def test_a_scale_keeps_the_order_of_scores(name):
    """More is more, from 0 to 1."""
    low, high = SCALES[name][0][0], SCALES[name][-1][0]
    values = [unit(name, low + (high - low) * part / 50) for part in range(51)]
    assert values == sorted(values)
    assert (values[0], values[-1]) == pytest.approx((0, 1))


@pytest.mark.parametrize("name", ["ours", "gepa", "best_of_n", "plain chat"])
@pytest.mark.parametrize("by", ["evaluations", "calls"])
def test_a_search_spends_its_budget(name, by):
    """It stops at the limit, but for what was under way, and the meter saw every evaluation and call."""
    arena = Arena("sorting network", 1, 15, by)
    SYSTEMS[name](arena)
    spent = arena.meter.evaluations if by == "evaluations" else arena.meter.calls
    assert 15 <= spent <= 17
    assert arena.meter.points[0].best == 0.6
    assert arena.best() >= 0.6


def test_gepa_buys_fewer_candidates():
    """Its evaluations are more than its candidates, ours are as many."""
    distinct = {}
    for name in ("ours", "gepa"):
        arena = Arena("sorting network", 2, 40)
        SYSTEMS[name](arena)
        distinct[name] = len(arena.meter.texts)
    assert distinct["ours"] == 40
    assert distinct["gepa"] < 25


def test_gepa_with_a_data_set_pays_by_the_example():
    """As many examples as the data set has are one evaluation, and a candidate counts once it was asked all of them."""
    arena = Arena("text instruction", 0, 6)
    SYSTEMS["gepa:examples"](arena)
    assert 5 <= arena.meter.evaluations <= 8
    assert 1 <= len(arena.meter.texts) <= 6
    assert arena.meter.points[0].best == arena.judged(arena.task.start).value
    assert not plays("gepa:examples", Arena("sorting network", 0, 6))


def test_ranks_share_places():
    """Equal values share the mean of their places."""
    assert ranks({"a": [1, 3], "b": [1, 2], "c": [0, 1]}) == {"a": 1.25, "b": 1.75, "c": 3.0}


def test_verdicts_follow_the_medians_and_the_test():
    """First with the highest median, tied where the lead of others is no more than chance, else behind."""
    down = [value - 0.05 for value in UP]
    assert verdict({"ours": UP, "gepa": down}, "ours") == "first"
    assert verdict({"ours": down, "gepa": UP}, "ours").startswith("behind gepa")
    mixed = [value + (0.1 if at % 2 else -0.09) for at, value in enumerate(UP)]
    assert verdict({"ours": UP, "gepa": [value + 0.001 for value in mixed]}, "ours") in {"first", "tied with gepa"}
    assert verdict({"ours": down, "ours:other": UP}, "ours") == "first"


def test_figures_of_the_test_and_the_interval():
    """Equal columns differ by nothing; an interval holds the median."""
    assert p_value(UP, UP) == 1.0
    assert p_value(UP, [value - 0.05 for value in UP]) < 0.01
    low, high = interval(UP)
    assert UP[0] < low <= 0.55 <= high < UP[-1]


def test_every_system_has_a_name_that_finds_it():
    """Also the one whose name is that of a part of its package; another name is a function that makes a proposer."""
    assert all(system(name) is made for name, made in SYSTEMS.items())
    assert callable(system("llm_optimize:ChatProposer"))
    with pytest.raises(KeyError):
        system("unheard of")
