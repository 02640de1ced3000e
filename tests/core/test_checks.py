"""Numbers that cannot be are refused in one line that names the field and says what can."""

from __future__ import annotations

import pytest

from llm_optimize.core.checks import check_number, check_whole
from llm_optimize.errors import BadInput


@pytest.mark.parametrize("value", [2, 3, 1_000])
def test_a_whole_number_within_its_bounds_passes(value) -> None:
    """Both bounds belong to what can be."""
    check_whole("size", value, 2, 1_000)
    check_whole("size", value, 2)


@pytest.mark.parametrize("value", [1, 1_001, 2.0, True, "3", None, float("nan")])
def test_all_else_is_no_whole_number(value) -> None:
    """Floats, truth values and texts are refused as numbers out of bounds are, with both bounds in the message."""
    with pytest.raises(BadInput) as caught:
        check_whole("size", value, 2, 1_000)
    assert str(caught.value) == f"size is {value!r}: give a whole number, at least 2 and at most 1,000"


@pytest.mark.parametrize("value", [0, 0.5, 1])
def test_a_number_within_its_bounds_passes(value) -> None:
    """Both bounds belong to what can be, and whole numbers are numbers."""
    check_number("share", value, 0, 1)


@pytest.mark.parametrize("value", [-0.1, 1.1, True, "0.5", None, float("nan"), float("inf")])
def test_all_else_is_no_number(value) -> None:
    """NaN, infinity, truth values and texts are refused as numbers out of bounds are."""
    with pytest.raises(BadInput) as caught:
        check_number("share", value, 0, 1)
    assert str(caught.value) == f"share is {value!r}: give a number at least 0 and at most 1"


@pytest.mark.parametrize("value", [0, float("inf")])
def test_a_lower_bound_can_be_left_out(value) -> None:
    """With ``above`` the lower bound itself is refused, and without an upper one infinity still is."""
    with pytest.raises(BadInput) as caught:
        check_number("weight", value, 0, above=True)
    assert str(caught.value) == f"weight is {value!r}: give a number above 0"
    check_number("weight", 1e-300, 0, above=True)
