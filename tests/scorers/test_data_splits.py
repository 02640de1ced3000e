"""Parts of a data set: nothing is in two of them, and nothing moves when rows come or are shuffled."""

from __future__ import annotations

import pickle
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_optimize.errors import BadInput
from llm_optimize.scorers.example import Example
from llm_optimize.scorers.splits import Sealed, split

ROWS = [Example({"x": x}, x % 2, key=str(x), group=f"g{x % 40}") for x in range(400)]
PLAIN = [Example({"x": x}, x % 2) for x in range(400)]


def parts(examples, **how):
    """Return the three parts as tuples."""
    made = split(examples, **how)
    return made.train, made.validation, made.sealed.open()


def places(examples, **how):
    """Return the name of the part of each example by its input."""
    return {one["x"]: name for name, part in zip("tvs", parts(examples, **how), strict=True) for one in part}


def test_parts_are_disjoint_and_complete() -> None:
    """Every example is in exactly one part, and the parts are about as large as asked for."""
    train, validation, sealed = parts(PLAIN, train=0.2, validation=0.5, sealed=0.3)
    assert sorted(one["x"] for one in (*train, *validation, *sealed)) == list(range(400))
    assert [len(part) for part in (train, validation, sealed)] == pytest.approx([80, 200, 120], abs=30)


def test_a_group_is_never_parted() -> None:
    """All examples of a group are in one part, by their own group or by a function."""
    for how in ({}, {"group": lambda one: one["x"] // 10}):
        key = how.get("group", lambda one: one.group)
        found = [{key(one) for one in part} for part in parts(ROWS, **how)]
        assert sum(map(len, found)) == len(set().union(*found)) == 40


@given(st.integers(0, 5), st.integers(1, 200), st.randoms(use_true_random=False))
def test_nothing_moves_when_rows_are_appended_or_shuffled(seed, more, shuffling) -> None:
    """Where an example goes depends on the seed and itself alone."""
    before = places(PLAIN, seed=seed)
    grown = [*PLAIN, *(Example({"x": 1000 + x}) for x in range(more))]
    shuffling.shuffle(grown)
    after = places(grown, seed=seed)
    assert {x: after[x] for x in before} == before


def test_the_order_of_the_rows_is_nothing_to_a_part() -> None:
    """Shuffled rows give the same parts in the same order, so per-example scores stay comparable."""
    shuffled = random.Random(1).sample(PLAIN, len(PLAIN))
    assert parts(shuffled, seed=4) == parts(PLAIN, seed=4)
    assert parts(PLAIN, seed=5) != parts(PLAIN, seed=4)


def test_twins_stay_together() -> None:
    """An example that occurs twice, even with another answer, cannot be both searched on and sealed."""
    twins = [Example({"x": x}, answer) for x in range(100) for answer in (0, 1)]
    found = [{one["x"] for one in part} for part in parts(twins)]
    assert sum(map(len, found)) == 100


def test_a_share_of_nothing_is_no_part() -> None:
    """Without a sealed share there is none; shares below 1 leave examples out."""
    made = split(PLAIN, train=0, validation=0.5, sealed=0)
    assert (made.train, made.sealed) == ((), None)
    assert 150 < len(made.validation) < 250


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"train": 30}, "train is 30: give its share"),
        ({"sealed": 0.9}, "sum to 1.6"),
        ({"validation": True}, "validation is True"),
        ({"train": 0.0001}, "train got none of 400 examples"),
    ],
)
def test_shares_that_make_no_sense(how, message) -> None:
    """Counts for shares, too much, or a part that would be empty are refused with the field's name."""
    with pytest.raises(BadInput, match=message):
        split(PLAIN, **how)


def test_the_sealed_part_is_used_once() -> None:
    """A second look is refused, also by a copy made after the first; looking at it shows no example."""
    sealed = Sealed(PLAIN)
    assert repr(sealed) == "Sealed(400 examples, sealed)"
    assert len(pickle.loads(pickle.dumps(sealed)).open()) == 400
    sealed.open()
    assert sealed.is_open
    for one in (sealed, pickle.loads(pickle.dumps(sealed))):
        with pytest.raises(BadInput, match="have been used"):
            one.open()
