"""The faults that a client has to survive, by name: each an answer that goes wrong once and is whole when asked again.

All but the refusals (``429`` and so on) were made and charged by the endpoint, as
:class:`~llm_optimize.testing.answers.Fault` says; with an idempotency key the repeat is free.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from llm_optimize.testing.answers import Answer, Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["FAULTS", "faulty"]

_LONG = 10_000_000


def faulty(answer: Answer, name: str) -> Answer:
    """Return ``answer`` with the fault of this name in :data:`FAULTS`."""
    return FAULTS[name](answer)


def _on_the_way(fault: Fault) -> Callable[[Answer], Answer]:
    return lambda answer: replace(answer, fault=fault)


def _instead(body: bytes, content_type: str = "application/json") -> Callable[[Answer], Answer]:
    return _on_the_way(Fault("instead", body=body, content_type=content_type))


def _refused(status: int, text: str, **headers: str) -> Callable[[Answer], Answer]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Answer(text, status=status, headers=named)


FAULTS: Mapping[str, Callable[[Answer], Answer]] = {
    "429 with Retry-After": _refused(429, "Rate limit reached, try again later", Retry_After="0.05"),
    "429 without Retry-After": _refused(429, "Rate limit reached, try again later"),
    "500": _refused(500, "The server had an error while processing your request"),
    "502": _refused(502, "Bad gateway"),
    "503": _refused(503, "The engine is currently overloaded, please try again later"),
    "connection closed": lambda answer: replace(answer, lose=True),
    "connection reset": _on_the_way(Fault("reset", after=40)),
    "stalled": _on_the_way(Fault("stall", after=40)),
    "truncated": _on_the_way(Fault("cut", after=40)),
    "malformed JSON": _instead(b'{"id": "x", "choices": [{"ind'),
    "empty choices": _instead(b'{"id": "x", "object": "chat.completion", "choices": []}'),
    "wrong content type": _instead(b"<html><body>502 from a gateway</body></html>", "text/html"),
    "cut off by a limit": lambda answer: replace(answer, finish_reason="length"),
    "10 MB": lambda answer: replace(answer, text=f"{answer.text}{' ' * _LONG}"),
    "slow headers": _on_the_way(Fault("slow_headers", seconds=0.3)),
}
"""Each fault as a function of the answer that it befalls. A stall ends when the client gives up."""
