"""The client against servers that others wrote: what they ignore, refuse and get wrong is met by the same code.

Which of them are here depends on ``.ci/servers``; aimock alone runs in the ordinary test command, where it is there.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from pydantic import BaseModel
from real_servers import ANSWERS, NAMES, RealServer, missing, running

from llm_optimize import eval_utils, llm, optimize
from llm_optimize.core.chat import Message, Piece, Request
from llm_optimize.core.metering import Scope, entered
from llm_optimize.errors import BadReply, ModelError, ModelRefused
from llm_optimize.llm import structured

EXAMPLES = Path(__file__).parents[2] / "examples"
KEYS = {"litellm": "sk-local-test"}
HELLO = (Message("system", "You help."), Message("user", "Say something."))


def _parameters():
    for name in NAMES:
        why = missing(name)
        marks = [pytest.mark.xdist_group(f"server-{name}")]
        yield pytest.param(name, id=name, marks=[*marks, pytest.mark.skipif(bool(why), reason=why)])


@pytest.fixture(scope="module", params=list(_parameters()))
def server(request, tmp_path_factory):
    with running(request.param, tmp_path_factory.mktemp(request.param)) as started:
        yield started


@pytest.fixture(autouse=True)
def key(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEYS.get(server.name, "none"))


def test_an_answer_comes_with_its_cost(server: RealServer):
    """One of the answers arrives whole, with tokens counted by the server and a reason for its end."""
    reply = llm.connect(server.spec).complete(Request(HELLO))
    assert reply.text.strip() in {answer.strip() for answer in ANSWERS}
    assert reply.finish_reason == "stop"
    assert reply.usage.calls == 1
    assert reply.usage.tokens_in > 0


def test_a_setting_that_the_server_does_not_know_ends_nothing(server: RealServer):
    """``top_k``, ``min_p`` and ``seed`` reach the servers that take them and are left out for those that refuse."""
    settings = {"top_k": 5, "min_p": 0.05, "seed": 1, "temperature": 0.5}
    assert llm.connect(server.spec).complete(Request(HELLO, settings)).text


def test_three_ideas_are_three_candidates_whatever_the_server_makes_of_n(server: RealServer):
    """A server that ignores ``n`` is asked once for each idea; the log looks the same."""
    result = optimize.run("t", "q", len, x0="x", model=server.spec, ideas=3, max_steps=3, verbose=False, store=None)
    proposed = [trial for trial in result.history.trials if trial.candidate.origin != "start"]
    assert 1 <= len(proposed) <= 3
    assert result.history.steps == 3


def test_a_cap_on_the_answer_is_kept_or_known_to_be_ignored(server: RealServer):
    """A cap of one token cuts the answer where the server can count: then the reply says so."""
    reply = llm.connect(server.spec).complete(Request(HELLO, {"max_completion_tokens": 1}))
    if server.name in ("transformers", "llama_cpp"):
        assert reply.usage.tokens_out <= 1
    assert reply.finish_reason in ("stop", "length")


def test_a_streamed_answer_is_the_answer(server: RealServer):
    """The parts that are passed on while it is written make up the text, and the reply is complete."""
    heard: list[Piece] = []
    with entered(Scope("study", "proposal/0", hear=heard.append)):
        reply = llm.connect(server.spec).complete(Request(HELLO))
    text = "".join(piece.text for piece in heard if piece.kind == "text")
    assert text.strip() == reply.text.strip()
    assert heard[-1].kind == "end"
    assert reply.usage.tokens_in > 0


class Mark(BaseModel):
    """What a judge says."""

    points: int
    reason: str


def test_a_structured_reply_comes_by_the_best_way_that_the_server_has(server: RealServer):
    """A mark is read where the server can be made to give one; where it cannot, the error says what came instead."""
    spec = f"{server.url}#json" if server.name == "litellm" else server.spec
    model = llm.connect(spec)
    asked = (Message("user", "Mark this text as JSON with points and a reason: hello"),)
    settings = {"max_completion_tokens": 200}
    if server.name in ("transformers", "llama_cpp"):
        # the one enforces no format; the other's grammar keeps the form, but the tiny model never ends a text
        with pytest.raises(BadReply, match="Mark"):
            structured.ask(model, asked, Mark, settings=settings)
        return
    found = structured.ask(model, asked, Mark, settings=settings)
    assert found.value == Mark(points=7, reason="clear")


def test_an_unknown_model_is_refused_or_answered_but_never_waited_for(server: RealServer):
    """Servers that look at the name refuse it in one line; the others answer."""
    model = llm.connect(f"{server.url}#no-such-model")
    if server.name in ("aimock", "llama_cpp"):
        assert model.complete(Request(HELLO)).text
        return
    with pytest.raises(ModelRefused, match="no-such-model") as caught:
        model.complete(Request(HELLO))
    assert "\n" not in str(caught.value)


def _ran(server: RealServer, example, folder, *words):
    """Run an example to its end, in a process of its own; return its exit status and the lines that it printed."""
    environment = os.environ | {"LLM_OPTIMIZE_HOME": str(folder)}
    command = [sys.executable, "-m", "llm_optimize", "run", str(EXAMPLES / example), "--json", *words]
    environment |= {"OPENAI_BASE_URL": server.url, "LLM_OPTIMIZE_MODEL": server.model}
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout, done.stderr[-2000:]
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def test_an_example_runs_to_its_end(server: RealServer, tmp_path):
    """The whole command: it ends by its own rule, with exit status 0 and something better."""
    status, lines = _ran(server, "code_golf.py", tmp_path, "--model", server.spec)
    assert status == 0, lines[-1]
    scores = [line["score"] for line in lines if line.get("score") is not None]
    assert len(scores) >= 2
    assert max(scores[1:]) >= scores[0]


def test_a_judge_that_gives_no_marks_gives_no_scores(server: RealServer, tmp_path):
    """No answer of these servers carries the fence's code: each text is a failure that says so, and has no score."""
    if server.name == "llama_cpp":
        pytest.skip("a random model that a grammar holds to JSON writes until its context is full: minutes for a mark")
    status, lines = _ran(server, "text_rubric.py", tmp_path)
    told = [line for line in lines if line["kind"] == "told"]
    assert {line["failure"] for line in told} == {"unjudged"}
    assert len(told) >= 2
    assert (status, lines[-1]["best_score"]) == (1, None)


def test_a_mark_in_an_answer_is_read(server: RealServer):
    """The predecessor's judge reads its mark wherever the answer has it."""
    read = partial(re.findall, r"final_score=(\d+)")
    parsed = lambda said: float(read(said)[-1])  # noqa: E731 - a shorthand
    score = eval_utils.get_llm_scorer("Mark this:\n{x}", parse_score=parsed, model=server.spec)
    result = optimize.run("t", "q", score, x0="x", model=server.spec, max_steps=2, verbose=False, store=None)
    assert result.scores
    assert set(result.scores) <= set(map(parsed, ANSWERS))


def test_a_rate_limit_of_a_gateway_is_an_error_that_can_be_waited_out(server: RealServer):
    """What the gateway says of a limit is understood: asked again later, and told in one line when time is up."""
    if server.name != "litellm":
        pytest.skip("only the gateway imitates a limit")
    chat = llm.as_chat_model(f"{server.url}#limited")
    with pytest.raises(ModelError, match=r"busy|limit"):
        chat.complete(Request(HELLO))
