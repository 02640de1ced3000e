"""A thousand workers in virtual time, with deaths, limits and outages: nothing is lost, counted twice, overspent."""

from __future__ import annotations

from collections import Counter

import pytest
from world import EndpointTraits, WorkerTraits

from llm_optimize import Budget, Evaluation
from llm_optimize.core.events import Opened, Proposed, Stopped, Told, dump
from llm_optimize.core.types import Failure

UNSTEADY = WorkerTraits(hangs=0.02, dies=0.05, parted=0.02)


def log_of(done):
    """Return the log as it stands in the store, line by line."""
    return ["\n".join(dump(event)) for _, event in done.study.store.read("study")]


def told(done):
    return [event for _, event in done.events if isinstance(event, Told)]


def test_the_same_seed_gives_the_same_log(simulated):
    """Two runs with limits, deaths and hangs write the same log, byte for byte; another seed writes another."""
    limits = EndpointTraits(requests=30.0, concurrent=20, failing=0.05)
    one, two, other = (
        simulated(workers=40, steps=120, seed=seed, endpoint=limits, fleet=UNSTEADY) for seed in (1, 1, 2)
    )
    assert log_of(one) == log_of(two)
    assert one.workers.begun == two.workers.begun
    assert log_of(one) != log_of(other)


def test_each_candidate_counts_once_whatever_happens_to_workers(simulated):
    """With workers that die, hang or answer twice, each candidate has one outcome, and what hung has a timeout."""
    done = simulated(workers=50, steps=300, seed=3, fleet=UNSTEADY)
    made = [one.id for _, event in done.events if isinstance(event, Proposed) for one in event.candidates]
    assert Counter(event.candidate_id for event in told(done)) == Counter(made) == Counter(range(301))
    assert done.workers.deaths > 5
    assert done.workers.late > 1
    timeouts = [event for event in told(done) if isinstance(event.outcome, Failure)]
    assert timeouts
    assert {event.outcome.kind for event in timeouts} == {"timeout"}
    assert len(timeouts) + len(done.workers.served) == 301
    assert all(event.seconds == pytest.approx(600.0) for event in timeouts)
    assert done.study.history.evaluations == 301


def test_nothing_is_bought_twice(simulated):
    """Every token that the server charged for an answer which was read is in the log, once."""
    done = simulated(workers=40, steps=150, seed=4, endpoint=EndpointTraits(requests=40.0, failing=0.05))
    assert done.endpoint.counts[429] > 0
    assert done.endpoint.counts[500] > 0
    assert done.study.history.usage.tokens == done.endpoint.charged
    assert done.study.history.usage.calls == done.endpoint.counts[200]


@pytest.mark.parametrize("unit", ["tokens", "dollars"])
def test_a_thousand_in_flight_do_not_pass_a_cap(unit, simulated):
    """With a thousand workers and money for a part of what they would begin, the server charges within the cap."""
    cap = {"tokens": 180_000, "dollars": 0.36}[unit]  # a call: 600 in, 300 out; 200 calls
    done = simulated(workers=1000, steps=5000, seed=5, alone=True, budget=Budget(**{unit: cap}))
    spent = {"tokens": done.endpoint.charged, "dollars": done.endpoint.counts[200] * (600 * 1.0 + 300 * 4.0) / 1e6}
    assert 0.95 * cap < spent[unit] <= cap
    assert f"budget {unit}" in done.ending.reason
    assert done.ending.error is None
    assert not done.study.last.pending  # what was bought is scored


def test_a_cap_on_evaluations_holds_with_a_thousand_in_flight(simulated):
    """Not one evaluation more than the cap is begun, repeats by the engine aside."""
    done = simulated(workers=1000, steps=5000, seed=6, alone=True, budget=Budget(evaluations=400))
    assert done.study.history.evaluations == 400
    assert len({text for text, _ in done.workers.begun}) == 400


def test_an_outage_of_hours_ends_the_session_in_order_and_loses_nothing(simulated):
    """An endpoint that is down for hours ends the session after its retries, not before, with all it had."""
    down = (600.0, 3 * 3600.0)
    done = simulated(
        workers=20, steps=10**6, seed=7, alone=True, endpoint=EndpointTraits(requests=60.0, outages=(down,))
    )
    assert done.ending.error is not None
    assert "503" in done.ending.reason
    # of twenty calls the one whose ten waits, drawn at random up to 30 s, happen to be the shortest
    first = next(seconds for seconds, event in done.events if isinstance(event, Stopped))
    assert down[0] + 30 < first < down[0] + 300 + 600
    last = done.study.last
    assert last.next_id == len(last.trials) + len(last.pending)  # what came at the very end waits for the next session
    assert last.usage.tokens == done.endpoint.charged


def test_a_day_passes_through_outages_that_retries_outlast(simulated):
    """In 24 h with a rate limit and an outage of a minute each hour, the study neither ends early nor hangs."""
    outages = tuple((3600.0 * hour, 3600.0 * hour + 60) for hour in range(1, 24))
    done = simulated(
        workers=4, steps=10**6, seed=8, alone=True, durable=False, budget=Budget(seconds=86_400),
        endpoint=EndpointTraits(requests=2.0, median=20.0, outages=outages),
    )  # fmt: skip
    assert done.ending.reason == "budget seconds: 86400 s are up"
    assert done.clock.seconds == pytest.approx(86_400, abs=0.01)
    assert done.endpoint.counts[503] > 24
    hours = Counter(int(seconds // 3600) for seconds, event in done.events if isinstance(event, Told))
    assert min(hours[hour] for hour in range(24)) > 60  # of 120 that the limit lets through


def test_a_budget_of_seconds_ends_when_it_is_up_also_while_results_pour_in(simulated):
    """With several results a second the session ends at the second, and waits for nobody."""
    done = simulated(workers=300, steps=10**6, seed=9, alone=True, budget=Budget(seconds=100))
    ended = next(event for _, event in done.events if isinstance(event, Stopped))
    opened = next(event for _, event in done.events if isinstance(event, Opened))
    assert 100 <= ended.at - opened.at < 100.6
    assert done.ending.reason == "budget seconds: 100 s are up"
    assert done.study.last.pending


def test_failures_that_come_back_first_do_not_end_a_wide_study(simulated):
    """Of many evaluations begun together the failures are back before the scores; they alone end nothing."""
    fleet = WorkerTraits(quick=_is_odd)
    done = simulated(workers=200, steps=400, seed=10, fleet=fleet, score=_picky)
    kinds = Counter(type(event.outcome) for event in told(done))
    assert done.ending.reason == "max_steps: 400 steps are done"
    assert kinds[Failure] > 10
    assert kinds[Evaluation] > 300


def _is_odd(text):
    return int(text.split()[1]) % 20 == 7


def _picky(text):
    if _is_odd(text):
        raise ValueError("no such name")
    return 1.0
