"""The sorting-network task gives every text the score that it deserves."""

from __future__ import annotations

import itertools

import pytest
from tasks.sorting_network import CHANNELS, MOST, comparators, make, score, unsorted

from llm_optimize import Evaluation, Failure

LEAST = "(0,2)(1,3)(4,6)(5,7) (0,4)(1,5)(2,6)(3,7) (0,1)(2,3)(4,5)(6,7) (2,4)(3,5) (1,4)(3,6) (1,2)(3,4)(5,6)"
"""The 19 comparators that are known to be the least for eight channels."""


def test_the_least_network_reaches_the_known_optimum():
    """Nineteen comparators that sort score the task's best."""
    assert score(LEAST).score == make(0).best == -19


@pytest.mark.parametrize("seed", range(20))
def test_every_start_sorts(seed):
    """Each seed begins with a network of 32 comparators that sorts, and it is the same one each time."""
    task = make(seed)
    assert task.score(task.start).score == -32
    assert task.start == make(seed).start


def test_the_zero_one_principle_agrees_with_permutations():
    """A network that sorts all zeros and ones sorts all 40,320 permutations, and one that does not leaves some."""
    whole = comparators(LEAST)
    for pairs in (whole, whole[:-1]):
        fails = any(_applied(pairs, list(one)) != sorted(one) for one in itertools.permutations(range(CHANNELS)))
        assert fails == bool(unsorted(pairs))
    assert not unsorted(whole)


def _applied(pairs, values):
    for i, j in pairs:
        if values[i] > values[j]:
            values[i], values[j] = values[j], values[i]
    return values


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sorted(x)",
        "(0, 1) and the rest is sorted",
        "(0, 8)",
        "(3, 3)",
        "(7, 0)" + LEAST,
        "(-1, 0)" + LEAST,
        "(0.5, 1)" + LEAST,
        "(0, 1)" * (MOST + 1),
        "(00000000000, 1)",
        "(0, \u0661)",
        "f(x) = -1",
    ],
)
def test_what_is_no_network_has_no_score(text):
    """Prose, descending, equal, missing and far too many comparators are refused, with a reason."""
    outcome = score(text)
    assert isinstance(outcome, Failure)
    assert outcome.message


def test_a_network_that_does_not_sort_never_beats_one_that_does():
    """The best score without sorting lies below that of the longest network that sorts."""
    longest = LEAST + "(0, 1)" * (MOST - 19)
    almost = score(LEAST.removesuffix("(5,6)"))
    assert isinstance(almost, Evaluation)
    assert almost.score < score(longest).score == -MOST
    assert score("(0, 1)").score < almost.score
    assert "stay unsorted, the first is 1 0 1 0" in almost.feedback
