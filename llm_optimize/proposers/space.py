"""Tunable values as rows of numbers, for the engines that compute with arrays.

A numeric column holds the value's place in its range, from 0 to 1; a choice's column holds the option's index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.proposers.arrays import Array, numpy
from llm_optimize.text.domains import Choice, Domain, Real, Value

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Space"]

_MOST_LEVELS = 1024  # a whole-number range with more values than that is searched as a continuous one
_FEW_LEVELS = 12
_STEPS = (-5, -2, -1, 1, 2, 5)


@dataclass(frozen=True, slots=True)
class Space:
    """The columns of a search. Made by :meth:`of`.

    Attributes:
        domains: one per column.
        levels: for each column the codes that it may hold, ascending; None for a continuous one.
        choices: which columns are choices, shape (d,), bool.
        high: the largest code of each column (the smallest is 0), shape (d,).
    """

    domains: tuple[Domain, ...]
    levels: tuple[Array | None, ...]
    choices: Array
    high: Array

    @classmethod
    def of(cls, domains: Sequence[Domain]) -> Space:
        """Return the space of ``domains``."""
        np = numpy()
        choices = np.array([isinstance(domain, Choice) for domain in domains], dtype=bool)
        high = np.array([domain.size - 1.0 if isinstance(domain, Choice) else 1.0 for domain in domains])
        return cls(tuple(domains), tuple(_levels(domain) for domain in domains), choices, high)

    @property
    def continuous(self) -> Array:
        """Which columns are continuous, shape (d,), bool."""
        return numpy().array([levels is None for levels in self.levels], dtype=bool)

    def rows(self, values: Sequence[Sequence[Value]]) -> Array:
        """Return values as rows, shape (n, d)."""
        rows = [[_code(domain, one) for domain, one in zip(self.domains, row, strict=True)] for row in values]
        return numpy().array(rows, dtype=float).reshape(len(rows), len(self.domains))

    def values(self, row: Array) -> tuple[Value, ...]:
        """Return a row as values, each inside its domain."""
        return tuple(
            domain.options[round(float(code))] if isinstance(domain, Choice) else domain.at(float(code))
            for domain, code in zip(self.domains, row, strict=True)
        )

    def random(self, rng: Array, count: int, low: Array, high: Array) -> Array:
        """Return rows drawn evenly between ``low`` and ``high``; choices are drawn from all options."""
        rows = low + (high - low) * rng.random((count, len(self.domains)))
        for column in numpy().flatnonzero(self.choices):
            rows[:, column] = rng.integers(int(self.high[column]) + 1, size=count)
        return self.snapped(rows)

    def snapped(self, rows: Array) -> Array:
        """Return ``rows`` with each code that is no level moved to the nearest one."""
        np = numpy()
        rows = np.clip(rows, 0.0, self.high)
        for column, levels in enumerate(self.levels):
            if levels is not None:
                middles = (levels[1:] + levels[:-1]) / 2
                rows[:, column] = levels[np.searchsorted(middles, rows[:, column])]
        return rows

    def neighbours(self, row: Array) -> Array:
        """Return the rows that differ from ``row`` in one column with levels: all of few levels, near ones of many."""
        moved: list[Array] = []
        for column, levels in enumerate(self.levels):
            if levels is None:
                continue
            here = int(numpy().searchsorted(levels, row[column]))
            few = self.choices[column] or len(levels) <= _FEW_LEVELS
            there = range(len(levels)) if few else [here + step for step in _STEPS if 0 <= here + step < len(levels)]
            for index in there:
                if index != here:
                    other = row.copy()
                    other[column] = levels[index]
                    moved.append(other)
        return numpy().array(moved).reshape(len(moved), len(row))


def _levels(domain: Domain) -> Array | None:
    if isinstance(domain, Choice):
        return numpy().arange(len(domain.options), dtype=float)
    if isinstance(domain, Real) or domain.size > _MOST_LEVELS:
        return None
    return numpy().array([domain.place(value) for value in range(domain.low, domain.high + 1)])


def _code(domain: Domain, value: Value) -> float:
    return float(domain.options.index(domain.clip(value))) if isinstance(domain, Choice) else domain.place(value)
