"""How real endpoints depart from the protocol, as a scripted server can do it too.

The ready-made ones are what was measured of servers that were not written here; see each one's comment.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from llm_optimize.testing.answers import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "LITELLM_MOCK",
    "LLAMA_CPP_PYTHON",
    "OPENAI_REASONING",
    "TRANSFORMERS_SERVE",
    "Quirks",
    "Style",
]

Style = Literal["parameter", "value", "detail", "words", "mute", "crash"]
"""How a field is refused: ``parameter`` and ``value`` are OpenAI's 400 with code and param; ``detail`` is FastAPI's
422 with a list; ``words`` is a 400 with nothing but a sentence; ``mute`` a 400, ``crash`` a 500 that names nothing."""

_TEMPERATURES = (0, 2)


@dataclass(frozen=True, slots=True)
class Quirks:
    """What an endpoint does otherwise than the protocol says.

    A field is a name of the request body; further names are ``json_schema`` and ``json_object`` (that kind of
    ``response_format``) and ``forced_tool`` (a ``tool_choice`` that names a function). ``n`` is only found where it is
    not 1, ``temperature`` where it is not 1, ``stream`` where it is true.

    Attributes:
        ignores: fields without effect, about which nothing is said.
        refuses: fields that end a request, and how.
        checks: whether a ``temperature`` outside 0 to 2 is an error, as it is at OpenAI.
    """

    ignores: frozenset[str] = frozenset()
    refuses: Mapping[str, Style] = field(default_factory=dict)
    checks: bool = True

    def refusal(self, body: Mapping[str, Any]) -> Answer | None:
        """Return the error that the endpoint answers ``body`` with, or None."""
        for name, style in self.refuses.items():
            if _has(body, name):
                return _REFUSALS[style](name, body)
        temperature = body.get("temperature")
        if not self.checks or not isinstance(temperature, int | float):
            return None
        low, high = _TEMPERATURES
        return None if low <= temperature <= high else _out_of_range(temperature)

    def heeded(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return ``body`` as far as the endpoint heeds it."""
        names = {_FIELDS.get(name, name) for name in self.ignores if _has(body, name)}
        return {name: value for name, value in body.items() if name not in names}


def _has(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(_FIELDS.get(name, name))
    if name in ("json_schema", "json_object"):
        return isinstance(value, dict) and value.get("type") == name
    if name == "forced_tool":
        return isinstance(value, dict)
    if name in ("n", "temperature"):
        return value not in (None, 1)
    return value not in (None, False)


_FIELDS = {"json_schema": "response_format", "json_object": "response_format", "forced_tool": "tool_choice"}


def _parameter(name: str, _: Mapping[str, Any]) -> Answer:
    sent = _FIELDS.get(name, name)
    hint = f" Use '{_OTHER[name]}' instead." if name in _OTHER else ""
    text = f"Unsupported parameter: '{sent}' is not supported with this model.{hint}"
    return Answer(text, status=400, code="unsupported_parameter", param=sent)


def _value(name: str, body: Mapping[str, Any]) -> Answer:
    sent = _FIELDS.get(name, name)
    text = (
        f"Unsupported value: '{sent}' does not support {body.get(sent)!r} with this model. "
        "Only the default (1) value is supported."
    )
    return Answer(text, status=400, code="unsupported_value", param=sent)


def _detail(name: str, _: Mapping[str, Any]) -> Answer:
    sent = _FIELDS.get(name, name)
    problem = {"type": "extra_forbidden", "loc": ["body", sent], "msg": "Extra inputs are not permitted", "input": 1}
    return Answer(raw=json.dumps({"detail": [problem]}).encode(), status=422)


def _words(name: str, _: Mapping[str, Any]) -> Answer:
    return Answer(f"this endpoint does not support {_FIELDS.get(name, name)}", status=400)


def _mute(*_: object) -> Answer:
    return Answer("Bad Request", status=400)


def _crash(*_: object) -> Answer:
    return Answer("Internal Server Error", status=500)


def _out_of_range(temperature: float) -> Answer:
    high = temperature > _TEMPERATURES[1]
    text = (
        f"Invalid 'temperature': decimal {'above maximum' if high else 'below minimum'} value. Expected a value "
        f"{'<= 2' if high else '>= 0'}, but got {temperature} instead."
    )
    code = "decimal_above_max_value" if high else "decimal_below_min_value"
    return Answer(text, status=400, code=code, param="temperature")


_OTHER = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
_REFUSALS: Mapping[Style, Callable[[str, Mapping[str, Any]], Answer]] = {
    "parameter": _parameter,
    "value": _value,
    "detail": _detail,
    "words": _words,
    "mute": _mute,
    "crash": _crash,
}

OPENAI_REASONING = Quirks(refuses={"max_tokens": "parameter", "temperature": "value", "top_p": "parameter"})
"""OpenAI's reasoning models: no sampling settings, and the newer name of the limit on tokens."""

TRANSFORMERS_SERVE = Quirks(ignores=frozenset({"n", "json_schema", "tool_choice"}), refuses={"top_k": "detail"})
"""transformers serve 5.23: 422 for what it does not know, one choice, no structured output."""

LLAMA_CPP_PYTHON = Quirks(
    ignores=frozenset({"n", "max_completion_tokens", "stream_options"}), refuses={"json_schema": "crash"}
)
"""llama-cpp-python 0.3.36: 500 for a JSON schema, one choice, no limit under the newer name, no usage of a stream."""

LITELLM_MOCK = Quirks(ignores=frozenset({"response_format", "tools", "tool_choice", "max_completion_tokens"}))
"""LiteLLM's proxy 1.106 with mock replies: whatever would shape the answer has no effect."""
