"""A streamed reply is the reply that comes whole, or an error; those who listen hear it while it is said."""

from __future__ import annotations

import httpx2
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_optimize.core.chat import Message, Request
from llm_optimize.core.metering import Scope, entered
from llm_optimize.errors import BadReply, ContextTooLong, ModelError, ModelUnavailable
from llm_optimize.llm.gate import within
from llm_optimize.llm.openai import OpenAIChat
from llm_optimize.llm.retrying import Retrying
from llm_optimize.llm.streaming import event_data
from llm_optimize.testing.events import events
from llm_optimize.testing.faults import FAULTS, faulty
from llm_optimize.testing.server import Answer, Fault, Quirks, ScriptedServer

HELLO = Request((Message("user", "hello there"),))
ANSWERS = {
    "text": Answer("one two\n```python\nx = 1\n```\nStraße 東京 🎉 \u2028 end"),
    "thinking": Answer("42", reasoning="six by seven, I think"),
    "inline thinking": Answer("<think>\nhm\n</think>\n\n42"),
    "tools": Answer("let me see", tool_calls=(("look", {"where": "up, far up"}), ("count", '{"n": 3'))),
    "tools alone": Answer(None, tool_calls=(("look", {}),)),
    "refusal": Answer(None, refusal="I will not do that"),
    "cut": Answer("half an ans", finish_reason="length"),
    "filtered": Answer("", finish_reason="content_filter"),
    "no usage": Answer("one two three", usage=None),
    "cached": Answer(
        "x", usage={"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 8}}
    ),
    "many": Answer("one", more=("two", Answer("three", reasoning="hm", finish_reason="length"))),
}


def listening(model, request=HELLO):
    """Return (reply, what was heard)."""
    heard = []
    with entered(Scope("s", "proposal/1", hear=heard.append)):
        return model.complete(request), heard


def timeless(reply):
    """Return a reply's fields without the seconds that it took."""
    usage = reply.usage
    figures = (usage.calls, usage.tokens_in, usage.tokens_cached, usage.tokens_out, usage.estimated)
    said = (reply.text, reply.finish_reason, reply.refusal, reply.reasoning, reply.model, reply.tool_calls)
    return (*said, figures, tuple(timeless(one) for one in reply.more))


@pytest.mark.parametrize("name", ANSWERS)
def test_streamed_or_not_the_reply_is_the_same(name):
    """Text, thinking, refusal, tool calls, finish reason, several answers, and usage are equal."""
    asked = Request(HELLO.messages, n=3 if name == "many" else 1)
    with ScriptedServer(lambda _b, _i: ANSWERS[name]) as server:
        model = OpenAIChat("m", server.url)
        whole = model.complete(asked)
        streamed, heard = listening(model, asked)
        assert [bool(received.body.get("stream")) for received in server.requests] == [False, True]
    assert timeless(streamed) == timeless(whole)
    assert heard[-1].kind == "end"
    assert {piece.unit for piece in heard} == {"proposal/1"}


def test_parts_are_heard_in_order():
    """Thinking and text of the first answer are heard as they come, apart from one another, and the end once."""
    with ScriptedServer(lambda _b, _i: Answer("the answer is 42", reasoning="six by seven", more=("no",))) as server:
        _, heard = listening(OpenAIChat("m", server.url), Request(HELLO.messages, n=2))
    assert "".join(piece.text for piece in heard if piece.kind == "reasoning") == "six by seven"
    assert "".join(piece.text for piece in heard if piece.kind == "text") == "the answer is 42"
    kinds = [piece.kind for piece in heard]
    assert kinds == sorted(kinds, key=("reasoning", "text", "end").index)
    assert kinds.count("end") == 1
    assert len(kinds) > 5


def test_nobody_listens_nobody_streams():
    """A scope without a listener asks for a whole reply."""
    with ScriptedServer(lambda _b, _i: "hi") as server:
        with entered(Scope("s", "proposal/1")):
            OpenAIChat("m", server.url).complete(HELLO)
        assert "stream" not in server.requests[0].body


def test_an_endpoint_that_ignores_the_wish_to_stream():
    """A whole answer to a request for a stream is the reply, and is heard at once."""
    with ScriptedServer(lambda _b, _i: Answer("hi there"), quirks=Quirks(ignores=frozenset({"stream"}))) as server:
        reply, heard = listening(OpenAIChat("m", server.url))
    assert reply.text == "hi there"
    assert [(piece.kind, piece.text) for piece in heard] == [("text", "hi there"), ("end", "")]


STREAM = {"Content-Type": "text/event-stream"}


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"", ModelUnavailable),
        (b'data: {"choices": [{"index": 0, "delta": {"content": "half"}}]}\n\n', ModelUnavailable),
        (b'data: {"error": {"message": "upstream fell over", "code": 502}}\n\n', ModelUnavailable),
        (b'data: {"error": {"message": "This model\'s maximum context length is 4096 tokens"}}\n\n', ContextTooLong),
        (b'data: {"choices": [{"ind\n\n', BadReply),
        (b"data: 7\n\n", BadReply),
        (b'data: {"choices": ["x"]}\n\n', BadReply),
        (b'data: {"choices": [{"delta": {"tool_calls": [7]}}]}\n\n', BadReply),
        (b"data: [DONE]\n\n", BadReply),
        (b'data: {"choices": []}\n\ndata: [DONE]\n\n', BadReply),
    ],
)
def test_a_stream_that_is_no_answer_is_an_error(raw, kind):
    """Whatever a stream holds short of a whole answer is an error in one line, and its end is heard."""
    with ScriptedServer(lambda _b, _i: Answer(raw=raw, headers=STREAM)) as server:
        heard = []
        with entered(Scope("s", "proposal/1", hear=heard.append)), pytest.raises(kind) as caught:
            OpenAIChat("m", server.url).complete(HELLO)
    assert "\n" not in str(caught.value)
    assert heard[-1].kind == "end"


def test_a_stream_that_ends_without_its_mark_is_whole_when_it_has_ended():
    """A finish reason is enough: some endpoints send no [DONE]; others send the mark and no reason."""
    part = b'data: {"choices": [{"index": 0, "delta": {"content": "all"}%s}]}\n\n'
    for raw in (part % b', "finish_reason": "stop"', part % b"" + b"data: [DONE]\n\n"):
        with ScriptedServer(lambda _b, _i, raw=raw: Answer(raw=raw, headers=STREAM)) as server:
            assert listening(OpenAIChat("m", server.url))[0].text == "all"


def test_a_stalled_stream_ends_at_the_timeout():
    """No part for the timeout, or parts beyond the time for the call: the call is given up, to be asked again."""
    stalled = Answer("one two three four", fault=Fault("stall", after=400))
    with (
        ScriptedServer(lambda _b, _i: stalled) as server,
        pytest.raises(ModelUnavailable, match="fell silent"),
    ):
        listening(OpenAIChat("m", server.url, timeout=0.3))
    endless = Answer("word " * 500, pause=0.02)
    with (
        ScriptedServer(lambda _b, _i: endless) as server,
        within(0.3),
        pytest.raises(ModelUnavailable, match=r"still writing|fell silent"),
    ):
        listening(OpenAIChat("m", server.url))


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_survived(name, stream):
    """Through the retries the good answer arrives, paid for once, or the fault's own finish reason is told."""
    good = Answer("all of it", reasoning="hm")
    request = Request(HELLO.messages, idempotency_key="k")
    with ScriptedServer(lambda _b, index: faulty(good, name) if index == 0 else good) as server:
        model = Retrying(OpenAIChat("m", server.url, timeout=1.0 if name == "stalled" else 30), first_wait=0.01)
        reply = listening(model, request)[0] if stream else model.complete(request)
        assert server.charged == 1
    assert reply.text.rstrip() == "all of it"
    assert reply.finish_reason == ("length" if name == "cut off by a limit" else "stop")


@pytest.mark.parametrize("name", [name for name in FAULTS if name not in ("10 MB", "cut off by a limit")])
def test_a_fault_that_stays_is_one_clear_error(name):
    """An endpoint that is at fault for the whole run ends in one line that names it."""
    good = Answer("all of it")
    with ScriptedServer(lambda _b, _i: faulty(good, name)) as server:
        model = Retrying(OpenAIChat("m", server.url, timeout=0.2), first_wait=0.01, attempts=2, bad_replies=1)
        with pytest.raises(ModelError) as caught:
            model.complete(HELLO)
        assert len(server.requests) == 2
    assert server.url in str(caught.value)
    assert "gave up after 2 attempts" in str(caught.value)
    assert "\n" not in str(caught.value)


BYTES = {name: b"".join(events(answer, {"stream_options": {"include_usage": 1}})) for name, answer in ANSWERS.items()}


def replayed(name, cuts, ending):
    """Return the reply to a stream that arrives in these pieces, with these line ends."""
    whole = BYTES[name].replace(b"\n", ending)
    places = sorted({min(cut, len(whole)) for cut in cuts})
    pieces = [whole[a:b] for a, b in zip([0, *places], [*places, len(whole)], strict=True)]

    def answer(_request):
        return httpx2.Response(200, headers=STREAM, content=iter(pieces))

    with (
        httpx2.Client(transport=httpx2.MockTransport(answer)) as http,
        openai.OpenAI(base_url="http://127.0.0.1:1/v1", api_key="k", http_client=http) as client,
    ):
        return timeless(listening(OpenAIChat("m", client=client))[0])


@settings(max_examples=100, deadline=None)
@given(
    name=st.sampled_from([name for name in ANSWERS if name != "many"]),
    cuts=st.lists(st.integers(0, 6000), max_size=60),
    ending=st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
def test_any_split_of_a_stream_is_the_same_reply(name, cuts, ending):
    """However the bytes are cut, also inside a character or a line's end, the reply is that of the uncut stream."""
    assert replayed(name, cuts, ending) == replayed(name, [], b"\n")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("ab\u2028\x85é"), max_size=5), st.lists(st.integers(0, 60), max_size=10))
def test_events_are_found_in_any_split(texts, cuts):
    """Each event's data comes back, comments and other fields are passed over."""
    whole = b"".join(b": hm\nevent: x\r\ndata: " + text.encode() + b"\r\n\r\n" for text in texts)
    places = sorted({min(cut, len(whole)) for cut in cuts})
    pieces = [whole[a:b] for a, b in zip([0, *places], [*places, len(whole)], strict=True)]
    assert list(event_data(pieces)) == texts
