"""The front of several objectives is what comparing all pairs finds."""

from __future__ import annotations

import math
import random

import pytest

from llm_optimize import Evaluation, Failure, MaxSteps, optimize
from llm_optimize.core.pareto import front
from llm_optimize.core.types import Candidate, Trial
from llm_optimize.errors import BadInput


def trial(number, score, **metrics):
    """A trial with metrics."""
    return Trial(Candidate(number, str(number)), Evaluation(score, metrics=metrics))


def test_the_front_is_what_comparing_all_pairs_finds():
    """Nobody on it is beaten in every respect, everybody off it is beaten or equalled; ids in order."""
    dice = random.Random(4)
    for _ in range(30):
        trials = [trial(i, dice.randint(0, 6), cost=dice.randint(0, 6), speed=dice.randint(0, 6)) for i in range(40)]
        points = {one.id: (one.score, -one.outcome.metrics["cost"], one.outcome.metrics["speed"]) for one in trials}
        chosen = [one.id for one in front(trials, ("score", "-cost", "speed"))]
        for number, point in points.items():
            beaten = any(
                all(a >= b for a, b in zip(points[other], point, strict=True))
                and (points[other] != point or other < number)
                for other in points
                if other != number
            )
            assert (number not in chosen) == beaten
        assert chosen == sorted(chosen)


def test_what_cannot_be_compared_is_left_out():
    """Failures, missing metrics and NaN have no place in an order."""
    trials = [
        trial(0, 1.0, cost=5.0),
        trial(1, 9.0),
        trial(2, 9.0, cost=math.nan),
        Trial(Candidate(3, "x"), Failure("raised", "no")),
    ]
    assert [one.id for one in front(trials, ("score", "-cost"))] == [0]


def test_names_that_mean_nothing_are_refused():
    """One objective has no front, and an unknown metric is a slip: the known ones are named."""
    with pytest.raises(BadInput, match="1 names"):
        front([trial(0, 1.0)], ("score",))
    with pytest.raises(BadInput, match="no candidate has a metric 'speed': known are score, cost"):
        front([trial(0, 1.0, cost=2.0)], ("score", "speed"))


def test_a_result_has_a_front(study):
    """By name of metric, from the whole history."""
    one = study(lambda text: Evaluation(len(text) % 7, metrics={"length": len(text)}), stop=MaxSteps(3))
    ending = one.run()
    result = optimize.conclude(one, ending)
    assert [trial.id for trial in result.pareto("score", "-length")] == [0]
