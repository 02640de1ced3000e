"""What an endpoint refuses or ignores is found out, adapted to, remembered, and said once; over real HTTP."""

from __future__ import annotations

import logging
import threading

import pytest

from llm_optimize.core.chat import Message, Request, ToolCall, ToolSpec
from llm_optimize.core.metering import Scope, entered
from llm_optimize.errors import ModelRefused, ModelUnavailable
from llm_optimize.llm.openai import OpenAIChat
from llm_optimize.llm.quirks import adapted, quirks
from llm_optimize.testing.server import Answer, Quirks, ScriptedServer

SCHEMA = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
LOOK = ToolSpec("look", "Looks.", {"type": "object", "properties": {"where": {"type": "string"}}})


def request(n=1, tools=(), **settings):
    """Return a request with these settings; its prompt asks for JSON."""
    return Request((Message("user", "hello there, as json"),), settings, tools=tools, n=n)


@pytest.fixture
def told(caplog):
    """Give a function that returns the warnings so far."""
    caplog.set_level(logging.INFO, "llm_optimize")
    return lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


REFUSED = [
    ("temperature", {"temperature": 0.3}),
    ("top_p", {"top_p": 0.5}),
    ("seed", {"seed": 7}),
    ("top_k", {"top_k": 40}),
    ("stop", {"stop": ["x"]}),
    ("logprobs", {"logprobs": True}),
]


@pytest.mark.parametrize("style", ["parameter", "detail", "words"])
@pytest.mark.parametrize(("name", "settings"), REFUSED, ids=[name for name, _ in REFUSED])
def test_a_refused_field_is_left_out_and_said_once(name, settings, style, told):
    """The call is answered without the field, the next ones leave it out at once, and one line names it."""
    with ScriptedServer(lambda _b, _i: "hi", quirks=Quirks(refuses={name: style})) as server:
        model = OpenAIChat("m", server.url)
        assert [model.complete(request(**settings)).text for _ in range(3)] == ["hi"] * 3
        assert [name in received.body for received in server.requests] == [True, False, False, False]
        assert server.charged == 3
    assert len(told()) == 1
    assert repr(name) in told()[0]
    assert "no effect" in told()[0]


def test_only_the_default_temperature(told):
    """A reasoning model that takes no temperature but 1 is asked without one."""
    with ScriptedServer(lambda _b, _i: "hi", quirks=Quirks(refuses={"temperature": "value"})) as server:
        assert OpenAIChat("m", server.url).complete(request(temperature=0.3)).text == "hi"
    assert len(told()) == 1


def test_the_limit_on_tokens_goes_under_the_name_that_is_taken(told):
    """max_tokens is sent as max_completion_tokens where the first is refused, and the other way round."""
    for name, other in (
        ("max_tokens", "max_completion_tokens"),
        ("max_completion_tokens", "max_tokens"),
    ):
        for style in ("parameter", "detail", "words"):
            with ScriptedServer(lambda _b, _i: "one two three", quirks=Quirks(refuses={name: style})) as server:
                model = OpenAIChat("m", server.url)
                replies = [model.complete(request(**{name: 2})) for _ in range(2)]
                assert [reply.finish_reason for reply in replies] == ["length", "length"]
                first = None if name == "max_tokens" else 2  # the older name goes along from the start
                assert [received.body.get(other) for received in server.requests] == [first, 2, 2]
                assert quirks.caps_output(server.url, "m")
    assert told() == []


def test_a_limit_that_no_name_is_taken_for(told):
    """Where both names are refused the limit is left out, and known not to hold."""
    both = Quirks(refuses={"max_tokens": "detail", "max_completion_tokens": "detail"})
    with ScriptedServer(lambda _b, _i: "hi", quirks=both) as server:
        assert OpenAIChat("m", server.url).complete(request(max_tokens=2)).text == "hi"
        assert not quirks.caps_output(server.url, "m")
    assert len(told()) == 1


def test_a_limit_that_is_ignored_is_sent_under_both_names(told):
    """A reply beyond the limit makes the next call send both names; a reply that is cut off shows that it holds."""
    deaf = Quirks(ignores=frozenset({"max_tokens"}))
    with ScriptedServer(lambda _b, _i: "word " * 50, quirks=deaf) as server:
        model = OpenAIChat("m", server.url)
        assert quirks.caps_output(server.url, "m")
        assert model.complete(request(max_tokens=10)).usage.tokens_out == 50
        assert not quirks.caps_output(server.url, "m")
        assert model.complete(request(max_tokens=10)).usage.tokens_out == 10
        assert quirks.caps_output(server.url, "m")
        assert server.requests[1].body["max_completion_tokens"] == 10
    assert len(told()) == 1


def test_the_newer_name_of_the_limit_does_not_go_alone(told):
    """A server that ignores it in silence, as llama-cpp-python does, still cuts the very first reply."""
    deaf = Quirks(ignores=frozenset({"max_completion_tokens"}))
    with ScriptedServer(lambda _b, _i: "word " * 50, quirks=deaf) as server:
        assert OpenAIChat("m", server.url).complete(request(max_completion_tokens=10)).usage.tokens_out == 10
        assert len(server.requests) == 1
    assert told() == []


def test_openai_itself_gets_the_newer_name_alone():
    """Its reasoning models refuse the older one."""
    facts = quirks.of("https://api.openai.com/v1", "gpt-5")
    assert adapted({"max_completion_tokens": 5}, facts.refused) == {"max_completion_tokens": 5}
    assert adapted({"max_completion_tokens": 5}, quirks.of("http://127.0.0.1/v1", "x").refused)["max_tokens"] == 5


def test_both_names_of_the_limit_may_be_too_many(told):
    """An endpoint that ignores the limit and refuses a second name of it is asked with one, and nothing is lost."""

    def answer(body, _index):
        if {"max_tokens", "max_completion_tokens"} <= body.keys():
            return Answer("Setting 'max_tokens' and 'max_completion_tokens' at once is not supported", status=400)
        return "word " * 50

    deaf = Quirks(ignores=frozenset({"max_completion_tokens"}))
    with ScriptedServer(answer, quirks=deaf) as server:
        model = OpenAIChat("m", server.url)
        for _ in range(3):
            assert model.complete(request(max_completion_tokens=10)).usage.tokens_out == 50
        assert len(server.requests) == 4
        assert not quirks.caps_output(server.url, "m")
    assert len(told()) == 1


@pytest.mark.parametrize("style", ["parameter", "detail", "words", "mute"])
def test_several_answers_where_they_are_refused(style, told):
    """The wish for several is left out and the reply has no further answers."""
    with ScriptedServer(lambda _b, _i: "hi", quirks=Quirks(refuses={"n": style})) as server:
        model = OpenAIChat("m", server.url)
        assert [model.complete(request(n=3)).more for _ in range(2)] == [(), ()]
        assert [received.body.get("n") for received in server.requests] == [3, None, None]
    assert len(told()) == 1


def test_several_answers_where_they_are_ignored(told):
    """Fewer answers than asked for: the next call does not ask for them."""
    with ScriptedServer(lambda _b, _i: "hi", quirks=Quirks(ignores=frozenset({"n"}))) as server:
        model = OpenAIChat("m", server.url)
        assert [model.complete(request(n=3)).more for _ in range(3)] == [(), (), ()]
        assert [received.body.get("n") for received in server.requests] == [3, None, None]
    assert len(told()) == 1


def test_several_answers_where_they_work(told):
    """Each answer has its own text and end; the usage of all stands on the first."""
    said = Answer("one", more=("two", Answer("three", finish_reason="length")))
    with ScriptedServer(lambda _b, _i: said) as server:
        reply = OpenAIChat("m", server.url).complete(request(n=3))
        assert [reply.text, *(one.text for one in reply.more)] == ["one", "two", "three"]
        assert [one.finish_reason for one in reply.more] == ["stop", "length"]
        assert (reply.usage.calls, reply.usage.tokens_out) == (1, server.tokens_out)
        assert [one.usage.calls for one in reply.more] == [0, 0]
    assert told() == []


@pytest.mark.parametrize("style", ["parameter", "detail", "words", "mute", "crash"])
def test_a_schema_becomes_plain_json(style):
    """json_schema is replaced by json_object within the call; a server that fails with it twice is not asked again."""
    with ScriptedServer(lambda _b, _i: "{}", quirks=Quirks(refuses={"json_schema": style})) as server:
        model = OpenAIChat("m", server.url)
        assert [model.complete(request(response_format=SCHEMA)).text for _ in range(3)] == ["{}"] * 3
        kinds = [received.body["response_format"]["type"] for received in server.requests]
        tried = ["json_schema", "json_object"]
        assert kinds == (tried * 2 if style == "crash" else tried + tried[1:]) + ["json_object"]


def test_no_form_of_json_is_taken(told):
    """Where plain JSON is refused too, response_format is left out."""
    neither = Quirks(refuses={"json_schema": "words", "json_object": "words"})
    with ScriptedServer(lambda _b, _i: "{}", quirks=neither) as server:
        assert OpenAIChat("m", server.url).complete(request(response_format=SCHEMA)).text == "{}"
        assert "response_format" not in server.requests[-1].body
    assert len(told()) == 2


def test_a_failure_by_chance_is_not_held_against_a_field(told):
    """A 500 of a server that has answered with the schema is a failure; one that comes once is forgotten."""
    with ScriptedServer(lambda _b, i: Answer("oops", status=500) if i == 1 else "{}") as server:
        model = OpenAIChat("m", server.url)
        model.complete(request(response_format=SCHEMA))
        with pytest.raises(ModelUnavailable):
            model.complete(request(response_format=SCHEMA))
        assert len(server.requests) == 2
    with ScriptedServer(lambda _b, i: Answer("oops", status=500) if i == 0 else "{}") as server:
        model = OpenAIChat("m", server.url)
        for _ in range(2):
            assert model.complete(request(response_format=SCHEMA)).text == "{}"
        assert server.requests[-1].body["response_format"]["type"] == "json_schema"
    assert told() == []


@pytest.mark.parametrize("style", ["parameter", "detail", "words", "mute"])
def test_tools_that_are_refused(style, told):
    """The call goes out without tools, and without what belongs to them."""
    with ScriptedServer(lambda _b, _i: "hi", quirks=Quirks(refuses={"tools": style})) as server:
        reply = OpenAIChat("m", server.url).complete(request(tools=(LOOK,), parallel_tool_calls=False))
        assert (reply.text, reply.tool_calls) == ("hi", ())
        assert not {"tools", "parallel_tool_calls"} & server.requests[-1].body.keys()
    assert len(told()) == 1


def test_tools_travel_both_ways():
    """A tool is described, its calls are read, and its result is sent back under the call's id."""
    asked = Answer(None, tool_calls=(("look", {"where": "up"}), ("count", "{broken")))
    with ScriptedServer(lambda _b, i: asked if i == 0 else "done") as server:
        model = OpenAIChat("m", server.url)
        first = model.complete(request(tools=(LOOK,)))
        assert first.finish_reason == "tool_calls"
        assert first.tool_calls == (
            ToolCall("call_0", "look", '{"where": "up"}'),
            ToolCall("call_1", "count", "{broken"),
        )
        turns = (
            Message("user", "hello"),
            Message("assistant", "", first.tool_calls),
            Message("tool", "blue", tool_call_id="call_0"),
            Message("tool", "no", tool_call_id="call_1"),
        )
        assert model.complete(Request(turns, tools=(LOOK,))).text == "done"
        function = {"name": "look", "description": "Looks.", "parameters": LOOK.parameters}
        assert server.requests[0].body["tools"] == [{"type": "function", "function": function}]
        sent = server.requests[1].body["messages"]
        assert sent[1]["content"] is None
        assert sent[1]["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"where": "up"}'}
        assert sent[2] == {"role": "tool", "content": "blue", "tool_call_id": "call_0"}


@pytest.mark.parametrize(
    "settings",
    [{"temperature": 99}, {"temperature": -1, "top_p": 0.5, "seed": 1}],
)
def test_a_wrong_value_stays_an_error(settings, told):
    """A temperature that no model takes is refused with the endpoint's words, after one request."""
    with ScriptedServer(lambda _b, _i: "hi") as server:
        with pytest.raises(ModelRefused, match="Invalid 'temperature'"):
            OpenAIChat("m", server.url).complete(request(**settings))
        assert len(server.requests) == 1
    assert told() == []


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ("temperature must be between 0 and 2", {"temperature": 9}),
        ("Unsupported value: 'reasoning_effort'. Supported values are: 'low', 'high'.", {"reasoning_effort": "huge"}),
        ("max_tokens is too large: 99999. This model supports at most 4096 tokens", {"max_tokens": 99999}),
        ("Invalid schema for response_format 'x': 'allOf' is not permitted", {"response_format": SCHEMA}),
        ("Unrecognized request argument supplied: temprature", {"temprature": 0.5}),
        ("The response was filtered due to the content management policy", {"response_format": SCHEMA}),
        ("The model `m` does not exist", {"response_format": SCHEMA}),
    ],
)
def test_complaints_about_values_misprints_and_other_things_stay_errors(words, settings, told):
    """Nothing is left out for a value out of range, a misprinted name, a filter, or an unknown model."""
    with ScriptedServer(lambda _b, _i: Answer(words, status=400), models=None) as server:
        with pytest.raises(ModelRefused):
            OpenAIChat("m", server.url).complete(request(**settings))
        assert len(server.requests) == 1
    assert told() == []


def test_an_endpoint_that_refuses_everything_is_given_up():
    """The adaptations of one call are bounded."""
    fields = ("temperature", "top_p", "seed", "top_k", "min_p", "stop", "logprobs", "presence_penalty", "logit_bias")
    everything = Quirks(refuses=dict.fromkeys((*fields, "user", "store"), "detail"))
    with ScriptedServer(lambda _b, _i: "hi", quirks=everything) as server:
        with pytest.raises(ModelRefused):
            OpenAIChat("m", server.url).complete(request(**dict.fromkeys((*fields, "user", "store"), 0.5)))
        assert len(server.requests) == 9


def test_many_first_calls_at_once_say_it_once(told):
    """64 calls that all meet the refusal are all answered, and one line is logged."""
    together = threading.Barrier(64)

    class Slow(Quirks):
        def refusal(self, body):
            if "seed" in body:
                together.wait(30)
            return super().refusal(body)

    with ScriptedServer(lambda _b, _i: "hi", quirks=Slow(refuses={"seed": "parameter"})) as server:
        model, said = OpenAIChat("m", server.url), []
        threads = [
            threading.Thread(target=lambda: said.append(model.complete(request(seed=1)).text)) for _ in range(64)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert said == ["hi"] * 64
        assert len(server.requests) == 128
        assert server.charged == 64
    assert len(told()) == 1


def test_each_model_of_an_endpoint_has_its_own_facts():
    """What one model refuses another is still asked for."""
    with ScriptedServer(lambda _b, _i: "hi", quirks=Quirks(refuses={"seed": "parameter"})) as server:
        OpenAIChat("one", server.url).complete(request(seed=1))
        OpenAIChat("two", server.url).complete(request(seed=1))
        assert ["seed" in received.body for received in server.requests] == [True, False, True, False]


def test_streams_that_are_refused(told):
    """A stream, or its usage, that is refused is not asked for again; the reply is the same."""
    for name, style in (
        ("stream", "words"),
        ("stream", "mute"),
        ("stream_options", "detail"),
        ("stream_options", "mute"),
    ):
        heard = []
        with ScriptedServer(lambda _b, _i: "one two", quirks=Quirks(refuses={name: style})) as server:
            model = OpenAIChat("m", server.url)
            with entered(Scope("s", "proposal/1", hear=heard.append)):
                replies = [model.complete(request()) for _ in range(2)]
            assert [reply.text for reply in replies] == ["one two"] * 2
            assert replies[0].usage.tokens_out == 2
            assert replies[0].usage.estimated is (name == "stream_options")
            assert name not in server.requests[-1].body
            assert server.charged == 2
        assert bool(heard) is (name == "stream_options")
    assert told() == []


def test_adapted_changes_nothing_that_is_not_refused():
    """Without refusals the body is the wanted one, and the wanted one is never changed."""
    wanted = {"model": "m", "messages": [], "max_tokens": 3, "response_format": SCHEMA, "stream": True}
    before = dict(wanted)
    assert adapted(wanted, frozenset()) == before
    adapted(wanted, frozenset({"max_tokens", "json_schema", "stream", "model"}))
    assert wanted == before
