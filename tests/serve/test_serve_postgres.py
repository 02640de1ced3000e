"""The live page over a store on a server: what a run elsewhere writes, what a person says to it, and an outage."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest
from helpers.gate import Gate
from helpers.postgres_server import PASSWORD, PostgresServer, programs

from llm_optimize.core.events import Guided, Opened
from llm_optimize.core.types import Problem
from llm_optimize.serve.listening import Listening
from llm_optimize.stores import PostgresStore
from llm_optimize.testing.server import ScriptedServer

pytestmark = pytest.mark.xdist_group("postgres")

TASK = "TASK = 'Make it long.'\nQUESTION = 'What is longer?'\nx0 = 'start'\nMAX_STEPS = 4\nscore = len\n"


@pytest.fixture(scope="module")
def postgres():
    """A real server, which may be killed; skipped where Debian's package ``postgresql`` is not installed."""
    if programs() is None:
        pytest.skip("no PostgreSQL server here: apt-get install postgresql")
    server = PostgresServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def address(postgres):
    return postgres.database()


def words_of(event, wanted):
    """Return the lines and numbers of a stream's log until one holds the words."""
    numbers, lines = [], []
    while not any(wanted in line for line in lines):
        one = event()
        if one.get("event") == "log":
            numbers.append(one["data"]["seq"])
            lines.append(one["data"]["line"])
    return numbers, lines


def test_a_run_elsewhere_is_watched_and_guided(started, page_at, address, tmp_path):
    """Events of another process reach the page; what is said there reaches the next request; no password is shown."""
    (tmp_path / "task.py").write_text(TASK)
    gate = Gate(lambda index: f"```\n{'long ' * (index + 2)}\n```")
    with ScriptedServer(gate) as server, started("serve", "--store", address, "--port", "0") as (serving, url):
        page = page_at(url)
        words = ("run", "task.py", "--model", f"{server.url}#scripted", "--study", "mine", "--store", address)
        running = subprocess.Popen(
            [sys.executable, "-m", "llm_optimize", *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        with PostgresStore(address) as store:
            assert store.wait("mine", timeout=120)
        with page.stream("/api/events?study=mine") as event:
            gate.let(1)
            words_of(event, "#1 scored")
            said = page.ask("/api/say?study=mine", "POST", {"act": "say", "text": "mind the gap"})
            assert said[0] == 200
            assert b"from the next prompt on" in said[2]
            words_of(event, "guidance: mind the gap")
            gate.let(3)
            words_of(event, "the session ended: max_steps")
        heeded = ["mind the gap" in str(request.body["messages"]) for request in server.requests]
        assert heeded == [False, False, True, True]  # the second was under way when it was said
        assert running.wait(30) == 0
        shown = b"".join([*running.communicate(), page.ask("/api/studies")[2], page.ask("/api/report?study=mine")[2]])
        assert PASSWORD.encode() not in shown
        assert serving.poll() is None


def test_nothing_is_missed_while_the_server_is_away(started, page_at, postgres, address):
    """The database is killed and comes back: each event is streamed once, in order, with those written meanwhile."""
    with PostgresStore(address) as store, started("serve", "--store", address, "--port", "0") as (_, url):
        store.append("mine", Opened(Problem("t")))
        page, seen = page_at(url), []
        with page.stream("/api/events?study=mine") as event:
            seen += words_of(event, "a session began")[0]
            store.append("mine", Guided("before"))
            seen += words_of(event, "before")[0]
        postgres.kill()
        status, _, body = page.ask("/api/say?study=mine", "POST", {"act": "say", "text": "nobody hears"})
        assert status == 500
        assert PASSWORD.encode() not in body
        postgres.start()
        store.append("mine", Guided("meanwhile"))
        with page.stream("/api/events?study=mine", Last_Event_ID=str(seen[-1])) as event:
            seen += words_of(event, "meanwhile")[0]
            store.append("mine", Guided("after"))
            seen += words_of(event, "after")[0]
        assert seen == list(range(1, len(seen) + 1))
        assert len(seen) == 4


def test_a_stream_that_outlives_the_outage_goes_on(started, page_at, postgres, address):
    """A reader that stays, or is hung up on and comes back, is sent what was written after the outage, gapless."""
    with PostgresStore(address) as store, started("serve", "--store", address, "--port", "0") as (_, url):
        store.append("mine", Opened(Problem("t")))
        page, seen = page_at(url), []
        with page.stream("/api/events?study=mine") as event:
            seen += words_of(event, "a session began")[0]
            postgres.kill()
            postgres.start()
            store.append("mine", Guided("after"))
            while (one := event()) and seen[-1] < 2:
                seen += [one["data"]["seq"]] if one.get("event") == "log" else []
        with page.stream("/api/events?study=mine", Last_Event_ID=str(seen[-1])) as event:
            store.append("mine", Guided("last"))
            seen += words_of(event, "last")[0]
        assert seen == [1, 2, 3]


def test_the_store_is_not_asked_while_nothing_happens(address):
    """What is written is told at once, for each study that is followed, and what is told is not told again."""
    told, known = threading.Semaphore(0), {"one": 0, "two": 0}
    with PostgresStore(address) as reader, PostgresStore(address) as writer:
        asked = []

        def sequences():
            asked.append(time.monotonic())
            return dict(known)

        listening = Listening(reader, sequences, told.release)
        for number, name in enumerate(("one", "two", "one"), 1):
            writer.append(name, Guided("a word"))
            assert told.acquire(timeout=20)  # far sooner than it looks without being told
            assert len(asked) <= 2 * number + 1
        writer.append("three", Guided("nobody follows this one"))
        assert not told.acquire(timeout=0.3)
        listening.close()
