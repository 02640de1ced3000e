"""The client against a real server that answers in every way an endpoint can."""

from __future__ import annotations

import pickle
import socket
import threading

import openai
import pytest

from llm_optimize.core.chat import Message, Request
from llm_optimize.errors import BadInput, BadReply, ContextTooLong, ModelRefused, ModelUnavailable
from llm_optimize.llm.gate import within
from llm_optimize.llm.openai import OpenAIChat
from llm_optimize.testing.server import Answer, ScriptedServer


def ask(answer, request=None, **more):
    """Return (server, reply or error) for one request."""
    with ScriptedServer(lambda _body, _index: answer) as server:
        model = OpenAIChat("scripted", server.url, **more)
        try:
            return server, model.complete(request or Request((Message("user", "hello there"),)))
        except (ModelRefused, ModelUnavailable, BadReply, BadInput) as error:
            return server, error


def test_a_reply_carries_text_usage_and_time():
    """Text, finish reason, model, tokens and seconds come back; the body holds what was asked."""
    usage = {"prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 8}}
    request = Request(
        (Message("system", "be brief"), Message("user", "hi")), {"temperature": 0.5}, idempotency_key="abc"
    )
    server, reply = ask(Answer("good day", usage=usage), request, settings={"temperature": 1, "top_k": 3})
    assert (reply.text, reply.finish_reason, reply.model) == ("good day", "stop", "scripted")
    assert (reply.usage.calls, reply.usage.tokens_in, reply.usage.tokens_cached, reply.usage.tokens_out) == (
        1,
        10,
        8,
        4,
    )
    assert not reply.usage.estimated
    assert reply.usage.seconds > 0
    sent = server.requests[0]
    assert sent.body == {
        "model": "scripted",
        "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}],
        "temperature": 0.5,
        "top_k": 3,
    }
    assert sent.key == "abc"
    assert sent.left_whole()


@pytest.mark.parametrize(
    "answer",
    [
        Answer(raw=b"<html>gateway</html>", headers={"Content-Type": "text/html"}),
        Answer(raw=b'{"id": "x", "object": "chat.completion", "choices": null}'),
        Answer(raw=b'{"id": "x", "choices": []}'),
        Answer(raw=b'{"id": "x", "choices": [{"index": 0}]}'),
        Answer(raw=b'{"error": {"message": "upstream fell over"}}'),
        Answer(raw=b'{"id": "x", "choices": [{"ind'),
        Answer(raw=b'"just a text"'),
        Answer(raw=b"[]"),
        Answer(raw=b"null"),
        Answer(raw=b"7"),
        Answer(raw=b'{"choices": "none", "usage": 3}'),
        Answer(raw=b'{"choices": [7]}'),
        Answer(raw=b""),
    ],
)
def test_200_without_a_completion_is_a_bad_reply(answer):
    """Whatever else an endpoint sends with status 200 is BadReply in one line, after one request."""
    server, error = ask(answer)
    assert isinstance(error, BadReply), error
    assert "\n" not in str(error)
    assert len(server.requests) == 1


def test_context_error_with_status_200_is_recognised():
    """LM Studio's way of saying "too long" is understood."""
    body = b'{"error": {"message": "Trying to keep the first 5000 tokens when context overflows."}}'
    assert isinstance(ask(Answer(raw=body))[1], ContextTooLong)


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None, "completion_tokens": None}])
def test_missing_usage_is_estimated_and_marked(usage):
    """Without figures from the endpoint the tokens are counted here."""
    used = ask(Answer("one two three four", usage=usage))[1].usage
    assert used.estimated
    assert used.tokens_in > 0
    assert used.tokens_out == 4


def test_refusal_length_and_reasoning_stay_apart_from_the_text():
    """A refusal, a cut-off and visible thinking each have their field."""
    declined = ask(Answer(None, refusal="I will not"))[1]
    assert (declined.text, declined.refusal) == ("", "I will not")
    assert ask(Answer("half a", finish_reason="length"))[1].finish_reason == "length"
    thought = ask(Answer("42", reasoning="six by seven"))[1]
    assert (thought.text, thought.reasoning) == ("42", "six by seven")
    inline = ask(Answer("<think>\nhm\n</think>\n\n42"))[1]
    assert (inline.text, inline.reasoning) == ("42", "hm")


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (400, ModelRefused, "setting"),
        (401, ModelRefused, "OPENAI_API_KEY"),
        (403, ModelRefused, "OPENAI_API_KEY"),
        (404, ModelRefused, "base_url"),
        (422, ModelRefused, "setting"),
        (408, ModelUnavailable, "408"),
        (409, ModelUnavailable, "409"),
        (429, ModelUnavailable, "429"),
        (500, ModelUnavailable, "500"),
        (503, ModelUnavailable, "503"),
    ],
)
def test_statuses_are_translated_after_one_request(status, kind, words):
    """Each status becomes our error, in one line with the URL and the remedy; the SDK does not retry."""
    server, error = ask(Answer("no way", status=status))
    assert type(error).__mro__.index(kind) >= 0
    assert server.url in str(error)
    assert words in str(error)
    assert "no way" in str(error)
    assert "\n" not in str(error)
    assert len(server.requests) == 1


def test_unknown_model_lists_what_there_is():
    """404 for a model names the models that the endpoint offers."""
    answer = Answer("The model 'x' does not exist", status=404, code="model_not_found")
    with ScriptedServer(lambda _b, _i: answer, models=("alpha", "beta")) as server:
        with pytest.raises(ModelRefused, match=r"no model 'x'; it offers alpha, beta"):
            OpenAIChat("x", server.url).complete(Request((Message("user", "hi"),)))
        assert len(server.requests) == 1


def test_a_listed_model_that_lacks_a_feature_is_not_called_unknown():
    """A complaint that mentions the model but is about a setting keeps its own words."""
    _, error = ask(Answer("This model: temperature is not supported", status=400))
    assert isinstance(error, ModelRefused)
    assert "temperature is not supported" in str(error)


def test_no_credit_is_refused_not_retried():
    """429 for an empty account is not a rate limit."""
    _, error = ask(Answer("You exceeded your current quota", status=429, code="insufficient_quota"))
    assert isinstance(error, ModelRefused)


def test_retry_after_is_carried():
    """The wait that the endpoint asks for reaches the retry layer."""
    _, error = ask(Answer("slow down", status=429, headers={"Retry-After": "130"}))
    assert error.retry_after == 130


def test_dropped_and_refused_connections_are_unavailable():
    """A closed connection and a closed port are one line that names the URL and the remedy."""
    _, dropped = ask(Answer(drop=True))
    assert isinstance(dropped, ModelUnavailable)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
        with pytest.raises(ModelUnavailable, match="is the server running") as caught:
            OpenAIChat("scripted", url).complete(Request((Message("user", "hi"),)))
    assert url in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_silent_server_ends_at_the_timeout(hello):
    """Neither the client's timeout nor an enclosing limit is outlasted."""
    with ScriptedServer(lambda _b, _i: Answer("late", delay=60)) as server:
        with pytest.raises(ModelUnavailable, match="did not answer in time"):
            OpenAIChat("scripted", server.url, timeout=0.2).complete(hello)
        with within(0.2), pytest.raises(ModelUnavailable):
            OpenAIChat("scripted", server.url).complete(hello)
        with within(0.0), pytest.raises(ModelUnavailable, match="no time is left"):
            OpenAIChat("scripted", server.url).complete(hello)
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://x/v1", "base_url"),
        ("localhost:8000", "base_url"),
        ("http://", "base_url"),
        ("http://h:99999/v1", "base_url"),
    ],
)
def test_no_url_is_bad_input(url, words, hello):
    """A base_url that cannot be asked names the field."""
    with pytest.raises(BadInput, match=words):
        OpenAIChat("m", url).complete(hello)


def test_keys(monkeypatch, hello):
    """OpenAI needs a key, other servers do not, and a key that no header can hold is named."""
    with pytest.raises(BadInput, match="OPENAI_API_KEY is not set"):
        OpenAIChat("gpt-5").complete(hello)
    server, _ = ask("hi")
    assert server.requests[0].headers["authorization"] == "Bearer none"
    monkeypatch.setenv("OPENAI_API_KEY", " sk-abc\n")
    assert ask("hi")[0].requests[0].headers["authorization"] == "Bearer sk-abc"
    monkeypatch.setenv("OPENAI_API_KEY", "sk-ü")
    assert isinstance(ask("hi")[1], BadInput)


def test_nothing_leaves_this_machine_when_switched_off(hello):
    """With requests switched off only loopback servers are asked."""
    with pytest.raises(ModelRefused, match="switched off"):
        OpenAIChat("gpt-5", "https://api.openai.com/v1", "sk-x").complete(hello)


def test_environment_names_the_server(monkeypatch, hello):
    """OPENAI_BASE_URL, else the older OPENAI_API_BASE, is read at each call."""
    with ScriptedServer(lambda _b, _i: "one") as first, ScriptedServer(lambda _b, _i: "two") as second:
        model = OpenAIChat("scripted")
        monkeypatch.setenv("OPENAI_API_BASE", first.url)
        assert model.complete(hello).text == "one"
        monkeypatch.setenv("OPENAI_BASE_URL", second.url)
        assert model.complete(hello).text == "two"


@pytest.mark.parametrize(
    "settings", [{"messages": []}, {"stream": True}, {"stop": {1, 2}}, {"timeout": 0}, {"timeout": "1"}]
)
def test_settings_that_cannot_work_are_named(settings):
    """A setting that would break the request is refused before anything is sent."""
    server, error = ask("hi", Request((Message("user", "hi"),), settings))
    assert isinstance(error, BadInput)
    assert next(iter(settings)) in str(error)
    assert not server.requests


def test_a_request_may_name_its_own_model():
    """A sweep over models sends the model in the request's settings."""
    server, _ = ask("hi", Request((Message("user", "hi"),), {"model": "other"}))
    assert server.requests[0].body["model"] == "other"


def test_a_pickled_model_works_and_hides_its_key(hello):
    """The object travels to other processes, and its printed form never holds the key."""
    with ScriptedServer(lambda _b, _i: "hi") as server:
        model = OpenAIChat("scripted", server.url, "sk-secret")
        assert "sk-secret" not in repr(model)
        assert pickle.loads(pickle.dumps(model)).complete(hello).text == "hi"


def test_threads_share_one_client(hello):
    """Sixteen calls at once all come back, each with its own answer."""
    together = threading.Barrier(16)

    def answer(body, _index):
        together.wait(10)
        return body["seed"]

    with ScriptedServer(lambda b, i: str(answer(b, i))) as server:
        model, said = OpenAIChat("scripted", server.url), {}

        def call(number):
            said[number] = model.complete(Request(hello.messages, {"seed": number})).text

        threads = [threading.Thread(target=call, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert said == {number: str(number) for number in range(16)}


def test_a_client_of_ones_own_is_used_without_its_retries(hello):
    """An openai client object keeps its headers; its retries are off."""
    with ScriptedServer(lambda _b, _i: Answer("no", status=500)) as server:
        with (
            openai.OpenAI(base_url=server.url, api_key="k", default_headers={"X-Mine": "1"}) as client,
            pytest.raises(ModelUnavailable),
        ):
            OpenAIChat("scripted", client=client).complete(hello)
        assert len(server.requests) == 1
        assert server.requests[0].headers["x-mine"] == "1"


class TestPreflight:
    """The free check before a study."""

    def test_passes_where_the_model_is_listed_or_nothing_is(self):
        """A listed model, and a server without a list, cost no request."""
        for models in (("scripted",), ("scripted:latest",), ("models/scripted",), (), None):
            with ScriptedServer(lambda _b, _i: "hi", models=models) as server:
                OpenAIChat("scripted", server.url).preflight()
                assert not server.requests

    def test_an_unlisted_name_is_confirmed_by_one_token(self):
        """A gateway's alias passes; a name that the server does not know is refused with the names it has."""
        with ScriptedServer(lambda _b, _i: "hi", models=("alpha",)) as server:
            OpenAIChat("alias", server.url).preflight()
            assert [request.body["max_tokens"] for request in server.requests] == [1]
        unknown = Answer("model 'x' not found", status=404)
        with (
            ScriptedServer(lambda _b, _i: unknown, models=("alpha",)) as server,
            pytest.raises(ModelRefused, match="it offers alpha"),
        ):
            OpenAIChat("x", server.url).preflight()

    def test_a_refused_key_is_named_and_a_broken_list_passes(self):
        """401 for the list is about the key; a list that fails otherwise says nothing about chats."""
        with (
            ScriptedServer(lambda _b, _i: "hi", models=Answer("bad key", status=401)) as server,
            pytest.raises(ModelRefused, match="OPENAI_API_KEY"),
        ):
            OpenAIChat("scripted", server.url).preflight()
        html = Answer(raw=b"<html></html>", headers={"Content-Type": "text/html"})
        for broken in (
            Answer("no cache", status=500),
            Answer("slow", status=429),
            html,
            Answer(raw=b"{}"),
            Answer(raw=b"{"),
        ):
            with ScriptedServer(lambda _b, _i: "hi", models=broken) as server:
                OpenAIChat("scripted", server.url).preflight()
                assert not server.requests

    def test_other_complaints_about_the_probe_pass(self):
        """A server that dislikes the probe itself has not said that the model is unknown."""
        with ScriptedServer(lambda _b, _i: Answer("max_tokens is too small", status=400), models=("alpha",)) as server:
            OpenAIChat("x", server.url).preflight()

    def test_an_unreachable_server_is_named(self):
        """One line with the URL and the remedy."""
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            with pytest.raises(ModelUnavailable, match=r"cannot be reached.*is the server running"):
                OpenAIChat("m", f"http://127.0.0.1:{held.getsockname()[1]}/v1").preflight()
