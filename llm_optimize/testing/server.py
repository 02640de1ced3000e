"""A real HTTP server that speaks Chat Completions and says what a function tells it to say.

Tests and examples drive the real client over a real socket: slow answers, lost answers, HTML pages, rate limits. It
keeps what it was asked and counts what a provider would charge, so "paid twice" is seen where it happens. Standard
library only. As a process of its own it outlives a client that is killed::

    python -m llm_optimize.testing.server package.module:function --port 0

prints its URL on the first line; ``GET /counts`` returns ``{"requests": .., "charged": .., "repeats": ..}``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

__all__ = ["Answer", "Received", "ScriptedServer", "main"]

_PIECE = re.compile(r"\w{1,5}|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server says to one request.

    Attributes:
        text: the content of the only choice; None is sent as null.
        status: the HTTP status; from 400 on ``text`` becomes the error's message.
        headers: further response headers, such as ``Retry-After``.
        finish_reason: ``stop``, ``length``, ``content_filter``.
        refusal: the message's refusal field.
        reasoning: the message's ``reasoning_content`` field, as several servers send it.
        usage: ``"count"`` for plausible figures, a mapping as it is, or None to leave the field out.
        code: the error's ``code`` field.
        raw: bytes sent as the whole body instead of JSON.
        delay: seconds before this answer, on top of the server's latency.
        drop: close the connection instead of answering; nothing is charged.
        lose: charge and keep the answer but close the connection before it is seen; a repeat of the same key gets it.
    """

    text: str | None = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    finish_reason: str = "stop"
    refusal: str | None = None
    reasoning: str | None = None
    usage: Mapping[str, Any] | Literal["count"] | None = "count"
    code: str | None = None
    raw: bytes | None = None
    delay: float = 0.0
    drop: bool = False
    lose: bool = False

    @property
    def good(self) -> bool:
        """Whether a provider would charge for it and repeat it under the same idempotency key."""
        return self.status < 400 and not self.drop  # noqa: PLR2004 - the first HTTP error status

    def body(self, request: Mapping[str, Any]) -> bytes:
        """Return the response body for ``request``."""
        if self.raw is not None:
            return self.raw
        if self.status >= 400:  # noqa: PLR2004 - the first HTTP error status
            error = {"message": self.text, "type": "scripted", "param": None, "code": self.code}
            return json.dumps({"error": error}).encode()
        return json.dumps(self._completion(request)).encode()

    def _completion(self, request: Mapping[str, Any]) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": self.text, "refusal": self.refusal}
        if self.reasoning is not None:
            message["reasoning_content"] = self.reasoning
        completion: dict[str, Any] = {
            "id": "chatcmpl-scripted",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": request.get("model", ""),
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish_reason}],
        }
        if self.usage is not None:
            completion["usage"] = _count(request, self.text or "") if self.usage == "count" else dict(self.usage)
        return completion


@dataclass(slots=True)
class Received:
    """One request as the server saw it.

    Attributes:
        body: the JSON body.
        headers: header names in lower case.
        key: the idempotency key, empty without one.
        repeat: whether it was answered from an earlier request with the same key.
        status: what it was answered with; 0 until then, and for a closed connection.
        written: whether the answer left the server whole.
    """

    body: dict[str, Any]
    headers: dict[str, str]
    key: str = ""
    repeat: bool = False
    status: int = 0
    written: bool = False


class ScriptedServer:
    """A chat endpoint on 127.0.0.1 at a free port; a context manager.

    Attributes:
        requests: every chat request in order of arrival.
        charged: how many completions a provider would have charged for: answers with a status below 400, each
            idempotency key once.
        repeats: how many requests were answered again from their idempotency key, free of charge.

    Example:
        >>> with ScriptedServer(lambda body, index: f"answer {index}") as server:
        ...     server.url.endswith("/v1")
        True
    """

    def __init__(
        self,
        answer: Callable[[dict[str, Any], int], str | Answer],
        *,
        latency: float = 0.0,
        models: Sequence[str] | Answer | None = ("scripted",),
        port: int = 0,
    ) -> None:
        """Open the socket; nothing is served before the ``with`` block or :meth:`start`.

        Args:
            answer: gets the request's JSON body and its ordinal among the requests that are not repeats (0, 1, ...).
                Called from several threads at once when several requests are under way.
            latency: seconds that each answer takes.
            models: what ``GET /v1/models`` lists; None answers it with 404, an Answer as it says.
            port: 0 for a free one.
        """
        self.requests: list[Received] = []
        self.charged = 0
        self.repeats = 0
        self.models = models
        self.latency = latency
        self._answer = answer
        self._index = 0
        self._kept: dict[str, Answer] = {}
        self._turns: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._http = _Http(("127.0.0.1", port), _Handler)
        self._http.owner = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """The base URL for a client; ends with ``/v1``."""
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def start(self) -> Self:
        """Serve in the background."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop serving; answers that still wait are dropped."""
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def counts(self) -> dict[str, int]:
        """Return how many requests came, were charged, and were repeats."""
        with self._lock:
            return {"requests": len(self.requests), "charged": self.charged, "repeats": self.repeats}

    def receive(self, body: dict[str, Any], headers: dict[str, str]) -> Received:
        """Write a request down."""
        received = Received(body, headers, headers.get("idempotency-key", ""))
        with self._lock:
            self.requests.append(received)
        return received

    def decide(self, received: Received) -> Answer:
        """Return the answer to a request, the kept one where its key was answered before."""
        if not received.key:
            return self._fresh(received)
        with self._lock:
            turn = self._turns.setdefault(received.key, threading.Lock())
        with turn:
            kept = self._kept.get(received.key)
            if kept is None:
                return self._fresh(received)
            with self._lock:
                received.repeat = True
                self.repeats += 1
            return kept

    def wait(self, seconds: float) -> bool:
        """Let the time pass; return False when the server closes meanwhile."""
        return not (seconds > 0 and self._closing.wait(seconds)) and not self._closing.is_set()

    def _fresh(self, received: Received) -> Answer:
        with self._lock:
            index, self._index = self._index, self._index + 1
        said = self._answer(received.body, index)
        answer = Answer(said) if isinstance(said, str) else said
        with self._lock:
            self.charged += answer.good
            if received.key and answer.good:
                self._kept[received.key] = replace(answer, lose=False)
        return answer


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    owner: ScriptedServer

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base class's signature
        # A client that goes away (a killed process, a timeout) is part of the tests; other errors are printed.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Http

    def do_GET(self) -> None:
        owner = self.server.owner
        path = self.path.partition("?")[0].rstrip("/")
        if path == "/counts":
            self._send(200, json.dumps(owner.counts()).encode())
        elif path == "/v1/models" and owner.models is not None:
            self._list(owner.models)
        else:
            self._send(404, b'{"error": {"message": "not found"}}')

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.rstrip("/") != "/v1/chat/completions":
            self._send(404, b'{"error": {"message": "not found"}}')
            return
        owner = self.server.owner
        received = owner.receive(json.loads(raw), {name.lower(): value for name, value in self.headers.items()})
        answer = owner.decide(received)
        if not owner.wait(owner.latency + answer.delay) or answer.drop or answer.lose:
            self.close_connection = True
            return
        received.status = answer.status
        self._send(answer.status, answer.body(received.body), answer.headers)
        received.written = True

    def _list(self, models: Sequence[str] | Answer) -> None:
        if isinstance(models, Answer):
            self._send(models.status, models.body({}), models.headers)
            return
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": "scripted"} for name in models]
        self._send(200, json.dumps({"object": "list", "data": listed}).encode())

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the base class's signature
        """Stay silent: the requests are kept in ``requests``."""


def _count(request: Mapping[str, Any], text: str) -> dict[str, Any]:
    prompt = sum(len(_PIECE.findall(str(message.get("content", "")))) + 4 for message in request.get("messages", ()))
    answer = len(_PIECE.findall(text))
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}


def _load(spec: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    module, _, name = spec.partition(":")
    if not name:
        msg = f"{spec!r}: give the answering function as package.module:name"
        raise SystemExit(msg)
    sys.path.insert(0, str(Path.cwd()))
    return getattr(importlib.import_module(module), name)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve ``module:function`` until the process is ended; print the URL first."""
    parser = argparse.ArgumentParser(prog="python -m llm_optimize.testing.server", description=__doc__)
    parser.add_argument("function", help="module:name of a function (body, index) -> str or Answer")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--model", action="append", dest="models", help="a name to list; repeatable")
    options = parser.parse_args(argv)
    models = options.models or ("scripted",)
    with ScriptedServer(_load(options.function), latency=options.latency, models=models, port=options.port) as server:
        sys.stdout.write(server.url + "\n")
        sys.stdout.flush()
        threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
