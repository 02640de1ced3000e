"""What was asked is kept with the reply: each text once, in one transaction, never a key; and can be exported."""

from __future__ import annotations

import json
import sqlite3

import pytest

from llm_optimize import MemoryStore, optimize
from llm_optimize.core.chat import Message, Reply, Request, ToolCall, ToolSpec
from llm_optimize.core.metering import Scope, entered
from llm_optimize.core.types import Usage
from llm_optimize.errors import BadInput, ModelUnavailable, StoreError
from llm_optimize.llm import connect
from llm_optimize.llm.asked import TEXT, public
from llm_optimize.llm.exchanges import exchanges
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.llm.recorded import reply_to_json
from llm_optimize.llm.recording import exchange_from_json, exchange_to_json, export_exchanges
from llm_optimize.stores import SQLiteStore
from llm_optimize.testing.server import ScriptedServer

KEY = "sk-test-4f9a0c51b7"


@pytest.fixture
def store(tmp_path):
    """Return an empty store."""
    with SQLiteStore(tmp_path / "studies.db") as opened:
        yield opened


def ask(store, request, model=None, unit="proposal/0"):
    """Ask within a unit of work of the study ``s``."""
    with entered(Scope("s", unit, None, store)):
        return connect(model or ScriptedModel(lambda _: "said")).complete(request)


def rows(store, prefix=""):
    """Return the entries of the reply log that begin so."""
    return {key: store.recall("s", key) for key in store.keys("s", prefix)}


def test_an_exchange_comes_back_whole(store):
    """Messages with tool turns, settings, tools, the number of answers, the reply: all as it was asked and said."""
    call = ToolCall("c1", "count", '{"word": "\\ud800"}')
    messages = (
        *(Message("system", "be good"), Message("user", "hi \ud800 🙂")),
        *(Message("assistant", "", (call,)), Message("tool", "3", (), "c1")),
    )
    tool = ToolSpec("count", "Counts.", {"type": "object", "properties": {"word": {"type": "string"}}})
    request = Request(messages, {"temperature": 0.5, "stop": ["a"]}, "ask-0", tools=(tool,), n=2)
    said = Reply("one", usage=Usage(1, 9, 0, 3, 0.25, 0.5), tool_calls=(call,), more=(Reply("two"),), reasoning="hm")
    ask(store, request, ScriptedModel([said], name="m"))
    [exchange] = exchanges(store, "s")
    assert exchange.request == request
    assert (exchange.unit, exchange.key, exchange.model, exchange.reply) == ("proposal/0", "ask-0", "m", said)
    assert exchange_from_json(exchange_to_json(exchange)) == exchange


def test_a_text_is_kept_once(store):
    """Of two prompts that share all messages but one, only that one is written anew."""
    shared = tuple(Message("user" if n % 2 else "assistant", f"message {n}") for n in range(20))
    ask(store, Request((*shared, Message("user", "first")), key="ask-0"))
    ask(store, Request((*shared, Message("user", "second")), key="ask-0"), unit="proposal/1")
    texts = rows(store, TEXT)
    assert sorted(texts.values()) == sorted([*(message.content for message in shared), "first", "second"])
    assert [one.request.messages[-1].content for one in exchanges(store, "s")] == ["first", "second"]


def test_a_failed_call_leaves_nothing(store):
    """Where there is no reply, neither request nor texts are written."""
    with pytest.raises(ModelUnavailable):
        ask(store, Request((Message("user", "hi"),)), ScriptedModel([ModelUnavailable("down")]))
    assert rows(store) == {}


def test_neither_keys_nor_headers_are_written(tmp_path, monkeypatch):
    """After a run with a key, options and headers, no file of the store holds the key or a header."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    settings = {"extra_headers": {"X-Secret": KEY}, "api_key": KEY, "nested": {"auth_token": KEY, "max_tokens": 5}}
    with SQLiteStore(tmp_path / "studies.db") as store, ScriptedServer(lambda *_: "fine") as server:
        ask(store, Request((Message("user", "hi"),), settings, "ask-0"), f"{server.url}#scripted")
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
        [exchange] = exchanges(store, "s")
        assert exchange.request.settings == {"nested": {"max_tokens": 5}}
        export_exchanges(store, "s", tmp_path / "run.jsonl")
    for path in tmp_path.iterdir():
        assert KEY.encode() not in path.read_bytes(), path
        assert b"authorization" not in path.read_bytes().lower(), path


@pytest.mark.parametrize(
    "name", ["max_tokens", "logit_bias", "stop", "seed", "top_k", "tool_choice", "reasoning_effort"]
)
def test_settings_of_a_request_are_no_secrets(name):
    """What goes into the body of a request is kept."""
    assert public({name: 1}) == {name: 1}


def test_replies_of_earlier_versions_are_recalled_and_listed(store, tmp_path):
    """A log that holds replies alone, in the format before tools, answers a resume and is exported without requests."""
    old = json.loads(reply_to_json(Reply("old", model="m", usage=Usage(1, 5, 0, 2))))
    del old["tool_calls"], old["more"]
    store.remember("s", "proposal/0/ask-0", json.dumps(old))
    model = ScriptedModel([])
    assert ask(store, Request((Message("user", "hi"),), key="ask-0"), model).text == "old"
    [exchange] = exchanges(store, "s")
    assert (exchange.unit, exchange.key, exchange.request, exchange.model) == ("proposal/0", "ask-0", None, "m")
    export_exchanges(store, "s", tmp_path / "run.jsonl")
    replayed = ask(store, Request((Message("user", "any"),), key="ask-0"), f"recorded:{tmp_path / 'run.jsonl'}")
    assert replayed.text == "old"


def test_a_file_of_the_previous_version_goes_on(store):
    """A study with old replies goes on recording, and both kinds are listed in the order of their coming."""
    store.remember("s", "proposal/0/ask-0", reply_to_json(Reply("old")))
    ask(store, Request((Message("user", "hi"),), key="ask-0"), unit="proposal/1")
    assert [(one.unit, one.request is None) for one in exchanges(store, "s")] == [
        *(("proposal/0", True), ("proposal/1", False)),
    ]


def test_a_lost_text_is_an_error(store):
    """An exchange whose text was deleted by hand is a StoreError that names it, never an empty message."""
    ask(store, Request((Message("user", "hi"),), key="ask-0"))
    with sqlite3.connect(store.path) as connection:
        connection.execute("DELETE FROM replies WHERE key LIKE 'text/%'")
    connection.close()
    with pytest.raises(StoreError, match=r"proposal/0/ask-0.*is missing"):
        list(exchanges(store, "s"))


def test_a_store_without_exchanges_says_so():
    """A store in memory keeps replies alone; asking it for exchanges is bad input."""
    store = MemoryStore()
    assert ask(store, Request((Message("user", "hi"),), key="ask-0")).text == "said"
    assert store.recall("s", "proposal/0/ask-0") is not None
    with pytest.raises(BadInput, match="MemoryStore keeps no exchanges"):
        list(exchanges(store, "s"))


@pytest.fixture
def study(store):
    """Return a store with a study of two steps."""
    model = ScriptedModel(["```\nab\n```", "```\nabc\n```"])
    optimize.run("t", "q", len, "a", 2, model, verbose=False, store=store, study="s")
    return store


def test_the_file_is_whole_or_not_there(study, tmp_path):
    """A file is replaced only on demand; one that cannot be written leaves what was there, and nothing beside it."""
    target = tmp_path / "out" / "run.jsonl"
    with pytest.raises(BadInput, match="cannot be written"):
        export_exchanges(study, "s", target)
    target.parent.mkdir()
    assert export_exchanges(study, "s", target) == 2
    before = target.read_bytes()
    with pytest.raises(BadInput, match="exists already"):
        export_exchanges(study, "s", target)
    assert export_exchanges(study, "s", target, force=True) == 2
    assert target.read_bytes() == before
    with pytest.raises(BadInput, match="cannot be written"):
        export_exchanges(study, "s", target.parent, force=True)
    assert list(target.parent.iterdir()) == [target]
    header, *lines = map(json.loads, before.decode().splitlines())
    assert (header["study"], header["version"], header["exchanges"], len(lines)) == ("s", 1, 2, 2)
    assert header["package"]
    assert [message["role"] for message in lines[0]["request"]["messages"]] == ["system", "user"]


def test_what_holds_nothing_is_not_exported(study, tmp_path):
    """An unknown study and one without model calls are bad input, and no file is made."""
    optimize.run("t", "q", len, "a", 0, ScriptedModel([]), verbose=False, store=study, study="empty")
    for name, says in (("nobody", "is unknown"), ("empty", "made no model call")):
        with pytest.raises(BadInput, match=says):
            export_exchanges(study, name, tmp_path / "run.jsonl")
    assert not (tmp_path / "run.jsonl").exists()
