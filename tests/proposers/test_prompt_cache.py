"""The growing layout in the real loop and over real HTTP: bounded prompts, most of each served from a prefix cache."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from llm_optimize import llm, optimize
from llm_optimize.core.chat import Reply
from llm_optimize.core.types import Usage
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.llm.tokens import TokenCounter
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.testing.prefixes import PrefixCache
from llm_optimize.testing.server import ScriptedServer

STEPS, CHARACTERS, ALLOWANCE = 200, 1_500, 12_000


def candidate(number):
    """Return a text of 1,500 characters that no other number has."""
    draw = random.Random(number)
    words = " ".join(f"word{draw.randrange(300)}" for _ in range(CHARACTERS))
    return f"{number}: {words}"[:CHARACTERS]


def score(text):
    """Return a number with feedback of a usual length."""
    draw = random.Random(text)
    return draw.random(), "wrong: " + ", ".join(f"case {draw.randrange(200)}" for _ in range(8))


def run(model, steps, layout, parallel=1):
    """Run so many steps with that layout."""
    return optimize.run(
        "The task.", "What is better?", score, candidate(0), steps, verbose=False, store=None, parallel=parallel,
        proposer=ChatProposer(model, layout=layout, allowance=ALLOWANCE),
    )  # fmt: skip


def prompts_of(layout, parallel=1):
    """Return the chats that a run of 200 steps sends."""
    numbers = iter(range(1, 10 * STEPS))
    model = ScriptedModel(lambda _: Reply(f"Why.\n```\n{candidate(next(numbers))}\n```", usage=Usage(calls=1)))
    result = run(model, STEPS, layout, parallel)
    assert result.history.steps == STEPS
    return [request.messages for request in model.requests]


def repeated(earlier, later):
    """Count the tokens of those turns at the beginning that two chats share."""
    same = 0
    while same < min(len(earlier), len(later)) and earlier[same] == later[same]:
        same += 1
    return TokenCounter().count_messages(later[:same])


@pytest.mark.parametrize("parallel", [1, 4])
def test_200_steps_are_bounded_and_mostly_repeated(parallel):
    """No prompt passes the allowance, and at least 60 % of all prompt tokens stand in turns that were sent just before.

    With four chains in flight, "just before" is any of the last four prompts.
    """
    sent = prompts_of("epochs", parallel)
    lengths = [TokenCounter().count_messages(messages) for messages in sent]
    assert max(lengths) <= ALLOWANCE
    assert max(lengths[STEPS // 2 :]) <= 1.3 * max(lengths[: STEPS // 2])
    shared = sum(
        max((repeated(earlier, sent[index]) for earlier in sent[max(0, index - parallel) : index]), default=0)
        for index in range(len(sent))
    )
    assert shared / sum(lengths) >= 0.6


def test_the_window_layout_repeats_little():
    """What the growing layout is for: the window's oldest attempt changes at each step, and all behind it moves."""
    sent = prompts_of("window")
    lengths = [TokenCounter().count_messages(messages) for messages in sent]
    shared = sum(repeated(earlier, later) for earlier, later in pairwise(sent))
    assert shared / sum(lengths) < 0.3


def test_the_share_that_the_endpoint_reports_reaches_the_result():
    """Over HTTP: cached tokens in the endpoint's usage are the result's, and most of them with the growing layout."""
    shares = {}
    for layout in ("window", "epochs"):
        with ScriptedServer(lambda _, index: f"```\n{candidate(index + 1)}\n```", prefix_cache=True) as server:
            result = run(llm.connect(f"{server.url}#scripted"), 40, layout)
        assert (result.usage.tokens_in, result.usage.tokens_cached) == (server.tokens_in, server.tokens_cached)
        shares[layout] = result.usage.cached_share
    assert shares["window"] < 0.4
    assert shares["epochs"] > 0.6


def test_the_scripted_cache_follows_the_documented_rule():
    """From 1,024 tokens on, in steps of 128, the longest beginning that any earlier prompt had; else nothing."""
    cache = PrefixCache()

    def chat(*contents):
        return [{"role": "user", "content": content} for content in contents]

    assert cache.serve(chat("word " * 1_000)) == 0
    assert cache.serve(chat("word " * 1_000)) == 0  # 1,004 tokens: too short
    assert cache.serve(chat("word " * 1_100, "a")) == 0
    assert cache.serve(chat("word " * 1_100, "b " * 500)) == 1_024  # 1,103 tokens are the same: eight blocks
    assert cache.serve(chat("word " * 1_100, "b " * 500, "c")) == 1_536
    assert cache.serve([{"role": "system", "content": "word " * 2_000}]) == 0


def test_a_share_of_nothing_is_nothing():
    """Usage without prompt tokens has a cached share of 0."""
    assert Usage().cached_share == 0.0
    assert Usage(tokens_in=200, tokens_cached=50).cached_share == 0.25
