"""What a setting may be: lists, ranges in either direction, steps without float dirt, logarithms."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_optimize.errors import BadInput
from llm_optimize.sweep.dimensions import Between, Listed, parse_dimension


def values(name, spec):
    """All values of a dimension."""
    found = parse_dimension(name, spec)
    return [found.at(i) for i in range(found.count)]


def test_steps_are_free_of_float_dirt():
    """An interval of 0.1 is 0.1, 0.2 ... 1.0, as they are written."""
    assert [repr(one) for one in values("temperature", (0.1, 1.0, 0.1))] == [f"{i / 10}" for i in range(1, 11)]
    assert 0.3 in values("temperature", (0.1, 1.0, 0.1))


@given(st.integers(1, 500), st.integers(0, 100), st.integers(1, 60))
def test_every_step_is_the_decimal_that_was_meant(step, start, count):
    """Whatever the step in thousandths, each value prints with three decimals at most."""
    low, width = start / 1000, step / 1000
    high = float(Decimal(str(low)) + count * Decimal(str(width)))
    found = values("free", (low, high, width))
    assert len(found) == count + 1
    assert all(len(str(one).partition(".")[2]) <= 3 for one in found)


def test_steps_go_either_way():
    """A negative step goes down; both bounds are included where they are hit."""
    assert values("temperature", (0.7, 0.1, -0.3)) == [0.7, 0.4, 0.1]
    assert values("top_k", (1, 10, 4)) == [1, 5, 9]


def test_logarithmic_ranges():
    """Equal ratios, with the number of values that is asked for; whole numbers stay whole and different."""
    assert values("mirostat_tau", (0.01, 100, "log", 5)) == [0.01, 0.1, 1.0, 10.0, 100.0]
    whole = values("top_k", (1, 8, "log", 12))
    assert whole == sorted(set(whole))
    assert all(isinstance(one, int) for one in whole)
    assert parse_dimension("mirostat_tau", (0.01, 100, "log")) == Between(0.01, 100.0, log=True)


@pytest.mark.parametrize(
    ("name", "spec", "said"),
    [
        ("temperature", (0.7, 0.1), "temperature is 0.7..0.1: the range is reversed"),
        ("temperature", (0.7, 0.1, 0.1), "temperature is 0.7..0.1 in steps of 0.1: the range is empty"),
        ("temperature", (0.1, 0.7, -0.1), "temperature .* is empty that way"),
        ("temperature", (0.5, 0.5), "temperature .* the range is empty"),
        ("temperature", (0.1, 0.5, 0), "temperature .* empty"),
        ("temperature", [], "temperature has no values"),
        ("top_p", (-1, 2, 0.01), "top_p is -1.0: endpoints accept a number from 0 to 1"),
        ("top_p", [0.5, 1.2], "top_p is 1.2"),
        ("top_k", (1.5, 10), "top_k .* whole numbers only"),
        ("top_k", (0, 10, "log"), "top_k .* begins above 0"),
        ("temperature", (0.1, 0.9, "exp"), "temperature is"),
        ("messages", ["a"], "messages is no setting"),
        ("", 1, "no name"),
    ],
)
def test_a_range_that_holds_nothing_is_named(name, spec, said):
    """A reversed or empty range, and a value out of range, is an error that names the field."""
    with pytest.raises(BadInput, match=said):
        parse_dimension(name, spec)


def test_fields_of_whole_numbers_are_whole():
    """Bounds of top_k give whole numbers, whether or not somebody says so; a list keeps each kind as it is."""
    assert all(isinstance(one, int) for one in values("top_k", (1, 100)))
    assert parse_dimension("stop", ["a", "b", "a"]) == Listed(("a", "b"))


@pytest.mark.parametrize("spec", [(0.1, 0.9), (0.1, 1.0, 0.1), [0.2, 0.5, 0.9], ["a", "b"], (1, 64, "log", 7)])
def test_an_engine_gets_back_what_was_sent(spec):
    """What a value becomes for an engine leads back to exactly that value."""
    found = parse_dimension("free", spec)
    for place in (0.0, 0.3, 0.77, 1.0):
        value = found.decode(found.domain.at(place))
        assert found.decode(found.encode(value)) == value
