"""What a killed session has spent and not logged is found among the replies, however many these are."""

from __future__ import annotations

import json

import pytest

from llm_optimize.core.events import Opened, Proposed, Retold, Told
from llm_optimize.core.journal import Journal
from llm_optimize.core.types import Candidate, Evaluation, Problem, Usage
from llm_optimize.stores import SQLiteStore

PROBLEM = Problem("task", "question")


class Counting(SQLiteStore):
    """Counts the keys that it hands out."""

    handed = 0

    def keys(self, study, prefix=""):
        found = super().keys(study, prefix)
        self.handed += len(found)
        return found


@pytest.fixture
def journal(tmp_path):
    """Return a function that opens a study with so many proposals and outcomes logged, a reply for each of them."""
    with Counting(tmp_path / "s.db") as store:

        def make(logged, retests=0):
            def log():
                yield Opened(PROBLEM, at=1.0)
                for id_ in range(logged):
                    yield Proposed((Candidate(id_, f"text {id_}"),), slot=id_, at=2.0)
                    yield Told(id_, Evaluation(id_ % 7), at=3.0)
                for serial in range(retests):
                    yield Retold(serial % logged, Evaluation(1), serial, at=4.0)

            store.extend("study", log())
            kinds = (("proposal", logged), ("evaluation", logged), ("retest", retests))
            for kind, count in kinds:
                store.remember_all("study", {f"{kind}/{number}/ask-0": reply(1) for number in range(count)})
            made = Journal(store, "study")
            made.open(PROBLEM, 0, {})
            return made

        yield make


def reply(tokens):
    return json.dumps({"text": "x", "usage": {"calls": 1, "tokens_in": tokens, "tokens_out": 0}})


@pytest.mark.parametrize("logged", [3, 999, 1000, 1001, 12_345])
def test_replies_of_unlogged_units_are_found(journal, logged):
    """Proposals, evaluations and re-tests that were begun and not logged are all there, with what they cost."""
    opened = journal(logged, retests=1500)
    store = opened.store
    opened.record(Proposed((Candidate(logged, "waiting"),), slot=logged + 2, at=5.0))
    entries = {
        f"proposal/{logged}/ask-0": reply(10), f"proposal/{logged}/ask-1": reply(20),
        f"proposal/{logged + 700}/ask-0": reply(30), f"evaluation/{logged}/judge/0": reply(40),
        f"retest/{1500 + 3}/ask-0": reply(50), f"proposal/{logged + 2}/ask-0": reply(7),
        f"evaluation/{logged}0/ask-0": reply(8),
    }  # fmt: skip
    store.remember_all("study", entries)
    assert opened.unlogged() == {
        f"proposal/{logged}": Usage(2, 30), f"proposal/{logged + 700}": Usage(1, 30),
        f"evaluation/{logged}": Usage(1, 40), "retest/1503": Usage(1, 50),
    }  # fmt: skip


def test_replies_of_logged_units_are_not_read(journal):
    """Of many thousand replies only those near the first that is missing are looked at."""
    opened = journal(30_000)
    opened.store.handed = 0
    assert opened.unlogged() == {}
    assert opened.store.handed < 4000


def test_a_session_that_ends_counts_what_a_killed_one_had_paid(journal):
    """A reply that the study has no more use for is on its account, once, and off it again when its unit is logged."""
    opened = journal(5)
    store = opened.store
    store.remember_all("study", {"proposal/5/ask-0": reply(30), "proposal/5/ask-1": reply(12)})
    opened.close("no room for another")
    for _ in range(2):
        again = Journal(store, "study")
        again.open(PROBLEM, 0, {})
        assert again.history.usage == Usage(2, 42)
        assert again.history.account.by_role() == {"proposer": Usage(2, 42)}
        again.close("as before")
    last = Journal(store, "study")
    last.open(PROBLEM, 0, {})
    last.record(Proposed((Candidate(5, "text 5"),), Usage(2, 42), 5, at=9.0))
    assert last.history.usage == Usage(2, 42)
