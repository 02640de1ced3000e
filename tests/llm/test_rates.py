"""The reckoning of rates, in virtual time: what 64 chains make of an endpoint's limit, whatever it says of it."""

from __future__ import annotations

import heapq
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_optimize.llm.limit_headers import Allowance
from llm_optimize.llm.rates import LearnedRate, StatedRate

CHAINS = 64


class Server:
    """An endpoint's limit in virtual time, a bucket or a window, and what it let through."""

    def __init__(self, rate, size, *, window=False):
        """Begin with a full allowance."""
        self.rate, self.size, self.window = rate, size, window
        self.level, self.at, self.accepted, self.refused = size, 0.0, 0, 0

    @property
    def period(self):
        return self.size / self.rate

    def asked(self, now):
        """Decide on a request that arrives at ``now``; return whether it passes, and what the headers say."""
        if self.window:
            if now // self.period != self.at // self.period:
                self.level = self.size
        else:
            self.level = min(self.level + (now - self.at) * self.rate, self.size)
        self.at = now
        passes = self.level >= 1
        self.level -= passes
        self.accepted += passes
        self.refused += not passes
        left = math.floor(self.level)
        reset = self.period - now % self.period if self.window else (self.size - left) / self.rate
        return passes, Allowance(self.size, left, reset)

    def share(self, seconds):
        """Return how much of what the limit allows in so many seconds was used."""
        return self.accepted / (self.size * (not self.window) + seconds * self.rate)


def run(server, *, seconds, says, latency=0.2, change=None):
    """Keep the chains busy for so many virtual seconds; ``says`` is ``headers``, ``retry-after`` or ``bare``."""
    learned, stated = LearnedRate(0.0), StatedRate()
    arrivals, order = [], itertools.count()
    now, flying, blocked, spent = 0.0, 0, 0.0, 0
    while now < seconds:
        if change and now >= change[0]:
            server.rate, change = change[1], None
        wait = stated.wait(1.0, now) if says == "headers" else learned.wait(now, busy=True)
        begin = now + max(wait, blocked - now, 0.0) if flying < CHAINS else math.inf
        if arrivals and arrivals[0][0] <= begin:
            now, _, passes, said, sent, spent_then, epoch = heapq.heappop(arrivals)
            flying -= 1
            if says == "headers":
                stated.report(said, sent, spent - spent_then, now)
            elif not passes:
                learned.refused(epoch, sent, now, busy=True)
            if not passes and says != "bare":
                blocked = max(blocked, now + math.ceil(said.reset if server.window else 1 / server.rate))
                learned.block(blocked)
            continue
        now = begin + 0.001
        stated.spend(1.0, now)
        spent, flying = spent + 1, flying + 1
        epoch = learned.sent(now, busy=True)
        passes, said = server.asked(now + 0.01)
        heapq.heappush(arrivals, (now + latency, next(order), passes, said, now, spent, epoch))
    return server


@pytest.mark.parametrize("says", ["headers", "retry-after", "bare"])
@pytest.mark.parametrize(("rate", "size", "seconds"), [(10, 10, 120), (100, 100, 30), (1 / 6, 10, 1800), (1, 60, 600)])
def test_a_bucket_is_used_up(says, rate, size, seconds):
    """At least 95 % of what the bucket lets through is used, and few requests are refused, whatever it says."""
    server = run(Server(rate, size), seconds=seconds, says=says)
    assert server.share(seconds) >= 0.95
    assert server.refused <= 2 * CHAINS + 0.15 * server.accepted


@pytest.mark.parametrize(("rate", "size"), [(10, 10), (1, 60), (10, 600)])
def test_a_stated_window_is_used_up(rate, size):
    """An allowance that comes back at once is waited for and used at once."""
    server = run(Server(rate, size, window=True), seconds=600, says="headers")
    assert server.share(600) >= 0.95
    assert server.refused <= 2 * CHAINS + 0.02 * server.accepted


@pytest.mark.parametrize("says", ["retry-after", "bare"])
def test_an_endpoint_without_savings_is_still_used(says):
    """Where each request must keep its distance from the last, most of the limit is used and refusals are few."""
    server = run(Server(10, 1), seconds=120, says=says)
    assert server.share(120) >= 0.7
    assert server.refused <= 2 * CHAINS


@pytest.mark.parametrize("says", ["headers", "retry-after", "bare"])
def test_a_limit_that_rises_is_found(says):
    """When the limit is doubled, the rate follows; stated limits at once, others by probing."""
    before = run(Server(10, 10), seconds=60, says=says).accepted
    server = run(Server(10, 10), seconds=300, says=says, change=(60.0, 20.0))
    assert server.accepted - before >= 0.8 * 240 * 20


@pytest.mark.parametrize("says", ["headers", "retry-after", "bare"])
def test_a_limit_that_falls_is_respected(says):
    """When the limit is halved, the rate follows, and the refusals stay few."""
    server = run(Server(10, 10), seconds=300, says=says, change=(60.0, 5.0))
    assert server.accepted >= 0.95 * (600 + 240 * 5)
    assert server.refused <= 2 * CHAINS + 0.15 * server.accepted


def test_a_stated_limit_is_never_exceeded():
    """Once headers have stated the limit, nothing but the first burst is refused."""
    server = run(Server(10, 10), seconds=120, says="headers")
    assert server.refused <= CHAINS


def test_nothing_known_means_no_wait():
    """Before anything was stated or refused, a request may be sent at once, however many there were."""
    learned, stated = LearnedRate(0.0), StatedRate()
    for _ in range(1000):
        assert learned.wait(0.0, busy=True) == stated.wait(1.0, 0.0) == 0.0
        learned.sent(0.0, busy=True)
        stated.spend(1.0, 0.0)


def test_a_request_beyond_the_whole_limit_waits_for_all_of_it():
    """A request of more tokens than the limit is not waited for for ever."""
    stated = StatedRate()
    stated.report(Allowance(1000, 0, 60.0, 60.0), 0.0, 0.0, 0.0)
    assert 0 < stated.wait(5000.0, 0.0) <= 60
    assert stated.wait(5000.0, 61.0) == 0.0


@given(st.lists(st.tuples(st.sampled_from(["sent", "late", "fresh"]), st.floats(0, 100)), max_size=60))
def test_any_course_of_refusals_leaves_a_rate_that_works(course):
    """Whatever order sends and refusals come in, the wait is finite and at most about a minute."""
    learned, now, epochs = LearnedRate(0.0), 0.0, []
    for what, seconds in course:
        now += seconds
        if what == "sent" or not epochs:
            epochs.append(learned.sent(now, busy=True))
        else:
            learned.refused(epochs.pop(0 if what == "late" else -1), now - min(seconds, 1.0), now, busy=True)
        assert 0 <= learned.wait(now, busy=True) < 3600
