"""The parts of the Gaussian process engine: kernels, scales of the scores, what is kept of many points, rankings."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_optimize.core.events import Guided, Opened, Proposed, Retold, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Problem
from llm_optimize.proposers.engines import suggest
from llm_optimize.proposers.gaussian import Prior, fit, log_improvement_slope, most_likely, squares
from llm_optimize.proposers.kernels import additive, rough, smooth
from llm_optimize.proposers.structures import StructureIndex
from llm_optimize.proposers.warping import warpings
from llm_optimize.text.domains import Box, Real

NUMBERS = np.zeros(3, dtype=bool)


def points(count, columns=3, seed=1):
    return np.random.default_rng(seed).random((count, columns))


@pytest.mark.parametrize("kernel", [smooth, rough, additive])
def test_kernel_is_one_at_distance_zero_and_its_derivative_is_right(kernel):
    """The covariance of a point with itself is 1, and the derivative agrees with a difference quotient."""
    apart, weights = squares(points(4), points(5, seed=2), NUMBERS), np.array([2.0, 0.7, 5.0])
    assert kernel(0.0 * apart, weights)[0] == pytest.approx(1.0)
    value, derivative = kernel(apart, weights)
    derivative = np.broadcast_to(derivative, apart.shape)
    for column in range(3):
        further = apart.copy()
        further[:, :, column] += 1e-6 / weights[column]
        assert (kernel(further, weights)[0] - value) / 1e-6 == pytest.approx(derivative[:, :, column], abs=1e-5)


def test_scales_keep_the_order_and_are_standardized():
    """Whatever the scale of the scores, a better one stays better, the mean is 0 and the variance 1."""
    scores = -np.exp(np.linspace(-9, 12, 40))
    kinds = warpings(scores)
    assert len(kinds) == 3
    for kind in kinds[1:]:
        assert (np.diff(kind.scores) < 0).all()
    for kind in kinds:
        assert (kind.scores.mean(), kind.scores.var()) == pytest.approx((0.0, 1.0))


def test_equal_scores_have_one_scale():
    """Scores without differences have nothing to be warped."""
    assert [list(kind.scores) for kind in warpings(np.full(5, 7.0))] == [[0.0] * 5]


def test_evidence_takes_the_logarithm_for_losses_over_many_magnitudes_and_not_for_a_bowl():
    """Scores whose logarithm is smooth are fitted on that scale; those that are smooth themselves as they are."""
    places = points(40)
    bowl = ((places - 0.4) ** 2).sum(1)
    assert most_likely(places, -bowl, NUMBERS, Prior()).warping == 0
    assert most_likely(places, -np.exp(20 * bowl), NUMBERS, Prior()).warping > 0


def test_evidence_takes_the_sum_over_columns_for_a_sum_only():
    """A sum of rugged functions of one column each is recognized, and what a product is not taken for one."""
    places = points(90)
    waves = np.sin(12 * places).sum(1)
    assert most_likely(places, waves, NUMBERS, Prior()).kernel is additive
    assert most_likely(places, np.sin(4 * places.prod(1) * 9), NUMBERS, Prior()).kernel is not additive


@pytest.mark.parametrize("function", [lambda x: np.sin(12 * x).sum(1), lambda x: np.sin(3 * x.sum(1))])
def test_improvement_rises_along_its_gradient(function):
    """The gradient of the log expected improvement agrees with difference quotients, for every kind of kernel."""
    places = points(60)
    scores = function(places) + np.random.default_rng(3).normal(0, 0.1, 60)
    process = fit(places, scores, NUMBERS, most_likely(places, scores, NUMBERS, Prior()))
    here = np.array([0.31, 0.52, 0.77])
    best = float(process.scores.max())
    slope = log_improvement_slope(process, here, best)[1]
    for column in range(3):
        step = np.eye(3)[column] * 1e-6
        there, back = (log_improvement_slope(process, here + sign * step, best)[0] for sign in (1, -1))
        assert (there - back) / 2e-6 == pytest.approx(slope[column], rel=1e-3, abs=1e-3)


def test_search_goes_on_elsewhere_once_an_optimum_is_reached():
    """After a local search has converged, suggestions no longer crowd around its optimum."""
    rng = random.Random(1)
    near = [(0.5 + rng.gauss(0, 1e-9), 0.5 + rng.gauss(0, 1e-9)) for _ in range(30)]
    far = [(rng.random(), rng.random()) for _ in range(20)]
    told = [(one, -((one[0] - 0.5) ** 2) - (one[1] - 0.5) ** 2) for one in (*far, *near)]
    asked = [suggest("gp", [Real(0, 1)] * 2, told[: 46 + i], seed=(1, i)) for i in range(4)]
    assert all(max(abs(x - 0.5), abs(y - 0.5)) > 0.004 for x, y in asked)


def grown(scores, retests, rejected=()):
    """Return the histories of a study in the order of their making; structures a, b and c take turns."""
    history = History.empty().after(Opened(Problem("t", start="a = 1.0")))
    views = []
    for number, score in enumerate(scores):
        text = f"{'abc'[number % 3]} = {number + 1}.0"
        candidate = Candidate(number, text, origin="numeric:gp" if number % 2 else "chat")
        history = history.after(Proposed((candidate,), slot=number)).after(Told(number, Evaluation(float(score))))
        views.append(history)
        for serial, (when, which, again) in enumerate(retests):
            if when == number and which <= number:
                history = history.after(Retold(which, Evaluation(float(again)), serial))
                views.append(history)
        for when, which in rejected:
            if when == number and which <= number + 1:
                history = history.after(Guided("no", act="reject", candidate_id=which))
                views.append(history)
    return views


@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11), st.integers(-9, 9)), max_size=6),
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=2),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_an_index_that_has_followed_everything_answers_as_a_new_one(scores, retests, rejected, rng):
    """Whatever was followed before, earlier or later, base, standing and data follow from the history alone."""
    views = grown(scores, retests, rejected)
    index = StructureIndex(Box(0.0, 100.0))
    index.best(views[-1])
    rng.shuffle(views)
    for view in views:
        fresh = StructureIndex(Box(0.0, 100.0))
        assert index.best(view) == fresh.best(view)
        assert index.latest(view) == fresh.latest(view)
        for standing in fresh.latest(view):
            group = index.group(view, standing.key)
            assert group == fresh.group(view, standing.key)
            scores_now = [score for _, score in group.told]
            assert standing.best == group.base.score == max(one for one in scores_now if one is not None)
