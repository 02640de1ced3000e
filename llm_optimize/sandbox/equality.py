"""When an answer counts as the expected value: one stated rule, applied in the host to data only."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["equal"]


def equal(answer: object, expected: object, tolerance: float = 1e-9) -> bool:
    """Return whether an answer is what was expected.

    - None, truth values, text and bytes are equal to themselves only; 1 is not True.
    - Whole numbers are compared exactly. Where either is a float, they may differ by ``tolerance`` of the larger one,
      or by ``tolerance`` itself below 1. NaN is equal to NaN, an infinity to the same one.
    - Lists and tuples are equal when they are as long and their elements are equal, dicts when they have the same keys
      and equal values.
    - Arrays are equal when shape and kind agree (a float may stand for a whole number) and their elements are equal;
      an array is not equal to a list.

    Args:
        answer: as it came out of the sandbox.
        expected: the same kinds of values.
        tolerance: 0 for exact equality.

    Example:
        >>> equal([0.1 + 0.2, "a"], (0.3, "a")), equal(True, 1), equal(float("nan"), float("nan"))
        (True, False, True)
    """
    numpy = sys.modules.get("numpy")  # an array cannot be here without it
    if numpy is not None and (isinstance(answer, numpy.ndarray) or isinstance(expected, numpy.ndarray)):
        return (
            isinstance(answer, numpy.ndarray)
            and isinstance(expected, numpy.ndarray)
            and _arrays(answer, expected, tolerance)
        )
    if isinstance(expected, (bool, str, bytes)) or isinstance(answer, (bool, str, bytes)) or expected is None:
        return type(answer) is type(expected) and answer == expected
    if isinstance(expected, (int, float, complex)):
        return isinstance(answer, (int, float, complex)) and _numbers(answer, expected, tolerance)
    if isinstance(expected, Mapping):
        return (
            isinstance(answer, Mapping)
            and answer.keys() == expected.keys()
            and all(equal(answer[key], value, tolerance) for key, value in expected.items())
        )
    if isinstance(expected, Sequence):
        return (
            isinstance(answer, Sequence)
            and len(answer) == len(expected)
            and all(equal(one, other, tolerance) for one, other in zip(answer, expected, strict=True))
        )
    return False


def _numbers(answer: complex, expected: complex, tolerance: float) -> bool:
    if isinstance(answer, int) and isinstance(expected, int):
        return answer == expected
    if isinstance(answer, complex) or isinstance(expected, complex):
        one, other = complex(answer), complex(expected)
        return _floats(one.real, other.real, tolerance) and _floats(one.imag, other.imag, tolerance)
    return _floats(answer, expected, tolerance)


def _floats(answer: float, expected: float, tolerance: float) -> bool:
    try:
        if math.isnan(answer) or math.isnan(expected):
            return math.isnan(answer) and math.isnan(expected)
        return math.isclose(answer, expected, rel_tol=tolerance, abs_tol=tolerance)
    except OverflowError:  # a whole number beyond every float
        return answer == expected


def _arrays(answer: Any, expected: Any, tolerance: float) -> bool:  # noqa: ANN401 - numpy is optional
    if answer.shape != expected.shape:
        return False
    kinds = {"f" if array.dtype.kind in "iuf" else array.dtype.kind for array in (answer, expected)}
    if len(kinds) > 1:
        return False
    if answer.dtype.kind in "fc" or expected.dtype.kind in "fc":
        numpy = sys.modules["numpy"]
        return bool(numpy.allclose(answer, expected, rtol=tolerance, atol=tolerance, equal_nan=True))
    return bool((answer == expected).all())
