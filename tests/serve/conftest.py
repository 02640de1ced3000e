"""What the tests of the live page share: a server beside a study, asked by plain HTTP."""

from __future__ import annotations

import http.client
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

pytest.importorskip("starlette", reason="starlette is not installed: pip install 'llm-optimize[serve]'")

from llm_optimize import Draft, MaxSteps, Problem, Proposal, SQLiteStore, Study
from llm_optimize.serve.running import Address, beside


class Longer:
    def propose(self, history, n):
        return Proposal((Draft(f"{history.problem.start}{'!' * (history.slot + 1)}"),))


@dataclass
class Page:
    """A page that is served: where it is, and its study, if this process runs it."""

    url: str
    study: Study | None = None
    store: SQLiteStore | None = None

    @property
    def port(self):
        return int(re.search(r":(\d+)/", self.url)[1])

    def ask(self, path, method="GET", body=None, **headers):
        """Return (status, headers, body) of one request; ``Host`` is what it should be unless it is given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, dict):
            body, named = json.dumps(body), {"Content-Type": "application/json", **named}
        try:
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    @contextmanager
    def stream(self, path, **headers):
        """Yield a reader of an event stream: each call returns the next event as a dict of its fields."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()

        def event():
            found = {}
            while line := answer.readline().decode().rstrip("\n"):
                name, _, value = line.partition(": ")
                found[name] = json.loads(value) if name == "data" else value
            return found

        try:
            yield event
        finally:
            connection.close()


@pytest.fixture(scope="module")
def page_of(tmp_path_factory):
    """Opens a page beside a study that is not running yet; arguments are those of the study and of the address."""

    @contextmanager
    def opened(scorer=len, *, stop=None, proposer=None, token=None, **more):
        path = tmp_path_factory.mktemp("page") / "studies.db"
        with SQLiteStore(path) as store, SQLiteStore(path) as reading:
            study = Study(Problem("be long", start="x"), proposer or Longer(), scorer, store=store, name="demo",
                stop=stop or MaxSteps(3), **more)  # fmt: skip
            said = []
            with beside(study, reading, Address("127.0.0.1", 0, token), said.append):
                yield Page(said[0], study, store)

    return opened


@pytest.fixture
def page_at():
    """Asks a page that another process serves."""
    return Page


@pytest.fixture
def started(tmp_path):
    """Starts the command in a process of its own; yields the process and the page's address."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "LLM_OPTIMIZE_"))}
    env |= {"LLM_OPTIMIZE_NO_REQUESTS": "1", "PYTHONUNBUFFERED": "1"}

    @contextmanager
    def start(*words):
        command = [sys.executable, "-m", "llm_optimize", *map(str, words)]
        process = subprocess.Popen(
            command, cwd=tmp_path, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        lines = queue.SimpleQueue()
        reading = threading.Thread(target=lambda: [lines.put(line) for line in process.stderr], daemon=True)
        reading.start()
        url = None
        while url is None:
            url = re.search(r"live page at (\S+)", lines.get(timeout=30))
        try:
            yield process, url[1]
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.wait(30)
            reading.join()
            process.stdout.close()
            process.stderr.close()

    return start
