"""Whether a text has the form that is asked for: JSON of a schema, a regular expression, a length."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from llm_optimize.core.types import Evaluation
from llm_optimize.errors import BadInput
from llm_optimize.llm.failures import one_line
from llm_optimize.llm.schemas import json_values
from llm_optimize.scorers.installed import load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel

__all__ = ["JsonSchema", "Length", "Matches"]

_EXTRA = "formats"
_MOST_ERRORS = 5


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """Scores a text 1 if it is JSON that fits a schema, else 0; the feedback says what does not fit.

    Attributes:
        schema: a JSON schema, or a pydantic model, whose schema is taken.
        anywhere: whether prose and fences may stand around the value; the last value in the text counts.

    Raises:
        BadInput: the schema is none, or jsonschema is not installed.

    Example:
        >>> city = JsonSchema({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}})
        >>> city('{"name": "Bonn"}').score
        1.0
        >>> city('{"name": 5}').feedback
        "1 error: name: 5 is not of type 'string'"
    """

    schema: Mapping[str, Any] | type[BaseModel]
    anywhere: bool = False

    def __post_init__(self) -> None:
        """Refuse a schema that nothing can be checked with."""
        schema: Any = self.schema
        if hasattr(schema, "model_json_schema"):
            schema = schema.model_json_schema()
        if not isinstance(schema, dict):
            msg = f"schema is {type(schema).__name__}: give a JSON schema as a dict, or a pydantic model"
            raise BadInput(msg)
        library = load("jsonschema", _EXTRA)
        try:
            library.validators.validator_for(schema, library.Draft202012Validator).check_schema(schema)
        except library.SchemaError as error:
            msg = f"schema is no JSON schema: {one_line(error.message)}"
            raise BadInput(msg) from error
        object.__setattr__(self, "schema", schema)

    def __call__(self, text: str) -> Evaluation:
        """Check ``text``.

        Raises:
            BadInput: the schema refers to something outside of it, which is never fetched.
        """
        found = list(json_values(text)) if self.anywhere else [text]
        try:
            value = json.loads(found[-1] if found else "", parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            return Evaluation(0.0, f"no JSON: {one_line(str(error))}")
        try:
            errors = [_line(error) for error in sorted(self._validator().iter_errors(value), key=_place)]
        except RecursionError:
            errors = ["it is nested too deeply"]
        except load("referencing.exceptions", _EXTRA).Unresolvable as error:
            msg = f"schema refers to what is not in it ({one_line(str(error))}): write that part under $defs"
            raise BadInput(msg) from error
        if not errors:
            return Evaluation(1.0, "fits the schema")
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        return Evaluation(0.0, f"{count}: {'; '.join(errors[:_MOST_ERRORS])}")

    def _validator(self) -> Any:  # noqa: ANN401 - a class of an optional library
        library = load("jsonschema", _EXTRA)
        kind = library.validators.validator_for(self.schema, library.Draft202012Validator)
        # A registry of its own, and an empty one: without it a "$ref" to a URL would be fetched.
        return kind(self.schema, registry=load("referencing", _EXTRA).Registry())


@dataclass(frozen=True, slots=True)
class Matches:
    r"""Scores a text 1 if a regular expression of yours matches, else 0.

    Attributes:
        pattern: the expression. One with nested repeats may take very long on a text made for it.
        whole: whether the whole text must match, but for white space at its ends; else any part of it.
        flags: as of :mod:`re`, such as ``re.IGNORECASE``.
        feedback: what to tell where it does not match; empty for the pattern.

    Raises:
        BadInput: the pattern is none.

    Example:
        >>> date = Matches(r"\d{4}-\d\d-\d\d", whole=True)
        >>> date("2026-11-21").score, date("on 2026-11-21").score
        (1.0, 0.0)
    """

    pattern: str
    whole: bool = False
    flags: int = 0
    feedback: str = ""

    def __post_init__(self) -> None:
        """Refuse a pattern that cannot be compiled."""
        try:
            re.compile(self.pattern, self.flags)
        except (re.error, TypeError, ValueError) as error:
            msg = f"pattern {self.pattern!r} is no regular expression ({error}): see the documentation of re"
            raise BadInput(msg) from error

    def __call__(self, text: str) -> Evaluation:
        """Search ``text``."""
        compiled = re.compile(self.pattern, self.flags)
        found = compiled.fullmatch(text.strip()) if self.whole else compiled.search(text)
        if found is not None:
            return Evaluation(1.0, "matches")
        return Evaluation(0.0, self.feedback or f"does not match {self.pattern!r}{' as a whole' * self.whole}")


@dataclass(frozen=True, slots=True)
class Length:
    """Scores a text 1 if its length is within bounds, else by how near: the bound over the length, or the reverse.

    Attributes:
        at_least: the lower bound, 0 or more.
        at_most: the upper bound; None for none.
        unit: ``characters``, ``words`` (separated by white space) or ``lines`` (those with something on them).

    Raises:
        BadInput: see the message.

    Example:
        >>> short = Length(at_most=4, unit="words")
        >>> short("One two three.").score, short("one two three four five six seven eight").score
        (1.0, 0.5)
    """

    at_least: int = 0
    at_most: int | None = None
    unit: Literal["characters", "words", "lines"] = "characters"

    def __post_init__(self) -> None:
        """Refuse bounds that nothing fits."""
        most = math.inf if self.at_most is None else self.at_most
        if not 0 <= self.at_least <= most or most < 1:
            msg = f"at_least and at_most: {self.at_least!r} and {self.at_most!r}; give the smaller one first, from 0 on"
            raise BadInput(msg)
        if self.unit not in _COUNTS:
            msg = f"unit is {self.unit!r}: give one of {', '.join(_COUNTS)}"
            raise BadInput(msg)

    def __call__(self, text: str) -> Evaluation:
        """Measure ``text``."""
        length = _COUNTS[self.unit](text)
        metrics: dict[str, float] = {self.unit: length}
        if length < self.at_least:
            return Evaluation(length / self.at_least, f"{length} {self.unit}: at least {self.at_least} wanted", metrics)
        if self.at_most is not None and length > self.at_most:
            return Evaluation(self.at_most / length, f"{length} {self.unit}: at most {self.at_most} wanted", metrics)
        return Evaluation(1.0, f"{length} {self.unit}", metrics)


_COUNTS: dict[str, Callable[[str], int]] = {
    "characters": len,
    "words": lambda text: len(text.split()),
    "lines": lambda text: sum(bool(line.strip()) for line in text.splitlines()),
}


def _line(error: Any) -> str:  # noqa: ANN401 - a class of an optional library
    place = ".".join(map(str, error.absolute_path))
    return f"{place}: {one_line(error.message)}" if place else one_line(error.message)


def _place(error: Any) -> list[str]:  # noqa: ANN401 - a class of an optional library
    return [str(part) for part in error.absolute_path]


def _no_constant(name: str) -> float:
    msg = f"{name} is no JSON number"
    raise ValueError(msg)
