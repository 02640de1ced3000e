"""What an endpoint says about its limits: three families of response headers read into one value.

- OpenAI and those who copy it (Groq, Azure, vLLM gateways): ``x-ratelimit-limit-requests``, ``-remaining-tokens``,
  ``-reset-requests: 6m0s``; Cerebras and Mistral add the window, as in ``x-ratelimit-limit-tokens-minute``;
- Anthropic: ``anthropic-ratelimit-requests-limit``, with an RFC 3339 time for the reset;
- the IETF draft (draft-ietf-httpapi-ratelimit-headers) in its several editions, with and without ``x-``.

What cannot be read is taken as not said: a gateway's odd header must never end a call.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Allowance", "read_limits", "seconds_until"]

_NAMES = (
    re.compile(
        r"x-ratelimit-(?P<field>limit|remaining|reset)-(?P<what>req(?:uest)?s?|tokens)"
        r"(?:-(?P<window>second|minute|hour|day))?"
    ),
    re.compile(r"anthropic-ratelimit-(?P<what>requests|tokens)-(?P<field>limit|remaining|reset)"),
    re.compile(r"(?:x-)?ratelimit-(?P<field>limit|remaining|reset)"),
)
_WINDOWS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
_NUMBER = re.compile(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*(?:[,;].*)?")
_POLICY = re.compile(r";\s*w\s*=\s*(\d{1,9})")
_DURATION = re.compile(
    r"(?=\d)(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m(?!s))?(?:(\d{1,9}(?:\.\d{1,12})?)s)?(?:(\d{1,9}(?:\.\d{1,9})?)ms)?"
)
_UNITS = (86400.0, 3600.0, 60.0, 1.0, 0.001)
_EPOCH = 1e9  # a "number of seconds" from here on is a point in time
_EPOCH_MS = 1e12
_ITEMS = (("limit", r"\b(?:limit|q)\s*=\s*(\d{1,15})"), ("remaining", r"\b(?:remaining|r)\s*=\s*(\d{1,15})"))
_RESET_ITEM = re.compile(r"\b(?:reset|t)\s*=\s*(\d{1,15})")


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an endpoint says about one of its limits; None where it does not say.

    Attributes:
        limit: how much a full allowance is, in requests or tokens.
        remaining: how much of it was left when the endpoint looked.
        reset: seconds from then until it is full again.
        period: seconds in which a full allowance comes back.
    """

    limit: float | None = None
    remaining: float | None = None
    reset: float | None = None
    period: float | None = None


def read_limits(headers: Mapping[str, str], now: float | None = None) -> dict[str, Allowance]:
    """Return the allowances that response headers state.

    Args:
        headers: of a response; names in any case.
        now: the time as seconds since the epoch, for resets given as a point in time; None for the clock's.

    Returns:
        By name: ``requests`` or ``tokens``, with the window behind a blank where the header names it
        (``tokens minute``). Empty when nothing is stated.

    Example:
        >>> read_limits({"x-ratelimit-limit-requests": "60", "x-ratelimit-reset-requests": "6m0s"})
        {'requests': Allowance(limit=60.0, remaining=None, reset=360.0, period=None)}
    """
    at = time.time() if now is None else now
    lowered = {name.lower(): value for name, value in headers.items() if isinstance(value, str)}
    found: dict[str, dict[str, float]] = {}
    for name, value in lowered.items():
        said = next((match for pattern in _NAMES if (match := pattern.fullmatch(name))), None)
        if said is None:
            continue
        parts = said.groupdict()
        number = seconds_until(value, at) if parts["field"] == "reset" else _number(value)
        if number is not None:
            own = found.setdefault(_title(parts), {})
            own.setdefault(parts["field"], number)
            own.update(_window(parts.get("window"), value))
    _add_structured(lowered, at, found)
    names = {item.name for item in fields(Allowance)}
    read = {what: Allowance(**{name: own[name] for name in names & own.keys()}) for what, own in found.items()}
    return {what: one for what, one in read.items() if one.limit != 0}  # 0 is how gateways say "no limit"


def seconds_until(value: str, now: float) -> float | None:
    """Return the seconds that a reset header means, or None.

    Args:
        value: ``20ms``, ``1s``, ``6m0s``, ``12`` (seconds), seconds or milliseconds since the epoch, or RFC 3339.
        now: seconds since the epoch.

    Example:
        >>> seconds_until("6m0s", 0), seconds_until("20ms", 0), seconds_until("2026-01-01T00:00:10Z", 1767225600)
        (360.0, 0.02, 10.0)
    """
    text = value.strip()
    number = _number(text)
    if number is not None:
        return _from_number(number, now)
    duration = _DURATION.fullmatch(text)
    if duration is not None:
        return sum(float(part) * unit for part, unit in zip(duration.groups(), _UNITS, strict=True) if part)
    try:
        then = datetime.fromisoformat(text)
        aware = then if then.tzinfo else then.replace(tzinfo=UTC)
        return max(aware.timestamp() - now, 0.0)
    except (ValueError, OverflowError):
        return None


def _from_number(number: float, now: float) -> float:
    if number >= _EPOCH_MS:
        return max(number / 1000 - now, 0.0)
    return max(number - now, 0.0) if number >= _EPOCH else number


def _number(value: str) -> float | None:
    match = _NUMBER.fullmatch(value)
    return float(match[1]) if match else None


def _title(parts: dict[str, str | None]) -> str:
    what = "tokens" if (parts.get("what") or "").startswith("tok") else "requests"
    window = parts.get("window")
    return f"{what} {window}" if window else what


def _window(named: str | None, value: str) -> dict[str, float]:
    if named:
        return {"period": _WINDOWS[named]}
    policy = _POLICY.search(value)
    return {"period": float(policy[1])} if policy and float(policy[1]) > 0 else {}


def _add_structured(headers: Mapping[str, str], now: float, found: dict[str, dict[str, float]]) -> None:
    # The draft's newer editions put all into one header, `"default";r=50;t=30` or `limit=100, remaining=50, reset=5`.
    state, policy = headers.get("ratelimit", ""), headers.get("ratelimit-policy", "")
    if not state:
        return
    own = found.setdefault("requests", {})
    for name, pattern in _ITEMS:
        match = re.search(pattern, state) or re.search(pattern, policy)
        if match:
            own.setdefault(name, float(match[1]))
    reset = _RESET_ITEM.search(state)
    if reset:
        own.setdefault("reset", _from_number(float(reset[1]), now))
    own.update(_window(None, policy))
    if not own:
        del found["requests"]
