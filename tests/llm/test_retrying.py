"""The one retry layer: how often, how long, and what is said at the end."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from llm_optimize.errors import BadInput, BadReply, ContextTooLong, ModelRefused, ModelUnavailable
from llm_optimize.llm.failures import RetryLater
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.llm.gate import Requests, requests
from llm_optimize.llm.openai import OpenAIChat
from llm_optimize.llm.retrying import Retrying
from llm_optimize.testing.server import Answer, ScriptedServer


class Pauses:
    """A sleep that passes at once and notes what was asked of it."""

    def __init__(self):
        self.seconds = []

    def __call__(self, seconds):
        self.seconds.append(seconds)


def ask(answers, request, **policy):
    """Return (server, pauses, reply or error) for one call over HTTP."""
    pauses = Pauses()
    with ScriptedServer(lambda _body, index: answers[min(index, len(answers) - 1)]) as server:
        model = Retrying(OpenAIChat("scripted", server.url, timeout=5), sleep=pauses, **policy)
        try:
            return server, pauses.seconds, model.complete(request)
        except (ModelRefused, ModelUnavailable, BadReply) as error:
            return server, pauses.seconds, error


@pytest.mark.parametrize(
    "first",
    [
        Answer("busy", status=429),
        Answer("oops", status=500),
        Answer("bad gateway", status=502),
        Answer("down", status=503),
        Answer("timeout", status=408),
        Answer(drop=True),
        Answer(raw=b"<html></html>", headers={"Content-Type": "text/html"}),
    ],
)
def test_a_passing_trouble_costs_one_more_request(first, hello):
    """Trouble that passes is asked again exactly once, under the same idempotency key."""
    server, pauses, reply = ask([first, "hello"], hello)
    assert reply.text == "hello"
    assert len(server.requests) == 2
    assert len(pauses) == 1
    assert 0 <= pauses[0] <= 30


def test_the_idempotency_key_is_the_same_over_retries(hello):
    """An endpoint that honours the key can tell a retry from a new request."""
    keyed = type(hello)(hello.messages, idempotency_key="study-17")
    server, _, reply = ask([Answer("oops", status=500), Answer("oops", status=500), "hello"], keyed)
    assert reply.text == "hello"
    assert [request.key for request in server.requests] == ["study-17"] * 3
    assert server.charged == 1


def test_a_reply_lost_on_the_way_is_not_paid_twice(hello):
    """The connection breaks after the answer was made; the retry gets the same answer free of charge."""
    keyed = type(hello)(hello.messages, idempotency_key="study-18")
    server, _, reply = ask([Answer("paid", lose=True), "paid again"], keyed)
    assert reply.text == "paid"
    assert (server.charged, server.repeats) == (1, 1)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_asking_again_cannot_cure_is_asked_once(status, hello):
    """Refusals cost exactly one request and no wait."""
    server, pauses, error = ask([Answer("no", status=status)], hello)
    assert isinstance(error, ModelRefused)
    assert (len(server.requests), pauses) == (1, [])


def test_too_long_is_asked_once(hello):
    """The same long request is not sent again."""
    answer = Answer("This model's maximum context length is 512 tokens.", status=400)
    server, _, error = ask([answer], hello)
    assert isinstance(error, ContextTooLong)
    assert error.limit == 512
    assert len(server.requests) == 1


def test_retry_after_is_honoured_at_any_length_within_the_deadline(hello):
    """Zero, 130 seconds and an HTTP date are waited as asked."""
    date = (datetime.now(UTC) + timedelta(seconds=60)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    answers = [Answer("busy", status=429, headers={"Retry-After": asked}) for asked in ("0", "130", date)]
    server, pauses, reply = ask([*answers, "hello"], hello)
    assert reply.text == "hello"
    assert pauses[:2] == [0, 130]
    assert 50 < pauses[2] <= 60
    assert len(server.requests) == 4


def test_a_wait_beyond_the_deadline_is_not_begun(hello):
    """Retry-After longer than the deadline ends the call at once and says so."""
    server, pauses, error = ask([Answer("busy", status=429, headers={"Retry-After": "130"})], hello, deadline=100)
    assert isinstance(error, ModelUnavailable)
    assert "1 attempt over" in str(error)
    assert "asks to wait 130 s, beyond the deadline of 100 s" in str(error)
    assert (len(server.requests), pauses) == (1, [])


def test_the_last_error_says_how_often_and_how_long(hello):
    """After the last attempt the message has the number of attempts and the time they took."""
    server, pauses, error = ask([Answer("oops", status=500)], hello, attempts=3)
    assert isinstance(error, ModelUnavailable)
    assert "gave up after 3 attempts over" in str(error)
    assert "oops" in str(error)
    assert "\n" not in str(error)
    assert (len(server.requests), len(pauses)) == (3, 2)


def test_bad_replies_are_asked_again_twice(hello):
    """A page instead of a completion is asked again, but not for ever."""
    page = Answer(raw=b"<html></html>", headers={"Content-Type": "text/html"})
    server, _, error = ask([page], hello)
    assert isinstance(error, BadReply)
    assert "3 attempts" in str(error)
    assert len(server.requests) == 3


def test_a_silent_server_ends_by_the_deadline(hello):
    """The deadline bounds the attempts themselves: one silent attempt, then the end."""
    with ScriptedServer(lambda _b, _i: Answer("late", delay=60)) as server:
        model = Retrying(OpenAIChat("scripted", server.url, timeout=0.4), deadline=0.4)
        with pytest.raises(ModelUnavailable, match="1 attempt over"):
            model.complete(hello)
        assert len(server.requests) == 1


def test_a_slow_model_extends_the_deadline(hello):
    """A client timeout longer than the deadline is respected."""
    with ScriptedServer(lambda _b, _i: "slow", latency=0.3) as server:
        assert Retrying(OpenAIChat("scripted", server.url, timeout=30), deadline=0.1).complete(hello).text == "slow"


def test_waits_grow_and_are_capped(hello):
    """Without a word from the endpoint the waits are random below a doubling bound."""
    _, pauses, _ = ask([Answer("oops", status=500)], hello, attempts=8, first_wait=1.0, longest_wait=4.0)
    bounds = [1, 2, 4, 4, 4, 4, 4]
    assert all(0 <= pause <= bound for pause, bound in zip(pauses, bounds, strict=True))


def test_a_wait_can_be_interrupted(hello):
    """Interrupting ends a long wait in another thread and with it the call."""
    model = ScriptedModel([RetryLater("busy", 200.0)])
    caught = []

    def call():
        try:
            Retrying(model).complete(hello)
        except ModelUnavailable as error:
            caught.append(str(error))

    thread = threading.Thread(target=call)
    thread.start()
    requests.interrupt()
    try:
        thread.join(30)
    finally:
        requests.resume()
    assert not thread.is_alive()
    assert "interrupted" in caught[0]


def test_an_exception_that_is_not_the_models_passes(hello):
    """Only our own errors are handled; a bug shows itself."""
    model = ScriptedModel(lambda _request: ZeroDivisionError("bug"))
    with pytest.raises(ZeroDivisionError):
        Retrying(model, sleep=Pauses()).complete(hello)
    assert len(model.requests) == 1


@pytest.mark.parametrize("policy", [{"deadline": 0}, {"deadline": -1}, {"attempts": 0}])
def test_a_policy_that_never_asks_is_refused(policy):
    """A deadline or a number of attempts that allows nothing is named."""
    with pytest.raises(BadInput, match="deadline and attempts"):
        Retrying(ScriptedModel([]), **policy)


def test_the_switch_of_a_test_is_its_own():
    """A switch made for a test does not touch the process's."""
    switch = Requests()
    switch.interrupt()
    with pytest.raises(ModelUnavailable):
        switch.wait(60)
    switch.resume()
    switch.wait(0)
    requests.wait(0)
