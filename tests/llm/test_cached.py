"""The cache before the price: what is a hit, what is never kept, who asks when many ask the same."""

from __future__ import annotations

import contextlib
import pickle
import threading

import pytest

from llm_optimize import llm, optimize
from llm_optimize.core.budget import Budget
from llm_optimize.core.chat import Message, Reply, Request, ToolSpec
from llm_optimize.core.ledger import Ledger, UnitGuard
from llm_optimize.core.metering import Scope, entered
from llm_optimize.core.types import Usage
from llm_optimize.errors import BadReply, BudgetExceeded, ModelRefused
from llm_optimize.llm.cache_stores import MemoryCache, SQLiteCache
from llm_optimize.llm.cached import Cached
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.llm.openai import OpenAIChat
from llm_optimize.llm.priced import Priced
from llm_optimize.llm.provenance import noting
from llm_optimize.llm.recorded import Recorded
from llm_optimize.stores.memory import MemoryStore
from llm_optimize.testing.server import Answer, ScriptedServer

COLD = {"temperature": 0}


def ask(text="hi", settings=COLD, **more):
    return Request((Message("user", text),), settings, **more)


def counting(*_):
    """Answer each request with its own number."""
    return ScriptedServer(lambda _body, index: f"answer {index}")


def test_what_repeats_is_asked_once_and_costs_nothing():
    """A second equal request with temperature 0 is the first one's reply, free and marked as from the cache."""
    with counting() as server:
        model = Cached(OpenAIChat("scripted", server.url))
        first = model.complete(ask())
        with noting() as source:
            again = model.complete(ask())
        assert (first.text, again.text, source.source) == ("answer 0", "answer 0", "cache")
        assert first.usage.calls == 1
        assert again.usage == Usage()
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("settings", "own", "hits"),
    [
        ({}, {}, False),
        ({"temperature": 0.7}, {}, False),
        ({"temperature": 0}, {}, True),
        ({"temperature": 0.0}, {}, True),
        ({"temperature": False}, {}, False),
        ({"seed": 7}, {}, True),
        ({"temperature": 1, "seed": 0}, {}, True),
        ({}, {"temperature": 0}, True),
        ({"temperature": 1}, {"temperature": 0}, False),
    ],
)
def test_only_what_repeats_is_cached(settings, own, hits):
    """Temperature 0 or a seed, the request's or the model's own; with always=True everything."""
    with counting() as server:
        model = OpenAIChat("scripted", server.url, settings=own)
        for cached, expected in ((Cached(model), hits), (Cached(model, always=True), True)):
            texts = {cached.complete(ask(settings=settings)).text for _ in range(2)}
            assert (len(texts) == 1) == expected


def test_whatever_the_model_would_see_is_part_of_the_key():
    """Another text, setting, tool, number of answers, model or server is another request."""
    with counting() as one, counting() as two:
        cache = MemoryCache()
        model = Cached(OpenAIChat("scripted", one.url), cache)
        tool = ToolSpec("look", "looks", {"type": "object"})
        different = [
            ask(),
            ask("ho"),
            ask(settings={"temperature": 0, "max_tokens": 5}),
            ask(settings={"temperature": 0, "model": "other"}),
            ask(tools=(tool,)),
            ask(n=2),
        ]
        for request in different * 2:
            model.complete(request)
        assert len(one.requests) == len(different)
        Cached(OpenAIChat("scripted", two.url), cache).complete(ask())
        Cached(OpenAIChat("else", one.url), cache).complete(ask())
        Cached(OpenAIChat("scripted", one.url, settings={"top_p": 0.5}), cache).complete(ask())
        assert (len(one.requests), len(two.requests)) == (len(different) + 2, 1)


def test_the_clients_own_settings_and_the_call_s_identity_are_not():
    """The timeout, the idempotency key and where a setting comes from make no difference."""
    with counting() as server:
        cache = MemoryCache()
        Cached(OpenAIChat("scripted", server.url, settings={"temperature": 0}), cache).complete(ask(settings={}))
        model = Cached(OpenAIChat("scripted", server.url), cache)
        model.complete(ask(settings={"temperature": 0, "timeout": 5}, idempotency_key="k"))
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "bad",
    [
        Answer("cut", finish_reason="length"),
        Answer("", finish_reason="content_filter"),
        Answer(None, refusal="no"),
        Answer(""),
        Answer("no", status=400),
        Answer(raw=b"<html></html>", headers={"Content-Type": "text/html"}),
    ],
)
def test_what_failed_or_was_cut_off_is_never_kept(bad):
    """The next equal request is asked again, and its good answer is kept."""
    answers = [bad, "good"]
    with ScriptedServer(lambda _body, index: answers[index]) as server:
        model = Cached(OpenAIChat("scripted", server.url))
        with contextlib.suppress(ModelRefused, BadReply):
            model.complete(ask())
        assert [model.complete(ask()).text for _ in range(2)] == ["good", "good"]
        assert len(server.requests) == 2


def together(model, count, waiting):
    """Run ``count`` equal calls in threads; return their replies and errors when all are done."""
    found = []

    def call():
        try:
            found.append(model.complete(ask()))
        except ModelRefused as error:
            found.append(error)

    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    waiting()
    for thread in threads:
        thread.join(60)
    return found


def test_equal_requests_at_the_same_time_are_asked_once():
    """Eight threads get the one answer; one of them paid."""
    go = threading.Event()

    def answer(_body, index):
        go.wait(60)
        return f"answer {index}"

    with ScriptedServer(answer) as server:
        model = Cached(OpenAIChat("scripted", server.url))
        found = together(model, 8, go.set)
        assert {reply.text for reply in found} == {"answer 0"}
        assert sum(reply.usage.calls for reply in found) == 1
        assert len(server.requests) == 1


def test_when_the_first_fails_the_others_ask_themselves():
    """A failure is the asker's own; whoever waited for it asks, and nobody is left waiting."""
    arrived, go = threading.Event(), threading.Event()

    def answer(request):
        first = not arrived.is_set()
        arrived.set()
        if first:
            go.wait(60)
            return ModelRefused("no")
        return Reply("good")

    model = Cached(ScriptedModel(answer))
    found = together(model, 5, lambda: (arrived.wait(60), go.set()))
    assert sum(isinstance(one, ModelRefused) for one in found) == 1
    assert [one.text for one in found if isinstance(one, Reply)] == ["good"] * 4


def test_an_interrupt_ends_the_wait_for_another():
    """Ctrl-C does not leave a thread waiting for an answer that another thread is stuck in."""
    arrived, go = threading.Event(), threading.Event()
    asked = []

    def answer(request):
        asked.append(request)
        if len(asked) == 1:
            arrived.set()
            go.wait(60)
        return Reply(f"answer {len(asked)}")

    model = Cached(ScriptedModel(answer))
    stuck = threading.Thread(target=model.complete, args=(ask(),))
    stuck.start()
    arrived.wait(60)
    llm.requests.interrupt()
    try:
        assert model.complete(ask()).text == "answer 2"
    finally:
        llm.requests.resume()
        go.set()
        stuck.join(60)


def test_samples_within_a_unit_are_different_and_shared_across_evaluations():
    """A scorer that asks the same twice gets two samples; scoring the same text again gets the same two."""
    texts = iter(f"answer {number}" for number in range(100))
    model = Cached(ScriptedModel(lambda _: Reply(next(texts))))
    found = []
    for unit in ("evaluation/1", "evaluation/2"):
        with entered(Scope("s", unit)):
            found.append([model.complete(ask()).text for _ in range(3)])
    assert found == [["answer 0", "answer 1", "answer 2"]] * 2


@pytest.mark.parametrize("recorded", [False, True])
def test_proposals_never_share_a_sample(recorded):
    """Two proposals of a study with equal prompts get two answers; the same slot of another study gets the first's."""
    texts = iter(f"answer {number}" for number in range(100))
    cached = Cached(ScriptedModel(lambda _: Reply(next(texts))))
    model = Recorded(cached) if recorded else cached
    store = MemoryStore()
    found = {}
    for study in ("one", "two"):
        for slot in (0, 1):
            with entered(Scope(study, f"proposal/{slot}", replies=store if recorded else None)):
                found[study, slot] = [model.complete(ask()).text, model.complete(ask("b", key="ask-1")).text]
    assert found["one", 0] == found["two", 0] == ["answer 0", "answer 1"]
    assert found["one", 1] == found["two", 1] == ["answer 2", "answer 3"]


def test_a_hit_fits_into_a_spent_budget():
    """A budget that allows no further call allows a hit, and nothing is counted for it."""
    model = Cached(Priced(ScriptedModel(["hello"])))
    model.complete(ask())
    ledger = Ledger(Budget(tokens=1))
    with entered(Scope("s", "evaluation/1", UnitGuard(ledger, "evaluation/1"))) as scope:
        assert model.complete(ask()).text == "hello"
        with pytest.raises(BudgetExceeded):
            model.complete(ask("something else"))
        assert scope.usage == Usage()


def test_a_second_run_with_the_same_file_asks_nothing(tmp_path):
    """The same study under another name, with temperature 0 and a cache file, is free and ends the same."""
    with ScriptedServer(lambda _body, index: f"```\n{'x' * (index + 2)}\n```") as server:
        results = []
        for name in ("first", "second"):
            cache = SQLiteCache(tmp_path / "replies.db")
            chat = OpenAIChat("scripted", server.url, settings={"temperature": 0})
            model = llm.connect(chat, cache=cache)
            results.append(
                optimize.run(
                    "Write a longer line.",
                    "Which?",
                    lambda text: float(len(text)),
                    "x",
                    5,
                    model,
                    verbose=False,
                    store=str(tmp_path / "studies.db"),
                    study=name,
                )
            )
            cache.close()
        assert len(server.requests) == 5
    assert tuple(results[0]) == tuple(results[1])
    assert results[0].usage.calls == 5
    assert results[1].usage == Usage()


def test_connect_takes_a_cache(tmp_path):
    """None caches what repeats in memory, False nothing, a path in a file; a model of one's own only when asked."""
    with counting() as server:
        name = f"{server.url}#scripted"
        kinds = {cache: type(found_cache(llm.connect(name, cache=cache))) for cache in (None, False)}
        assert kinds == {None: MemoryCache, False: type(None)}
        model = llm.connect(name, cache=tmp_path / "replies.db")
        assert [model.complete(ask()).text for _ in range(2)] == ["answer 0"] * 2
        found_cache(model).close()
        assert found_cache(llm.connect(ScriptedModel(["x"]))) is None
        assert found_cache(llm.connect(ScriptedModel(["x"]), cache=MemoryCache())) is not None


def found_cache(model):
    """Return the cache of a stack, or None."""
    return next((layer.cache for layer in llm.layers(model) if isinstance(layer, Cached)), None)


def test_a_cached_model_travels(tmp_path):
    """A pickled stack opens the same file in the other process."""
    with counting() as server:
        model = Cached(OpenAIChat("scripted", server.url), SQLiteCache(tmp_path / "replies.db"), always=True)
        model.complete(ask())
        copy = pickle.loads(pickle.dumps(model))
        assert copy.complete(ask()).text == "answer 0"
        assert (copy.always, len(server.requests)) == (True, 1)
        for one in (model, copy):
            one.cache.close()


def test_an_entry_that_cannot_be_read_is_asked_for_again():
    """What an older version, or somebody else, left in the cache is replaced."""

    class Foreign(MemoryCache):
        def get(self, key):
            return super().get(key) or "{}"

    model = Cached(ScriptedModel(["hello"]), Foreign())
    assert [model.complete(ask()).text for _ in range(2)] == ["hello", "hello"]
