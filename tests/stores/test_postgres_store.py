"""The PostgreSQL store against a real server, in one process."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from llm_optimize.core.events import Guided, Opened, Proposed, Retold, Told
from llm_optimize.core.types import Candidate, Evaluation, Problem
from llm_optimize.errors import BadInput, StoreError, StoreTooNew, StudyOwned
from llm_optimize.stores import PostgresStore, SQLiteStore, Timing, open_store
from llm_optimize.stores.postgres_schema import STEPS
from llm_optimize.testing.store_contract import StoreContract, sample_events

pytestmark = pytest.mark.xdist_group("postgres")


class TestPostgresStore(StoreContract):
    """The contract of all stores."""

    @pytest.fixture
    def store(self, address):
        """Return an empty store."""
        with PostgresStore(address) as opened:
            yield opened


class TestDatabase:
    """Where the log is and what happens to it."""

    def test_everything_is_there_after_reopening(self, address):
        """Events, replies and the listing are the same when the database is opened again."""
        with PostgresStore(address) as first:
            for event in sample_events():
                first.append("study", event)
            first.remember("study", "key", "body")
        with open_store(address) as second:
            assert isinstance(second, PostgresStore)
            assert [event for _, event in second.read("study")] == list(sample_events())
            assert second.recall("study", "key") == "body"
            assert second.studies() == ("study",)
            assert second.append("study", Guided("more")) == len(sample_events()) + 1

    def test_many_may_make_the_schema_at_once(self, address):
        """Of several threads that open an empty database at once one makes the schema, and all can write."""
        ready = threading.Barrier(8)

        def work(number):
            ready.wait()
            with PostgresStore(address) as store:
                return store.append("study", Guided(str(number)))

        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(work, range(8))) == list(range(1, 9))

    def test_closed_store_says_so(self, address):
        """Using a store after closing it is an error that names the remedy; closing twice is none."""
        store = PostgresStore(address)
        store.close()
        store.close()
        with pytest.raises(StoreError, match="closed: open it again"):
            store.append("study", Guided("x"))

    def test_forgotten_store_closes_itself(self, address):
        """A store that nobody closed gives up its claims when it is collected."""
        store = PostgresStore(address)
        store.claim("study")
        del store
        gc.collect()
        with PostgresStore(address) as again:
            again.claim("study")

    def test_closing_gives_up_the_claims(self, address):
        """A closed store owns nothing and renews nothing any more."""
        before = threading.active_count()
        with PostgresStore(address, Timing(lease_s=0.1)) as store:
            store.claim("study")
            assert threading.active_count() == before + 1
        with PostgresStore(address) as again:
            again.claim("study")
        while threading.active_count() > before:
            pass

    def test_spawned_child_gets_the_address(self, address):
        """A store handed to a spawned process works there, and its options travel."""
        with PostgresStore(address, Timing(lease_s=7)) as store:
            assert pickle.loads(pickle.dumps(store)).address == store.address
            child = multiprocessing.get_context("spawn").Process(target=append_one, args=(store,))
            child.start()
            child.join()
            assert child.exitcode == 0
            assert [event.text for _, event in store.read("study")] == ["from the child"]

    def test_surrogates_are_kept(self, address):
        """Text that is not valid Unicode, as broken program output gives, comes back as it was."""
        event = Told(0, Evaluation(1.0, "output: \udcff \\ \ud800"))
        with PostgresStore(address) as store:
            store.append("study", event)
            assert list(store.read("study")) == [(1, event)]

    @pytest.mark.parametrize(("name", "words"), [("\ud800", "valid Unicode"), ("a\x00b", "null character")])
    def test_names_must_be_text(self, address, name, words):
        """A study name that cannot be stored is refused as bad input, and the store works on."""
        with PostgresStore(address) as store:
            with pytest.raises(BadInput, match=words):
                store.append(name, Guided("x"))
            assert store.append("study", Guided("x")) == 1

    @pytest.mark.parametrize("level", ["repeatable read", "serializable"])
    def test_database_with_another_isolation_is_written_as_any(self, address, level):
        """A database whose transactions are stricter by default loses no concurrent append."""
        setting = f"ALTER DATABASE {address.rpartition('/')[2]} SET default_transaction_isolation TO"
        execute(address, f"{setting} '{level}'")
        try:
            with PostgresStore(address) as left, PostgresStore(address) as right, ThreadPoolExecutor(2) as pool:
                ready = threading.Barrier(2)

                def work(store):
                    ready.wait()
                    return [store.append("study", Guided("x")) for _ in range(50)]

                numbers = [number for part in pool.map(work, (left, right)) for number in part]
        finally:
            execute(address, f"{setting} DEFAULT")
        assert sorted(numbers) == list(range(1, 101))


class TestOverview:
    """One line about each study says what a History would."""

    def test_lines_are_those_of_sqlite(self, address, tmp_path):
        """The listing of the same events is the same as SQLite's, also with decisions and repeated evaluations."""
        studies = {
            "sample": sample_events(),
            "open": sample_events()[:3],
            "nothing": (Guided("x", 5.0),),
            "retold": (*repeated(), Retold(0, Evaluation(9.0), 0, "again", at=6.0)),
            "rejected": (*repeated(), Guided("cheats", 6.0, "reject", 1)),
            "accepted": (*repeated(), Guided("", 6.0, "accept", 0)),
        }
        with PostgresStore(address) as store, SQLiteStore(tmp_path / "studies.db") as other:
            for name, events in studies.items():
                for event in events:
                    store.append(name, event)
                    other.append(name, event)
            assert store.overview() == other.overview()
            assert [info.best_score for info in store.overview()] == [3, 3, None, 6, 3, 3]

    def test_owner_is_shown_while_its_lease_lasts(self, address):
        """The listing names the process that runs a study, and nobody once that has given up."""
        with PostgresStore(address) as store:
            store.append("study", Guided("x"))
            assert store.overview()[0].owner_pid is None
            store.claim("study")
            assert store.overview()[0].owner_pid == os.getpid()
            store.release("study")
            assert store.overview()[0].owner_pid is None


class TestSchema:
    """A database that is not ours, or newer, is left alone."""

    def test_an_older_schema_is_upgraded(self, address):
        """A database of the first version takes the steps that it lacks and keeps its studies."""
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(STEPS[0])
        execute(address, "UPDATE llm_optimize.schema_version SET version = 1")
        execute(address, "INSERT INTO llm_optimize.studies (name) VALUES ('old')")
        with PostgresStore(address) as store:
            store.append("old", Guided("x"))
            store.keep_fold("old", b"head", b"part", 1)
            assert store.studies() == ("old",)
            assert store.kept_fold("old") == [b"head", b"part"]
        with psycopg.connect(address, autocommit=True) as connection:
            versions = connection.execute("SELECT version FROM llm_optimize.schema_version").fetchall()
        assert versions == [(len(STEPS),)]

    def test_newer_schema_is_refused(self, address):
        """A schema with steps that are not known here is not touched."""
        PostgresStore(address).close()
        execute(address, "UPDATE llm_optimize.schema_version SET version = 99")
        with pytest.raises(StoreTooNew, match=rf"schema 99, known here up to {len(STEPS)}\).*upgrade"):
            PostgresStore(address)

    def test_an_older_schema_takes_the_steps_that_it_lacks(self, address):
        """A database of the first version is brought up to date, and who owned a study there goes on owning it."""
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(STEPS[0])
        execute(address, "UPDATE llm_optimize.schema_version SET version = 1")
        execute(address, "SELECT * FROM llm_optimize.claim('study', gen_random_uuid(), 3600, 1, 'elsewhere')")
        with PostgresStore(address) as store:
            with pytest.raises(StudyOwned, match="process 1 on elsewhere"):
                store.claim("study")
            store.release_stale("study")
            store.claim("study")
            assert store.append("study", Guided("as before")) == 1

    def test_foreign_schema_is_refused(self, address):
        """A schema of the same name that another program made is not written to."""
        execute(address, "CREATE SCHEMA llm_optimize CREATE TABLE theirs (x integer)")
        with pytest.raises(StoreError, match="another program's"):
            PostgresStore(address)

    def test_other_encodings_are_refused(self, address):
        """A database that cannot hold every text is refused with the remedy."""
        execute(address, "CREATE DATABASE latin ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        try:
            with pytest.raises(StoreError, match="SQL_ASCII: make one with createdb -E UTF8"):
                PostgresStore(f"{address.rpartition('/')[0]}/latin")
        finally:
            execute(address, "DROP DATABASE latin")

    def test_missing_rights_are_named(self, address):
        """Who may not make the schema, or write to it, is told what is missing; who may read it can."""
        execute(address, "CREATE ROLE reader LOGIN PASSWORD 'x'")
        reading = f"postgresql://reader:x@{address.partition('@')[2]}"
        try:
            with pytest.raises(StoreError, match="lacks a right: GRANT"):
                PostgresStore(reading)
            with PostgresStore(address) as store:
                store.append("study", Guided("x"))
                rights = (
                    "GRANT USAGE ON SCHEMA llm_optimize TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA llm_optimize"
                )
                execute(address, f"{rights} TO reader")
                with PostgresStore(reading) as reader:
                    assert list(reader.read("study")) == [(1, Guided("x"))]
                    assert reader.wait("study", timeout=5)
                    with pytest.raises(StoreError, match="lacks a right: GRANT"):
                        reader.append("study", Guided("y"))
        finally:
            execute(address, "DROP OWNED BY reader; DROP ROLE reader")


def append_one(store):
    store.append("study", Guided("from the child"))


def execute(address, sql):
    with psycopg.connect(address, autocommit=True) as connection:
        for statement in sql.split("; "):
            connection.execute(statement)


def repeated():
    """Two candidates: the second scores 4, the first 3."""
    return (
        Opened(Problem("t", "q", "start"), 7, {}, 1.0),
        Proposed((Candidate(0, "start", origin="start"),), at=2.0),
        Told(0, Evaluation(3), at=3.0),
        Proposed((Candidate(1, "one"),), slot=0, at=4.0),
        Told(1, Evaluation(4), at=5.0),
    )
