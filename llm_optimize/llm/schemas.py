"""JSON schemas of pydantic models, and JSON values found in what a model said.

pydantic (64 ms to import) is loaded by the caller's own reply type.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import BaseModel, ValidationError

__all__ = ["check_type", "json_values", "problems", "response_format", "schema_name"]

_BEYOND_STRICT = frozenset(
    {"allOf", "oneOf", "not", "if", "patternProperties", "dependentRequired", "prefixItems", "uniqueItems"}
)
_NAMED = frozenset({"properties", "$defs"})
_START = re.compile(r"[{\[]")
_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST_NAME = 64
_MOST_STARTS = 200
_MOST_PROBLEMS = 8


def check_type(reply_type: object) -> None:
    """Make sure that a reply type is a pydantic model.

    Raises:
        BadInput: it is something else.
    """
    if not isinstance(reply_type, type) or not hasattr(reply_type, "model_json_schema"):
        msg = f"reply_type: {reply_type!r} is no pydantic model; give a subclass of pydantic.BaseModel"
        raise BadInput(msg)


def schema_name(reply_type: type[BaseModel]) -> str:
    """Return a name that endpoints take for the schema of ``reply_type``."""
    return _NAME.sub("_", reply_type.__name__)[:_LONGEST_NAME].strip("_") or "reply"


def response_format(reply_type: type[BaseModel]) -> dict[str, Any]:
    """Return the ``response_format`` field for ``reply_type``: strict where its schema allows that.

    Strict means that every field must be there and no other may be; a schema with free keys, alternatives of objects
    or fixed tuples is sent as it is (OpenAI's rules for structured outputs).
    """
    named: dict[str, Any] = {"name": schema_name(reply_type), "schema": reply_type.model_json_schema(), "strict": False}
    with suppress(_NotStrict):
        named |= {"schema": _strict(named["schema"]), "strict": True}
    return {"type": "json_schema", "json_schema": named}


def json_values(text: str) -> Iterator[str]:
    """Yield the JSON objects and arrays in ``text`` in order, prose and fences around them passed over.

    Example:
        >>> list(json_values('Sure: {"a": {"b": 1}} and [2].'))
        ['{"a": {"b": 1}}', '[2]']
    """
    decoder = json.JSONDecoder()
    position = 0
    for _ in range(_MOST_STARTS):
        start = _START.search(text, position)
        if start is None:
            return
        try:
            _, position = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            position = start.end()
        else:
            yield text[start.start() : position]


def problems(error: ValidationError) -> str:
    """Return what is wrong with a value, a line per field."""
    found = [
        f"- {'.'.join(map(str, one['loc'])) or 'the whole'}: {one['msg']}" for one in error.errors(include_url=False)
    ]
    more = [f"- and {len(found) - _MOST_PROBLEMS} more"] if len(found) > _MOST_PROBLEMS else []
    return "\n".join(found[:_MOST_PROBLEMS] + more)


def _strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``schema`` in the strict form.

    Raises:
        _NotStrict: it has none.
    """
    free = schema.get("additionalProperties") not in (None, False)
    if free or _BEYOND_STRICT & schema.keys() or (schema.get("type") == "object" and not schema.get("properties")):
        raise _NotStrict
    kept = {name: value for name, value in schema.items() if name != "default"}
    for name in _NAMED & kept.keys():
        kept[name] = {key: _strict(value) for key, value in kept[name].items()}
    if isinstance(kept.get("items"), dict):
        kept["items"] = _strict(kept["items"])
    if "anyOf" in kept:
        kept["anyOf"] = [_strict(one) for one in kept["anyOf"]]
    if "properties" in kept:
        kept |= {"required": list(kept["properties"]), "additionalProperties": False}
    return kept


class _NotStrict(Exception):
    """Says that a schema has no strict form; never leaves this file."""
