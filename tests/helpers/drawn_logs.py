"""Logs of every kind of event from drawn numbers, for tests of what a log leads to."""

from __future__ import annotations

from hypothesis import strategies as st

from llm_optimize.core.account import Account
from llm_optimize.core.events import Guided, Opened, Proposed, Retold, Stopped, Told
from llm_optimize.core.hand import CAPS
from llm_optimize.core.types import Candidate, Evaluation, Failure, Learned, Problem, Usage

__all__ = ["ACTS", "PROBLEM", "USAGE", "log"]

PROBLEM = Problem("task", "question", "start")
USAGE = Usage(1, 10, 2, 5, 0.25, 0.5)


ACTS_BY_HAND = (
    "say", "reject", "pin", "accept", "unpin", "inject", "pause", "continue", "stop", "raise", "reject", "unheard of",
)  # fmt: skip


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
            self._guide(ACTS_BY_HAND[number % len(ACTS_BY_HAND)], number, at)
        elif act == "session":
            self.events.append(Stopped("a reason", at, {f"proposal/{self.slot}": Account.of("proposer", "m", USAGE)}))
            self.events.append(Opened(PROBLEM, 3, {}, at + 0.5))

    def _guide(self, kind, number, at):
        about = kind in {"reject", "pin", "accept"}
        if about and not self.next_id:
            return
        text = f"{CAPS[number % len(CAPS)]}={number}" if kind == "raise" else f"word {number}"
        self.events.append(Guided(text, at, kind, number % self.next_id if about else None))

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
