"""Connections that ask nothing: uvicorn waits for a request for ever, so a few hundred would shut all others out."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["MOST", "hasty_protocol"]

MOST = 256
"""Connections at once; when another one comes, that which has been idle longest is closed."""

_REQUEST_S = 10.0  # for the head of a request


class _Hasty(asyncio.Protocol):
    """What is put before uvicorn's protocol, whose attributes the first four are."""

    cycle: Any
    connections: set[Any]
    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    most: int
    seconds: float
    since = 0.0
    overdue: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.expect()
        if len(self.connections) > self.most:
            idle = [one for one in self.connections if not one.busy]
            min(idle, key=lambda one: one.since).give_up()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.busy:
            self.forget()
        elif self.overdue is None:
            self.expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self.forget()
        super().connection_lost(exc)

    def expect(self) -> None:
        self.since = self.loop.time()
        self.overdue = self.loop.call_later(self.seconds, self.give_up)

    def forget(self) -> None:
        if self.overdue is not None:
            self.overdue.cancel()
            self.overdue = None

    def give_up(self) -> None:
        if not self.busy:
            self.connections.discard(self)
            self.transport.abort()


def hasty_protocol(most: int = MOST, seconds: float = _REQUEST_S) -> type[asyncio.Protocol]:
    """Return uvicorn's HTTP protocol, but for connections that take too long to say what they want.

    Args:
        most: connections at once.
        seconds: from the connection, or from the first byte of a later request, until its head is there.
    """
    from uvicorn.protocols.http.h11_impl import H11Protocol  # noqa: PLC0415 - optional, and owned by the live page

    return type("Hasty", (_Hasty, H11Protocol), {"most": most, "seconds": seconds})
