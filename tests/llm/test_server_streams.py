"""The scripted server streams, calls tools, gives choices, and departs from the protocol as real servers do."""

from __future__ import annotations

import socket

import openai
import pytest

from llm_optimize.testing.quirks import LLAMA_CPP_PYTHON, OPENAI_REASONING, TRANSFORMERS_SERVE
from llm_optimize.testing.server import Answer, Fault, Quirks, ScriptedServer

SAID = [{"role": "user", "content": "hello there"}]
TOOL = Answer("let me see", tool_calls=(("look", {"where": "up"}), ("count", '{"n": 3')), reasoning="hm hm")


def chat(server, **fields):
    """Ask with the SDK, without its retries."""
    with openai.OpenAI(base_url=server.url, api_key="k", max_retries=0, timeout=5) as client:
        extra = {name: fields.pop(name) for name in list(fields) if name == "top_k"}
        answer = client.chat.completions.create(model="m", messages=SAID, extra_body=extra, **fields)
        return list(answer) if fields.get("stream") else answer


def joined(chunks, field):
    """Put the texts of one field of a stream together."""
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    return "".join((delta.model_dump().get(field) or "") for delta in deltas)


def test_a_stream_says_what_the_whole_answer_says():
    """Text, thinking, tool calls, finish reason and usage are the same in parts as whole."""
    with ScriptedServer(lambda _b, _i: TOOL) as server:
        whole = chat(server)
        parts = chat(server, stream=True, stream_options={"include_usage": True})
        assert server.counts()["charged"] == 2
    message = whole.choices[0].message
    assert joined(parts, "content") == message.content == "let me see"
    assert joined(parts, "reasoning_content") == message.model_extra["reasoning_content"] == "hm hm"
    assert parts[-1].usage == whole.usage
    assert parts[-2].choices[0].finish_reason == whole.choices[0].finish_reason == "tool_calls"
    pieces = [call for part in parts for choice in part.choices for call in choice.delta.tool_calls or ()]
    for index, call in enumerate(message.tool_calls):
        mine = [piece for piece in pieces if piece.index == index]
        assert (mine[0].id, mine[0].function.name) == (call.id, call.function.name)
        assert "".join(piece.function.arguments or "" for piece in mine) == call.function.arguments


def test_usage_of_a_stream_is_sent_on_request_only():
    """Without include_usage no part of a stream carries figures."""
    with ScriptedServer(lambda _b, _i: "one two") as server:
        assert not any(part.usage for part in chat(server, stream=True))


def test_choices():
    """As many choices come as were asked for; the tokens of all of them are charged."""
    with ScriptedServer(lambda _b, _i: Answer("a", more=("b", Answer("c", finish_reason="length")))) as server:
        answer = chat(server, n=4)
        assert [choice.message.content for choice in answer.choices] == ["a", "b", "c", "a"]
        assert [choice.finish_reason for choice in answer.choices] == ["stop", "stop", "length", "stop"]
        assert answer.usage.completion_tokens == server.tokens_out == 4
        assert len({part.choices[0].index for part in chat(server, n=4, stream=True)}) == 4


def test_a_limit_on_tokens_cuts_the_answer():
    """Both names of the limit cut the text, and the finish reason says so."""
    with ScriptedServer(lambda _b, _i: "one two three four") as server:
        for name in ("max_tokens", "max_completion_tokens"):
            choice = chat(server, **{name: 2}).choices[0]
            assert (choice.message.content, choice.finish_reason) == ("one two", "length")


@pytest.mark.parametrize(
    ("style", "status", "named"),
    [
        ("parameter", 400, True),
        ("value", 400, True),
        ("detail", 422, True),
        ("words", 400, True),
        ("mute", 400, False),
        ("crash", 500, False),
    ],
)
def test_a_field_is_refused_in_each_style(style, status, named):
    """The status and whether the field is named are those of the style; it costs nothing and uses up no answer."""
    with ScriptedServer(lambda _b, index: f"answer {index}", quirks=Quirks(refuses={"seed": style})) as server:
        with pytest.raises(openai.APIStatusError) as caught:
            chat(server, seed=1)
        assert caught.value.status_code == status
        assert ("seed" in caught.value.response.text) is named
        assert chat(server).choices[0].message.content == "answer 0"
        assert server.counts()["charged"] == 1


def test_measured_servers():
    """The ready-made quirks do what was measured."""
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    with ScriptedServer(lambda _b, _i: "one two three", quirks=LLAMA_CPP_PYTHON) as server:
        assert len(chat(server, n=3).choices) == 1
        assert chat(server, max_completion_tokens=1).choices[0].message.content == "one two three"
        with pytest.raises(openai.InternalServerError):
            chat(server, response_format=schema)
        assert chat(server, response_format={"type": "json_object"}).choices
    with ScriptedServer(lambda _b, _i: "x", quirks=TRANSFORMERS_SERVE) as server:
        with pytest.raises(openai.UnprocessableEntityError):
            chat(server, top_k=3)
        assert chat(server, response_format=schema).choices
    with ScriptedServer(lambda _b, _i: "x", quirks=OPENAI_REASONING) as server:
        with pytest.raises(openai.BadRequestError, match="max_completion_tokens") as caught:
            chat(server, max_tokens=3)
        assert caught.value.param == "max_tokens"
        with pytest.raises(openai.BadRequestError, match="Only the default"):
            chat(server, temperature=0.3)


def test_a_wrong_value_is_an_error():
    """A temperature that no server takes is refused by a server without quirks."""
    with ScriptedServer(lambda _b, _i: "x") as server, pytest.raises(openai.BadRequestError, match="above maximum"):
        chat(server, temperature=99)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (Fault("reset", after=40), openai.APIConnectionError),
        (Fault("cut", after=40), openai.APIConnectionError),
        (Fault("stall", after=40), openai.APITimeoutError),
        (Fault("slow_headers", seconds=60), openai.APITimeoutError),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_a_broken_answer_is_charged_and_whole_when_asked_again(fault, seen, stream):
    """The client gets the transport's error, the provider's bill has one answer, and the repeat is free."""
    with (
        ScriptedServer(lambda _b, _i: Answer("all of it", fault=fault)) as server,
        openai.OpenAI(base_url=server.url, api_key="k", max_retries=0, timeout=0.5) as client,
    ):
        keyed = {"model": "m", "messages": SAID, "extra_headers": {"Idempotency-Key": "a"}}
        with pytest.raises(seen):
            list(client.chat.completions.create(**keyed, stream=stream))
        assert not server.requests[0].written
        assert client.chat.completions.create(**keyed).choices[0].message.content == "all of it"
        assert (server.charged, server.repeats) == (1, 1)


def test_a_client_that_dies_while_it_asks_is_no_request(capfd):
    """Half a request is neither kept nor charged, and nothing is printed."""
    with ScriptedServer(lambda _b, _i: "x") as server:
        port = int(server.url.split(":")[2].partition("/")[0])
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", port)) as asking:
                asking.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 99\r\n\r\n{")
                asking.shutdown(socket.SHUT_WR)
                assert asking.recv(1) == b""
        assert server.counts()["requests"] == 0
    assert capfd.readouterr().err == ""
