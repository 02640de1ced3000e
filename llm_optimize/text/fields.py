"""Fields of JSON: where the value of one stands in a text, and which values a JSON schema lets it take.

A name alone would also find ``"C": 1.0`` inside of a string, or in another object; a path finds the field.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from llm_optimize.text.domains import Choice, Integer, Real
from llm_optimize.text.places import Place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from llm_optimize.text.domains import Domain

__all__ = ["field_place", "is_number", "tunable_fields"]

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_INSIDE = 1e-6  # of a range: how far from a bound that is excluded itself a value stays
_DEEPEST = 16
_VALUE = json.JSONDecoder()


def field_place(text: str, path: tuple[str, ...]) -> Place | None:
    """Return where the value of a field stands, quotes included, or None where there is no such field.

    Args:
        text: a JSON object.
        path: the names of the objects that hold the field, from the outside, and its own.

    Example:
        >>> field_place('{"prompt": "C: 1", "C": 2.5}', ("C",)).written
        '2.5'
    """
    try:
        start = _skip(text, 0)
        for name in path:
            start = _value_of(text, start, name)
        _, end = _VALUE.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return Place(start, end, text[start:end])


def is_number(written: str) -> bool:
    """Return whether a JSON value as it is written is a finite number."""
    return _NUMBER.fullmatch(written) is not None


def tunable_fields(schema: Mapping[str, Any]) -> tuple[tuple[tuple[str, ...], Domain], ...]:
    """Return (path, domain) of the fields of an object that are numbers within bounds, or one of several values.

    Args:
        schema: the JSON schema of an object, as pydantic writes it: ``minimum``, ``maximum`` and their exclusive forms
            bound a number (both ends are needed), ``enum`` and ``boolean`` are choices, ``"log": true`` makes equal
            ratios equal steps. Objects in objects are gone through; whatever else there is, such as texts, lists,
            multiples and values that may be null, is not tuned.

    Example:
        >>> tunable_fields({"properties": {"k": {"type": "integer", "minimum": 1, "maximum": 9}}})
        ((('k',), Integer(low=1, high=9, log=False)),)
    """
    return tuple(_fields(schema, schema.get("$defs", {}), ()))


def _skip(text: str, start: int) -> int:
    space = _SPACE.match(text, start)
    return start if space is None else space.end()


def _value_of(text: str, start: int, wanted: str) -> int:
    """Return where the value of a member of the object at ``start`` begins.

    Raises:
        ValueError: there is no object, or it has no such member.
    """
    sign, position = "{", start
    while text[position : position + 1] == sign:
        quote = _skip(text, position + 1)
        if text[quote : quote + 1] != '"':
            break
        name, end = _VALUE.raw_decode(text, quote)
        begin = _skip(text, _skip(text, end) + 1)
        if name == wanted:
            return begin
        _, end = _VALUE.raw_decode(text, begin)
        sign, position = ",", _skip(text, end)
    msg = f"there is no member {wanted!r}"
    raise ValueError(msg)


def _fields(
    schema: Mapping[str, Any], named: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Domain]]:
    if len(path) > _DEEPEST:
        return  # a model that holds itself
    for name, given in schema.get("properties", {}).items():
        field, here = _resolved(given, named), (*path, name)
        domain = _domain(field)
        if domain is not None:
            yield here, domain
        elif "properties" in field:
            yield from _fields(field, named, here)


def _resolved(field: Mapping[str, Any], named: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a field's schema with the one that it refers to, of a nested model or an enumeration, filled in."""
    reference = str(field.get("$ref", ""))
    known = named.get(reference.rpartition("/")[2]) if reference else None
    return field if known is None else {**known, **field}


def _domain(field: Mapping[str, Any]) -> Domain | None:
    if "enum" in field:
        options = tuple(json.dumps(value, ensure_ascii=False) for value in field["enum"])
        return Choice(options) if len(set(options)) > 1 else None
    match field.get("type"):
        case "boolean":
            return Choice(("true", "false"))
        case "integer" | "number" as kind if "multipleOf" not in field:
            return _range(field, whole=kind == "integer")
    return None


def _range(field: Mapping[str, Any], *, whole: bool) -> Domain | None:
    low, over = field.get("minimum"), field.get("exclusiveMinimum")
    high, under = field.get("maximum"), field.get("exclusiveMaximum")
    least, most = (over if low is None else low), (under if high is None else high)
    if least is None or most is None or not least < most:
        return None
    step = 1 if whole else _INSIDE * (most - least)
    least, most = least + step * (low is None), most - step * (high is None)
    log = field.get("log") is True and least > 0
    if whole:
        first, last = -(-least // 1), most // 1
        return Integer(int(first), int(last), log) if first < last else None
    return Real(float(least), float(most), log)
