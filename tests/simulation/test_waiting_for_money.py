"""Calls that wait for money: first come first served, nobody is woken for nothing, and the sums are right."""

from __future__ import annotations

from random import Random

import pytest
from virtual_time import VirtualTime

from llm_optimize import Budget, Usage
from llm_optimize.core.ledger import Ledger, UnitGuard
from llm_optimize.core.units import CAPS, Unit, Units


@pytest.fixture
def clock():
    time = VirtualTime()
    yield time
    time.end()


def test_those_who_wait_get_their_turn_in_order_and_wake_once(clock):
    """With money for ten calls at a time, three hundred are made in the order in which they came, with few events."""
    ledger, order = Ledger(Budget(tokens=100_000), clock), []

    def call(number):
        guard = UnitGuard(ledger, f"evaluation/{number}")
        granted = guard.reserve(Usage(tokens_in=10_000))
        order.append(number)
        clock.sleep(1.0)
        guard.settle(granted, Usage(tokens_in=1))

    for number in range(300):
        clock.start(lambda number=number: call(number))
    clock.sleep(1000.0)
    assert order == list(range(300))
    assert clock.events < 4 * 300  # begun, woken, slept: each once
    assert ledger.committed()["tokens"] == 300


def test_calls_that_can_never_be_paid_are_refused_as_soon_as_that_is_certain(clock):
    """Where what was spent leaves too little for good, those who wait are told so instead of waiting on."""
    ledger, said = Ledger(Budget(tokens=1000), clock), []

    def call(number):
        guard = UnitGuard(ledger, f"evaluation/{number}")
        try:
            granted = guard.reserve(Usage(tokens_in=600))
            clock.sleep(1.0)
            guard.settle(granted, Usage(tokens_in=600))
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            said.append((clock.seconds, str(error)))

    for number in range(50):
        clock.start(lambda number=number: call(number))
    clock.sleep(10.0)
    assert len(said) == 49
    assert all(seconds == 1.0 and "budget tokens" in text for seconds, text in said)


def test_the_kept_sums_are_those_of_the_units():
    """After any changes the sums over all units are what adding them up gives."""
    units, dice = Units(), Random(0)
    for _ in range(3000):
        name = f"unit/{dice.randrange(40)}"
        unit = units.get(name)
        if unit is None or dice.random() < 0.2:
            usage = [Usage(tokens_in=dice.randrange(99), dollars=dice.random()) for _ in range(3)]
            units.put(name, Unit(*usage, alive=dice.random() < 0.8))
        elif dice.random() < 0.3:
            units.pop(name)
        else:
            unit.spent += Usage(tokens_in=dice.randrange(99), dollars=dice.random())
            unit.reserved.append((Usage(tokens_in=5), 0))
            units.changed(name)
        for cap in CAPS:
            assert units.held(cap) == pytest.approx(sum(one.held(cap) for one in units.values()))
            assert units.firm(cap) == pytest.approx(sum(one.firm(cap) for one in units.values()))
            assert units.paid(cap) == pytest.approx(sum(one.paid(cap) for one in units.values()))
