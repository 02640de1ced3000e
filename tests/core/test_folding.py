"""Long studies: a past on the shelf is the past itself."""

from __future__ import annotations

import pickle
import tempfile
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_optimize.core.account import Account
from llm_optimize.core.events import Guided, Opened, Proposed, Retold, Stopped, Told
from llm_optimize.core.folding import Folding, read_folding
from llm_optimize.core.growing import folded
from llm_optimize.core.history import History
from llm_optimize.core.journal import Journal
from llm_optimize.core.types import Candidate, Evaluation, Failure, Learned, Problem, Usage
from llm_optimize.errors import StoreError
from llm_optimize.stores import MemoryStore, SQLiteStore

PROBLEM = Problem("task", "question", "start")
USAGE = Usage(1, 10, 2, 5, 0.25, 0.5)


class Writer:
    """Makes a log that contradicts itself nowhere, one drawn number per event."""

    def __init__(self):
        self.events = [Opened(PROBLEM, 3, {"file": "x"}, 1.0)]
        self.pending, self.told, self.next_id, self.serial, self.slot = [], [], 0, 0, 0

    def write(self, act, number):
        at = 1.0 + len(self.events)
        if act == "propose":
            self._propose(number, at)
        elif act == "tell" and self.pending:
            self._tell(number, at)
        elif act == "again" and self.told:
            part = ("again", "again", "again", "fresh", "sealed")[number % 5]
            outcome = Failure("raised", "again") if number % 7 == 6 else Evaluation(number % 11)
            self.events.append(Retold(self.told[number % len(self.told)], outcome, self.serial, part, 0.1, at))
            self.serial += 1
        elif act == "guide":
            kind = ("say", "reject", "pin", "accept", "unpin", "inject")[number % 6]
            about = number % self.next_id if self.next_id and kind in {"reject", "pin", "accept"} else None
            self.events.append(Guided(f"word {number}", at, kind if about is not None else "say", about))
        elif act == "session":
            self.events.append(Stopped("a reason", at, {f"proposal/{self.slot}": Account.of("proposer", "m", USAGE)}))
            self.events.append(Opened(PROBLEM, 3, {}, at + 0.5))

    def _propose(self, number, at):
        made = [
            Candidate(self.next_id + i, f"text {number % 9} {i}\ud800"[: 7 + number % 4], "idea", "chat", parent=None)
            for i in range(number % 3)
        ]
        arm, learned = ("", "a", "a/b")[number % 3], Learned(number % 5, ("x",)) if number % 4 == 0 else None
        account = Account.of("proposer", "m", USAGE)
        self.events.append(Proposed(tuple(made), USAGE, self.slot, "", at, account, (), learned, arm))
        self.pending += [one.id for one in made]
        self.next_id += len(made)
        self.slot += 1

    def _tell(self, number, at):
        id_ = self.pending.pop(number % len(self.pending))
        failed = number % 6 == 5
        outcome = Failure("rejected" if number % 4 else "raised", "no") if failed else Evaluation(number % 13, "f")
        self.events.append(Told(id_, outcome, 0.5, at))
        self.told.append(id_)


KINDS = ("propose", "propose", "tell", "tell", "tell", "again", "again", "guide", "session")
ACTS = st.tuples(st.sampled_from(KINDS), st.integers(0, 99))


def log(acts):
    """Return the log that these acts lead to."""
    writer = Writer()
    for act, number in acts:
        writer.write(act, number)
    return writer.events


def plain(events):
    """Fold one event after another, all in memory."""
    history = History.empty()
    for event in events:
        history = history.after(event)
    return history


def kept(store, least):
    """Fold a log as a session does: from the snapshot, and with one at the end."""
    folding = Folding(store, "study", least)
    folding.read(store)
    folding.keep()
    return folding


def assert_alike(one, other):
    """Hold everything that a history shows against another one's."""
    for item in fields(History):
        if item.name not in {"_record", "_version", "now"}:  # now is how the time is asked for, no part of the past
            assert getattr(one, item.name) == getattr(other, item.name), item.name
    assert list(one.trials) == list(other.trials) == one.trials[:]
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
    assert begun.sequence == 601
    assert len(begun.history.trials) == 300


def test_small_studies_stay_in_memory(store):
    """Below 20,000 events nothing is put on the shelf and nothing written."""
    folding = Folding(store, "study")
    folding.read(store)
    assert store.kept_fold("study") is None
    assert folding.history.trials[5] is folding.history.trials[5]


@pytest.mark.parametrize("damage", ["byte", "cut", "empty", "other log"])
def test_a_snapshot_that_does_not_fit_is_passed_over(store, tmp_path, damage):
    """Damaged, or of another log: the log is folded from its beginning, and a right one is written."""
    kept(store, 10)
    body = store.kept_fold("study")
    if damage == "other log":
        with SQLiteStore(tmp_path / "other.db") as other:
            other.extend("study", log([("propose", 4), ("tell", 1)] * 300))
            kept(other, 10)
            body = other.kept_fold("study")
    wrong = {"byte": body[:-9] + bytes([body[-9] ^ 1]) + body[-8:], "cut": body[:99], "empty": b""}.get(damage, body)
    store.keep_fold("study", wrong)
    begun = Folding(store, "study", 10)
    assert begun.sequence == 0
    kept(store, 10)
    assert Folding(store, "study", 10).sequence == 601


def test_a_damaged_event_on_the_shelf_gives_a_clear_error(store):
    """A trial whose event was damaged after it was folded is an error that names the event, when it is looked at."""
    folding = Folding(store, "study", 10)
    folding.read(store)
    with store._connection.use() as connection:
        connection.execute("UPDATE events SET body = substr(body, 1, 20) WHERE seq = 5")
    assert folding.history.trials[200].id == 200
    with pytest.raises(StoreError, match="event 5"):
        _ = folding.history.trials[1].text


def test_a_missing_event_on_the_shelf_gives_a_clear_error(store):
    """A trial whose event has gone is an error that says which."""
    folding = Folding(store, "study", 10)
    folding.read(store)
    with store._connection.use() as connection:
        connection.execute("DELETE FROM events WHERE seq = 5")
    with pytest.raises(StoreError, match="candidate 1 is not in events 4 and 5"):
        _ = folding.history.trials[1].text


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
    assert store.kept_fold("study") is None


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
