"""What the live page's server answers with: one body, or a stream of events that a slow reader cannot make grow."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping

__all__ = ["Answer", "App", "EventStream", "Receive", "Scope", "Send", "refusal", "server_sent"]

if TYPE_CHECKING:
    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]
else:
    Scope = Message = Receive = Send = App = Any

_SEND_S = 30.0  # a reader that takes nothing for so long is hung up on; it may come back and catch up


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, an ASGI application of its own.

    Attributes:
        status: the HTTP status.
        body: the bytes.
        kind: the content type.
        headers: further ones.
    """

    status: int
    body: bytes
    kind: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any, status: int = 200) -> Answer:  # noqa: ANN401 - any JSON value
        """Return a JSON value as an answer; halves of surrogate pairs, which UTF-8 cannot say, are escaped."""
        return cls(status, json.dumps(value, allow_nan=False).encode(), "application/json")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI call
        """Send it."""
        headers = {"content-type": self.kind, "content-length": str(len(self.body)), **self.headers}
        await send({"type": "http.response.start", "status": self.status, "headers": _encoded(headers)})
        await send({"type": "http.response.body", "body": self.body})


def refusal(status: int, message: str) -> Answer:
    """Return an answer that says in a line what is wrong."""
    return Answer.of({"error": message}, status)


def server_sent(name: str, data: Any, number: int | None = None) -> bytes:  # noqa: ANN401 - any JSON value
    r"""Return one event of an event stream; JSON on one line, so no text can end the event or begin another.

    Args:
        name: the event's type.
        data: a JSON value.
        number: its id, which a browser sends back when it reconnects; None leaves the last id as it is.

    Example:
        >>> server_sent("log", {"line": "a\nb"}, 7)
        b'id: 7\nevent: log\ndata: {"line": "a\\nb"}\n\n'
    """
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {name}\ndata: {json.dumps(data, allow_nan=False)}\n\n".encode()


@dataclass(frozen=True, slots=True)
class EventStream:
    """An event stream, an ASGI application of its own.

    The next event is asked for when the last one was taken, so a reader that is slow holds one of them and no more.

    Attributes:
        events: what is sent; closed when the reader is gone.
        patience: seconds after which a reader that takes nothing is hung up on.
    """

    events: AsyncGenerator[bytes]
    patience: float = _SEND_S

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - the ASGI call
        """Send events until there are no more, or the reader is gone."""
        headers = {"content-type": "text/event-stream", "x-accel-buffering": "no"}
        await send({"type": "http.response.start", "status": 200, "headers": _encoded(headers)})
        tasks = {asyncio.ensure_future(self._pump(send)), asyncio.ensure_future(_gone(receive))}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.events.aclose()
        for task in done:
            task.result()

    async def _pump(self, send: Send) -> None:
        async for event in self.events:
            try:
                async with asyncio.timeout(self.patience):
                    await send({"type": "http.response.body", "body": event, "more_body": True})
            except TimeoutError:
                return
        await send({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
