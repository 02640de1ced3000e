"""Rate limits as response headers state them: every family that is known, and nothing that a header could break."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llm_optimize.llm.limit_headers import Allowance, read_limits, seconds_until

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (
            {
                "x-ratelimit-limit-requests": "500",
                "X-RateLimit-Remaining-Requests": "499",
                "x-ratelimit-reset-requests": "120ms",
                "x-ratelimit-limit-tokens": "30000",
                "x-ratelimit-remaining-tokens": "29000",
                "x-ratelimit-reset-tokens": "6m0s",
            },
            {"requests": Allowance(500, 499, 0.12), "tokens": Allowance(30000, 29000, 360.0)},
        ),
        (
            {
                "anthropic-ratelimit-requests-limit": "50",
                "anthropic-ratelimit-requests-remaining": "49",
                "anthropic-ratelimit-requests-reset": "2026-01-01T00:00:01Z",
                "anthropic-ratelimit-tokens-limit": "40000",
            },
            {"requests": Allowance(50, 49, 1.0), "tokens": Allowance(40000)},
        ),
        (
            {"ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "3", "ratelimit-reset": "7"},
            {"requests": Allowance(100, 3, 7.0, 60.0)},
        ),
        (
            {"RateLimit": '"default";r=50;t=30', "RateLimit-Policy": '"default";q=100;w=60'},
            {"requests": Allowance(100, 50, 30.0, 60.0)},
        ),
        ({"RateLimit": "limit=100, remaining=50, reset=5"}, {"requests": Allowance(100, 50, 5.0)}),
        (
            {"x-ratelimit-limit": "10", "x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{NOW + 12:.0f}"},
            {"requests": Allowance(10, 0, 12.0)},
        ),
        (
            {"x-ratelimit-limit-tokens-minute": "60000", "x-ratelimit-limit-req-day": "14400"},
            {"tokens minute": Allowance(60000, period=60.0), "requests day": Allowance(14400, period=86400.0)},
        ),
        ({"x-ratelimit-limit-requests": "0", "x-ratelimit-remaining-requests": "0"}, {}),
        ({"x-ratelimit-limit-requests": "lots", "ratelimit": "fast", "content-type": "text/html"}, {}),
        ({}, {}),
    ],
)
def test_every_known_family_is_read(headers, expected):
    """OpenAI's, Anthropic's, the draft's editions, windows in names; nonsense and 'no limit' state nothing."""
    assert read_limits(headers, NOW) == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("20ms", 0.02),
        ("6m0s", 360.0),
        ("2m59.56s", 179.56),
        ("1h0m0.5s", 3600.5),
        ("1d", 86400.0),
        ("1m3ms", 60.003),
        ("12", 12.0),
        ("12.5", 12.5),
        (f"{NOW + 5:.0f}", 5.0),
        (f"{(NOW + 5) * 1000:.0f}", 5.0),
        ("2026-01-01T00:00:10+00:00", 10.0),
        ("2025-01-01T00:00:00Z", 0.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("s", None),
    ],
)
def test_resets_in_every_spelling(text, seconds):
    """Durations, seconds, points in time of three kinds; what is none of these is not said."""
    found = seconds_until(text, NOW)
    assert found == (None if seconds is None else pytest.approx(seconds))


@given(
    st.integers(0, 999),
    st.integers(0, 23),
    st.integers(0, 59),
    st.integers(0, 59),
    st.integers(0, 999),
)
def test_a_duration_of_any_parts_adds_up(days, hours, minutes, seconds, millis):
    """Every combination of units is read back as its sum."""
    parts = ((days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s"), (millis, "ms"))
    text = "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"
    wanted = days * 86400 + hours * 3600 + minutes * 60 + seconds + millis / 1000
    assert seconds_until(text, NOW) == pytest.approx(wanted)


_NAMES = st.sampled_from(
    [
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
        "x-ratelimit-reset-tokens-minute",
        "anthropic-ratelimit-tokens-reset",
        "ratelimit",
        "ratelimit-policy",
        "ratelimit-limit",
        "x-ratelimit-reset",
    ]
)

_ALMOST = st.builds(
    "{}{}".format, st.integers(0, 10**30), st.sampled_from(["", "s", "ms", "m", "h", "d", ".5s", ";w=0"])
)


@given(st.dictionaries(_NAMES, st.text(max_size=12) | _ALMOST))
@example({"ratelimit-reset": "9" * 400})
@example({"x-ratelimit-reset": "9999-12-31T23:59:59Z"})
@example({"ratelimit-limit": "5;w=0"})
@example({"x-ratelimit-reset-requests": "٣s"})
def test_no_header_breaks_the_reader(headers):
    """Whatever a gateway sends, what comes back is finite, not negative, and no period is 0."""
    for said in read_limits(headers, NOW).values():
        for number in (said.limit, said.remaining, said.reset, said.period):
            assert number is None or (math.isfinite(number) and number >= 0)
        assert said.period != 0
