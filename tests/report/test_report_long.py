"""The report of a long study: the best and the latest of it, and a course of bounded length."""

from __future__ import annotations

import pytest

from llm_optimize.core.events import Guided, Opened, Proposed, Told
from llm_optimize.core.folding import Folding
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem
from llm_optimize.report.data import report_data
from llm_optimize.report.log import read_log
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
