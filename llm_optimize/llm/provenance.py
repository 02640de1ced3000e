"""Where an answer came from: a layer that answers by itself tells the layers around it, which see only the reply."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Provenance", "answered_from", "noting"]

_CURRENT: ContextVar[Provenance | None] = ContextVar("llm_optimize_provenance", default=None)


@dataclass(slots=True)
class Provenance:
    """What is known of the call under way.

    Attributes:
        source: ``endpoint``; ``log`` (paid for in an earlier session); ``cache``; ``recording``.
    """

    source: str = "endpoint"


def answered_from(source: str) -> None:
    """Say that the call under way is answered from somewhere else than an endpoint."""
    current = _CURRENT.get()
    if current is not None:
        current.source = source


@contextmanager
def noting() -> Iterator[Provenance]:
    """Find out where the call made in the block is answered from."""
    provenance = Provenance()
    token = _CURRENT.set(provenance)
    try:
        yield provenance
    finally:
        _CURRENT.reset(token)
