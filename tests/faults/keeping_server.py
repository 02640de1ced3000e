"""A scripted model server that can be killed: its books are in a file, and it opens again on the same port with them.

    python keeping_server.py BOOKS PORT [LATENCY [PROSE]]

A charge is in the books before its answer leaves, under the request's idempotency key, so a client that was not served
any more is served free of charge by the next process, as a provider with a database would do it. PROSE is how many
characters stand before each program. Prints its URL.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path

from llm_optimize.testing.answers import Answer, Received
from llm_optimize.testing.server import ScriptedServer


class KeepingServer(ScriptedServer):
    """Answers with the programs ``y = 1``, ``y = 2``, ...: a new one for each idempotency key."""

    def __init__(self, books: Path, port: int = 0, latency: float = 0.0, prose: int = 0) -> None:
        """Open the books, and the port."""
        self._prose = "x" * prose
        self._answers = {line["key"]: Answer(line["text"], usage=line["usage"]) for line in charges(books)}
        self._books = os.open(books, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._turn = threading.Lock()
        super().__init__(lambda body, index: "", latency=latency, port=port)

    def receive(self, body, headers):
        """Keep nothing: the books say it all, and a long run has many requests."""
        return Received(body, headers, headers.get("idempotency-key", ""))

    def decide(self, received):
        """Return the answer in the books, or write a new one into them."""
        with self._turn:
            answer = self._answers.get(received.key)
            if answer is None:
                answer = self._charged(received, Answer(f"{self._prose}\n```\ny = {len(self._answers) + 1}\n```"))
        return answer, received.body

    def _charged(self, received, answer):
        # A repeat whose prompt differs, since the study has gone on meanwhile, is told what the first one cost.
        usage = answer.tokens(received.body)
        line = {"key": received.key, "text": answer.text, "usage": usage}
        os.write(self._books, json.dumps(line).encode() + b"\n")  # one write: a kill leaves whole lines
        self._answers[received.key] = replace(answer, usage=usage)
        return self._answers[received.key]


def charges(books: Path) -> list[dict]:
    """Return what was charged, in order: key, text and usage of each."""
    return [json.loads(line) for line in books.read_text().splitlines()] if books.exists() else []


def main(books: str, port: str, latency: str = "0", prose: str = "0") -> None:
    """Serve until the process is ended."""
    with KeepingServer(Path(books), int(port), float(latency), int(prose)) as server:
        sys.stdout.write(server.url + "\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
