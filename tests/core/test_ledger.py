"""The ledger: over random interleavings no cap is ever passed, nothing leaks, and the sum is what was charged."""

from __future__ import annotations

import queue
import random
import threading
from dataclasses import dataclass, field

import pytest

from llm_optimize.core.budget import Budget
from llm_optimize.core.clock import Clock
from llm_optimize.core.ledger import Ledger, UnitGuard
from llm_optimize.core.types import Usage
from llm_optimize.errors import BudgetExceeded

PRICE = 2e-6  # dollars per token, in and out


def cost(tokens_in, tokens_out):
    """Return a usage with its price."""
    return Usage(1, tokens_in, 0, tokens_out, (tokens_in + tokens_out) * PRICE)


@dataclass
class World:
    """Units of work that reserve, are answered, fail, break off, end, are given up and begin again, in any order."""

    draw: random.Random
    budget: Budget
    ledger: Ledger
    booked: Usage = Usage()
    charged: Usage = Usage()
    open: dict = field(default_factory=dict)
    flights: list = field(default_factory=list)
    unlogged: dict = field(default_factory=dict)
    spent: dict = field(default_factory=dict)
    refused: int = 0
    number: int = 0

    def begin(self):
        name = self.draw.choice([*self.unlogged, f"unit/{self.number}"])
        if name in self.open:
            return
        self.number += 1
        extra = cost(0, self.draw.choice((0, 0, 300)))
        kind = self.draw.choice(("least", "follow"))
        self.open[name] = UnitGuard(self.ledger, name, **{kind: extra})
        recalled = self.unlogged.pop(name, Usage())
        self.spent[name] = recalled
        if recalled != Usage():
            self.open[name].settle(Usage(), recalled)  # the replies that it had are recalled

    def reserve(self):
        if not self.open:
            return
        name = self.draw.choice(sorted(self.open))
        prompt, needed = self.draw.randint(1, 900), self.draw.randint(1, 500)
        try:
            granted = self.open[name].reserve(
                cost(prompt, needed), cost(prompt, needed + self.draw.randint(0, 4000)), patient=False
            )
        except BudgetExceeded:
            self.refused += 1
            return
        assert needed <= granted.tokens_out
        self.flights.append((name, granted))

    def land(self):
        if not self.flights:
            return
        name, granted = self.flights.pop(self.draw.randrange(len(self.flights)))
        kind, actual = self.draw.random(), Usage()  # an error
        if kind > 0.3:
            actual = cost(self.draw.randint(0, granted.tokens_in), self.draw.randint(0, granted.tokens_out))
        elif kind > 0.2:
            actual = granted  # an attempt that broke off
        self.charge(name, actual)
        self.open[name].settle(granted, actual)

    def charge(self, name, actual):
        self.charged += actual
        self.spent[name] += actual

    def end(self):
        if not self.open:
            return
        name = self.draw.choice(sorted(self.open))
        guard = self.open[name]
        flying = [granted for flier, granted in self.flights if flier == name]
        if flying:
            if self.draw.random() < 0.8:
                return
            for granted in flying:  # given up with calls in flight: at worst they are charged in full
                self.charge(name, granted)
            self.flights = [flight for flight in self.flights if flight[0] != name]
        del self.open[name]
        if self.draw.random() < 0.3 or flying:
            assert guard.give_up().tokens == sum(granted.tokens for granted in flying)
            self.unlogged[name] = self.spent[name]
        else:
            self.booked += self.spent[name]
            guard.close(self.booked)

    def check(self):
        """No cap is passed by what was charged together with all that may still come."""
        flying = [granted for _, granted in self.flights]
        tokens = self.charged.tokens + sum(granted.tokens for granted in flying)
        dollars = self.charged.dollars + sum(granted.dollars for granted in flying)
        assert self.budget.tokens is None or tokens <= self.budget.tokens
        assert self.budget.dollars is None or dollars <= self.budget.dollars * (1 + 1e-6)

    def finish(self):
        while self.flights:
            self.land()
        while self.open:
            self.end()


@pytest.mark.parametrize("block", range(10))
def test_no_cap_is_passed_in_any_interleaving_and_nothing_leaks(block):
    """In 1,000 random runs of reservations, replies, errors, ends and new beginnings the caps hold at every moment."""
    refused = 0
    for seed in range(100 * block, 100 * block + 100):
        draw = random.Random(seed)
        caps = draw.choice(({"tokens": 20_000}, {"dollars": 0.05}, {"tokens": 30_000, "dollars": 0.03}))
        world = World(draw, Budget(**caps), Ledger(Budget(**caps)))
        for _ in range(draw.randint(30, 120)):
            draw.choice((world.begin, world.reserve, world.reserve, world.land, world.end))()
            world.check()
        world.finish()
        world.check()
        refused += world.refused
        committed = world.ledger.committed()
        assert committed["tokens"] == world.charged.tokens
        assert committed["dollars"] == pytest.approx(world.charged.dollars, abs=1e-12)
        for name in list(world.unlogged):  # the log takes over what the units that ended early had cost
            guard = UnitGuard(world.ledger, name)
            world.booked += world.unlogged.pop(name)
            guard.close(world.booked)
        assert world.ledger.committed() == {"tokens": world.booked.tokens, "dollars": world.booked.dollars}
        assert world.booked.tokens == world.charged.tokens
    assert refused > 100  # the caps were reached


def test_a_call_waits_for_those_in_flight_and_is_refused_only_when_that_cannot_help():
    """What is set aside for others may come back; what they have spent does not."""
    ledger = Ledger(Budget(tokens=100))
    first, second = UnitGuard(ledger, "proposal/0"), UnitGuard(ledger, "proposal/1")
    granted = first.reserve(cost(80, 0))
    got = []
    waiting = threading.Thread(target=lambda: got.append(second.reserve(cost(50, 0))))
    waiting.start()
    first.settle(granted, cost(10, 0))
    waiting.join()
    assert got == [cost(50, 0)]
    with pytest.raises(BudgetExceeded, match="60 of 100 used or set aside, the next call may need 95"):
        first.reserve(cost(95, 0))


def test_units_that_wait_for_what_is_only_kept_free_do_not_wait_for_ever():
    """Two proposals that each keep money free for their scoring cannot block each other."""
    ledger = Ledger(Budget(tokens=100))
    guards = [UnitGuard(ledger, f"proposal/{index}", follow=cost(40, 0)) for index in range(2)]
    said, together = [], threading.Barrier(2)

    def ask(guard):
        together.wait()
        try:
            granted = guard.reserve(cost(50, 0))
            said.append("granted")
            guard.settle(granted, cost(50, 0))
        except BudgetExceeded:
            said.append("refused")
        guard.give_up()

    threads = [threading.Thread(target=ask, args=(guard,)) for guard in guards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "granted" in said
    assert ledger.committed()["tokens"] == 50 * said.count("granted") <= 100


def test_the_cost_of_scoring_is_kept_free_for_a_proposal():
    """A reply is not bought when nothing would be left to score it."""
    guard = UnitGuard(Ledger(Budget(tokens=100)), "proposal/0", follow=cost(60, 0))
    with pytest.raises(BudgetExceeded, match="may need 41 and its candidate's evaluation 60"):
        guard.reserve(cost(41, 0))
    assert guard.reserve(cost(40, 0)) == cost(40, 0)


@pytest.mark.parametrize("begins", [True, False])
def test_a_call_that_waits_for_money_does_not_take_what_was_kept_free_for_a_candidate(begins):
    """It is passed on when the proposal ends: to the candidate's evaluation, or to who waits once none will begin."""
    ledger = Ledger(Budget(tokens=1000))
    bought = UnitGuard(ledger, "proposal/0", follow=cost(300, 0))
    waits = UnitGuard(ledger, "proposal/1", follow=cost(1, 0))
    paid = bought.reserve(cost(600, 0))
    answers, started = queue.SimpleQueue(), threading.Event()

    def ask():
        started.set()
        try:
            answers.put(waits.reserve(cost(399, 0)))
        except BudgetExceeded as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True).start()
    started.wait()
    bought.settle(paid, cost(500, 0))
    bought.close(cost(500, 0), {"evaluation/1": cost(300, 0)})
    if not begins:
        ledger.disinherit()
        assert answers.get(timeout=60).tokens == 399
        return
    scores = UnitGuard(ledger, "evaluation/1", least=cost(300, 0))
    granted = scores.reserve(cost(300, 0))
    scores.settle(granted, granted)
    scores.close(cost(800, 0))
    assert "the next call may need 399" in str(answers.get(timeout=60))


def test_heirs_do_not_keep_an_evaluation_waiting_for_ever():
    """Candidates that wait for a free place hold nothing that the evaluation in that place needs to go on."""
    ledger = Ledger(Budget(tokens=1000))
    UnitGuard(ledger, "proposal/0").close(Usage(), {"evaluation/2": cost(700, 0)})
    assert UnitGuard(ledger, "evaluation/1").reserve(cost(400, 0)).tokens == 400


def test_a_unit_that_was_given_up_asks_no_more():
    """A scorer that goes on after its time is up cannot spend, and its last call counts in full."""
    ledger = Ledger(Budget(tokens=100))
    guard = UnitGuard(ledger, "evaluation/0")
    granted = guard.reserve(cost(30, 0))
    assert guard.give_up().tokens == 30
    guard.settle(granted, cost(10, 0))
    assert ledger.committed()["tokens"] == 30
    with pytest.raises(BudgetExceeded, match="evaluation/0 was given up"):
        guard.reserve(cost(1, 0))


def test_what_a_killed_session_had_paid_counts_until_it_is_logged():
    """Replies in the reply log whose unit is not in the log are not spent a second time."""
    ledger = Ledger(Budget(tokens=100))
    ledger.fold(cost(20, 0))
    ledger.owe({"proposal/3": cost(50, 0)})
    with pytest.raises(BudgetExceeded, match="70 of 100"):
        UnitGuard(ledger, "proposal/4").reserve(cost(31, 0))
    again = UnitGuard(ledger, "proposal/3")
    again.settle(Usage(), cost(50, 0))  # recalled
    again.settle(again.reserve(cost(20, 0)), cost(20, 0))
    again.close(cost(90, 0))
    assert ledger.committed()["tokens"] == 90


class Noticing(Clock):
    """Says when somebody waits."""

    def __init__(self):
        self.waits = threading.Event()

    def condition(self, lock=None):
        clock = self

        class Condition(threading.Condition):
            def wait(self, timeout=None):
                clock.waits.set()
                return super().wait(timeout)

        return Condition(lock)


def test_a_unit_that_waits_for_all_that_is_left_is_not_passed_by():
    """Units that need little wait behind it; else they would spend, bit by bit, what it waits for."""
    clock = Noticing()
    ledger = Ledger(Budget(tokens=1000), clock)
    first, whole, later = (UnitGuard(ledger, f"evaluation/{number}") for number in range(3))
    answers = queue.SimpleQueue()

    def ask(name, guard, shares):
        answers.put((name, guard.allot(shares)[0]))

    granted, _ = first.allot(4)
    for row in (("all", whole, 1), ("later", later, 4)):
        clock.waits.clear()
        threading.Thread(target=ask, args=row).start()
        assert clock.waits.wait(60)
    first.settle(granted, cost(100, 0))
    name, everything = answers.get(timeout=60)
    assert (name, everything.tokens) == ("all", 900)
    whole.settle(everything, cost(500, 0))
    assert answers.get(timeout=60)[0] == "later"
