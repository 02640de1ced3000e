"""Numbers among settings that cannot be, refused before anything is spent, in one line that names the field."""

from __future__ import annotations

import math

from llm_optimize.errors import BadInput

__all__ = ["check_number", "check_whole"]


def check_whole(field: str, value: object, least: int, most: int | None = None) -> None:
    """Refuse all but whole numbers from ``least`` to ``most``; True and False are none.

    Args:
        field: what the user calls it, for the message.
        value: what was given.
        least: the lowest that can be.
        most: the highest, or None.

    Raises:
        BadInput: it is something else.

    Example:
        >>> check_whole("ideas", 3, 1)
        >>> check_whole("ideas", 0, 1)
        Traceback (most recent call last):
        llm_optimize.errors.BadInput: ideas is 0: give a whole number, at least 1
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):  # type: ignore[operator]  # whole by now
        upper = "" if most is None else f" and at most {most:,}"
        msg = f"{field} is {value!r}: give a whole number, at least {least}{upper}"
        raise BadInput(msg)


def check_number(field: str, value: object, low: float, high: float = math.inf, *, above: bool = False) -> None:
    """Refuse all but finite numbers from ``low`` to ``high``; with ``above`` also ``low`` itself.

    Args:
        field: what the user calls it, for the message.
        value: what was given.
        low: the lowest that can be.
        high: the highest.
        above: whether it must be higher than ``low``.

    Raises:
        BadInput: it is something else, NaN and infinity included.

    Example:
        >>> check_number("share", 1.5, 0, 1)
        Traceback (most recent call last):
        llm_optimize.errors.BadInput: share is 1.5: give a number at least 0 and at most 1
    """
    number = float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else math.nan
    if not low <= number <= high or math.isinf(number) or (above and number == low):
        bound = f"above {low:g}" if above else f"at least {low:g}"
        upper = "" if math.isinf(high) else f" and at most {high:g}"
        msg = f"{field} is {value!r}: give a number {bound}{upper}"
        raise BadInput(msg)
