"""Long texts of candidates: in the file once, compressed, and whole for whoever reads."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_optimize.core.events import Proposed, Told
from llm_optimize.core.types import Candidate, Evaluation
from llm_optimize.errors import StoreError
from llm_optimize.stores import SQLiteStore
from llm_optimize.stores.long import m005_long
from llm_optimize.stores.migrations import MIGRATIONS
from llm_optimize.stores.texts import LONG

PROGRAM = "def answer(question):\n    return 42\n" * 100


def asked(path, query):
    """Return the rows of a query, by a connection that knows nothing of ours."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


@pytest.fixture
def store(tmp_path):
    """Return a store in a file of its own."""
    with SQLiteStore(tmp_path / "s.db") as store:
        yield store


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.tuples(st.text(max_size=20), st.sampled_from([1, 40, LONG])), max_size=4), max_size=5))
def test_every_text_comes_back(proposals):
    """Short and long, once or often, several to a proposal, with any characters: what was written is read."""
    events = [
        Proposed(tuple(Candidate(10 * number + i, text * times) for i, (text, times) in enumerate(drafts)), slot=number)
        for number, drafts in enumerate(proposals)
    ]
    with tempfile.TemporaryDirectory() as folder, SQLiteStore(Path(folder) / "s.db") as store:
        for event in events:
            store.append("one by one", event)
        store.extend("together", events)
        for study in ("one by one", "together"):
            assert [event for _, event in store.read(study)] == events
        assert list(store.fetch("together", range(1, 9)).values()) == events


def test_a_lone_surrogate_in_a_long_text_comes_back(store):
    """A text that is no valid Unicode is kept as it came."""
    event = Proposed((Candidate(0, "\ud800" + PROGRAM),))
    store.append("study", event)
    assert [event for _, event in store.read("study")] == [event]


def test_a_shared_text_is_there_once(store):
    """A thousand candidates with the same program, in two studies, take the room of one and of their events."""
    for study in ("a", "b"):
        store.extend(study, (Proposed((Candidate(i, PROGRAM),), slot=i) for i in range(500)))
    assert asked(store.path, "SELECT count(*), max(size), max(length(body)) < 200 FROM texts") == [(1, len(PROGRAM), 1)]
    assert asked(store.path, "SELECT max(length(body)) < 200 FROM events") == [(1,)]


def test_what_does_not_shrink_is_kept_as_it_is(store):
    """Bytes that compression would lengthen are stored themselves."""
    text = "".join(chr(Random(1).randrange(0x4E00, 0x9FFF) + i % 7) for i in range(LONG))
    noise = "".join(chr(one) for one in Random(2).choices(range(0x4E00, 0x9FFF), k=LONG))
    store.append("study", Proposed((Candidate(0, text), Candidate(1, noise))))
    [(_, event)] = store.read("study")
    assert [one.text for one in event.candidates] == [text, noise]
    assert asked(store.path, "SELECT count(*) FROM texts WHERE length(body) > size") == [(0,)]


def test_the_view_shows_a_long_text(store):
    """People who like SQL see short texts whole, and of compressed ones the beginning and where the rest is."""
    store.append("study", Proposed((Candidate(0, "short"), Candidate(1, PROGRAM))))
    for id_ in (0, 1):
        store.append("study", Told(id_, Evaluation(1.0)))
    [(short,), (long,)] = asked(store.path, "SELECT text FROM trials ORDER BY id")
    assert short == "short"
    assert long == f"{PROGRAM[:200]}... ({len(PROGRAM)} characters, compressed: text 1)"


def test_a_file_of_the_version_before_goes_on(tmp_path):
    """A file whose long texts are in its events keeps them there, and takes further ones apart from theirs."""
    path, before = tmp_path / "old.db", MIGRATIONS.index(m005_long)
    with SQLiteStore(tmp_path / "new.db") as new:
        new.append("study", Proposed((Candidate(0, "short"),), slot=0))
    [(body,)] = asked(tmp_path / "new.db", "SELECT body FROM events")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for step in MIGRATIONS[:before]:
            step(connection)
        connection.execute(f"PRAGMA user_version = {before}")
        connection.execute("INSERT INTO studies (id, name) VALUES (1, 'study')")
        inside = body.replace("short", "x" * 2000)
        connection.execute(
            "INSERT INTO events (study, seq, kind, at, body) VALUES (1, 1, 'proposed', 5.0, ?)", (inside,)
        )
    with SQLiteStore(path) as store:
        store.append("study", Proposed((Candidate(1, PROGRAM),), slot=1))
        store.append("study", Told(0, Evaluation(1.0)))
        texts = [event.candidates[0].text for _, event in store.read("study") if isinstance(event, Proposed)]
    assert texts == ["x" * 2000, PROGRAM]
    assert asked(path, "SELECT length(text) FROM trials") == [(2000,)]


@pytest.mark.parametrize(
    ("damage", "told"),
    [("DELETE FROM texts", "lacks the text"), ("UPDATE texts SET body = x'0102'", "text 1 cannot be read")],
)
def test_a_damaged_text_gives_a_clear_error(store, damage, told):
    """A text that is missing or damaged is an error that names the file and what to do."""
    store.append("study", Proposed((Candidate(0, PROGRAM),)))
    with store._connection.use() as connection:
        connection.execute(damage)
    with pytest.raises(StoreError, match=told) as caught:
        list(store.read("study"))
    assert str(store.path) in str(caught.value)
    assert "restore the file" in str(caught.value)
