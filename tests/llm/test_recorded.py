"""A paid reply is written down before use and found again after a restart."""

from __future__ import annotations

import json

import pytest

from llm_optimize.core.chat import Message, Reply, Request
from llm_optimize.core.metering import Scope, entered
from llm_optimize.core.types import Usage
from llm_optimize.errors import ModelUnavailable, StoreError
from llm_optimize.llm import connect
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.llm.recorded import Recorded, reply_from_json, reply_to_json
from llm_optimize.testing.server import ScriptedServer


class Replies(dict):
    """A reply log in memory; outlives a scope as a store outlives a process."""

    def remember(self, study, key, body):
        """Keep the first body."""
        self.setdefault((study, key), body)

    def recall(self, study, key):
        """Return the body, or None."""
        return self.get((study, key))


class BrokenReplies(Replies):
    """A log on a full disk."""

    def remember(self, study, key, body):
        """Fail."""
        msg = "disk full"
        raise StoreError(msg)


def test_outside_a_study_nothing_is_recorded(hello):
    """Without a scope, or without a log, each call reaches the model, without an idempotency key."""
    model = ScriptedModel(["one", "two"])
    assert Recorded(model).complete(hello).text == "one"
    with entered(Scope("study", "proposal/0")):
        assert Recorded(model).complete(hello).text == "two"
    assert [request.idempotency_key for request in model.requests] == ["", ""]


def test_a_restart_makes_no_call_and_counts_the_cost():
    """After a restart the same unit of work gets the same reply; its usage is counted, the server is not asked."""
    replies, request = Replies(), Request((Message("user", "hi"),), key="ask-0")
    with ScriptedServer(lambda _b, index: f"answer {index}") as server:
        usages = []
        for _session in range(2):
            scope = Scope("study", "proposal/3", None, replies)
            with entered(scope):
                reply = connect(f"{server.url}#scripted", prices={"scripted": (1, 2)}).complete(request)
            assert reply.text == "answer 0"
            usages.append(scope.usage)
        assert len(server.requests) == 1
        assert len(server.requests[0].key) == 32
    assert usages[0] == usages[1] == reply.usage
    assert usages[0].dollars > 0
    assert list(replies) == [("study", "proposal/3/ask-0")]


def test_equal_questions_of_one_unit_are_told_apart():
    """The same content asked twice in a unit is two replies, in the same order after a restart."""
    replies, request = Replies(), Request((Message("user", "rate this"),))
    model = ScriptedModel(["7", "8"])
    for _session in range(2):
        with entered(Scope("study", "evaluation/3", None, replies)):
            assert [Recorded(model).complete(request).text for _ in range(2)] == ["7", "8"]
    assert len(model.requests) == 2
    with entered(Scope("study", "evaluation/4", None, replies)), pytest.raises(Exception, match="one more"):
        Recorded(model).complete(request)


def test_the_idempotency_key_is_the_identity_of_the_call():
    """The same unit and key give the same header in every session; any other gives another."""
    model, request = ScriptedModel(lambda _request: "x"), Request((Message("user", "hi"),), key="ask-0")
    for study, name in (("a", "proposal/1"), ("a", "proposal/1"), ("a", "proposal/2"), ("b", "proposal/1")):
        with entered(Scope(study, name, None, Replies())):
            Recorded(model).complete(request)
    keys = [request.idempotency_key for request in model.requests]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_failures_are_not_recorded(hello):
    """An error is raised and the next session asks again."""
    replies, model = Replies(), ScriptedModel([ModelUnavailable("down"), "up"])
    with entered(Scope("study", "proposal/0", None, replies)), pytest.raises(ModelUnavailable):
        Recorded(model).complete(hello)
    assert not replies
    with entered(Scope("study", "proposal/0", None, replies)):
        assert Recorded(model).complete(hello).text == "up"


def test_a_reply_that_cannot_be_written_is_not_used(hello):
    """Nothing may build on a reply that is not on disk."""
    with entered(Scope("study", "proposal/0", None, BrokenReplies())), pytest.raises(StoreError, match="disk full"):
        Recorded(ScriptedModel(["paid"])).complete(hello)


def test_json_holds_every_field():
    """A reply survives the round trip, with characters outside ASCII on one line."""
    reply = Reply("a\nü", "length", "no", "hm", "m", Usage(1, 10, 4, 3, 0.25, 1.5, estimated=True))
    body = reply_to_json(reply)
    assert "\n" not in body
    assert reply_from_json(body) == reply


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.pop("text"),
        lambda body: body.update(extra=1),
        lambda body: body.update(text=3),
        lambda body: body.update(usage=None),
        lambda body: body["usage"].update(calls="1"),
        lambda body: body["usage"].update(estimated=0),
        lambda body: body["usage"].pop("dollars"),
    ],
)
def test_json_is_read_strictly(change):
    """A missing, unknown or wrongly typed field is a StoreError."""
    body = json.loads(reply_to_json(Reply("x")))
    change(body)
    with pytest.raises(StoreError, match="cannot be read"):
        reply_from_json(json.dumps(body))
    for broken in ("", "[]", "null", '{"text"'):
        with pytest.raises(StoreError):
            reply_from_json(broken)
