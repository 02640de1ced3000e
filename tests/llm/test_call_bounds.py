"""The bounds that a budget relies on: on prompts, on replies, and on attempts that broke off."""

from __future__ import annotations

import random

import pytest

from llm_optimize.core.chat import Message, Reply, Request, ToolCall, ToolSpec
from llm_optimize.core.types import Usage
from llm_optimize.errors import BadInput, BadReply, ModelRefused, ModelUnavailable
from llm_optimize.llm.attempts import broke_off, may_have_cost, watching
from llm_optimize.llm.bounds import PromptBounds
from llm_optimize.llm.failures import RetryLater
from llm_optimize.llm.lengths import Lengths
from llm_optimize.llm.openai import OpenAIChat
from llm_optimize.llm.tokens import TokenCounter
from llm_optimize.testing.answers import Answer, Fault, count_tokens
from llm_optimize.testing.server import ScriptedServer


def prompt(text, **more):
    """Return a request of one message."""
    return Request((Message("user", text),), **more)


def said(tokens, finish="stop"):
    """Return a reply of so many tokens."""
    return Reply("x", finish, usage=Usage(1, 10, 0, tokens))


@pytest.mark.parametrize("text", ["}{" * 400, "a1" * 300, "naïve 日本語 🎉" * 50, "word " * 500, "\n\t" * 200, ""])
def test_no_byte_tokenizer_makes_more_tokens_than_the_certain_bound(text):
    """A token is at least a byte, whatever the text; tools and tool calls count as well."""
    bounds = PromptBounds(TokenCounter())
    tools = (ToolSpec("look", "Looks.", {"type": "object", "properties": {"what": {"type": "string"}}}),)
    call = Message("assistant", text, (ToolCall("1", "look", text),))
    request = Request((Message("user", text), call), tools=tools)
    assert bounds.certain(request) >= 3 * len(text.encode()) + len(str(tools[0].parameters))
    assert bounds.in_turn(request)[0] == bounds.certain(request)


def test_a_few_replies_make_the_bound_close_and_it_still_holds():
    """Over prompts that grow, of changing kinds, the bound is passed by none and is far below the bytes."""
    draw = random.Random(3)
    kinds = ("Some English prose, as it stands in a task. ", "w=3, b=17, f=412\n", "def f(x): return x + 1\n")
    bounds = PromptBounds(TokenCounter())
    text, close = "", 0
    for step in range(120):
        text += draw.choice(kinds) * draw.randint(1, 6)
        request = prompt(text)
        actual = count_tokens(text) + 7
        assert actual <= bounds.in_turn(request)[0]
        if step > 5:
            close += bounds.in_turn(request)[0] < 1.5 * actual + 50
        bounds.observe(request, actual)
    assert close > 100


def test_before_the_first_reply_a_second_bound_stands_behind_the_certain_one():
    """A budget that is far from spent does not end a run because of bytes."""
    first, second = PromptBounds(TokenCounter()).in_turn(prompt("prose of some length, " * 500))
    assert second < 0.8 * first


def test_what_a_reply_may_need_follows_the_recent_ones():
    """1000 tokens before the first, then the longest of the last eight; never more than the caller's limit."""
    lengths = Lengths("m")
    assert (lengths.needed(None), lengths.needed(30), lengths.ample(None), lengths.ample(30)) == (1000, 30, 4096, 30)
    for tokens in (3000, *[100] * 8):
        lengths.saw(said(tokens), 4096)
    assert (lengths.needed(None), lengths.ample(None)) == (100, 12_000)
    lengths.refused(12_000)
    assert lengths.ample(None) == 6000


def test_an_ignored_limit_is_forgotten_once_it_holds():
    """A reply that was cut off at the limit shows that it is heeded now."""
    lengths = Lengths("m")
    lengths.saw(said(9000), 100)
    assert (lengths.needed(None), lengths.ample(50)) == (18_000, 18_000)
    lengths.saw(said(100, "length"), 100)
    assert lengths.ample(50) == 50


def caused(error, cause):
    """Return an error of ours with its cause."""
    error.__cause__ = cause
    return error


def test_our_own_errors_cost_nothing():
    """What was refused, or never sent, is not counted."""
    for error in (ModelRefused("key"), BadInput("field"), ModelUnavailable("no time is left for a model call")):
        assert not may_have_cost(error)
    assert may_have_cost(BadReply("no choices"))


@pytest.mark.parametrize(
    ("answer", "lost"),
    [
        (Answer("x", status=503), False),
        (Answer("x", status=429), False),
        (Answer("x", status=504), True),
        (Answer(lose=True), True),
        (Answer("x" * 300, fault=Fault("reset", after=60)), True),
        (Answer("x" * 300, fault=Fault("cut", after=60)), True),
        (Answer(raw=b"<html>busy</html>"), True),
        (Answer(delay=5.0), True),
    ],
)
def test_what_breaks_off_over_http_is_told_apart(answer, lost):
    """A reset, a cut, a timeout and an answer that is none may have been charged; a refusal was not."""
    told = []
    with ScriptedServer(lambda _body, _index: answer) as server, watching(lambda: told.append(1)):
        model = OpenAIChat("m", server.url, "key", timeout=1.0)
        with pytest.raises((RetryLater, BadReply)) as caught:
            model.complete(prompt("hi"))
        broke_off(caught.value)
    assert bool(told) is lost


def test_a_server_that_is_not_there_charges_nothing():
    """A refused connection was never sent."""
    with pytest.raises(ModelUnavailable) as caught:
        OpenAIChat("m", "http://127.0.0.1:1/v1", "key", timeout=1.0).complete(prompt("hi"))
    assert not may_have_cost(caught.value)
