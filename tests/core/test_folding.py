"""Long studies: a past on the shelf is the past itself."""

from __future__ import annotations

import pickle
import tempfile
from dataclasses import fields, replace
from pathlib import Path

import pytest
from helpers.drawn_logs import ACTS, PROBLEM, log
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_optimize.core.events import Guided, Proposed, Retold, Told
from llm_optimize.core.folding import Folding, read_folding
from llm_optimize.core.growing import folded
from llm_optimize.core.history import History
from llm_optimize.core.journal import Journal
from llm_optimize.core.types import Candidate, Evaluation
from llm_optimize.errors import StoreError
from llm_optimize.stores import MemoryStore, SQLiteStore


def plain(events):
    """Fold one event after another, all in memory."""
    history = History.empty()
    for event in events:
        history = history.after(event)
    return history


def kept(store, least):
    """Fold a log as a session does: from the snapshot, and with another each so many events."""
    folding = Folding(store, "study", least, keeping=True)
    folding.read(store)
    return folding


def assert_alike(one, other):
    """Hold everything that a history shows against another one's."""
    for item in fields(History):
        if item.name not in {"_record", "_version", "now"}:  # now is how the time is asked for, no part of the past
            assert getattr(one, item.name) == getattr(other, item.name), item.name
    assert list(one.trials) == list(other.trials) == one.trials[:]
    assert one.recent(3) == other.recent(3)
    told = len(other.trials)
    assert [one.trials[at] for at in range(told)] == list(other.trials)
    for id_ in range(other.next_id + 1):
        assert (one.trial(id_), one.arm(id_)) == (other.trial(id_), other.arm(id_))
    for text in {trial.text for trial in other.trials} | {one.text for one in other.pending} | {"never"}:
        assert one.seen(text) == other.seen(text)
    assert one.top(99) == other.top(99)
    assert (one.sigma, one.revisions, one.retests, one.steps) == (
        other.sigma, other.revisions, other.retests, other.steps,
    )  # fmt: skip
    assert (one.trials.retold(), one.trials.overruled) == (other.trials.retold(), other.trials.overruled)
    for at in {0, told // 2, max(0, told - 1)}:
        then, before = one.as_of(at), other.as_of(at)
        assert (list(then.trials), then.best) == (list(before.trials), before.best)


def plainly_noted(events):
    """Fold a log in memory, one event after another."""
    store = MemoryStore()
    folding = Folding(store, "study")
    for sequence, event in enumerate(events, 1):
        folding.fold(sequence, event)
    return folding


def assert_noted_alike(one, other):
    """Hold what foldings note beside the history against each other."""
    assert one.scores == other.scores
    assert one.rare == other.rare
    assert (one.trace.seen, one.trace.last) == (other.trace.seen, other.trace.last)
    assert list(map(repr, one.trace.columns())) == list(map(repr, other.trace.columns()))


@settings(max_examples=60, deadline=None)
@given(st.lists(ACTS, max_size=60), st.integers(1, 20), st.integers(1, 60))
def test_a_past_on_the_shelf_is_the_past(acts, least, cut):
    """Whatever happened, however often it was put on the shelf, and begun from a snapshot: the history is the same."""
    events = log(acts)
    with tempfile.TemporaryDirectory() as folder, SQLiteStore(Path(folder) / "s.db") as store:
        store.extend("study", events[:cut])
        kept(store, least)
        store.extend("study", events[cut:])
        later = kept(store, least)
        assert_alike(later.history, plain(events))
        again = kept(store, least)
        assert_alike(again.history, plain(events))
        assert (again.sequence, again.position) == (later.sequence, later.position)
        assert_noted_alike(again, plainly_noted(events))


@settings(max_examples=150, deadline=None)
@given(st.lists(ACTS, max_size=60), st.integers(0, 60))
def test_many_events_at_once_lead_where_one_after_another_does(acts, cut):
    """The fold in place gives the history that ``after`` gives, and leaves the one that it began with alone."""
    events = log(acts)
    before = plain(events[:cut])
    trials = list(before.trials)
    assert_alike(folded(events[cut:], before), plain(events))
    assert_alike(before, plain(events[:cut]))
    assert list(before.trials) == trials


@settings(max_examples=40, deadline=None)
@given(st.lists(ACTS, max_size=40), st.integers(0, 40))
def test_histories_that_grow_apart_from_a_shelf_do_not_disturb_each_other(acts, told):
    """An earlier past that goes on by itself knows nothing of what came after it on the shelf."""
    events = log(acts)
    with tempfile.TemporaryDirectory() as folder, SQLiteStore(Path(folder) / "s.db") as store:
        store.extend("study", events)
        folding = Folding(store, "study", 1)
        folding.read(store)
        told = min(told, len(folding.history.trials))
        grown = [history.as_of(told).after(Guided("x", 0.0, "say")) for history in (folding.history, plain(events))]
        assert list(grown[0].trials) == list(grown[1].trials)
        assert_alike(folding.history, plain(events))


@settings(max_examples=40, deadline=None)
@given(st.lists(ACTS, max_size=40))
def test_an_earlier_history_that_goes_on_does_not_disturb_the_shelf(acts):
    """A history of before the shelf that grows by itself later, and one on it, know nothing of each other."""
    events = log(acts)
    with tempfile.TemporaryDirectory() as folder, SQLiteStore(Path(folder) / "s.db") as store:
        store.extend("study", events)
        folding = Folding(store, "study", 10**9)
        folding.take(store.read("study"))
        before, folding._least = folding.history, 1
        store.append("study", last := Guided("x", 5000.0))
        folding.read(store)
        more = Proposed((Candidate(before.next_id, "by another"),), slot=5000, at=5001.0)
        grown = before.after(more)
        assert_alike(grown, plain([*events, more]))
        assert_alike(folding.history, plain([*events, last]))


@pytest.fixture
def store(tmp_path):
    """Return a store with a study of 300 trials."""
    with SQLiteStore(tmp_path / "s.db") as store:
        store.extend("study", log([("propose", 1), ("tell", 0)] * 300))
        yield store


def test_a_snapshot_is_read_instead_of_the_log(store):
    """With a snapshot nothing of the log before it is folded again: only the events behind it are read."""
    kept(store, 10)
    begun = Folding(store, "study", 10)
    assert begun.sequence == 600
    assert len(begun.history.trials) == 299


def test_leaders_that_fall_back_are_followed_by_the_next(store):
    """However many of the best are tested again and fall back, the best are known, on a shelf as in memory."""
    plain = History.empty()
    folding = Folding(store, "fallen", 50, keeping=True)
    for drawn in log([("propose", 1), ("tell", 0)] * 200):
        event = replace(drawn, outcome=Evaluation(drawn.candidate_id)) if isinstance(drawn, Told) else drawn
        store.append("fallen", event)
        plain = plain.after(event)
    folding.read(store)
    for serial in range(150):
        event = Retold(plain.best.id, Evaluation(-1000 + serial % 3), serial, at=3000.0)
        number = store.append("fallen", event)
        plain = plain.after(event)
        folding.fold(number, event)
        scored = sorted(plain.trials, key=lambda trial: (plain.sigma / trial.n**0.5 - trial.score, trial.id))
        assert plain.best == folding.history.best
        assert [one.id for one in folding.history.top(5)] == [one.id for one in scored[:5]]
        assert len(plain._leaders.rows) >= 16
    assert plain.best.id < 60
    assert_alike(folding.history, plain)


def test_small_studies_stay_in_memory(store):
    """Below 20,000 events nothing is put on the shelf and nothing written."""
    folding = Folding(store, "study")
    folding.read(store)
    assert store.kept_fold("study") == []
    assert folding.history.trials[5] is folding.history.trials[5]


def damaged(body):
    """Return the bytes with another in their midst."""
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]


def put(store, bodies):
    """Have the store keep these bodies as a snapshot."""
    with store._connection.use() as connection:
        connection.execute("DELETE FROM folds")
        connection.executemany("INSERT INTO folds VALUES (1, ?, ?)", list(enumerate(bodies)))


@pytest.mark.parametrize("damage", ["head", "part", "cut", "empty", "missing", "swapped", "other log"])
def test_a_snapshot_that_does_not_fit_is_passed_over(store, tmp_path, damage):
    """Damaged, or of another log: the log is folded from its beginning, and a right one is written."""
    kept(store, 10)
    head, first, second, *rest = store.kept_fold("study")
    if damage == "other log":
        with SQLiteStore(tmp_path / "other.db") as other:
            other.extend("study", log([("propose", 4), ("tell", 1)] * 300))
            kept(other, 10)
            put(store, other.kept_fold("study"))
    else:
        wrong = {
            "head": [damaged(head), first, second, *rest],
            "part": [head, first, damaged(second), *rest],
            "cut": [head[:99], first, second, *rest],
            "empty": [b""],
            "missing": [head, first, *rest],
            "swapped": [head, second, first, *rest],
        }[damage]
        put(store, wrong)
    begun = Folding(store, "study", 10)
    assert begun.sequence == 0
    kept(store, 10)
    again = Folding(store, "study", 10)
    assert again.sequence == 600
    assert len(store.kept_fold("study")) == 61


def test_a_snapshot_is_continued_not_written_anew(store):
    """A session writes what came since; the parts before stay as they are."""
    kept(store, 100)
    before = store.kept_fold("study")
    store.extend("study", [Guided(f"word {i}", 2000.0 + i) for i in range(250)])
    kept(store, 100)
    after = store.kept_fold("study")
    assert after[1 : len(before)] == before[1:]
    assert len(after) == len(before) + 2
    assert after[0] != before[0]


def test_a_damaged_event_on_the_shelf_gives_a_clear_error(store):
    """A trial whose event was damaged after it was folded is an error that names the event, when it is looked at."""
    kept(store, 10)
    folding = Folding(store, "study", 10)
    with store._connection.use() as connection:
        connection.execute("UPDATE events SET body = substr(body, 1, 20) WHERE seq = 303")
    assert folding.history.trials[200].id == 200
    with pytest.raises(StoreError, match="event 303"):
        _ = folding.history.trials[150].text


def test_a_missing_event_on_the_shelf_gives_a_clear_error(store):
    """A trial whose event has gone is an error that says which."""
    kept(store, 10)
    folding = Folding(store, "study", 10)
    with store._connection.use() as connection:
        connection.execute("DELETE FROM events WHERE seq = 303")
    with pytest.raises(StoreError, match="candidate 150 is not in events 302 and 303"):
        _ = folding.history.trials[150].text


def test_a_history_outlives_its_store(store):
    """The trials of a history can be looked at when the session's store has been closed, and in a copy by pickle."""
    folding = Folding(store, "study", 10)
    folding.read(store)
    store.close()
    assert folding.history.trials[7].id == 7
    copy = pickle.loads(pickle.dumps(folding.history))
    assert copy.trials[8].id == 8


def test_a_store_without_a_shelf_folds_in_memory():
    """A store that offers append and read alone works as ever."""
    store = MemoryStore()
    for event in (events := log([("propose", 1), ("tell", 0)] * 50)):
        store.append("study", event)
    folding = Folding(store, "study", 1)
    folding.read(store)
    assert_alike(folding.history, plain(events))


def test_readers_use_the_snapshot_and_write_none(store):
    """What only looks at a study begins at its snapshot, and leaves the file as it is."""
    assert len(read_folding(store, "study").history.trials) == 300
    assert store.kept_fold("study") == []


def test_a_journal_goes_on_from_a_snapshot(store):
    """A session opened on a shelved past numbers, tells and closes as on one in memory."""
    kept(store, 10)
    journal = Journal(store, "study")
    journal.open(PROBLEM, 3, {})
    journal.record(Proposed((Candidate(300, "new"),), slot=300, at=900.0))
    journal.record(Told(300, Evaluation(99.0), at=901.0))
    assert journal.history.best.id == 300
    assert journal.history.seen("new") == 300
    journal.close("enough")
    events = [event for _, event in store.read("study")]
    assert_alike(journal.history, plain(events))


def test_a_long_fold_says_how_far_it_has_come(store, caplog):
    """Who waits for a log of millions of events to be folded is told each half million; others hear nothing."""
    kept(store, 10)
    assert not caplog.records
    passed = sum(1 for _ in Folding(MemoryStore(), "study")._announced((n, None) for n in range(1, 1_100_001)))
    assert passed == 1_100_000
    assert [one.getMessage()[:75] for one in caplog.records] == [
        "study 'study' has no snapshot to begin with, so its log is read: up to even"
    ] * 2


class Full(SQLiteStore):
    """A store that cannot keep its second snapshot, nor any after it."""

    def keep_fold(self, study, head, part, number):
        if number > 1:
            msg = "the disk is full"
            raise StoreError(msg)
        super().keep_fold(study, head, part, number)


def test_a_snapshot_that_cannot_be_kept_stops_nobody(tmp_path, caplog):
    """The session goes on, says so once, and the next one begins with the snapshot before."""
    events = log([("propose", 1), ("tell", 0)] * 100)
    with Full(tmp_path / "s.db") as store:
        folding = Folding(store, "study", 50, keeping=True)
        for event in events:
            folding.fold(store.append("study", event), event)
        assert_alike(folding.history, plain(events))
    assert [one.getMessage() for one in caplog.records] == [
        "study 'study': no snapshot is kept any more in this session: the disk is full"
    ]
    with SQLiteStore(tmp_path / "s.db") as store:
        assert Folding(store, "study", 50).sequence == 50
        assert_alike(kept(store, 50).history, plain(events))
        assert Folding(store, "study", 50).sequence == 200
