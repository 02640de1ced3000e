"""Settings of parent policies that cannot be, refused in one line that names the field."""

from __future__ import annotations

import math

from llm_optimize.errors import BadInput

__all__ = ["check_method", "check_number", "check_whole"]


def check_whole(field: str, value: object, least: int, most: int | None = None) -> None:
    """Refuse all but whole numbers from ``least`` to ``most``.

    Raises:
        BadInput: it is something else.
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):  # type: ignore[operator]  # whole by now
        upper = "" if most is None else f" and at most {most:,}"
        msg = f"{field} is {value!r}: give a whole number, at least {least}{upper}"
        raise BadInput(msg)


def check_number(field: str, value: object, low: float, high: float = math.inf, *, above: bool = False) -> None:
    """Refuse all but finite numbers from ``low`` to ``high``; with ``above`` also ``low`` itself.

    Raises:
        BadInput: it is something else.
    """
    number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    if not low <= number <= high or math.isinf(number) or (above and number == low):
        bound = f"above {low:g}" if above else f"at least {low:g}"
        upper = "" if math.isinf(high) else f" and at most {high:g}"
        msg = f"{field} is {value!r}: give a number {bound}{upper}"
        raise BadInput(msg)


def check_method(field: str, value: object, method: str) -> None:
    """Refuse an object that lacks a method which the policy calls.

    Raises:
        BadInput: it has none of this name.
    """
    if isinstance(value, type) or not callable(getattr(value, method, None)):
        example = "Softmax()" if method == "among" else "Best()"
        msg = f"{field} is {value!r}: give a parent policy with the method {method}(), such as {example}"
        raise BadInput(msg)
