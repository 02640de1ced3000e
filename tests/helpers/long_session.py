"""A study that goes on until it is killed: ``long_session.py PATH LEAST {record|import}``; says how far it has come.

``record`` writes one event after another as a session does; ``import`` many at a time. With LEAST = 0 the threshold of
the package is in force.
"""

from __future__ import annotations

import sys

from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.journal import Journal
from llm_optimize.core.types import Candidate, Evaluation, Problem
from llm_optimize.stores import SQLiteStore

PROBLEM = Problem("task", "question")


def events(start=0):
    """Yield proposals and their outcomes without end."""
    id_ = start
    while True:
        yield Proposed((Candidate(id_, f"text {id_}"),), slot=id_, at=2.0 + id_)
        yield Told(id_, Evaluation(id_ * 37 % 1009), 0.1, 2.5 + id_)
        id_ += 1


def say(number):
    """Tell whoever started this how far it has come."""
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def record(store, least):
    """Write as a session does."""
    journal = Journal(store, "study", least=least)
    journal.open(PROBLEM, 0, {})
    if journal.history.pending:
        journal.record(Told(journal.history.pending[0].id, Evaluation(1), at=1.0))
    for number, event in enumerate(events(journal.history.next_id)):
        journal.record(event)
        if number % 10 == 0:
            say(journal._sequence)


def bring_in(store):
    """Write many at a time."""

    def log():
        yield Opened(PROBLEM, at=1.0)
        for number, event in enumerate(events(), 1):
            if number % 1000 == 0:
                say(number)
            yield event

    store.extend("study", log())


if __name__ == "__main__":
    with SQLiteStore(sys.argv[1]) as opened:
        if sys.argv[3] == "record":
            record(opened, int(sys.argv[2]))
        else:
            bring_in(opened)
