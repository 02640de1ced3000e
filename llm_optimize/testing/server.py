"""A real HTTP server that speaks Chat Completions and says what a function tells it to say.

Tests and examples drive the real client over a real socket: slow answers, lost answers, HTML pages, rate limits. It
keeps what it was asked and counts what a provider would charge, so "paid twice" is seen where it happens. Standard
library only. As a process of its own it outlives a client that is killed::

    python -m llm_optimize.testing.server package.module:function --port 0

prints its URL on the first line; ``GET /counts`` returns what :meth:`ScriptedServer.counts` does.
"""

from __future__ import annotations

import argparse
import importlib
import ssl
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.testing.answers import Answer, Fault, Received
from llm_optimize.testing.handler import Handler, Http
from llm_optimize.testing.prefixes import PrefixCache
from llm_optimize.testing.quirks import Quirks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

__all__ = ["Answer", "Fault", "Quirks", "Received", "ScriptedServer", "main"]


class ScriptedServer:
    """A chat endpoint on 127.0.0.1 at a free port; a context manager.

    Attributes:
        requests: every chat request in order of arrival.
        charged: how many completions a provider would have charged for: answers with a status below 400, each
            idempotency key once.
        repeats: how many requests were answered again from their idempotency key, free of charge.
        tokens_in: prompt tokens charged.
        tokens_cached: those of them that it said were cached.
        tokens_out: completion tokens charged.

    Example:
        >>> with ScriptedServer(lambda body, index: f"answer {index}") as server:
        ...     server.url.endswith("/v1")
        True
    """

    def __init__(  # noqa: PLR0913 - what it says, and in which ways it can be asked
        self,
        answer: Callable[[dict[str, Any], int], str | Answer],
        *,
        latency: float = 0.0,
        models: Sequence[str] | Answer | None = ("scripted",),
        port: int = 0,
        quirks: Quirks | None = None,
        certificate: tuple[Path, Path] | None = None,
        prefix_cache: bool = False,
    ) -> None:
        """Open the socket; nothing is served before the ``with`` block or :meth:`start`.

        Args:
            answer: gets the request's JSON body and its ordinal (0, 1, ...) among the requests that are neither repeats
                nor refused by ``quirks``. Called from several threads at once when several requests are under way.
            latency: seconds that each answer takes.
            models: what ``GET /v1/models`` lists; None answers it with 404, an Answer as it says.
            port: 0 for a free one.
            quirks: how it departs from the protocol.
            certificate: PEM files of a certificate and its key; then it speaks TLS.
            prefix_cache: say in ``usage`` how much of each prompt was cached, see
                :class:`~llm_optimize.testing.prefixes.PrefixCache`.
        """
        self.requests: list[Received] = []
        self.charged = 0
        self.repeats = 0
        self.tokens_in = 0
        self.tokens_cached = 0
        self.tokens_out = 0
        self.quirks = quirks or Quirks()
        self.models = models
        self.latency = latency
        self._answer = answer
        self._prefixes = PrefixCache() if prefix_cache else None
        self._index = 0
        self._kept: dict[str, Answer] = {}
        self._turns: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._http = Http(("127.0.0.1", port), Handler)
        self._http.owner = self
        self._scheme = "https" if certificate else "http"
        if certificate:
            self._http.socket = _secured(certificate).wrap_socket(
                self._http.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        """The base URL for a client; ends with ``/v1``."""
        return f"{self._scheme}://127.0.0.1:{self._http.server_address[1]}/v1"

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
        """Return how many requests came, were charged, and were repeats, and how many tokens were charged."""
        with self._lock:
            return {
                "requests": len(self.requests),
                "charged": self.charged,
                "repeats": self.repeats,
                "tokens_in": self.tokens_in,
                "tokens_out": self.tokens_out,
            }

    def receive(self, body: dict[str, Any], headers: dict[str, str]) -> Received:
        """Write a request down."""
        received = Received(body, headers, headers.get("idempotency-key", ""))
        with self._lock:
            self.requests.append(received)
        return received

    def decide(self, received: Received) -> tuple[Answer, dict[str, Any]]:
        """Return the answer to a request, the kept one where its key was answered before, and what is heeded of it."""
        refusal = self.quirks.refusal(received.body)
        if refusal is not None:
            return refusal, received.body
        heeded = self.quirks.heeded(received.body)
        if not received.key:
            return self._fresh(received, heeded), heeded
        with self._lock:
            turn = self._turns.setdefault(received.key, threading.Lock())
        with turn:
            return self._kept_or_fresh(received, heeded), heeded

    def wait(self, seconds: float) -> bool:
        """Let the time pass; return False when the server closes meanwhile."""
        return not (seconds > 0 and self._closing.wait(seconds)) and not self._closing.is_set()

    def _kept_or_fresh(self, received: Received, heeded: dict[str, Any]) -> Answer:
        kept = self._kept.get(received.key)
        if kept is None:
            return self._fresh(received, heeded)
        with self._lock:
            received.repeat = True
            self.repeats += 1
        return kept

    def _fresh(self, received: Received, heeded: dict[str, Any]) -> Answer:
        with self._lock:
            index, self._index = self._index, self._index + 1
        said = self._answer(received.body, index)
        answer = Answer(said) if isinstance(said, str) else said
        if answer.good:
            tokens = answer.tokens(heeded)
            if self._prefixes and answer.usage == "count":
                tokens["prompt_tokens_details"] = {"cached_tokens": self._prefixes.serve(heeded.get("messages", ()))}
                answer = replace(answer, usage=tokens)
            cached = (tokens.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
            with self._lock:
                self.charged += 1
                self.tokens_cached += cached
                self.tokens_in += tokens.get("prompt_tokens") or 0
                self.tokens_out += tokens.get("completion_tokens") or 0
                if received.key:
                    self._kept[received.key] = answer.kept()
        return answer


def _secured(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


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
