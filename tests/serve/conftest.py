"""What the tests of the live page share: a server beside a study, asked by plain HTTP."""

from __future__ import annotations

import http.client
import json
import re
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
    """A page that is served: its study, and where it is."""

    study: Study
    store: SQLiteStore
    url: str

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
                yield Page(study, store, said[0])

    return opened
