"""The report of a long study: the best and the latest of it, and a course of bounded length."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice

import pytest

from llm_optimize.core.events import Guided, Opened, Proposed, Told
from llm_optimize.core.folding import Folding
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem
from llm_optimize.errors import StoreError
from llm_optimize.report.data import report_data
from llm_optimize.report.log import Reading, read_log
from llm_optimize.stores import MemoryStore, SQLiteStore


@pytest.fixture
def store():
    """Return a store with 500 trials, the best of them #123, each seventh a failure."""
    store = MemoryStore()
    store.append("long", Opened(Problem("task", "question", "start"), at=1.0))
    for id_ in range(500):
        store.append("long", Proposed((Candidate(id_, f"text {id_}"),), slot=id_ - 1, at=2.0 + id_))
        outcome = Failure("raised", "no") if id_ % 7 == 6 else Evaluation(1000 if id_ == 123 else id_ % 50)
        store.append("long", Told(id_, outcome, 0.1, 2.0 + id_))
        if id_ == 250:
            store.append("long", Guided("shorter", at=2.5 + id_))
    return store


def test_the_best_and_the_latest_are_shown(store):
    """Of more trials than a report holds, the start, the best and the latest are there, in order, and it says so."""
    log = read_log(store, "long", 100)
    ids = [trial.id for trial in log.trials]
    assert ids[-90:] == list(range(410, 500))
    assert {0, 123} <= set(ids)
    assert ids == sorted(set(ids))
    assert len(ids) <= 101
    assert log.failed == 71
    data = report_data(log)
    assert data["summary"]["failed"] == 71
    assert data["summary"]["evaluations"] == 500
    assert any(
        "of 500 trials the 10 best and the latest 90 are shown" in data["texts"][row[2]] for row in data["notes"]
    )


def test_the_course_is_thinned_and_keeps_each_improvement(store):
    """The course has a bounded number of moments, evenly spread, and those at which another trial became the best."""
    whole, thin = read_log(store, "long"), read_log(store, "long", 20)
    assert len(whole.moments) == 500
    assert len(thin.moments) <= 120
    improved = {one.best for one in whole.moments}
    assert {one.best for one in thin.moments} == improved
    assert set(map(repr, thin.moments)) <= set(map(repr, whole.moments))


def test_what_people_said_in_the_middle_is_kept(store):
    """Of the middle of a long log only proposals and outcomes are left out."""
    log = read_log(store, "long", 20)
    assert [event.text for event in log.events if isinstance(event, Guided)] == ["shorter"]
    assert len(log.events) < 70


def test_a_study_that_fits_is_shown_whole(store):
    """Up to that number everything is there, and nothing is said to be left out."""
    log = read_log(store, "long", 500)
    assert (len(log.trials), log.left_out, log.failed) == (500, "", 71)
    assert log.trials == tuple(log.history.trials)


def test_a_log_that_is_not_read_whole_gives_the_same_report(store, tmp_path):
    """From a snapshot and the ends of the log comes what reading all of it gives; the course has fewer moments."""
    with SQLiteStore(tmp_path / "s.db") as shelved:
        shelved.extend("long", [event for _, event in store.read("long")])
        folding = Folding(shelved, "long", 100, keeping=True)
        folding.read(shelved)
        whole, part = read_log(store, "long", 20), read_log(shelved, "long", 20)
    assert (part.events, part.trials, part.failed, part.left_out) == (
        whole.events, whole.trials, whole.failed, whole.left_out,
    )  # fmt: skip
    every = set(map(repr, read_log(store, "long").moments))
    assert set(map(repr, part.moments)) <= every
    assert {one.best for one in part.moments} == {one.best for one in whole.moments}
    assert 30 <= len(part.moments) <= 120


def test_what_the_best_came_from_is_shown():
    """The ancestors of the best are there, however long ago they were told; of very many the last thousand."""
    store = MemoryStore()
    store.append("long", Opened(Problem("task", "question", "start"), at=1.0))
    for id_ in range(1500):
        parent = id_ - 1 if 0 < id_ < 1200 else None
        store.append("long", Proposed((Candidate(id_, f"text {id_}", parent=parent),), slot=id_ - 1, at=2.0 + id_))
        store.append("long", Told(id_, Evaluation(1000 if id_ == 1199 else -id_), 0.1, 2.0 + id_))
    log = read_log(store, "long", 20)
    assert {trial.id for trial in log.trials} >= set(range(200, 1200))
    data = report_data(log)
    assert data["lineage"]["best"] == list(range(200, 1200))
    assert set(data["lineage"]["best"]) <= set(data["trials"]["id"])


def test_a_reading_that_begins_with_a_snapshot_tells_the_same(store, tmp_path):
    """Best, latest, what people said and what was spent are those of the whole log; what is missing is said."""
    with SQLiteStore(tmp_path / "s.db") as long:
        for _, event in store.read("long"):
            long.append("long", event)
        folding = Folding(long, "long", least=100, keeping=True)
        folding.read(long)
        long.append("long", Guided("later", at=900.0))
        long.append("long", Proposed((Candidate(500, "text 500"),), slot=499, at=901.0))
        whole, part = read_log(long, "long", 100), Reading(long, "long", 100, anew=False)
        assert part.sequence == 1000  # a part of the snapshot each 100 events
        part.read()
        log = part.log(part.exchanges())
        assert log.history.best == whole.history.best
        assert log.trials[-90:] == whole.trials[-90:]
        assert {0, 123} <= {trial.id for trial in log.trials}
        assert (log.history.usage, log.settings) == (whole.history.usage, whole.settings)
        assert [event.text for event in log.events if isinstance(event, Guided)] == ["shorter", "later"]
        assert sum(isinstance(event, Opened) for event in log.events) == 1
        assert (log.failed, log.left_out) == (whole.failed, whole.left_out)
        long.append("long", Told(500, Evaluation(7.0), 0.1, 902.0))
        part.read()
        again = part.log(())
        assert again.trials[-1].id == 500
        assert (again.moments[0].trial, again.moments[-1].trial) == (0, 496)  # each eighth
        assert report_data(again)["summary"]["evaluations"] == 501


class Failing:
    """A store whose every other reading breaks off after 200 events."""

    def __init__(self, store):
        self.store, self.calls = store, 0
        self.append, self.studies = store.append, store.studies

    def read(self, study, after=0):
        self.calls += 1
        yield from islice(self.store.read(study, after), 200)
        if self.calls % 2:
            message = "the server is away"
            raise StoreError(message)
        yield from self.store.read(study, after + 200)


def test_a_reading_goes_on_where_it_stopped(store):
    """Read in parts, and after an error between two of them, it comes to the same as read at once."""
    whole, parts, seen = read_log(store, "long", 100), Reading(Failing(store), "long", 100), []
    while parts.sequence < 1002:
        with suppress(StoreError):
            parts.read(lambda sequence, event, history: seen.append(sequence), 277)
    assert seen == list(range(1, 1003))
    log = parts.log(())
    assert (log.trials, log.moments, log.failed, log.events) == (
        whole.trials, whole.moments, whole.failed, whole.events
    )  # fmt: skip
    assert (log.history.best, log.history.usage) == (whole.history.best, whole.history.usage)
    assert tuple(log.history.trials) == tuple(whole.history.trials)
