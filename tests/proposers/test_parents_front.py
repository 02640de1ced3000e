"""The per-example Pareto front against GEPA's Algorithm 2 done by hand over all candidates."""

from __future__ import annotations

import math
import random
from collections import Counter
from statistics import fmean

import pytest

from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem
from llm_optimize.proposers.parents.pareto_front import ParetoFront


def past(*vectors):
    """Return a history of candidates with these scores on the examples, None for a failure; the mean is the score."""
    history = History.empty().after(Opened(Problem("t", "q", "x0"), seed=1))
    for number, scores in enumerate(vectors):
        outcome = Failure("raised", "no")
        if scores is not None:
            outcome = Evaluation(fmean(scores), examples=tuple(map(float, scores)))
        history = history.after(Proposed((Candidate(number, f"x{number}"),))).after(Told(number, outcome))
    return history


def members(history):
    """Return the ids on the front."""
    return [trial.id for trial in ParetoFront().front(history)]


def shares(policy, history, slots=4_000):
    """Return how often each candidate is the parent, as shares."""
    drawn = Counter(policy.choose(history.assuming(0, slot), 0)[0].id for slot in range(slots))
    return {number: count / slots for number, count in drawn.items()}


def algorithm_2(vectors):
    """Return GEPA's candidates and their number of examples, from scratch (arXiv 2507.19457, Algorithm 2)."""
    best = [max(column) for column in zip(*vectors, strict=True)]
    fronts = [{k for k, scores in enumerate(vectors) if scores[i] == best[i]} for i in range(len(best))]
    kept = set().union(*fronts)
    for one in sorted(kept, key=lambda k: (fmean(vectors[k]), -k)):
        if all(front & kept - {one} for front in fronts if one in front):
            kept.discard(one)
    return {k: sum(k in front for front in fronts) for k in kept}


@pytest.mark.parametrize("seed", range(5))
def test_without_equal_scores_it_is_algorithm_2(seed):
    """At every step the members, and how likely each is, are those of the algorithm over all candidates."""
    draw = random.Random(seed)
    vectors = [[draw.random() for _ in range(7)] for _ in range(60)]
    for count in (1, 2, 5, 20, 60):
        expected = algorithm_2(vectors[:count])
        assert members(past(*vectors[:count])) == sorted(expected)
    drawn = shares(ParetoFront(), past(*vectors))
    assert drawn == pytest.approx({k: n / 7 for k, n in expected.items()}, abs=0.03)


@pytest.mark.parametrize("seed", range(5))
def test_with_pass_and_fail_each_example_is_held_and_nobody_is_spare(seed):
    """Each example's best is held, each member holds one alone, so there are no more members than examples."""
    draw = random.Random(seed)
    vectors = [[float(draw.random() < 0.3) for _ in range(12)] for _ in range(80)]
    kept = members(past(*vectors))
    best = [max(column) for column in zip(*vectors, strict=True)]
    holders = [{k for k in kept if vectors[k][i] == best[i]} for i in range(12)]
    assert all(holders)
    assert all(any(holder == {k} for holder in holders) for k in kept)
    assert len(kept) <= 12


def test_a_specialist_is_drawn_in_proportion_to_its_examples():
    """One that is best on one of four examples is drawn a quarter of the time, however low its mean."""
    history = past([0.6, 0.6, 0.6, 0.0], [0.0, 0.0, 0.0, 0.1], [0.5, 0.5, 0.5, 0.0])
    assert shares(ParetoFront(), history) == pytest.approx({0: 0.75, 1: 0.25}, abs=0.03)


def test_a_better_one_takes_the_place_of_an_equal():
    """Of two that pass the same examples the one with the higher mean stays; of equals the earlier."""
    assert members(past([1, 0.2, 0], [1, 0.2, 0])) == [0]
    assert members(past([1, 0.2, 0], [1, 0.3, 0])) == [1]


def test_what_has_no_full_list_of_examples_is_not_on_the_front():
    """Failures, raced candidates without examples and shorter lists stay out; a longer list begins the front anew."""
    history = past([0.5, 0.5], None, [0.9])
    assert members(history) == [0]
    raced = history.after(Proposed((Candidate(3, "x3"),))).after(Told(3, Evaluation(7.0)))
    assert members(raced) == [0]
    assert members(past([0.5, 0.5], [0.9], [0.1, 0.2, 0.3], [0.9, 0.9])) == [2]


def test_nan_on_an_example_holds_nothing():
    """An example without a number is nobody's best, and the others still count."""
    history = History.empty().after(Opened(Problem("t", "q", "x0")))
    for number, examples in enumerate([(0.5, math.nan), (0.4, 0.1), (0.3, 0.1)]):
        outcome = Evaluation(0.5 - number, examples=examples)
        history = history.after(Proposed((Candidate(number, f"x{number}"),))).after(Told(number, outcome))
    assert members(history) == [0, 1]


def test_without_any_example_scores_it_is_the_best():
    """A study without a data set gets hill climbing."""
    history = History.empty().after(Opened(Problem("t", "q", "x0")))
    for number, score in enumerate((1.0, 3.0, 2.0)):
        history = history.after(Proposed((Candidate(number, f"x{number}"),))).after(Told(number, Evaluation(score)))
    assert shares(ParetoFront(), history, 50) == {1: 1.0}
    assert ParetoFront().front(history) == []


def test_among_a_few_it_is_the_front_of_these_few():
    """Within an island or a line only its own members count."""
    trials = list(past([0.9, 0.9, 0.9], [0.8, 0.1, 0.1], [0.2, 0.7, 0.7]).trials)
    drawn = Counter(ParetoFront().among(trials[1:], random.Random(seed)).id for seed in range(300))
    assert 60 < drawn[1] < 140
    assert drawn[1] + drawn[2] == 300
    assert {ParetoFront().among(trials, random.Random(seed)).id for seed in range(30)} == {0}
