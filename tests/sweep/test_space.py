"""Grids of any size: complete, sampled without a copy of the product, without duplicates."""

from __future__ import annotations

import tracemalloc

import pytest

from llm_optimize.errors import BadInput
from llm_optimize.sweep.permutation import Permutation
from llm_optimize.sweep.space import Space, texts_of

HUGE = {
    "max_tokens": (10, 4096, 1),
    "temperature": (0.1, 0.7, 0.1),
    "top_p": (0.0, 1.0, 0.01),
    "frequency_penalty": (-2.0, 2.0, 0.1),
    "presence_penalty": (-2.0, 2.0, 0.1),
    "top_k": (1, 250),
}


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
@pytest.mark.parametrize("seed", [0, 1, -5])
def test_a_permutation_holds_each_number_once(size, seed):
    """Every number below the size comes exactly once."""
    assert sorted(map(Permutation(size, seed), range(size))) == list(range(size))


def test_seeds_differ_and_repeat():
    """Equal seeds give equal orders, others another one."""
    orders = [[Permutation(1000, seed)(i) for i in range(20)] for seed in (1, 1, 2)]
    assert orders[0] == orders[1] != orders[2]


def test_a_huge_grid_is_sampled_without_laying_it_out():
    """Of 10^12 combinations 1,000 different ones come, in a few MB; the same ones with the same seed."""
    tracemalloc.start()
    space = Space.of(["a", "b", "c"], [""], HUGE)
    assert space.size > 10**12
    order = Permutation(space.size, 4)
    texts = {space.call(order(i)).text for i in range(1000)}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(texts) == 1000
    assert peak < 8_000_000
    assert {space.call(Permutation(space.size, 4)(i)).text for i in range(1000)} == texts


def test_a_grid_holds_every_pair_once():
    """Prompts, system prompts and settings, each with each."""
    space = Space.of(["a", "b"], ["", "s"], {"temperature": [0.1, 0.2, 0.3], "seed": 7})
    calls = [space.call(i) for i in range(space.size)]
    assert len({one.text for one in calls}) == space.size == 12
    assert {one.settings["seed"] for one in calls} == {7}


def test_a_range_without_steps_is_no_grid():
    """It is named, with both remedies."""
    with pytest.raises(BadInput, match=r"temperature is 0\.1 to 0\.9 without steps"):
        Space.of(["a"], [""], {"temperature": (0.1, 0.9)}).check_grid()


@pytest.mark.parametrize("given", ["", [], ["a", " "], 3, None])
def test_prompts_that_are_none_are_refused(given):
    """A prompt is a text with something in it."""
    with pytest.raises(BadInput, match="user_prompts"):
        texts_of("user_prompts", given)


def test_equal_prompts_are_one():
    """The same prompt twice would be the same requests twice."""
    assert texts_of("user_prompts", ["a", "b", "a"]) == ("a", "b")
