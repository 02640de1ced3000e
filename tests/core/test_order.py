"""The order of an earlier run: read from its log, and followed by a loop whose work finishes in another."""

from __future__ import annotations

import threading

import pytest

from llm_optimize import Draft, MaxSteps, MemoryStore, Problem, Proposal, Study
from llm_optimize.core.events import Guided, Opened, Proposed, Stopped, Told
from llm_optimize.core.order import Order, takes_place
from llm_optimize.core.types import Candidate, Evaluation

CHAINS = 3


class Reading:
    """Proposes the text of its slot, and keeps what it saw of the past."""

    def __init__(self):
        self.saw = {}

    def propose(self, history, n):
        self.saw[history.slot] = (tuple(sorted(trial.id for trial in history.trials)), history.guidance)
        return Proposal((Draft(f"text of slot {history.slot}"),))


class Racing:
    """A scorer whose evaluations end in a given order of their texts, whatever the order of their beginnings."""

    def __init__(self, first):
        self.first = first
        self.ended = threading.Event()

    def __call__(self, text):
        if self.first in text:
            self.ended.set()
        elif text != "start":
            assert self.ended.wait(30)
        return len(text)


def run(scorer, order=None, steps=CHAINS, parallel=CHAINS):
    """Run a study of three chains; return its log and what each proposal saw."""
    proposer, store = Reading(), MemoryStore()
    problem = Problem("task", start="start")
    Study(problem, proposer, scorer, store=store, parallel=parallel, stop=MaxSteps(steps), order=order).run()
    return [event for _, event in store.read("study")], proposer.saw


def test_a_log_shows_its_order():
    """Results of proposals, outcomes and guidance are steps; sessions and x0 are not."""
    events = [
        Opened(Problem("t", start="x")),
        Proposed((Candidate(0, "x"),)),
        Told(0, Evaluation(1)),
        Guided("be brief"),
        Stopped("done"),
        Proposed((), slot=4),
    ]
    order = Order.of(events, {4: 2})
    assert order.course == (("evaluation", 0), ("guided", "be brief"), ("proposal", 4))
    assert [order.unit_at(place) for place in range(4)] == [("evaluation", 0), None, ("proposal", 4), None]
    assert [order.guidance_at(place) for place in range(4)] == [None, Guided("be brief"), None, None]
    assert [takes_place(event) for event in events] == [False, False, True, True, False, True]


@pytest.mark.parametrize("first", ["slot 1", "slot 2"])
def test_a_loop_follows_the_order_of_another(first):
    """Work that ends in another order is folded in the order that is followed, so that every proposal sees the same."""
    events, saw = run(Racing(first), steps=2 * CHAINS)
    course = Order.of(events, {})
    again, saw_again = run(len, course, steps=2 * CHAINS)
    assert Order.of(again, {}).course == course.course
    assert saw_again == saw


def test_a_proposal_waits_for_its_place():
    """A proposal that was begun later, as after a kill, is begun as late again; others go before it."""
    course = (("evaluation", 0), ("proposal", 1), ("evaluation", 1), ("proposal", 0), ("evaluation", 2))
    order = Order(course, {0: 3, 1: 1})
    events, saw = run(len, order, steps=2)
    assert Order.of(events, {}).course == course
    assert saw == {1: ((0,), ()), 0: ((0, 1), ())}


def test_guidance_is_said_again_at_its_place():
    """Guidance of the order is logged between the same results; proposals begun behind it see it."""
    course = (("evaluation", 0), ("guided", "shorter"), ("proposal", 0), ("evaluation", 1))
    events, saw = run(len, Order(course, {0: 2}), steps=1, parallel=1)
    assert Order.of(events, {}).course == course
    assert saw[0] == ((0,), ("shorter",))


@pytest.mark.parametrize("parallel", [1, CHAINS])
def test_an_order_that_cannot_be_followed_holds_nothing_up(parallel):
    """A run that has left the order, or goes beyond it, ends as it would without one."""
    course = (("evaluation", 7), ("proposal", 9), ("evaluation", 0))
    events, _ = run(len, Order(course, {0: 5, 1: 90}), steps=4, parallel=parallel)
    assert sum(isinstance(event, Told) for event in events) == 5
