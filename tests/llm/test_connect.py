"""From what a user writes to a model that answers: names, URLs, old objects, options and the stack."""

from __future__ import annotations

import pickle
import subprocess
import sys

import openai
import pytest

from llm_optimize import llm
from llm_optimize.core.chat import Message, Reply, Request
from llm_optimize.core.types import Usage
from llm_optimize.errors import BadInput, BadReply, ModelRefused, ModelUnavailable
from llm_optimize.llm.cached import Cached
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.llm.limited import Limited
from llm_optimize.llm.model import CalledModel, as_chat_model, model_name
from llm_optimize.llm.openai import OpenAIChat
from llm_optimize.llm.options import DefaultChat
from llm_optimize.llm.priced import Priced
from llm_optimize.llm.recorded import Recorded
from llm_optimize.llm.retrying import Retrying
from llm_optimize.llm.traced import Traced
from llm_optimize.testing.server import Answer, ScriptedServer


@pytest.fixture
def options():
    """Give the options dict and put it back as it was."""
    before = dict(llm.default_llm_options)
    yield llm.default_llm_options
    llm.default_llm_options.clear()
    llm.default_llm_options.update(before)


@pytest.fixture
def server():
    """Serve numbered answers."""
    with ScriptedServer(lambda _body, index: f"answer {index}", models=("scripted", "gpt-4")) as running:
        yield running


def test_the_stack_is_traced_recorded_cached_priced_limited_retrying_client():
    """The layers stand in one order, and the name shows through all of them."""
    model = llm.connect("http://127.0.0.1:1/v1#qwen3")
    layers = list(llm.layers(model))
    assert [type(layer) for layer in layers] == [Traced, Recorded, Cached, Priced, Limited, Retrying, DefaultChat]
    assert {model_name(layer) for layer in layers} == {"qwen3"}


def test_ready_models_are_priced_and_recorded_but_not_retried():
    """A chat model of the user's own keeps its own way with failures; a stack stays as it is."""
    model = llm.connect(ScriptedModel(["x"]))
    assert [type(layer) for layer in llm.layers(model)] == [Traced, Recorded, Priced, ScriptedModel]
    assert llm.connect(model) is model


@pytest.mark.parametrize("way", ["url", "base_url", "environment", "options", "old options", "client"])
def test_every_way_to_name_a_server_reaches_it(way, server, options, monkeypatch, hello):
    """URL with name, base_url, environment, options in both spellings, and an openai client."""
    if way == "url":
        model = llm.connect(f"{server.url}#scripted")
    elif way == "base_url":
        model = llm.connect("scripted", base_url=server.url)
    elif way == "environment":
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("LLM_OPTIMIZE_MODEL", "scripted")
        model = llm.get_default_llm()
    elif way == "options":
        options.update(model_name="scripted", base_url=server.url, api_key="k")
        model = llm.get_default_llm()
    elif way == "old options":
        options.update(model_name="scripted", openai_api_base=server.url, openai_api_key="k")
        model = llm.get_default_llm()
    else:
        monkeypatch.setenv("LLM_OPTIMIZE_MODEL", "scripted")
        with openai.OpenAI(base_url=server.url, api_key="k") as client:
            assert llm.connect(client).complete(hello).text == "answer 0"
        return
    assert model.complete(hello).text == "answer 0"
    assert server.requests[0].body["model"] == "scripted"
    assert (server.requests[0].headers["authorization"] == "Bearer k") == ("options" in way)


def test_options_are_read_at_each_call(server, options, hello):
    """A change of the dict reaches a model that was made before; extra entries go to the body."""
    options.update(base_url=server.url)
    model = llm.get_default_llm()
    model.complete(hello)
    options.update(model_name="scripted", temperature=0.3, max_tokens=7, request_timeout=9)
    model.complete(hello)
    assert server.requests[0].body == {"model": "gpt-4", "messages": [{"role": "user", "content": "hello there"}]}
    assert server.requests[1].body == {
        **server.requests[0].body,
        "model": "scripted",
        "temperature": 0.3,
        "max_tokens": 7,
    }
    assert (model_name(model), DefaultChat().timeout) == ("scripted", 9.0)


def test_the_name_comes_from_the_dict_then_the_environment_then_gpt_4(options, monkeypatch):
    """A changed dict wins over the environment, which wins over the first default."""
    assert DefaultChat().name == "gpt-4"
    monkeypatch.setenv("LLM_OPTIMIZE_MODEL", "from-environment")
    assert DefaultChat().name == "from-environment"
    options.update(model_name="from-dict")
    assert DefaultChat().name == "from-dict"
    monkeypatch.setenv("LLM_OPTIMIZE_MODEL", "http://127.0.0.1:1/v1#local")
    options.update(model_name="gpt-4")
    assert (DefaultChat().name, DefaultChat().now().base_url) == ("local", "http://127.0.0.1:1/v1")


def test_whether_a_model_can_be_had(options, monkeypatch):
    """A key or a server anywhere is enough; without, the message names both."""
    assert not llm.have_model()
    for make in (llm.require_model, llm.get_default_llm):
        with pytest.raises(BadInput, match=r"model: there is none; set OPENAI_API_KEY, or OPENAI_BASE_URL"):
            make()
    options.update(openai_api_key="k")
    assert llm.have_model()
    options.pop("openai_api_key")
    for name, value in (
        ("OPENAI_API_KEY", "k"),
        ("OPENAI_BASE_URL", "http://h/v1"),
        ("OPENAI_API_BASE", "http://h/v1"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert llm.have_model()
    monkeypatch.setenv("LLM_OPTIMIZE_MODEL", "http://h/v1#m")
    assert llm.have_model()
    llm.require_model()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("http://127.0.0.1:11434/v1", "no model"),
        ("http://127.0.0.1:11434/v1#", "no model"),
        ("ftp://h#m", "not a server's URL"),
        (7, "no chat model"),
        (object(), "no chat model"),
        (ScriptedModel, "no chat model"),
        (openai.AsyncOpenAI(api_key="k"), "asynchronous"),
    ],
)
def test_what_is_no_model_is_named(model, words):
    """Anything else is refused when it is given, in one line."""
    with pytest.raises(BadInput, match=words) as caught:
        llm.connect(model)
    assert "\n" not in str(caught.value)


def test_bad_options_are_named(options, hello):
    """An option that cannot work names itself."""
    options.update(base_url="http://127.0.0.1:1/v1", timeout=-1)
    with pytest.raises(BadInput, match="timeout"):
        llm.get_default_llm().complete(hello)
    options.update(timeout=None, model_name=7)
    with pytest.raises(BadInput, match="model_name"):
        DefaultChat().now()


def test_a_stack_pickles_with_the_options_it_was_made_from(server, options, hello):
    """In another process, whose dict is fresh, the model is still the same."""
    options.update(model_name="scripted", base_url=server.url)
    packed = pickle.dumps(llm.get_default_llm())
    options.clear()
    assert pickle.loads(packed).complete(hello).text == "answer 0"
    assert server.requests[0].body["model"] == "scripted"


class TestOldModels:
    """The predecessor's objects, and today's that resemble them."""

    def test_callable_with_messages(self):
        """Messages have content, role and type; the result's content is the text."""
        seen = []

        class Old:
            model_name = "old-4"

            def __call__(self, messages):
                seen.extend(messages)
                return type("Result", (), {"content": "fine"})()

        model = as_chat_model(Old())
        messages = (Message("system", "s"), Message("user", "u"), Message("assistant", "a"))
        reply = model.complete(Request(messages))
        assert (reply.text, reply.model, reply.usage.calls) == ("fine", "old-4", 1)
        assert reply.usage.estimated
        assert [(m.content, m.role, m.type) for m in seen] == [
            ("s", "system", "system"),
            ("u", "user", "human"),
            ("a", "assistant", "ai"),
        ]

    def test_call_as_llm_and_invoke(self):
        """Objects with ``call_as_llm`` get one text, objects with ``invoke`` get role and content."""

        class AsLLM:
            def call_as_llm(self, text):
                return text.upper()

        class Invoked:
            def invoke(self, messages):
                parts = [{"type": "text", "text": message["role"]} for message in messages]
                counts = {"input_tokens": 5, "output_tokens": 2}
                return type("Result", (), {"content": parts, "usage_metadata": counts})()

        request = Request((Message("system", "a"), Message("user", "b")))
        assert as_chat_model(AsLLM()).complete(request).text == "A\n\nB"
        reply = as_chat_model(Invoked()).complete(request)
        assert (reply.text, reply.usage.tokens_in, reply.usage.estimated) == ("systemuser", 5, False)

    def test_their_failures_are_translated(self, hello):
        """A result without text is a bad reply, a broken connection is unavailable, a bug stays a bug."""
        with pytest.raises(BadReply, match="returned int"):
            CalledModel(lambda _messages: 7).complete(hello)

        def broken(_messages):
            msg = "reset\nby peer"
            raise ConnectionResetError(msg)

        with pytest.raises(ModelUnavailable, match="broken failed: ConnectionResetError: reset by peer"):
            CalledModel(broken).complete(hello)
        with pytest.raises(ZeroDivisionError):
            CalledModel(lambda _messages: 1 / 0).complete(hello)


def test_preflight_reaches_the_client_through_the_stack(server, hello):
    """The free check of a stack is its client's; models without one pass."""
    llm.preflight(llm.connect(f"{server.url}#scripted"))
    llm.preflight(llm.connect(ScriptedModel([])))
    with pytest.raises(BadInput, match="OPENAI_API_KEY"):
        llm.preflight(llm.connect("gpt-5"))
    unknown = Answer("model not found", status=404)
    with (
        ScriptedServer(lambda _b, _i: unknown, models=("other",)) as strict,
        pytest.raises(ModelRefused, match="it offers other"),
    ):
        llm.preflight(llm.connect(f"{strict.url}#x"))


def test_the_switch_stops_requests_to_elsewhere(hello, monkeypatch):
    """``llm.requests.allowed = False`` stops what is not on this machine, without the environment's help."""
    monkeypatch.delenv("LLM_OPTIMIZE_NO_REQUESTS")
    llm.requests.allowed = False
    try:
        with pytest.raises(ModelRefused, match="switched off"):
            OpenAIChat("m", "http://example.org/v1").complete(hello)
    finally:
        llm.requests.allowed = True


def test_importing_loads_no_heavy_package():
    """The SDK, tiktoken, tenacity, prices and pydantic are loaded by use, not by import."""
    program = """
import sys, llm_optimize.llm, llm_optimize.llm.fake, llm_optimize.testing.server
heavy = {"openai", "tiktoken", "tenacity", "genai_prices", "pydantic", "httpx2", "numpy", "asyncio"} & set(sys.modules)
sys.exit(f"loaded: {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class TestScriptedModel:
    """The published model for tests and examples."""

    def test_lists_functions_replies_and_errors(self, hello):
        """Texts, replies and errors come in order, or from a function; each has a usage."""
        given = Reply("mine", usage=Usage(1, 7, 0, 3))
        model = ScriptedModel(["one", given, ModelUnavailable("down")], name="test")
        first = model.complete(hello)
        assert (first.text, first.model, first.usage.calls, first.usage.estimated) == ("one", "test", 1, False)
        assert first.usage.tokens_in > 0
        assert model.complete(hello) == given
        with pytest.raises(ModelUnavailable):
            model.complete(hello)
        with pytest.raises(ModelRefused, match="holds 3 replies"):
            model.complete(hello)
        assert model.requests == [hello] * 4
        echo = ScriptedModel(lambda request: request.messages[-1].content)
        assert echo.complete(hello).text == "hello there"
