"""The PostgreSQL server is killed, restarted, or cut off in the middle of things; readers wait for announcements."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from helpers.cutting_proxy import CuttingProxy
from helpers.postgres_server import PASSWORD
from helpers.warm import Session

from llm_optimize import ScriptedModel, optimize
from llm_optimize.cli import main
from llm_optimize.cli.ending import Place
from llm_optimize.core.events import Guided, Proposed, Stopped, Told
from llm_optimize.errors import StoreError
from llm_optimize.stores import PostgresStore, Timing

pytestmark = pytest.mark.xdist_group("postgres")

SESSION = Path(__file__).parent.parent / "helpers" / "postgres_session.py"
EVALUATIONS = 45

GUIDE = """
import sys
from llm_optimize.core.events import Guided
from llm_optimize.stores import open_store
with open_store(sys.argv[1]) as store:
    store.append("study", Guided("more vowels"))
"""


@pytest.fixture
def proxied(postgres, address):
    """Return a proxy in front of the server, and the address of an empty database through it."""
    proxy = CuttingProxy(postgres.port)
    yield proxy, address.replace(f":{postgres.port}/", f":{proxy.port}/")
    proxy.close()


def texts(store, study="study"):
    """Return the guidance in the log, whose sequence numbers are checked."""
    log = list(store.read(study))
    assert [number for number, _ in log] == list(range(1, len(log) + 1))
    return [event.text for _, event in log]


def test_append_whose_answer_was_lost_is_recognised(proxied):
    """An event that was committed before the connection broke is not appended again, and gets its number."""
    proxy, address = proxied
    with PostgresStore(address) as store:
        store.claim("study")
        for number in range(1, 11):
            if number % 3 == 0:
                proxy.cut()
            assert store.append("study", Guided(str(number))) == number
        proxy.cut()
        store.remember("study", "key", "body")
        assert proxy.cuts == 4
        assert texts(store) == [str(number) for number in range(1, 11)]
        assert store.recall("study", "key") == "body"


def test_claim_whose_answer_was_lost_is_kept(proxied):
    """A claim that was granted before the connection broke is the claimer's, not one that stands in its way."""
    proxy, address = proxied
    with PostgresStore(address) as store:
        proxy.cut()
        store.claim("study")
        assert proxy.cuts == 1
        assert store.append("study", Guided("mine")) == 1


def test_writers_and_readers_survive_a_killed_server(postgres, address):
    """Appends from two threads across two kills of the server are all there, once each and in order; a reader too."""
    kills, each = 2, 150
    with PostgresStore(address) as store, ThreadPoolExecutor() as pool:
        went = threading.Barrier(3)

        def write(name):
            for number in range(each * (kills + 1)):
                if number and number % each == 0:
                    went.wait()
                store.append("study", Guided(f"{name}/{number}"))

        def follow():
            with PostgresStore(address) as reader:
                seen = []
                while len(seen) < 2 * each * (kills + 1):
                    assert reader.wait("study", len(seen), timeout=60)
                    seen += [event.text for _, event in reader.read("study", len(seen))]
                return seen

        writers, reader = [pool.submit(write, name) for name in ("left", "right")], pool.submit(follow)
        for _ in range(kills):
            went.wait()
            postgres.kill()
            postgres.start()
        for writer in writers:
            writer.result()
        log = texts(store)
        assert reader.result() == log
    for name in ("left", "right"):
        mine = [text for text in log if text.startswith(name)]
        assert mine == [f"{name}/{number}" for number in range(each * (kills + 1))]


def test_study_goes_on_after_the_server_was_killed(postgres, address, tmp_path):
    """A session whose server is killed and started again twice loses nothing and evaluates nothing twice."""
    session = Session(SESSION, address, tmp_path / "notes", EVALUATIONS, errors=tmp_path / "errors")
    with PostgresStore(address) as store:
        position = 0
        for told in (10, 30):
            while sum(isinstance(event, Told) for _, event in store.read("shared")) < told:
                assert store.wait("shared", position, timeout=60)
                position = [number for number, _ in store.read("shared", position)][-1]
            postgres.kill()
            postgres.start()
        assert session.wait(60) == ""
        events = [event for _, event in store.read("shared")]
        assert isinstance(events[-1], Stopped)
        told = [event.candidate_id for event in events if isinstance(event, Told)]
        assert sorted(told) == list(range(EVALUATIONS))
        lines = (tmp_path / "notes").read_text().splitlines()
        begun = [line.split()[2] for line in lines if line.split()[1] == "begin"]
        assert sorted(begun) == sorted(
            one.text for event in events if isinstance(event, Proposed) for one in event.candidates
        )


def test_server_that_stays_away_is_reported(postgres, address):
    """After ``outage_s`` an operation ends with one line that names the server and no password; later ones work."""
    with PostgresStore(address, Timing(outage_s=0.2)) as store:
        store.append("study", Guided("before"))
        postgres.kill()
        with pytest.raises(StoreError, match=f"127.0.0.1:{postgres.port}/.*check the address") as caught:
            store.append("study", Guided("lost"))
        postgres.start()
        assert "\n" not in str(caught.value)
        assert PASSWORD not in str(caught.value)
        assert store.append("study", Guided("after")) == 2


class TestWaiting:
    """Whoever waits is told by the server."""

    def test_waiting_reader_is_woken(self, address):
        """A reader that waits for a study that does not exist yet wakes with its first event, long before it looks."""
        with PostgresStore(address) as store, PostgresStore(address) as reader, ThreadPoolExecutor() as pool:
            waiting = pool.submit(reader.wait, "study", 0, 60)  # it would look again after 30 s
            while not idle_listeners(address):
                pass
            store.append("other", Guided("not this one"))
            store.append("study", Guided("x"))
            assert waiting.result(timeout=15) is True

    def test_waiting_asks_nothing(self, address):
        """While a reader waits and nothing happens its session runs no statement."""
        with PostgresStore(address) as store, ThreadPoolExecutor() as pool:
            waiting = pool.submit(store.wait, "study", 0, 0.8)
            while not (first := idle_listeners(address)):
                pass
            looked = 0
            while not waiting.done() and (now := idle_listeners(address)):
                assert now == first
                looked += 1
            assert looked
            assert waiting.result() is False

    def test_what_is_there_is_not_waited_for(self, address):
        """An event behind ``after`` ends the wait at once; without one it ends when the time is over."""
        with PostgresStore(address) as store:
            store.append("study", Guided("x"))
            assert store.wait("study", 0)
            assert not store.wait("study", 1, timeout=0)

    def test_closing_ends_the_wait(self, address):
        """A reader that would wait for ever returns when its store is closed."""
        store = PostgresStore(address)
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(store.wait, "study")
            while not idle_listeners(address):
                pass
            store.close()
            assert waiting.result() is False

    def test_announcements_lost_with_the_server_are_made_up_for(self, postgres, address):
        """An event that was appended while the waiting reader was cut off is found when it is back."""
        with PostgresStore(address) as store, PostgresStore(address) as reader, ThreadPoolExecutor() as pool:
            waiting = pool.submit(reader.wait, "study", 0, 60)
            while not idle_listeners(address):
                pass
            postgres.kill()
            postgres.start()
            store.append("study", Guided("x"))
            assert waiting.result(timeout=15) is True


def idle_listeners(address):
    """Return (process, time of its last statement) of each session that waits for announcements."""
    sql = """
        SELECT pid, state_change FROM pg_stat_activity
        WHERE datname = current_database() AND state = 'idle' AND query LIKE 'SELECT name, last FROM %'
    """
    with psycopg.connect(address) as connection:
        return connection.execute(sql).fetchall()


def test_guide_elsewhere_is_heard_by_the_owner(address):
    """What another process says while the study runs stands in the next prompt."""

    def reply(request):
        if len(model.requests) == 2:
            subprocess.run([sys.executable, "-c", GUIDE, address], check=True)
        return f"```\n{'a' * len(model.requests)}\n```"

    model = ScriptedModel(reply)
    optimize.run("t", "q", len, "x", 4, model, verbose=False, store=address, study="study")
    heard = ["more vowels" in str(request) for request in model.requests]
    assert heard[:2] == [False, False]
    assert all(heard[2:])


def test_command_line_reads_and_guides(address, capsys):
    """The commands take the address where they take a path, and print it without the password."""
    with PostgresStore(address) as store:
        optimize.run("t", "q", len, "x", 1, ScriptedModel(["```\nxy\n```"]), verbose=False, store=store, study="study")
        assert main(["guide", "study", "more vowels", "--store", address]) == 0
        assert [event.text for _, event in store.read("study") if isinstance(event, Guided)] == ["more vowels"]
    for words in (["list"], ["show", "study"], ["doctor"], ["show", "stduy"]):
        main([*words, "--store", address])
    said = capsys.readouterr()
    assert "study" in said.out
    assert "did you mean 'study'?" in said.err
    assert address.replace(f":{PASSWORD}", "") in said.out + said.err
    assert PASSWORD not in said.out + said.err
    assert PASSWORD not in str(Place("study", address))
