"""Where candidates were evaluated again, listings and views show the candidate that the history trusts."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing

import pytest

from llm_optimize.core.events import Guided, Opened, Proposed, Retold, Told, dump
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem
from llm_optimize.core.verdict import best_score
from llm_optimize.stores import MemoryStore, SQLiteStore
from llm_optimize.stores.connection import add_square_root
from llm_optimize.stores.migrations import MIGRATIONS, m001_events, m002_retold

LUCKY = (
    Opened(Problem("task", "", "start")),
    Proposed((Candidate(0, "start", origin="start"), Candidate(1, "lucky"), Candidate(2, "good"))),
    *(Told(0, Evaluation(1.0)), Told(1, Evaluation(9.0)), Told(2, Evaluation(5.0))),
    *(Retold(1, Evaluation(2.0), 0), Retold(1, Evaluation(1.0), 1), Retold(2, Evaluation(5.5), 2)),
)
"""The highest first score is luck: the mean of the three is 4, below the 5.25 of another candidate."""

AFRESH = (Retold(2, Evaluation(4.0), 3, "fresh"), Retold(2, Evaluation(5.0), 4, "fresh"))


def drawn(seed):
    """Return a study drawn at random: candidates that fail or score, are evaluated again, rejected and accepted."""
    dice = random.Random(seed)
    count, serial = dice.randint(1, 6), 0
    score = lambda: dice.choice([dice.gauss(0, 3), float(dice.randint(-2, 2))])  # noqa: E731 - a shorthand
    outcome = lambda: Failure("raised", "no") if dice.random() < 0.15 else Evaluation(score())  # noqa: E731 - as above
    events = [Opened(Problem("task")), Proposed(tuple(Candidate(number, f"text {number}") for number in range(count)))]
    told = []
    for _ in range(dice.randint(1, 30)):
        if len(told) < count and dice.random() < 0.4:
            told.append(len(told))
            events.append(Told(told[-1], outcome()))
        elif told:
            part = dice.choice(["again", "again", "again", "fresh", "sealed"])
            events.append(Retold(dice.choice(told), outcome(), serial, part))
            serial += 1
        if seed % 2 and dice.random() < 0.15:
            events.append(Guided("no", act="reject", candidate_id=dice.randrange(count)))
        if seed % 4 == 1 and told and dice.random() < 0.1:
            scored = [number for number in told if folded(events).trial(number).score is not None]
            events += [Guided("", act="accept", candidate_id=dice.choice(scored))] if scored else []
        if seed % 8 == 1 and dice.random() < 0.1:
            events.append(Opened(Problem("task")))
    return events


def folded(events):
    """Return the history of a log."""
    history = History.empty()
    for event in events:
        history = history.after(event)
    return history


@pytest.fixture
def store(tmp_path):
    """Return a store on disk."""
    with SQLiteStore(tmp_path / "studies.db") as opened:
        yield opened


def query(store, sql, *values):
    """Return the rows of a query by a reader of its own, as a person would make it."""
    with closing(sqlite3.connect(store.path)) as connection:
        return connection.execute(sql, values).fetchall()


def kept(store, events, name="study"):
    """Append all events."""
    for event in events:
        store.append(name, event)


def test_a_lucky_first_score_is_not_the_best(store):
    """The candidate with the best lower bound is shown, with the mean of its scores; afresh ones replace them."""
    kept(store, LUCKY)
    assert store.overview()[0].best_score == pytest.approx(5.25)
    assert query(store, "SELECT id, score FROM chosen") == [(2, 5.25)]
    assert query(store, "SELECT id, score, evaluations, afresh FROM trials ORDER BY id") == [
        (0, 1.0, 1, None),
        (1, 4.0, 3, None),
        (2, 5.25, 2, None),
    ]
    kept(store, AFRESH)
    assert store.overview()[0].best_score == pytest.approx(4.5)
    assert query(store, "SELECT best_score FROM studies_overview") == [(4.5,)]
    assert query(store, "SELECT score, afresh FROM trials WHERE id = 2") == [(5.25, 4.5)]


@pytest.mark.parametrize("block", range(4))
def test_all_listings_agree_with_the_history(store, block):
    """Whatever was evaluated again, and what for: both stores and the views show what the history says."""
    memory = MemoryStore()
    logs = {f"study {number}": drawn(number) for number in range(25 * block, 25 * block + 25)}
    for name, events in logs.items():
        kept(store, events, name)
        kept(memory, events, name)
    for ours, other in zip(store.overview(), memory.overview(), strict=True):
        history = folded(logs[ours.name])
        expected = None if best_score(history) is None else pytest.approx(best_score(history))
        assert (ours.best_score, other.best_score) == (expected, expected), ours.name
        shown = query(store, "SELECT id, score FROM trials WHERE study = ? ORDER BY id", ours.name)
        known = sorted((trial.id, trial.score) for trial in history.trials)
        assert shown == [(id_, None if score is None else pytest.approx(score)) for id_, score in known]
        rows = query(store, "SELECT id FROM chosen WHERE study = ?", ours.name)
        assert rows in ([], [(history.best.id,)] if history.best else [])
        decided = history.hand.rejected or history.hand.accepted is not None
        assert bool(rows) == bool((history.retold or decided) and history.best)


def test_an_older_file_is_upgraded(tmp_path):
    """A file of the version before, in which candidates were evaluated again, shows the same as a new one."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for step in (m001_events, m002_retold):
            step(connection)
        connection.execute("PRAGMA user_version = 2")
        connection.execute("INSERT INTO studies (id, name) VALUES (1, 'study')")
        for number, event in enumerate((*LUCKY, *AFRESH), start=1):
            kind, body = dump(event)
            score = event.outcome.score if isinstance(event, Told) else None
            connection.execute("INSERT INTO events VALUES (1, ?, ?, ?, ?, ?)", (number, kind, event.at, score, body))
        assert connection.execute("SELECT best_score FROM studies_overview").fetchall() == [(9.0,)]
    with SQLiteStore(path) as store:
        assert store.overview()[0].best_score == pytest.approx(4.5)
        assert query(store, "SELECT best_score FROM studies_overview") == [(4.5,)]
        assert query(store, "PRAGMA user_version") == [(len(MIGRATIONS),)]


def test_a_library_without_roots_is_given_one():
    """Where SQLite cannot take a square root, the store's own connection can."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.create_function("sqrt", 1, None)  # raises, as a function that is not there does
        with pytest.raises(sqlite3.OperationalError):
            connection.execute("SELECT sqrt(4.0)").fetchall()
        add_square_root(connection)
        assert connection.execute("SELECT sqrt(4.0), sqrt(NULL)").fetchall() == [(2.0, None)]
