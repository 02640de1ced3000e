"""What a setting may be: one value, a list, a range with or without steps, linear or logarithmic.

Written by users as ``0.7``, ``[0.1, 0.5]``, ``(0.1, 0.9)``, ``(0.1, 1.0, 0.1)``, ``(1, 100, int)``,
``(1, 1000, "log")`` or ``(1, 1000, "log", 7)``. Steps are added up in decimals, so that 0.1 + 0.1 + 0.1 is 0.3. A value
of a long range is computed when it is needed: no range is ever laid out in memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput
from llm_optimize.targets.fields import check_field, check_name, is_whole
from llm_optimize.text.domains import Choice, Domain, Integer, Real, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Between", "Dimension", "Listed", "Stepped", "parse_dimension"]

_SHAPES = 'a value, a list of values, (low, high), (start, stop, step), (low, high, int) or (low, high, "log", count)'
_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Listed:
    """Some values, each of which may be tried.

    Attributes:
        values: all different, at least one.
    """

    values: tuple[Any, ...]

    @property
    def count(self) -> int:
        """How many values there are."""
        return len(self.values)

    def at(self, index: int) -> Any:  # noqa: ANN401 - a JSON value
        """Return the value with that index, from 0."""
        return self.values[index]

    @property
    def domain(self) -> Domain | None:
        """What an engine is to search: an index where they are numbers in order, else a choice; None for one value."""
        if self.count == 1:
            return None
        numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in self.values)
        ordered = numbers and list(self.values) in (sorted(self.values), sorted(self.values, reverse=True))
        return Integer(0, self.count - 1) if ordered else Choice(tuple(map(str, range(self.count))))

    def decode(self, value: Value) -> Any:  # noqa: ANN401 - a JSON value
        """Return the value that an engine's value stands for."""
        return self.values[int(value)]

    def encode(self, value: object) -> Value:
        """Return the engine's value for one of the values."""
        index = next(i for i, one in enumerate(self.values) if one == value and type(one) is type(value))
        return index if isinstance(self.domain, Integer) else str(index)

    @property
    def ends(self) -> tuple[Any, Any]:
        """Two values as far apart as possible."""
        numbers = all(map(_is_number, self.values))
        return (min(self.values), max(self.values)) if numbers else (self.values[0], self.values[-1])

    @property
    def middle(self) -> Any:  # noqa: ANN401 - a JSON value
        """The value in the middle of the list."""
        return self.values[self.count // 2]

    def shown(self) -> dict[str, Any]:
        """Return the values for the log."""
        return {"values": list(self.values)}

    def __str__(self) -> str:
        """Return the values for people."""
        return ", ".join(map(str, self.values))


@dataclass(frozen=True, slots=True)
class Stepped:
    """Evenly spaced values from ``start``, up or down; evenly spaced logarithms with ``log``.

    Attributes:
        start: the first value.
        step: to the next one, negative for a range that goes down; with ``log`` the factor.
        count: how many values there are, at least 1.
        whole: whether they are whole numbers.
        log: whether ``step`` is a factor.
    """

    start: Decimal
    step: Decimal
    count: int
    whole: bool = False
    log: bool = False

    def at(self, index: int) -> float | int:
        """Return the value with that index, from 0, without float dirt."""
        if self.log:
            value = float(f"{float(self.start) * float(self.step) ** index:.{_DIGITS}g}")
        else:
            value = float(self.start + index * self.step)
        return round(value) if self.whole else value + 0.0

    @property
    def domain(self) -> Domain | None:
        """What an engine is to search: the index."""
        return Integer(0, self.count - 1) if self.count > 1 else None

    def decode(self, value: Value) -> float | int:
        """Return the value with that index."""
        return self.at(int(value))

    def encode(self, value: object) -> Value:
        """Return the index of a value."""
        number = float(value)  # type: ignore[arg-type]  # one that at() has made
        place = (
            math.log(number / float(self.start)) / math.log(float(self.step))
            if self.log
            else (number - float(self.start)) / float(self.step)
        )
        return min(max(round(place), 0), self.count - 1)

    @property
    def ends(self) -> tuple[Any, Any]:
        """The first and the last value."""
        return self.at(0), self.at(self.count - 1)

    @property
    def middle(self) -> float | int:
        """The value in the middle."""
        return self.at(self.count // 2)

    def shown(self) -> dict[str, Any]:
        """Return the range for the log."""
        low, high = sorted(self.ends)
        return {"low": low, "high": high, "count": self.count, "whole": self.whole, "log": self.log}

    def __str__(self) -> str:
        """Return the range for people."""
        return f"{self.at(0)} to {self.at(self.count - 1)}, {self.count} values"


@dataclass(frozen=True, slots=True)
class Between:
    """Any real number of a range; only a search can go through it, a grid needs steps.

    Attributes:
        low: the lowest.
        high: the highest.
        log: whether equal ratios count as equal steps.
    """

    low: float
    high: float
    log: bool = False

    @property
    def count(self) -> None:
        """There is no number of values."""
        return

    @property
    def domain(self) -> Domain:
        """What an engine is to search."""
        return Real(self.low, self.high, self.log)

    def decode(self, value: Value) -> float:
        """Return the number."""
        return float(value)

    def encode(self, value: object) -> Value:
        """Return the number."""
        return float(value)  # type: ignore[arg-type]  # one that decode() has made

    @property
    def ends(self) -> tuple[Any, Any]:
        """The lowest and the highest."""
        return self.low, self.high

    @property
    def middle(self) -> float:
        """The number in the middle."""
        return float(self.domain.at(0.5))

    def shown(self) -> dict[str, Any]:
        """Return the range for the log."""
        return {"low": self.low, "high": self.high, "log": self.log}

    def __str__(self) -> str:
        """Return the range for people."""
        return f"{self.low:g} to {self.high:g}{' (log)' * self.log}"


Dimension = Listed | Stepped | Between


def parse_dimension(name: str, spec: object) -> Dimension:
    """Read what a user wrote for a field.

    Args:
        name: the field, for its range and for messages.
        spec: see the module.

    Raises:
        BadInput: the range is turned round or empty, a value cannot be sent; the message names the field.

    Example:
        >>> [parse_dimension("temperature", (0.1, 0.3, 0.1)).at(i) for i in range(3)]
        [0.1, 0.2, 0.3]
        >>> parse_dimension("top_k", (1, 100))
        Stepped(start=Decimal('1'), step=Decimal('1'), count=100, whole=True, log=False)
    """
    check_name(name)
    found = _parsed(name, spec)
    for value in found.ends:
        check_field(name, value)
    return found


def _parsed(name: str, spec: object) -> Dimension:
    if isinstance(spec, Listed | Stepped | Between):
        return spec
    if isinstance(spec, range):
        return _listed(name, list(spec))
    if isinstance(spec, list | set | frozenset):
        return _listed(name, list(spec) if isinstance(spec, list) else sorted(spec, key=str))
    if isinstance(spec, tuple) and len(spec) > 1 and all(_is_number(one) for one in spec[:2]):
        return _range(name, spec)
    if isinstance(spec, tuple):
        return _listed(name, list(spec))
    return _listed(name, [spec])


def _listed(name: str, values: Sequence[Any]) -> Listed:
    different: list[Any] = []
    for value in values:
        check_field(name, value)
        if not any(one == value and type(one) is type(value) for one in different):
            different.append(value)
    if not different:
        msg = f"{name} has no values: give {_SHAPES}"
        raise BadInput(msg)
    return Listed(tuple(different))


def _range(name: str, spec: tuple[Any, ...]) -> Dimension:
    low, high = spec[:2]
    words = [one for one in spec[2:] if not _is_number(one)]
    numbers = [one for one in spec[2:] if _is_number(one)]
    log = "log" in words
    whole = int in words or "int" in words or (is_whole(name) and float not in words)
    known = all(one in {int, float, "int", "float", "log"} for one in words)
    if not known or len(numbers) > 1 or not all(map(math.isfinite, (low, high, *numbers))):
        msg = f"{name} is {spec!r}: give {_SHAPES}"
        raise BadInput(msg)
    step = numbers[0] if numbers else None
    _check_direction(name, low, high, None if log else step)
    if whole and any(one != int(one) for one in (low, high, *numbers)):
        msg = f"{name} is {spec!r}: it takes whole numbers only"
        raise BadInput(msg)
    if log:
        return _log_range(name, low, high, step, whole=whole)
    if step is None and not whole:
        return Between(float(low), float(high))
    return _stepped(low, high, 1 if step is None else step, whole=whole)


def _check_direction(name: str, low: float, high: float, step: float | None) -> None:
    if low == high:
        msg = f"{name} is {low}..{high}: the range is empty; give the value alone, or another bound"
        raise BadInput(msg)
    if step is None and low > high:
        msg = f"{name} is {low}..{high}: the range is reversed; write {high}..{low}, or give a negative step"
        raise BadInput(msg)
    if step is not None and (step == 0 or (step > 0) != (high > low)):
        msg = f"{name} is {low}..{high} in steps of {step}: the range is empty that way; give a step towards {high}"
        raise BadInput(msg)


def _stepped(low: float, high: float, step: float, *, whole: bool) -> Stepped:
    start, width = Decimal(str(low)), Decimal(str(step))
    count = int((Decimal(str(high)) - start) / width) + 1
    return Stepped(start, width, count, whole)


def _log_range(name: str, low: float, high: float, count: float | None, *, whole: bool) -> Dimension:
    if low <= 0:
        msg = f"{name} is {low}..{high} log: a logarithmic range begins above 0"
        raise BadInput(msg)
    if count is None and not whole:
        return Between(float(low), float(high), log=True)
    values = math.ceil(math.log2(high / low)) + 1 if count is None else count
    if values != int(values) or values < 2:  # noqa: PLR2004 - both ends
        msg = f"{name} is {low}..{high} log, {values} values: give a whole number of 2 or more"
        raise BadInput(msg)
    factor = Decimal(repr((high / low) ** (1 / (int(values) - 1))))
    made = Stepped(Decimal(str(low)), factor, int(values), whole, log=True)
    # Neighbours that round to the same whole number would be one request twice.
    return _listed(name, [made.at(i) for i in range(made.count)]) if whole else made


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
