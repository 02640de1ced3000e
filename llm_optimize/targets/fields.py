"""Which values the fields of a chat request may take, so that nothing is sent that an endpoint has to refuse.

The ranges are those of the Chat Completions reference and, for ``top_k``, ``min_p`` and ``repetition_penalty``, of the
servers that have them (vLLM, llama.cpp, Ollama). A field that is not listed here is passed on as it is.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FIELDS", "Allowed", "check_field", "check_name", "check_settings", "is_whole"]


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a field may hold.

    Attributes:
        low: the lowest value.
        high: the highest value.
        whole: whether only whole numbers are.
    """

    low: float
    high: float = math.inf
    whole: bool = False

    def __str__(self) -> str:
        """Return the range for people."""
        kind = "a whole number" if self.whole else "a number"
        return (
            f"{kind} of {self.low:g} or more" if math.isinf(self.high) else f"{kind} from {self.low:g} to {self.high:g}"
        )


FIELDS: Mapping[str, Allowed] = {
    "temperature": Allowed(0, 2),
    "top_p": Allowed(0, 1),
    "top_k": Allowed(0, whole=True),
    "min_p": Allowed(0, 1),
    "typical_p": Allowed(0, 1),
    "frequency_penalty": Allowed(-2, 2),
    "presence_penalty": Allowed(-2, 2),
    "repetition_penalty": Allowed(0),
    "repeat_penalty": Allowed(0),
    "max_tokens": Allowed(1, whole=True),
    "max_completion_tokens": Allowed(1, whole=True),
    "seed": Allowed(-math.inf, whole=True),
    "top_logprobs": Allowed(0, 20, whole=True),
}
"""The fields whose range is known."""

_RESERVED = {
    "model": "give it as model",
    "messages": "give user_prompts and system_prompts",
    "stream": "replies are read whole",
    "stream_options": "replies are read whole",
    "n": "give repeats, which are paid and counted one by one",
}


def is_whole(name: str) -> bool:
    """Return whether a field takes whole numbers only."""
    return name in FIELDS and FIELDS[name].whole


def check_field(name: str, value: object) -> None:
    """Refuse a value that no endpoint accepts, before any call.

    Args:
        name: the field of the request body.
        value: what is to be sent.

    Raises:
        BadInput: names the field, the value and what it may be.

    Example:
        >>> check_field("top_p", 0.5)
        >>> check_field("top_p", 2)
        Traceback (most recent call last):
        llm_optimize.errors.BadInput: top_p is 2: endpoints accept a number from 0 to 1
    """
    check_name(name)
    _check_json(name, value)
    allowed = FIELDS.get(name)
    if allowed is None:
        return
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not allowed.low <= value <= allowed.high or (allowed.whole and not isinstance(value, int)):  # type: ignore[operator]  # a number by now
        msg = f"{name} is {value!r}: endpoints accept {allowed}"
        raise BadInput(msg)


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings of which one cannot be sent; see :func:`check_field`."""
    for name, value in settings.items():
        check_field(name, value)


def check_name(name: str) -> None:
    """Refuse fields of a request that are not settings.

    Raises:
        BadInput: it is empty, or set elsewhere.
    """
    if not name.strip():
        msg = "settings: a field has no name; give one such as temperature"
        raise BadInput(msg)
    if name in _RESERVED:
        msg = f"settings: {name} is no setting to try out: {_RESERVED[name]}"
        raise BadInput(msg)


def _check_json(name: str, value: object) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        msg = f"{name} is {value!r}, which JSON cannot hold: give a finite number, a text, a list or a dict"
        raise BadInput(msg) from None
