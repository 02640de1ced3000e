"""The queue before an endpoint: first come first served, no wait without a reason, no look at the clock without one."""

from __future__ import annotations

import pickle
import threading
import time
from contextlib import contextmanager

import pytest

from llm_optimize.core.chat import Message, Reply, Request
from llm_optimize.core.types import Usage
from llm_optimize.errors import BadInput, ModelUnavailable
from llm_optimize.llm.failures import RetryLater
from llm_optimize.llm.gate import paused, requests, time_left, within
from llm_optimize.llm.limited import Limited
from llm_optimize.llm.openai import OpenAIChat
from llm_optimize.llm.pace import Pace, Place, current_place, pace_for, queued
from llm_optimize.llm.retrying import Retrying

FULL = {"x-ratelimit-limit-requests": "100", "x-ratelimit-remaining-requests": "99", "x-ratelimit-reset-requests": "1s"}


class Looks:
    """The clock, and how often it was looked at."""

    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1
        return time.monotonic()


class Endpoint:
    """A model behind a pace of its own: answers, or refuses, as ``decide(number of the attempt)`` says."""

    def __init__(self, decide, pace=None):
        self.pace = pace or Pace()
        self.decide = decide
        self.attempts = []
        self.lock = threading.Lock()

    def complete(self, request):
        with self.pace.attempt() as attempt:
            with self.lock:
                number = len(self.attempts)
                self.attempts.append(request.messages[0].content)
            headers = self.decide(number)
            if headers is None or isinstance(headers, dict):
                attempt.accepted(headers or {}, Usage(1, 10, 0, 10))
                return Reply(request.messages[0].content)
            status, headers = headers
            if status == 429:
                attempt.refused(headers)
                raise RetryLater("busy", float(headers["Retry-After"]) if "Retry-After" in headers else None)
            raise RetryLater("down", 0.0)


def ask(text="hi", **settings):
    return Request((Message("user", text),), settings)


@contextmanager
def calls(model, count, before=lambda index: None):
    """Run ``count`` calls, each in a thread that is begun after ``before(index)`` has returned."""
    caught = []

    def call(index):
        try:
            caught.append(model.complete(ask(str(index))).text)
        except ModelUnavailable as error:
            caught.append(error)

    threads = []
    for index in range(count):
        before(index)
        threads.append(threading.Thread(target=call, args=(index,), daemon=True))
        threads[-1].start()
    yield caught
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def until(condition):
    """Wait until something holds that another thread brings about."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_endpoint_key_and_model_have_one_pace():
    """Whoever asks the same model of the same server with the same key shares its pace; nobody else does."""
    pace = pace_for("http://127.0.0.1:1/v1", "key", "m")
    assert pace_for("http://127.0.0.1:1/v1/", "key", "m") is pace
    others = [("http://127.0.0.1:2/v1", "key", "m"), ("http://127.0.0.1:1/v1", "k", "m")]
    assert all(pace_for(*other) is not pace for other in [*others, ("http://127.0.0.1:1/v1", "key", "n")])


def test_nothing_known_means_no_wait():
    """Any number of calls at once go through while the endpoint neither states nor refuses anything."""
    gate = threading.Barrier(32, timeout=60)

    def decide(_):
        gate.wait()  # passes only when all 32 are under way at the same time

    with calls(Limited(Endpoint(decide)), 32) as caught:
        pass
    assert sorted(caught, key=int) == [str(index) for index in range(32)]


def test_calls_never_overtake():
    """However many stand in the queue, each is served in the order in which it came."""
    endpoint = Endpoint(lambda number: (429, {"Retry-After": "1"}) if number == 0 else None)
    endpoint.pace.attempt().__enter__().refused({"Retry-After": "1"})
    with calls(Limited(endpoint), 9, lambda index: until(lambda: endpoint.pace.waiting == index)):
        pass
    # The oldest was refused, keeps its place, and is served before all others.
    assert endpoint.attempts == ["0", "0", *map(str, range(1, 9))]


def test_waiting_costs_no_looks_at_the_clock():
    """Fifty calls that wait for a second look at the clock a bounded number of times, not all the time."""
    looks = Looks()
    pace = Pace(looks)
    endpoint = Endpoint(lambda _: FULL, pace)
    with pace.attempt() as attempt:
        attempt.refused({"Retry-After": "1"})
    begun = time.monotonic()
    with calls(Limited(endpoint), 50):
        until(lambda: pace.waiting == 50)
        before = looks.count
    assert time.monotonic() - begun >= 0.99
    assert looks.count - before <= 50 * 10


def test_a_wait_in_the_queue_can_be_interrupted():
    """Ctrl-C ends the wait of all who stand in the queue."""
    endpoint = Endpoint(lambda _: None)
    with endpoint.pace.attempt() as attempt:
        attempt.refused({"Retry-After": "200"})
    try:
        with calls(Limited(Retrying(endpoint)), 5) as caught:
            until(lambda: endpoint.pace.waiting == 5)
            requests.interrupt()
    finally:
        requests.resume()
    assert len(caught) == 5
    assert all("interrupted" in str(error) for error in caught)
    assert endpoint.pace.waiting == 0


def test_refusals_use_up_neither_attempts_nor_deadline():
    """Calls that are refused are answered all the same, though the retries allow one attempt and hardly any time."""
    endpoint = Endpoint(lambda number: (429, {"Retry-After": "0"}) if number in {0, 2, 4} else None)
    with calls(Limited(Retrying(endpoint, attempts=1, deadline=0.1)), 8) as caught:
        pass
    assert sorted(caught, key=str) == [str(index) for index in range(8)]
    assert len(endpoint.attempts) == 11


def test_time_in_the_queue_does_not_count_against_the_deadline():
    """A call that waits for its turn longer than the retries' deadline is answered."""
    endpoint = Endpoint(lambda number: (500, {}) if number == 0 else None)
    with endpoint.pace.attempt() as attempt:
        attempt.refused({"Retry-After": "1"})
    assert Limited(Retrying(endpoint, deadline=0.3)).complete(ask()).text == "hi"
    assert len(endpoint.attempts) == 2


def test_an_endpoint_that_accepts_nobody_is_given_up():
    """Refused as often as allowed with nobody accepted in between, a call fails and says so."""
    endpoint = Endpoint(lambda _: (429, {"Retry-After": "0"}))
    with pytest.raises(RetryLater, match=r"gave up: refused 3 times over .* no other request was let through"):
        Limited(Retrying(endpoint), refusals=3).complete(ask())
    assert len(endpoint.attempts) == 3


def test_a_stated_wait_beyond_the_patience_is_not_begun():
    """An endpoint that asks to wait an hour ends the call at once, with the seconds in the error."""
    endpoint = Endpoint(lambda _: (429, {"Retry-After": "3600"}))
    with pytest.raises(RetryLater, match=r"3[56]\d\d s") as caught:
        Limited(Retrying(endpoint)).complete(ask())
    assert len(endpoint.attempts) == 1
    assert caught.value.retry_after > 3000


def test_an_enclosing_time_limit_ends_the_wait():
    """A limit set around the call holds in the queue too."""
    endpoint = Endpoint(lambda _: None)
    with endpoint.pace.attempt() as attempt:
        attempt.refused({"Retry-After": "100"})
    with within(0.2), pytest.raises(ModelUnavailable, match="no time is left"):
        Limited(Retrying(endpoint)).complete(ask())
    assert endpoint.attempts == []


def test_outside_the_queue_nobody_waits():
    """A call without Limited is sent at once, and what comes back still teaches."""
    endpoint = Endpoint(lambda _: (429, {"Retry-After": "100"}))
    for _ in range(2):
        with pytest.raises(RetryLater):
            endpoint.complete(ask())
    assert len(endpoint.attempts) == 2


def test_tokens_are_limited_too():
    """Once a token limit is stated, a request whose tokens are not there waits for them."""
    headers = {"x-ratelimit-limit-tokens": "1000", "x-ratelimit-remaining-tokens": "0"}
    endpoint = Endpoint(lambda _: headers | {"x-ratelimit-reset-tokens": "3600s"})
    model = Limited(endpoint, patience=30)
    model.complete(ask("a"))
    with pytest.raises(RetryLater, match="lets nothing through"):
        model.complete(ask("b", max_tokens=900))
    assert endpoint.attempts == ["a"]


def test_a_place_is_held_by_the_call_alone():
    """Inside the block the place is the call's; outside there is none."""
    place = Place(lambda: 0, None, 1.0)
    with queued(place):
        assert current_place() is place
    assert current_place() is None


def test_a_paused_clock_stands_still_for_pausable_limits_only():
    """Time in a paused block is given on top to the retries' own limit, not to one that a caller set."""
    with within(1000), within(10, pausable=True):
        with paused():
            assert time_left() > 900
            time.sleep(0.05)
        assert 9.9 < time_left() <= 10
    assert time_left() is None


@pytest.mark.parametrize("policy", [{"patience": 0}, {"patience": -1}, {"refusals": 0}])
def test_a_policy_that_never_waits_is_refused(policy):
    """Patience or refusals that allow nothing are named."""
    with pytest.raises(BadInput, match="patience and refusals"):
        Limited(Endpoint(lambda _: None), **policy)


def test_a_limited_model_travels():
    """A pickled layer carries its policy; the pace stays in its process."""
    model = pickle.loads(pickle.dumps(Limited(Retrying(OpenAIChat("m", "http://127.0.0.1:1/v1")), patience=7)))
    assert (model.patience, model.name) == (7, "m")
