"""A wall clock that is set while a study runs: nothing ends early, nothing hangs, the log stays in order."""

from __future__ import annotations

import pytest
from virtual_time import Nobody, VirtualTime

from llm_optimize import Budget, SQLiteStore, WallClock
from llm_optimize.core.clock import Clock, Steady
from llm_optimize.core.events import Told
from llm_optimize.core.folding import read_folding

HOUR, DAY = 3600.0, 86_400.0


def set_clock(ahead):
    """Return a call that puts the wall clock so far ahead of the time, or behind it."""
    return lambda clock: setattr(clock, "ahead", ahead)


@pytest.mark.parametrize("ahead", [-30 * DAY, -HOUR, HOUR, 30 * DAY])
def test_a_wall_clock_that_jumps_changes_nothing(ahead, simulated):
    """With the clock set once and back again, the log is the same to the byte as without."""
    settings = {"workers": 8, "steps": 40, "seed": 1, "alone": True, "budget": Budget(seconds=DAY)}
    plain = simulated(**settings)
    jumping = simulated(at=[(30.0, set_clock(ahead)), (200.0, set_clock(0.0))], **settings)
    assert [event for _, event in jumping.events] == [event for _, event in plain.events]
    assert jumping.ending.reason == "max_steps: 40 steps are done"


@pytest.mark.parametrize("ahead", [-3 * DAY, 3 * DAY])
def test_a_budget_of_seconds_counts_what_has_passed(ahead, simulated):
    """A budget of an hour lasts an hour of time that passes, wherever the wall clock is put meanwhile."""
    done = simulated(
        workers=4, steps=10**6, seed=2, alone=True, budget=Budget(seconds=HOUR), at=[(600.0, set_clock(ahead))]
    )
    assert done.ending.reason == "budget seconds: 3600 s are up"
    assert done.clock.seconds == pytest.approx(HOUR, abs=0.01)


def test_the_log_of_a_jumping_clock_is_in_order(simulated, tmp_path):
    """Times in the log never go back, durations are never negative, and another process reads the same past from it."""
    jumps = [(60.0 * minute, set_clock((-1) ** minute * minute * DAY)) for minute in range(1, 20)]
    done = simulated(workers=8, steps=150, seed=3, alone=True, at=jumps)
    times = [event.at for _, event in done.events]
    assert times == sorted(times)
    assert all(event.seconds >= 0 for _, event in done.events if isinstance(event, Told))
    history = read_folding(SQLiteStore(str(tmp_path / "0" / "studies.db")), "study").history
    assert list(history.trials) == list(done.study.last.trials)
    assert history.active_seconds() == pytest.approx(done.clock.seconds, abs=1.0)


def test_a_rule_about_the_wall_clock_goes_by_the_studys(simulated):
    """WallClock asks the history for the time, which does not jump while a session is open."""
    stops = WallClock(HOUR)
    done = simulated(workers=2, steps=20, seed=4, alone=True, at=[(5.0, set_clock(DAY))])
    assert stops(done.study.last) is None


def test_steady_seconds_do_not_follow_the_wall_clock():
    """They begin with its time and go on with what passes."""
    clock = VirtualTime()
    steady = Steady(clock)
    began = clock.time()
    clock.ahead = -DAY
    clock.sleep(5.0)
    assert steady.time() == began + 5.0


def test_the_systems_clock_is_what_it_says():
    """Its waits are the standard library's, and its three times go forward."""
    clock = Clock()
    times = [(clock.time(), clock.monotonic(), clock.uptime()) for _ in range(2)]
    assert all(later >= earlier for earlier, later in zip(*times, strict=True))
    line = clock.queue()
    clock.start(lambda: line.put("done"))
    assert line.get(timeout=60) == "done"
    with clock.condition() as held:
        assert held


def test_time_ends_a_simulation_that_hangs():
    """Where nothing is left that could happen, the owner is told so instead of waiting for ever."""
    clock = VirtualTime()
    with pytest.raises(Nobody, match="nothing is left"):
        clock.wait(clock.sleeper(), None)
    clock = VirtualTime(most=10.0)
    with pytest.raises(Nobody):
        clock.sleep(11.0)
