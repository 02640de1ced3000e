"""The SQLite store within one process: files, errors, threads, pickling, views."""

from __future__ import annotations

import gc
import os
import pickle
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llm_optimize.core.events import Guided, Opened, Proposed, Stopped, Told
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem, Usage
from llm_optimize.errors import BadInput, StoreError, StudyOwned
from llm_optimize.stores import MemoryStore, SQLiteStore
from llm_optimize.testing.store_contract import StoreContract, sample_events


@pytest.fixture
def store(tmp_path):
    """Return an empty store in a folder of its own."""
    with SQLiteStore(tmp_path / "studies.db") as opened:
        yield opened


def query(store, sql):
    """Return what another program sees in the file."""
    with sqlite3.connect(store.path) as connection:
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute(sql)]
    connection.close()
    return rows


class TestSQLiteStore(StoreContract):
    """The contract of all stores."""

    @pytest.fixture(params=["normal", "full"])
    def store(self, request, tmp_path):
        """Return an empty store, in both durabilities."""
        with SQLiteStore(tmp_path / "studies.db", request.param) as opened:
            yield opened


class TestFile:
    """Where the log is and what happens to it."""

    def test_everything_is_there_after_reopening(self, tmp_path):
        """Events, replies and the listing are the same when the file is opened again."""
        path = tmp_path / "deep" / "folder" / "studies.db"
        with SQLiteStore(path) as first:
            for event in sample_events():
                first.append("study", event)
            first.remember("study", "key", "body")
        with SQLiteStore(str(path)) as second:
            assert [event for _, event in second.read("study")] == list(sample_events())
            assert second.recall("study", "key") == "body"
            assert second.studies() == ("study",)
            assert second.append("study", Guided("more")) == len(sample_events()) + 1

    def test_closing_leaves_one_file(self, tmp_path):
        """After closing, the log is one file that can be copied, without the companions of the write-ahead log."""
        with SQLiteStore(tmp_path / "studies.db") as store:
            store.append("study", Guided("x"))
        assert [path.name for path in tmp_path.iterdir()] == ["studies.db"]

    def test_commits_go_to_the_write_ahead_log(self, store):
        """The file is in WAL mode, with the durability that was asked for."""
        with store._connection.use() as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
            assert connection.execute("PRAGMA synchronous").fetchone() == (1,)
        with SQLiteStore(store.path, "full") as full, full._connection.use() as connection:
            assert connection.execute("PRAGMA synchronous").fetchone() == (2,)

    def test_path_does_not_follow_the_working_folder(self, tmp_path, monkeypatch):
        """A relative path means the folder at the time of opening, also for a pickled copy."""
        monkeypatch.chdir(tmp_path)
        with SQLiteStore("studies.db") as store:
            (tmp_path / "elsewhere").mkdir()
            monkeypatch.chdir(tmp_path / "elsewhere")
            assert pickle.loads(pickle.dumps(store)).path == tmp_path / "studies.db"

    def test_closed_store_says_so(self, store):
        """Using a store after closing it is an error that names the remedy; closing twice is none."""
        store.close()
        store.close()
        with pytest.raises(StoreError, match="closed: open it again"):
            store.append("study", Guided("x"))

    def test_forgotten_store_closes_itself(self, tmp_path):
        """A store that nobody closed gives up its file and its claims when it is collected."""
        store = SQLiteStore(tmp_path / "studies.db")
        store.claim("study")
        del store
        gc.collect()
        assert not (tmp_path / "studies.db-wal").exists()
        with SQLiteStore(tmp_path / "studies.db") as again:
            again.claim("study")

    def test_surrogates_in_a_reply_are_kept(self, store):
        """Text that is not valid Unicode, as broken program output gives, is kept and leaves the views readable."""
        feedback = "output: \udcff \\ \ud800"
        store.append("study", Proposed((Candidate(0, "x"),)))
        store.append("study", Told(0, Evaluation(1.0, feedback)))
        assert [event for _, event in store.read("study", 1)] == [Told(0, Evaluation(1.0, feedback))]
        assert query(store, "SELECT id, score FROM trials") == [{"id": 0, "score": 1.0}]

    def test_names_must_be_text(self, store):
        """A study name that cannot be stored is refused as bad input."""
        with pytest.raises(BadInput, match="valid Unicode"):
            store.append("\ud800", Guided("x"))


class TestBadFiles:
    """Each failure is one line with the path and a remedy."""

    @pytest.mark.parametrize("under", ["plain/studies.db", "plain/deeper/studies.db"])
    def test_folder_under_a_file(self, tmp_path, under):
        """A path below a regular file is refused."""
        (tmp_path / "plain").write_text("not a folder")
        self.refused(tmp_path / under, "cannot be made|cannot be opened")

    def test_folder_as_path(self, tmp_path):
        """A folder is refused as such."""
        self.refused(tmp_path, "is a folder: give the path of a file")

    @pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a read-only file system")
    @pytest.mark.parametrize("path", ["/proc/studies.db", "/proc/none/studies.db"])
    def test_unwritable_folder(self, path):
        """A folder that nobody can write to is refused."""
        self.refused(Path(path), "cannot be opened|cannot be made")

    @pytest.mark.parametrize("content", [b"x", b"x" * 511, b"x" * 512, b"garbage " * 1000])
    def test_not_a_database(self, tmp_path, content):
        """A file of something else is refused and left as it was."""
        path = tmp_path / "notes.txt"
        path.write_bytes(content)
        self.refused(path, "not a SQLite file")
        assert path.read_bytes() == content

    def test_another_programs_database(self, tmp_path):
        """A SQLite database of another program is refused and gets no tables of ours."""
        path = tmp_path / "other.db"
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE studies (id INTEGER)")
        other.close()
        self.refused(path, "another program")
        other = sqlite3.connect(path)
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("studies",)]
        other.close()

    def test_null_in_the_path(self):
        """A path with a null character is refused."""
        self.refused(Path("null\0.db"), "choose another path|choose a path")

    @pytest.mark.parametrize("path", ["", ":memory:"])
    def test_no_path(self, path):
        """An empty path, or SQLite's word for memory, is bad input."""
        with pytest.raises(BadInput, match="MemoryStore"):
            SQLiteStore(path)

    def test_unknown_durability(self, tmp_path):
        """A durability that does not exist is bad input."""
        with pytest.raises(BadInput, match="'normal' or 'full'"):
            SQLiteStore(tmp_path / "studies.db", "extreme")

    def test_full_disk_loses_nothing(self, store):
        """An append that finds no room raises, writes nothing, and works again once there is room."""
        store.append("study", Guided("kept"))
        with store._connection.use() as connection:
            [pages] = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match="the disk is full: free some space") as caught:
            store.append("study", Guided("x" * 100_000))
        assert str(store.path) in str(caught.value)
        assert [number for number, _ in store.read("study")] == [1]
        with store._connection.use() as connection:
            connection.execute("PRAGMA max_page_count = 1000000")
        assert store.append("study", Guided("x" * 100_000)) == 2

    def test_damaged_event_is_named(self, store):
        """An event that cannot be read is reported with file, study and number; those before it are read."""
        store.append("study", Guided("good"))
        store.append("study", Guided("bad"))
        with store._connection.use() as connection:
            connection.execute("UPDATE events SET body = '{' WHERE seq = 2")
        reading = store.read("study")
        assert next(reading) == (1, Guided("good"))
        with pytest.raises(StoreError, match=r"studies\.db: study 'study', event 2"):
            next(reading)

    def test_read_only_file(self, store):
        """A file that may only be read can be read, and says so when it is written to."""
        store.append("study", Guided("x"))
        with store._connection.use() as connection:
            connection.execute("PRAGMA query_only = on")
        with pytest.raises(StoreError, match="cannot be written: check its permissions"):
            store.append("study", Guided("y"))
        assert list(store.read("study")) == [(1, Guided("x"))]

    def refused(self, path, pattern):
        """The store cannot be opened; the message is one line that names the path."""
        with pytest.raises(StoreError, match=pattern) as caught:
            SQLiteStore(path)
        assert "\n" not in str(caught.value)
        assert path.name.replace("\0", "\\x00") in str(caught.value)


class TestSharing:
    """Threads, copies and several stores on one file."""

    def test_replies_and_events_from_threads(self, store):
        """Worker threads write replies while the owner appends, and nothing is lost."""
        with ThreadPoolExecutor(4) as pool:
            writes = [pool.submit(store.remember, "study", f"reply/{number}", str(number)) for number in range(200)]
            for number in range(200):
                store.append("study", Guided(str(number)))
            for write in writes:
                write.result()
        assert [store.recall("study", f"reply/{number}") for number in range(200)] == [str(n) for n in range(200)]
        assert sum(1 for _ in store.read("study")) == 200

    def test_pickled_copy_sees_and_writes_the_same_log(self, store):
        """A pickled store opens the same file, with the same durability and without the claims."""
        store.append("study", Guided("one"))
        store.claim("study")
        with pickle.loads(pickle.dumps(store)) as copy:
            assert copy.durability == store.durability
            assert copy.append("study", Guided("two")) == 2
            copy.release("study")
            with pytest.raises(StudyOwned):
                copy.claim("study")
        assert [event.text for _, event in store.read("study", 1)] == ["two"]

    def test_second_store_in_the_process_is_refused(self, store):
        """Two stores of one process cannot own one study; the message says that it is this process."""
        store.claim("study")
        with SQLiteStore(store.path) as other:
            with pytest.raises(StudyOwned, match=f"process {os.getpid()} .*that is this process"):
                other.claim("study")
            other.release("study")
            with pytest.raises(StudyOwned):
                other.claim("study")
            store.close()
            other.claim("study")


class TestViews:
    """What people see with SQL is what the log says."""

    def test_trials(self, store):
        """``trials`` joins each outcome to its candidate."""
        for event in sample_events():
            store.append("study", event)
        store.append("other", Proposed((Candidate(1, "other's"),)))
        store.append("other", Told(1, Evaluation(5.0)))
        rows = query(store, "SELECT * FROM trials WHERE study = 'study' ORDER BY id")
        awkward = sample_events()[2].outcome.feedback.split("\0")[0]  # SQLite's JSON functions end a text there
        assert [tuple(row.values())[1:] for row in rows] == [
            (0, 3.0, None, "start", "", "start", None, awkward, 0.5, 2, 120, 0.0125, 3.0, 1, None),
            (
                *(1, None, "raised", awkward, "why", "chat:m", 0),
                *("ValueError: no", 0.25, 2, 120, 0.0125, 5.0, 1, None),
            ),
            (2, -1.5, None, "two", "", "", None, "", 0.0, 0, 0, 0.0, 7.0, 1, None),
        ]
        assert query(store, "SELECT text, score FROM trials WHERE study = 'other'") == [
            {"text": "other's", "score": 5.0}
        ]

    def test_usage(self, store):
        """``usage_by_study`` adds proposals and evaluations, failed ones included."""
        for event in sample_events():
            store.append("study", event)
        usage = Usage(2, 100, 50, 20, 0.0125, 1.5)
        total = usage + usage + usage
        assert query(store, "SELECT * FROM usage_by_study") == [
            {
                "study": "study",
                "calls": total.calls,
                "tokens_in": total.tokens_in,
                "tokens_cached": total.tokens_cached,
                "tokens_out": total.tokens_out,
                "dollars": pytest.approx(total.dollars),
                "seconds": total.seconds,
            }
        ]

    def test_overview(self, store):
        """``studies_overview`` counts trials and pending candidates and gives the last session's reason."""
        for event in sample_events():
            store.append("done", event)
        store.append("open", Opened(Problem("task"), at=8.0))
        store.append("open", Stopped("interrupted", 9.0))
        store.append("open", Opened(Problem("task"), at=10.0))
        store.append("open", Proposed((Candidate(0, "x"), Candidate(1, "y")), at=11.0))
        store.append("open", Told(0, Failure("timeout", "60 s"), at=12.0))
        assert [tuple(row.values()) for row in query(store, "SELECT * FROM studies_overview")] == [
            ("done", 3.0, 3, 0, "3 steps", 1.0, 8.0),
            ("open", None, 1, 1, None, 8.0, 12.0),
        ]

    def test_the_documented_queries_run(self, store):
        """Both example queries of the module's text return rows."""
        for event in sample_events():
            store.append("digits", event)
        text = __import__("llm_optimize.stores.sqlite", fromlist=["__doc__"]).__doc__
        queries = [line.strip() for line in text.splitlines() if line.strip().startswith("SELECT")]
        assert [len(query(store, sql)) for sql in queries] == [3, 1]

    def test_nan_in_a_metric_breaks_no_view(self, store):
        """A trial whose metrics hold NaN keeps its score in every view and spoils no other row."""
        for event in sample_events():
            store.append("study", event)
        store.append("study", Told(9, Evaluation(9.0, metrics={"loss": float("nan")})))
        assert query(store, "SELECT max(score) AS best, count(*) AS trials FROM trials") == [{"best": 9.0, "trials": 4}]
        assert query(store, "SELECT best_score FROM studies_overview") == [{"best_score": 9.0}]
        assert query(store, "SELECT calls FROM usage_by_study") == [{"calls": 6}]

    def test_overview_agrees_with_the_store_in_memory(self, store):
        """The listing of both stores is the same for the same events."""
        memory = MemoryStore()
        for name, events in {"one": sample_events(), "two": sample_events()[:4], "three": sample_events()[:1]}.items():
            for event in events:
                store.append(name, event)
                memory.append(name, event)
        for each in (store, memory):
            each.claim("two")
        assert store.overview() == memory.overview()
        assert store.overview()[1].owner_pid == os.getpid()
