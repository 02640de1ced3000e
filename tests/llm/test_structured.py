"""A reply of a pydantic type comes back checked, in whichever way the endpoint can give it; over real HTTP."""

from __future__ import annotations

import enum
import json
import subprocess
import sys

import pytest
from pydantic import BaseModel, Field, RootModel

from llm_optimize import llm
from llm_optimize.core.chat import Message, Reply
from llm_optimize.core.metering import Scope, entered
from llm_optimize.errors import BadInput, BadReply, ModelRefused
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.llm.openai import OpenAIChat
from llm_optimize.llm.quirks import quirks
from llm_optimize.llm.schemas import json_values, response_format
from llm_optimize.llm.structured import ask
from llm_optimize.testing.quirks import LITELLM_MOCK, LLAMA_CPP_PYTHON, TRANSFORMERS_SERVE
from llm_optimize.testing.server import Answer, Quirks, ScriptedServer

CHAT = [Message("system", "be brief"), Message("user", "where is it?")]
GOOD = '{"x": 3, "y": {"name": "up"}}'


class Kind(enum.Enum):
    """Words."""

    UP = "up"
    DOWN = "down"


class Direction(BaseModel):
    """Where to."""

    name: Kind


class Point(BaseModel):
    """A place."""

    x: int = Field(ge=0)
    y: Direction
    note: str = ""


class Free(BaseModel):
    """Keys that nobody knows before."""

    scores: dict[str, float]


def obedient(body, _index):
    """Answer as an endpoint does that honours what it is asked for, and chats otherwise."""
    if "response_format" in body:
        return GOOD
    if "tool_choice" in body:
        return Answer(None, tool_calls=((body["tool_choice"]["function"]["name"], GOOD),))
    return f"Sure, here it is:\n```json\n{GOOD}\n```\nAnything else?" if "JSON schema" in str(body) else "over there"


def ways(server):
    """Return which way each request took."""
    bodies = [received.body for received in server.requests]
    return ["schema" if "response_format" in body else "tool" if "tools" in body else "text" for body in bodies]


@pytest.mark.parametrize(
    ("endpoint", "first", "later"),
    [
        (Quirks(), ["schema"], "schema"),
        (Quirks(ignores=frozenset({"json_schema"})), ["schema", "tool"], "tool"),
        (Quirks(refuses={"response_format": "detail"}), ["schema", "text", "tool"], "tool"),
        (Quirks(ignores=frozenset({"json_schema", "tool_choice"})), ["schema", "tool", "text"], "text"),
        (
            Quirks(ignores=frozenset({"json_schema"}), refuses={"tools": "words"}),
            ["schema", "tool", "text", "text"],
            "text",
        ),
        (TRANSFORMERS_SERVE, ["schema", "tool", "text"], "text"),
        (LITELLM_MOCK, ["schema", "tool", "text"], "text"),
    ],
)
def test_the_way_is_found_and_remembered(endpoint, first, later):
    """The best way is tried first, the next after it; the second time the way that works is taken at once."""
    with ScriptedServer(lambda body, index: obedient(endpoint.heeded(body), index), quirks=endpoint) as server:
        model = OpenAIChat("m", server.url)
        assert ask(model, CHAT, Point).value == Point(x=3, y=Direction(name=Kind.UP))
        assert ways(server) == first
        before = len(server.requests)
        found = ask(model, CHAT, Point)
        assert ways(server)[before:] == [later]
        assert found.reply.usage.calls == 1


def test_a_server_that_fails_with_a_schema():
    """A 500 for the schema is answered with plain JSON in the same call."""
    with ScriptedServer(lambda _b, _i: GOOD, quirks=LLAMA_CPP_PYTHON) as server:
        chat = [Message("user", "where, as JSON?")]
        assert ask(OpenAIChat("m", server.url), chat, Point).value.x == 3
        assert len(server.requests) == 2


def test_a_value_that_does_not_fit_is_repaired():
    """The model is shown what is wrong, once; all calls are counted, in the scope and in the reply."""
    answers, scope = ['{"x": -1, "y": {"name": "up"}}', GOOD], Scope("s", "evaluation/1")
    with ScriptedServer(lambda _b, i: answers[i]) as server, entered(scope):
        found = ask(llm.connect(f"{server.url}#m"), CHAT, Point, key="judge", settings={"temperature": 0})
        assert found.value.x == 3
        assert found.reply.usage.calls == scope.usage.calls == server.charged == 2
        assert found.reply.usage.tokens_out == server.tokens_out
        said = server.requests[1].body["messages"]
        assert [message["role"] for message in said] == ["system", "user", "assistant", "user"]
        assert "x: Input should be greater than or equal to 0" in said[-1]["content"]
        assert [received.body["temperature"] for received in server.requests] == [0, 0]


def test_a_tool_call_that_does_not_fit_is_repaired():
    """Malformed arguments of the forced tool are answered with what is wrong."""
    calls = [Answer(None, tool_calls=(("Point", said),)) for said in ('{"x": "three"}', GOOD)]
    with ScriptedServer(lambda _b, i: calls[i]) as server:
        quirks.of(server.url, "m").learn_unable("schema")
        assert ask(OpenAIChat("m", server.url), CHAT, Point).value.x == 3
        assert ways(server) == ["tool", "tool"]


def test_in_the_end_the_reply_is_bad():
    """Without repairs left the error names the type, the field, the number of calls and what was said."""
    model = ScriptedModel(["nothing", '{"x": 1}'])
    with pytest.raises(BadReply, match=r"no Point after 2 calls: y: Field required; the model said: \{"):
        ask(model, CHAT, Point)
    with pytest.raises(BadReply, match=r"no Point after 1 call: there is no JSON value"):
        ask(ScriptedModel(["nothing"]), CHAT, Point, repairs=0)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(None, refusal="I will not"), "declined to answer: I will not"),
        (Answer('{"x": 3, "y": {"na', finish_reason="length"), "cut off"),
        (Answer("", finish_reason="content_filter"), "content filter"),
    ],
)
def test_a_refusal_or_a_cut_off_reply_is_bad(answer, words):
    """It is not repaired, and the reason is told."""
    with ScriptedServer(lambda _b, _i: answer) as server:
        with pytest.raises(BadReply, match=words):
            ask(OpenAIChat("m", server.url), CHAT, Point)
        assert len(server.requests) == 1


def test_any_chat_model_will_do():
    """A function of messages, and a scripted model, are asked with the schema in the prompt."""
    seen = []

    def old(messages):
        seen.append(messages[-1].content)
        return f"<think>hm {{}}</think> so: {GOOD}"

    assert ask(llm.as_chat_model(old), CHAT, Point).value.x == 3
    assert "JSON schema" in seen[0]
    assert seen[0].startswith("where is it?")
    model = ScriptedModel([Reply("[1, 2]")])
    assert ask(model, CHAT, RootModel[list[int]]).value.root == [1, 2]
    assert not model.requests[0].settings


def test_a_schema_that_is_refused_for_itself_is_asked_for_otherwise():
    """An endpoint that finds fault with the schema is asked in the next way; a refused key is an error."""
    words = Answer("Invalid schema for response_format 'Point': 'minimum' is not permitted", status=400)
    with ScriptedServer(lambda b, i: words if "response_format" in b else obedient(b, i)) as server:
        assert ask(OpenAIChat("m", server.url), CHAT, Point).value.x == 3
        assert ways(server) == ["schema", "tool"]
    with ScriptedServer(lambda _b, _i: Answer("no", status=401)) as server, pytest.raises(ModelRefused):
        ask(OpenAIChat("m", server.url), CHAT, Point)


def test_strict_where_the_schema_allows():
    """Every object is closed and every field required; a schema with free keys is sent as it is."""
    strict = response_format(Point)["json_schema"]
    assert strict["strict"] is True
    assert strict["schema"]["required"] == ["x", "y", "note"]
    assert strict["schema"]["additionalProperties"] is False
    assert strict["schema"]["$defs"]["Direction"]["additionalProperties"] is False
    assert "default" not in json.dumps(strict)
    assert response_format(Free)["json_schema"]["strict"] is False


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("prose only {not json}", []),
        ('{"a": 1}', ['{"a": 1}']),
        ('x ```json\n{"a": "}"}\n``` y', ['{"a": "}"}']),
        ('{"a": {"b": [1]}} and [2] {', ['{"a": {"b": [1]}}', "[2]"]),
        ("[" * 100_000, []),
    ],
)
def test_values_are_found_in_prose(text, found):
    """Objects and arrays are found whatever stands around them, and malformed ones are passed over."""
    assert list(json_values(text)) == found


@pytest.mark.parametrize(
    ("arguments", "field"),
    [(((), Point), "messages"), ((CHAT, dict), "reply_type"), ((CHAT, 3), "reply_type"), ((CHAT, GOOD), "reply_type")],
)
def test_bad_input_names_the_field(arguments, field):
    """Nothing is asked for what cannot work."""
    model = ScriptedModel([])
    with pytest.raises(BadInput, match=field):
        ask(model, *arguments)
    for repairs in (-1, True, 1.5):
        with pytest.raises(BadInput, match="repairs"):
            ask(model, CHAT, Point, repairs=repairs)
    assert model.requests == []


def test_pydantic_is_loaded_by_its_users_only():
    """Importing the module loads no pydantic."""
    code = "import sys, llm_optimize.llm.structured; sys.exit('pydantic' in sys.modules or 'openai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
