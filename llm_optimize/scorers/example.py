"""One example of a data set: what a candidate is given, and, kept apart from it, what is expected.

They are apart because feedback may show a model what went in and what came out, and must not show the answer unless
the user says so. Whoever names the field that holds the answer has made that distinction; nothing guesses it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_optimize.errors import BadInput

__all__ = ["Example", "Fields", "check_examples", "from_rows"]


@dataclass(frozen=True, slots=True)
class Example:
    """One example.

    Attributes:
        inputs: what the candidate is run on, by name.
        expected: what a metric compares with, of any type; None where there is nothing to compare with.
        key: its name, for people; not used to tell examples apart.
        group: examples of one group (one author, one document) are never parted by :func:`~.splits.split`.

    Example:
        >>> Example({"question": "2 + 2?"}, "4")["question"]
        '2 + 2?'
    """

    inputs: Mapping[str, Any]
    expected: Any = None
    key: str = ""
    group: str = ""

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - whatever the field holds
        """Return an input by name.

        Raises:
            KeyError: there is no such input; the message lists those there are.
        """
        try:
            return self.inputs[name]
        except KeyError:
            msg = f"{name!r}: the example has {', '.join(map(str, self.inputs)) or 'no inputs'}"
            raise KeyError(msg) from None

    def digest(self, *, whole: bool = True) -> str:
        """Return a hash of the content: inputs and expected answer, or the inputs alone; equal content, equal hash."""
        content = [dict(self.inputs), self.expected] if whole else dict(self.inputs)
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=repr).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Fields:
    """Which field of a row is what.

    Attributes:
        expected: the field with the answer, or None where there is none.
        inputs: the fields that the candidate may be given; None for all that have no other part.
        key: the field with the example's name.
        group: the field with its group.

    Example:
        >>> from_rows([{"text": "fine", "label": "good"}], Fields("label"))
        (Example(inputs={'text': 'fine'}, expected='good', key='', group=''),)
    """

    expected: str | None
    inputs: tuple[str, ...] | None = None
    key: str | None = None
    group: str | None = None
    _named: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse inputs that are one text, or that hold the answer."""
        if isinstance(self.inputs, str):
            msg = f"Fields.inputs is {self.inputs!r}: give a tuple of names, such as ({self.inputs!r},)"
            raise BadInput(msg)
        if self.inputs is not None and self.expected in self.inputs:
            msg = f"Fields.inputs holds {self.expected!r}, the expected answer: leave it out"
            raise BadInput(msg)
        named = (self.expected, *(self.inputs or ()), self.key, self.group)
        object.__setattr__(self, "_named", tuple(name for name in named if name is not None))

    def example(self, row: Mapping[str, Any], where: str) -> Example:
        """Return the example that a row holds.

        Args:
            row: values by field; None stands for a value that is missing.
            where: file and line, for the error.

        Raises:
            BadInput: a field that is named here is not in the row.
        """
        for name in self._named:
            if row.get(name) is None:
                has = ", ".join(str(one) for one, value in row.items() if value is not None)
                msg = f"{where}: field {name!r} is missing; there are: {has or 'none'}"
                raise BadInput(msg)
        apart = {self.expected, self.key, self.group}
        inputs = self.inputs if self.inputs is not None else tuple(name for name in row if name not in apart)
        expected = None if self.expected is None else row[self.expected]
        key, group = (str(row[name]) if name is not None else "" for name in (self.key, self.group))
        return Example({name: row[name] for name in inputs}, expected, key, group)


def from_rows(rows: Iterable[Mapping[str, Any]], fields: Fields, source: str = "rows") -> tuple[Example, ...]:
    """Make examples of any sequence of mappings: a list of dicts, a ``datasets.Dataset``, a database cursor's rows.

    Args:
        rows: each one with a value by field.
        fields: which field is what.
        source: what to call the rows in an error.

    Raises:
        BadInput: there are no rows, one is no mapping, or a field is missing; says which.
    """
    if isinstance(rows, Mapping):
        msg = f"{source} is a mapping with {', '.join(map(str, rows)) or 'nothing'}: choose one of its parts"
        raise BadInput(msg)
    found = []
    for number, row in enumerate(rows):
        where = f"{source}[{number}]"
        if not isinstance(row, Mapping):
            msg = f"{where} is {type(row).__name__}: give a mapping of field to value"
            raise BadInput(msg)
        found.append(fields.example(row, where))
    if not found:
        msg = f"{source} is empty: give at least one example"
        raise BadInput(msg)
    return tuple(found)


def check_examples(examples: object, name: str = "examples") -> tuple[Example, ...]:
    """Return the examples as a tuple.

    Raises:
        BadInput: there are none, or one is no :class:`Example`.
    """
    if isinstance(examples, (str, bytes, Mapping)) or not isinstance(examples, Iterable):
        msg = f"{name} is {type(examples).__name__}: give a sequence of Example"
        raise BadInput(msg)
    found = tuple(examples)
    wrong = next((number for number, one in enumerate(found) if not isinstance(one, Example)), None)
    if wrong is not None:
        kind = type(found[wrong]).__name__
        msg = f"{name}[{wrong}] is {kind}: make examples with from_rows(rows, Fields(expected='the answer field'))"
        raise BadInput(msg)
    if not found:
        msg = f"{name} is empty: give at least one example"
        raise BadInput(msg)
    return found
