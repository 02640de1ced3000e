"""Where a tunable value may lie: ranges and choices, and the shapes in which users write them.

A domain knows three things, and no engine: how to bring a value inside, where a value lies on a scale from 0 to 1
(logarithmic where the range is), and which value lies at a place on that scale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llm_optimize.errors import BadInput

__all__ = ["Box", "Choice", "Domain", "Integer", "Real", "Tune", "Value", "parse_tune"]

Value = float | int | str
"""A float in a :class:`Real`, an int in an :class:`Integer`, an option's text in a :class:`Choice`."""

_SIGNIFICANT_DIGITS = 10
"""How exactly a real value is written: enough to settle on an optimum, and short enough to read."""

_SHAPES = 'write (0.01, 100), (0.01, 100, "log"), (1, 20, int) or ["rbf", "poly"]'


@dataclass(frozen=True, slots=True)
class Real:
    """A range of real numbers.

    Attributes:
        low: smallest value, finite.
        high: largest value, finite, above ``low``.
        log: whether equal ratios count as equal steps; then ``low`` is above 0.

    Raises:
        BadInput: the range is turned round, empty or not finite, or ``log`` with ``low`` <= 0.

    Example:
        >>> Real(0.01, 100, log=True).at(0.5)
        1.0
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        """Refuse a range that holds nothing."""
        _check_range(self.low, self.high, log=self.log)

    @property
    def size(self) -> float:
        """How many values there are."""
        return math.inf

    def clip(self, value: Value) -> float:
        """Return the nearest value inside, rounded as it would be written."""
        rounded = float(f"{float(value):.{_SIGNIFICANT_DIGITS}g}")
        return min(max(rounded, self.low), self.high) + 0.0  # no minus zero: its sign would be written

    def place(self, value: Value) -> float:
        """Return where ``value`` lies between low (0.0) and high (1.0)."""
        return _place(self.clip(value), self.low, self.high, log=self.log)

    def at(self, place: float) -> float:
        """Return the value at ``place`` (0 to 1); the inverse of :meth:`place`."""
        return self.clip(_at(place, self.low, self.high, log=self.log))


@dataclass(frozen=True, slots=True)
class Integer:
    """A range of whole numbers, both ends included.

    Attributes:
        low: smallest value.
        high: largest value, above ``low``.
        log: whether equal ratios count as equal steps; then ``low`` is above 0.

    Raises:
        BadInput: the range is turned round, empty or not whole, or ``log`` with ``low`` <= 0.

    Example:
        >>> Integer(1, 20).at(1.0)
        20
    """

    low: int
    high: int
    log: bool = False

    def __post_init__(self) -> None:
        """Refuse a range that holds nothing, and bounds that are not whole."""
        _check_range(self.low, self.high, log=self.log)
        if self.low != int(self.low) or self.high != int(self.high):
            msg = f"{self.low}..{self.high}: the bounds of an integer range must be whole numbers"
            raise BadInput(msg)

    @property
    def size(self) -> float:
        """How many values there are."""
        return self.high - self.low + 1

    def clip(self, value: Value) -> int:
        """Return the nearest whole number inside."""
        return int(min(max(round(float(value)), self.low), self.high))

    def place(self, value: Value) -> float:
        """Return where ``value`` lies between low (0.0) and high (1.0)."""
        return _place(self.clip(value), self.low, self.high, log=self.log)

    def at(self, place: float) -> int:
        """Return the whole number nearest to ``place`` (0 to 1)."""
        return self.clip(_at(place, self.low, self.high, log=self.log))


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several options, in no order.

    Attributes:
        options: the options as they stand in a text; at least two, all different. Options without quotes of their
            own are written inside the quotes that stand in the text.

    Raises:
        BadInput: fewer than two options, or one twice.

    Example:
        >>> Choice(("rbf", "poly")).at(0.9)
        'poly'
    """

    options: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse a choice that leaves none."""
        if len(set(self.options)) < 2 or len(set(self.options)) != len(self.options) or "" in self.options:  # noqa: PLR2004 - one option is no choice
            msg = f"{'|'.join(self.options) or 'no options'}: a choice needs two or more different options"
            raise BadInput(msg)

    @property
    def size(self) -> float:
        """How many values there are."""
        return len(self.options)

    def clip(self, value: Value) -> str:
        """Return the option ``value``, or the first one when it is none of them."""
        return str(value) if value in self.options else self.options[0]

    def place(self, value: Value) -> float:
        """Return the middle of the option's share of the scale from 0 to 1; the order means nothing."""
        return (self.options.index(self.clip(value)) + 0.5) / len(self.options)

    def at(self, place: float) -> str:
        """Return the option whose share of the scale holds ``place``."""
        return self.options[min(int(min(max(place, 0.0), 1.0) * len(self.options)), len(self.options) - 1)]


Domain = Real | Integer | Choice


@dataclass(frozen=True, slots=True)
class Box:
    """One range for every number in a text: ``tune=Box(-10, 10)``.

    Attributes:
        low: smallest value.
        high: largest value, above ``low``.
        log: whether equal ratios count as equal steps; then ``low`` is above 0.
        integer: whether only whole numbers are written; without it ``8`` may become ``7.31``.

    Raises:
        BadInput: see :class:`Real` and :class:`Integer`.
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False

    def __post_init__(self) -> None:
        """Check the range now, where the user wrote it."""
        _named("tune=Box", self._make)

    @property
    def domain(self) -> Domain:
        """The range of each number."""
        return self._make()

    def _make(self) -> Domain:
        return _number_range(self.low, self.high, log=self.log, integer=self.integer)


@dataclass(frozen=True, slots=True)
class Tune:
    """What a user wants tuned besides what comments in the text mark; made by :func:`parse_tune`, hashable.

    Attributes:
        box: the range of every number, or None.
        named: (name, domain) for assignments found by name.
        fields: (path, domain) for fields of a text that is a JSON object; the options of a choice are JSON, quotes
            included.
    """

    box: Box | None = None
    named: tuple[tuple[str, Domain], ...] = ()
    fields: tuple[tuple[tuple[str, ...], Domain], ...] = ()


def parse_tune(value: object) -> Tune:
    """Read the ``tune`` argument of a run.

    Args:
        value: None, a :class:`Box`, a :class:`Tune`, or a mapping of names to ranges:
            ``{"C": (0.01, 100, "log"), "k": (1, 20, int), "kernel": ["rbf", "poly"]}``. A range is of real numbers
            unless it says ``int``, whatever the bounds look like.

    Raises:
        BadInput: anything else, or a range that holds nothing; the message names the tunable.

    Example:
        >>> parse_tune({"k": (1, 20, int)}).named
        (('k', Integer(low=1, high=20, log=False)),)
    """
    if value is None:
        return Tune()
    if isinstance(value, Tune):
        return value
    if isinstance(value, Box):
        return Tune(box=value)
    if isinstance(value, Mapping):
        return Tune(
            named=tuple((_name(name), _named(f"tune[{name!r}]", _domain, spec)) for name, spec in value.items())
        )
    msg = f"tune is {value!r}: give Box(low, high), a dict of names to ranges, or None"
    raise BadInput(msg)


def _name(name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        msg = f"tune has the name {name!r}: a name is the text that stands before '=' or ':'"
        raise BadInput(msg)
    return name


def _named(name: str, make: Any, *args: Any) -> Domain:  # noqa: ANN401 - any maker of a domain with its arguments
    try:
        domain: Domain = make(*args)
    except BadInput as error:
        msg = f"{name}: {error}"
        raise BadInput(msg) from None
    return domain


def _domain(spec: object) -> Domain:
    if isinstance(spec, Real | Integer | Choice):
        return spec
    if isinstance(spec, Box):
        return spec.domain
    if isinstance(spec, list | set | frozenset):
        return Choice(_options(list(spec) if isinstance(spec, list) else sorted(spec, key=str)))
    if isinstance(spec, tuple) and len(spec) >= 2 and all(_is_number(bound) for bound in spec[:2]):  # noqa: PLR2004 - low, high
        return _range(spec)
    if isinstance(spec, tuple) and spec and not any(_is_number(option) for option in spec):
        return Choice(_options(list(spec)))
    msg = f"{spec!r} is no range: {_SHAPES}"
    raise BadInput(msg)


def _range(spec: tuple[Any, ...]) -> Domain:
    words = ["int" if word is int else "float" if word is float else word for word in spec[2:]]
    unknown = [word for word in words if word not in ("int", "float", "log")]
    if unknown or len(set(words)) != len(words) or {"int", "float"} <= set(words):
        msg = f"{spec!r} is no range: {_SHAPES}"
        raise BadInput(msg)
    return _number_range(spec[0], spec[1], log="log" in words, integer="int" in words)


def _number_range(low: float, high: float, *, log: bool, integer: bool) -> Domain:
    _check_range(low, high, log=log)
    if not integer:
        return Real(float(low), float(high), log)
    if low != int(low) or high != int(high):
        msg = f"{low}..{high}: the bounds of an integer range must be whole numbers"
        raise BadInput(msg)
    return Integer(int(low), int(high), log)


def _options(options: list[object]) -> tuple[str, ...]:
    # Names beside None, numbers or booleans: only quotes of their own tell the two apart in a program.
    strings = [isinstance(option, str) for option in options]
    if any(strings) and not all(strings):
        return tuple(f'"{option}"' if isinstance(option, str) else str(option) for option in options)
    return tuple(str(option) for option in options)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_range(low: float, high: float, *, log: bool) -> None:
    shown = f"{low}..{high}"
    if not (_is_number(low) and _is_number(high) and math.isfinite(low) and math.isfinite(high)):
        msg = f"{shown}: both bounds must be finite numbers"
        raise BadInput(msg)
    if low > high:
        msg = f"{shown} is turned round: write {high}..{low}"
        raise BadInput(msg)
    if low == high:
        msg = f"{shown} holds one value: write a low bound below the high one"
        raise BadInput(msg)
    if log and low <= 0:
        msg = f"{shown} log: a logarithmic range begins above 0: raise the low bound or leave out log"
        raise BadInput(msg)


def _place(value: float, low: float, high: float, *, log: bool) -> float:
    if log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def _at(place: float, low: float, high: float, *, log: bool) -> float:
    inside = min(max(place, 0.0), 1.0)
    return low * (high / low) ** inside if log else low + inside * (high - low)
