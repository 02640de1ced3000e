"""A long study whose session is killed opens as fast as any other: its snapshot is never far behind."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.long_session import events

from llm_optimize.core.folding import LEAST, Folding, read_folding
from llm_optimize.core.growing import folded
from llm_optimize.stores import SQLiteStore

SESSION = Path(__file__).parents[1] / "helpers" / "long_session.py"


def killed(path, least, how, upto):
    """Run a session and kill it as soon as it says that it has come so far."""
    words = [sys.executable, str(SESSION), str(path), str(least), how]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as session:
        for line in session.stdout:
            if int(line) >= upto:
                break
        session.kill()
    assert session.returncode == -9


def assert_near(path, least, slack):
    """Hold the snapshot against the log: it is right, and at most so many events behind."""
    with SQLiteStore(path) as store:
        [(last,)] = rows(store, "SELECT max(seq) FROM events")
        begun = Folding(store, "study", least)
        assert last - slack <= begun.sequence <= last
        begun.read(store)
        whole = folded(event for _, event in store.read("study"))
        assert (begun.history.best, begun.history.next_id, len(begun.history.trials)) == (
            whole.best, whole.next_id, len(whole.trials),
        )  # fmt: skip
        assert begun.history.pending == whole.pending
        assert list(begun.history.trials) == list(whole.trials)


def rows(store, query):
    with store._connection.use() as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("seed", range(4))
def test_a_session_that_is_killed_leaves_a_snapshot_near_its_end(tmp_path, seed):
    """Killed at any moment, sessions one after another: the snapshot lacks no more events than stay in memory."""
    path, drawn, upto = tmp_path / "s.db", random.Random(seed), 0
    for _ in range(3):
        upto += drawn.randrange(60, 400)
        killed(path, 50, "record", upto)
        assert_near(path, 50, 50)


def test_an_import_that_is_killed_leaves_a_snapshot_near_its_end(tmp_path):
    """Killed in the midst of an import: the snapshot lacks what stays in memory and what is written at once."""
    path = tmp_path / "s.db"
    killed(path, 0, "import", LEAST + 15_000)
    assert_near(path, LEAST, LEAST + 2 * 4096)


def test_an_import_that_contradicts_itself_is_kept_as_it_is(tmp_path):
    """A log that nobody can fold is written whole; who opens it is told."""
    coming = events()
    wrong = [next(coming) for _ in range(4)]
    with SQLiteStore(tmp_path / "s.db") as store:
        assert store.extend("study", [*wrong, wrong[1]] * 5000) == 25_000
        assert sum(1 for _ in store.read("study")) == 25_000
        with pytest.raises(ValueError, match="not pending"):
            read_folding(store, "study")
