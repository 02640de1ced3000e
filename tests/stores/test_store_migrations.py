"""The schema's versions."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from llm_optimize.core.events import Guided
from llm_optimize.errors import StoreTooNew
from llm_optimize.stores import SQLiteStore
from llm_optimize.stores.migrations import APPLICATION_ID, MIGRATIONS, m001_events, migrate


def pragma(path, name):
    """Return a number from the file's header."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


def test_fresh_file_has_the_latest_version(tmp_path):
    """A new file takes every step and is marked as ours."""
    path = tmp_path / "studies.db"
    SQLiteStore(path).close()
    assert pragma(path, "user_version") == len(MIGRATIONS)
    assert pragma(path, "application_id") == APPLICATION_ID


def test_steps_are_numbered_in_order():
    """The list is the history of the schema: the n-th function is named after n."""
    assert [step.__name__[:5] for step in MIGRATIONS] == [f"m{n:03}_" for n in range(1, len(MIGRATIONS) + 1)]


def test_newer_file_is_refused_and_left_alone(tmp_path):
    """A file from a newer version is refused with the remedy, and keeps its version and content."""
    path = tmp_path / "studies.db"
    with SQLiteStore(path) as store:
        store.append("study", Guided("x"))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreTooNew, match="upgrade llm_optimize") as caught:
        SQLiteStore(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert pragma(path, "user_version") == 99


def test_every_version_migrates_to_the_latest(tmp_path):
    """A file at any earlier version, with a study in it, opens at the latest one and keeps the study."""
    for version in range(1, len(MIGRATIONS) + 1):
        path = tmp_path / f"{version}.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for step in MIGRATIONS[:version]:
                step(connection)
            connection.execute(f"PRAGMA user_version = {version}")
            connection.execute("INSERT INTO studies (id, name) VALUES (1, 'old')")
            body = '{"text":"old advice","at":5.0}'
            connection.execute(
                "INSERT INTO events (study, seq, kind, at, body) VALUES (1, 1, 'guided', 5.0, ?)", (body,)
            )
        with SQLiteStore(path) as store:
            assert list(store.read("old")) == [(1, Guided("old advice", 5.0))]
            assert store.append("old", Guided("new advice")) == 2
        assert pragma(path, "user_version") == len(MIGRATIONS)


def test_failed_step_leaves_the_file_as_it_was(tmp_path):
    """When a step fails, the steps before it in the same run are undone."""
    with closing(sqlite3.connect(tmp_path / "studies.db", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE owners (other INTEGER)")  # the first step fails on it, in its middle
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        with pytest.raises(sqlite3.OperationalError, match="owners"):
            migrate(connection, tmp_path / "studies.db")
        assert not connection.in_transaction
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("owners",)]
        assert connection.execute("PRAGMA user_version").fetchone() == (0,)


def test_first_step_stands():
    """The first step, which files in the field have run, makes what it always made."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        m001_events(connection)
        made = connection.execute("SELECT type, name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'").fetchall()
        columns = [row[1] for row in connection.execute("PRAGMA table_info(events)")]
    assert sorted(made) == [
        ("table", "events"),
        ("table", "owners"),
        ("table", "replies"),
        ("table", "studies"),
        ("view", "studies_overview"),
        ("view", "trials"),
        ("view", "usage_by_study"),
    ]
    assert columns == ["study", "seq", "kind", "at", "score", "body"]
