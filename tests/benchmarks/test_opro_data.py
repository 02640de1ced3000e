"""OPRO's data: the paper's regression to the last digit, and tours whose optimum is proven."""

from __future__ import annotations

import itertools
from statistics import fmean

import make_tsp_instances
import numpy as np
import pytest
from tasks import linear_regression, tsp
from tasks.linear_regression import REPETITIONS, TRUE_PAIRS, LinearRegression, read_pair

from llm_optimize import Failure
from llm_optimize.core.types import Candidate, Evaluation, Trial

STARTS = (
    ((10, 13), (15, 10), (16, 14), (17, 18), (18, 15)),
    ((10, 18), (16, 19), (18, 14), (19, 12), (19, 16)),
    ((12, 13), (14, 12), (16, 15), (17, 14), (20, 12)),
    ((11, 12), (13, 13), (14, 17), (15, 11), (18, 19)),
    ((12, 11), (13, 17), (14, 11), (14, 16), (15, 17)),
)
LEAST = (47.038, 55.125, 54.166, 48.663, 36.325)


@pytest.mark.parametrize("repetition", range(REPETITIONS))
@pytest.mark.parametrize("pair", TRUE_PAIRS)
def test_starts_and_least_losses_are_the_papers(pair, repetition):
    """Starts and the loss at the true pair agree with the table; they do not depend on the pair."""
    data = LinearRegression(*pair, repetition)
    assert tuple(sorted(data.starts)) == STARTS[repetition]
    assert data.least == pytest.approx(LEAST[repetition], abs=5e-4)


def test_losses_are_those_printed_in_figure_19():
    """For w=2, b=30 and the first repetition the paper prints two of the losses, cut to whole numbers."""
    data = LinearRegression(2, 30, 0)
    assert int(data.loss(18, 15)) == 10386334
    assert int(data.loss(17, 18)) == 9204724


@pytest.mark.parametrize("repetition", range(REPETITIONS))
@pytest.mark.parametrize("pair", TRUE_PAIRS)
def test_the_true_pair_is_the_best_whole_pair(pair, repetition):
    """No other whole pair within 6 in w and 12 in b has less loss, so that finding it is well defined."""
    data, (w, b) = LinearRegression(*pair, repetition), pair
    near = itertools.product(range(w - 6, w + 7), range(b - 12, b + 13))
    assert min(near, key=lambda one: data.loss(*one)) == pair


@pytest.mark.parametrize(
    ("reply", "pair"),
    [
        ("So far so good.\n[15, 14]", (15, 14)),
        ("Not [20, 3] but [15.4, 13.6]", (15, 14)),
        ("[w=15, b=14]", (15, 14)),
        ("(15, 14)", (15, 14)),
        ("w=15, b=14", (15, 14)),
        ("[[15, 14]]", (15, 14)),
        ("w = -3 and b = 1e1", (-3, 10)),
        ("[15, -14] is what I say about w and b", (15, -14)),
        ("[15]", None),
        ("[w, b]", None),
        ("[nan, 3]", None),
        ("[1e9, 3]", None),
        ("15 14", None),
        ("", None),
    ],
)
def test_a_reply_is_read_in_every_form_that_holds_a_pair(reply, pair):
    """The three forms that the paper's parser loses are taken; what holds no two numbers is none."""
    assert read_pair(reply) == pair
    assert isinstance(LinearRegression(15, 14, 0)(reply), Evaluation if pair else Failure)


def test_the_prompt_shows_the_best_pairs_and_no_formula():
    """Worst first, losses cut to whole numbers, and nothing from which a model could work the answer out."""
    data = LinearRegression(2, 30, 0)
    pairs = sorted(data.starts, key=lambda pair: data.loss(*pair))
    trials = [
        Trial(Candidate(i, linear_regression.written(pair)), data(f"[{pair[0]}, {pair[1]}]"))
        for i, pair in enumerate(pairs)
    ]
    prompt = linear_regression.prompt(trials)
    places = [prompt.index(f"{linear_regression.written(pair)}\nvalue:\n{int(data.loss(*pair))}\n") for pair in pairs]
    assert places == sorted(places, reverse=True)
    assert not [word for word in ("linear", "regression", "squared", "x *", "residual", "47.0") if word in prompt]


@pytest.mark.parametrize("n", tsp.SIZES)
def test_every_optimum_is_the_length_of_its_tour(n):
    """The recorded tours visit every point once, have the recorded length, and no heuristic or start beats one."""
    for number in range(tsp.COUNT):
        one = tsp.instance(n, number)
        assert sorted(one.tour) == list(range(n))
        assert one.length(one.tour) == one.optimum
        assert one(tsp.written(one.tour)).metrics["gap"] == 0
        rivals = [tsp.nearest_neighbour(one.points), tsp.farthest_insertion(one.points), *one.starts]
        assert all(sorted(rival) == list(range(n)) and one.gap(rival) > -1e-12 for rival in rivals)
        assert len(set(one.points)) == n
        assert all(-100 <= value <= 100 for point in one.points for value in point)


@pytest.mark.parametrize(("n", "number"), [*((10, number) for number in range(20)), (15, 3)])
def test_optima_are_found_again_by_dynamic_programming(n, number):
    """Points are those that the script draws, and Held and Karp's algorithm finds no shorter tour."""
    one = tsp.instance(n, number)
    points = make_tsp_instances.points_of(n, number)
    assert tuple(map(tuple, points)) == one.points
    assert one.length(make_tsp_instances.held_karp(points)) == pytest.approx(one.optimum, rel=1e-12)


@pytest.mark.parametrize(("n", "number"), [(10, 0), (20, 5), (50, 0)])
def test_optima_are_found_again_by_an_integer_program(n, number):
    """The other exact method agrees, with the first one as well."""
    one = tsp.instance(n, number)
    assert one.length(make_tsp_instances.integer_program(one.points)) == pytest.approx(one.optimum, rel=1e-12)


@pytest.mark.parametrize(
    ("n", "nearest", "farthest"),
    [
        (10, (7.8, 16.3), (0.0, 3.4)),
        (15, (7.7, 24.1), (0.5, 4.1)),
        (20, (11.0, 20.9), (0.9, 5.9)),
        (50, (15.6, 28.8), (5.4, 10.5)),
    ],
)
def test_both_heuristics_lie_where_such_instances_have_them(n, nearest, farthest):
    """Mean gaps, in per cent, lie in the range of 95 % of means over five instances of this distribution."""
    known = [tsp.instance(n, number) for number in range(tsp.COUNT)]
    gaps = [[100 * one.gap(f(one.points)) for one in known] for f in (tsp.nearest_neighbour, tsp.farthest_insertion)]
    assert nearest[0] < fmean(gaps[0]) < nearest[1]
    assert farthest[0] <= fmean(gaps[1]) < farthest[1]


@pytest.mark.parametrize(
    "cheat",
    [
        "<trace>0,1,2,3,4,5,6,7,8</trace>",
        "<trace>0,1,2,3,4,5,6,7,8,8</trace>",
        "<trace>0</trace>",
        "<trace>1,0,2,3,4,5,6,7,8,9</trace>",
        "<trace>0,1,2,3,4,5,6,7,8,9,10</trace>",
        "<trace>0,1,2,3,4,5,6,7,8,9,0,0</trace>",
        "The length is 0.",
        "keys: 0.1, 0.2",
        "keys: " + ", ".join(["nan"] * 9),
        "keys: " + ", ".join(["1e999"] * 9),
        "",
    ],
)
def test_a_trace_that_leaves_points_out_has_no_score(cheat):
    """Missing, repeated, unknown and wrongly begun points are refused, as are keys that are no numbers."""
    assert isinstance(tsp.instance(10, 0)(cheat), Failure)


def test_a_trace_is_read_from_tags_lists_and_keys():
    """The last tagged trace counts, a list without tags too, and keys mean the order of their numbers."""
    dice = np.random.default_rng(1)
    for n in tsp.SIZES:
        tour = (0, *(int(one) + 1 for one in dice.permutation(n - 1)))
        assert tsp.read_trace(f"<trace>0,1</trace> no: {tsp.written(tour)}", n) == tour
        assert tsp.read_trace("Go " + " -> ".join(map(str, [*tour, 0])), n) == tour
        assert tsp.read_trace(tsp.as_keys(tour), n) == tour
