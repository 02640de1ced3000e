"""The scripted server's side of a connection: requests in, answers out, whole, in parts, or broken on purpose."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Protocol

from llm_optimize.testing.answers import Answer
from llm_optimize.testing.events import events

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from llm_optimize.testing.answers import Received

__all__ = ["Handler", "Http", "Owner"]

_FOREVER = 3600.0
_RESET = struct.pack("ii", 1, 0)  # linger for 0 seconds: closing sends a reset, not an end
_NOT_FOUND = b'{"error": {"message": "not found"}}'


class Owner(Protocol):
    """What a connection needs of the server that it belongs to."""

    latency: float
    models: Sequence[str] | Answer | None

    def counts(self) -> dict[str, int]:
        """Return the counts."""
        ...

    def receive(self, body: dict[str, Any], headers: dict[str, str]) -> Received:
        """Write a request down."""
        ...

    def decide(self, received: Received) -> tuple[Answer, dict[str, Any]]:
        """Return the answer, and the request as far as it is heeded."""
        ...

    def wait(self, seconds: float) -> bool:
        """Let the time pass; return False when the server closes meanwhile."""
        ...


class Http(ThreadingHTTPServer):
    """The socket; a thread per connection."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    owner: Owner

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class's signature
        """Print what went wrong, but for a client that goes away or does not trust the certificate: tests do that."""
        if not isinstance(sys.exception(), ConnectionError | ssl.SSLError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Http

    def do_GET(self) -> None:
        """Answer the list of models and the counts."""
        owner = self.server.owner
        path = self.path.partition("?")[0].rstrip("/")
        if path == "/counts":
            self._send(200, json.dumps(owner.counts()).encode())
        elif path == "/v1/models" and owner.models is not None:
            self._list(owner.models)
        else:
            self._send(404, _NOT_FOUND)

    def do_POST(self) -> None:
        """Answer a chat request."""
        size = int(self.headers.get("Content-Length", 0))
        raw = self.rfile.read(size)
        if len(raw) < size:  # the client is gone, perhaps killed
            self.close_connection = True
            return
        if self.path.rstrip("/") != "/v1/chat/completions":
            self._send(404, _NOT_FOUND)
            return
        owner = self.server.owner
        received = owner.receive(json.loads(raw), {name.lower(): value for name, value in self.headers.items()})
        try:
            self._answer(received)
        finally:
            received.over.set()

    def _answer(self, received: Received) -> None:
        owner = self.server.owner
        answer, heeded = owner.decide(received)
        if not owner.wait(owner.latency + answer.delay) or answer.drop or answer.lose:
            self.close_connection = True
            return
        received.status = answer.status
        received.written = self._speak(answer, heeded)

    def _speak(self, answer: Answer, heeded: Mapping[str, Any]) -> bool:
        """Send the answer; return whether it left whole."""
        fault = answer.fault
        streamed = bool(heeded.get("stream")) and answer.good and answer.raw is None
        if fault is not None and fault.kind == "instead":
            self._send(answer.status, fault.body, {"Content-Type": fault.content_type})
            return False
        if fault is not None and fault.kind == "slow_headers" and not self._slowly(answer.status, fault.seconds):
            return False
        if streamed:
            return self._stream(answer, events(answer, heeded))
        return self._send(answer.status, answer.body(heeded), answer.headers, answer)

    def _list(self, models: Sequence[str] | Answer) -> None:
        if isinstance(models, Answer):
            self._send(models.status, models.body({}), models.headers)
            return
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": "scripted"} for name in models]
        self._send(200, json.dumps({"object": "list", "data": listed}).encode())

    def _send(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None, answer: Answer | None = None
    ) -> bool:
        self._head(status, {"Content-Type": "application/json", **(headers or {}), "Content-Length": str(len(body))})
        return self._write([body], answer or Answer())

    def _stream(self, answer: Answer, said: Iterable[bytes]) -> bool:
        head = {"Content-Type": "text/event-stream", **answer.headers, "Transfer-Encoding": "chunked"}
        self._head(answer.status, head)
        framed = (b"%x\r\n%s\r\n" % (len(event), event) for event in said)
        return self._write(framed, answer) and self._write([b"0\r\n\r\n"], Answer())

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        if not self._headers_begun:
            self.send_response(status)
        self._headers_begun = False
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    _headers_begun = False

    def _slowly(self, status: int, seconds: float) -> bool:
        self.send_response(status)
        self.flush_headers()
        self._headers_begun = True
        return self.server.owner.wait(seconds)

    def _write(self, parts: Iterable[bytes], answer: Answer) -> bool:
        fault = answer.fault if answer.fault is not None and answer.fault.kind in _BREAKS else None
        left = fault.after if fault is not None else None
        for number, part in enumerate(parts):
            # between two parts only: a client that has the last one may close the server at once
            if number and not self.server.owner.wait(answer.pause):
                self.close_connection = True
                return False
            if left is not None and len(part) > left:
                self._say(part[:left])
                self._break(fault.kind if fault is not None else "")
                return False
            self._say(part)
            left = None if left is None else left - len(part)
        return True

    def _say(self, part: bytes) -> None:
        self.wfile.write(part)
        self.wfile.flush()

    def _break(self, kind: str) -> None:
        self.close_connection = True
        if kind == "stall":
            self._until_gone()
        elif kind == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.connection.close()

    def _until_gone(self) -> None:
        # A client that gives up closes its end, which reads as the end of what it says.
        self.connection.settimeout(_TICK_S)
        while self.server.owner.wait(0):
            try:
                if not self.connection.recv(1):
                    return
            except TimeoutError:
                continue

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the base class's signature
        """Stay silent: the requests are kept in ``requests``."""


_BREAKS = frozenset({"reset", "stall", "cut"})
_TICK_S = 0.05
