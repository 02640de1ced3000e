"""The search for settings: Parameter-Finder's run, the same requests twice, integers, noise, failures."""

from __future__ import annotations

import ast
import json
import socket

import pytest

from llm_optimize import sweep
from llm_optimize.core.types import Evaluation
from llm_optimize.errors import BadInput, ModelUnavailable
from llm_optimize.testing.server import Answer, ScriptedServer
from llm_optimize.testing.surface import WANTED, Surface

FIELDS = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "top_k")


def sent(server):
    """The settings of each request with the user's prompt, in order of arrival."""
    bodies = [one.body for one in server.requests if one.body["messages"][-1]["content"] == "Beschreibe den Hafen."]
    return [{name: value for name, value in body.items() if name not in {"model", "messages"}} for body in bodies]


def search(server, **how):
    """A quick search of the usual settings."""
    given = {"prompt": "Beschreibe den Hafen.", "target": WANTED, "search": "tpe", "n_iter": 7, **how}
    return sweep.find_parameters(server.url, "m", **given)


@pytest.mark.parametrize("port", [11434])
def test_parameter_finders_run_as_typed(port, capsys, tmp_path):
    """With the defaults alone: 30 requests on Ollama's port, the heading and the last line in German, the files."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            pytest.skip("another program listens on Ollama's port")
    with ScriptedServer(Surface(), models=(sweep.MODEL,), port=port) as server:
        result = sweep.find_parameters(
            system_prompt="Du bist ein Erzähler.", prompt="Beschreibe den Hafen.", target=WANTED, language="de"
        )
        requests = sent(server)
    lines = capsys.readouterr().out.splitlines()
    assert len(requests) == 30
    assert lines[-2] == "Beste gefundene Parameter:"
    assert ast.literal_eval(lines[-1]) == result.max == {"target": result.target, "params": result.params}
    assert any("30 Anfragen" in line for line in lines[:3])
    assert {body["max_tokens"] for body in requests} == {700}
    assert all(0.1 <= body["temperature"] <= 0.9 and 1 <= body["top_k"] <= 100 for body in requests)
    assert result.target > 0.6
    saved = json.loads((tmp_path / "results" / "best.json").read_text(encoding="utf-8"))
    assert saved["params"] == result.params
    assert saved["body"]["messages"][0] == {"role": "system", "content": "Du bist ein Erzähler."}


@pytest.mark.parametrize(("engine", "workers"), [("gp", 1), ("tpe", 4), ("cmaes", 3)])
def test_the_same_requests_twice(stand_in, quiet, engine, workers):
    """Equal seeds bring the same requests again, also with several in flight; another seed brings others."""
    runs = []
    for seed in (1, 1, 2):
        with stand_in(Surface()) as server:
            n_iter = 4 if engine == "gp" else 25
            search(server, search=engine, parallel=workers, seed=seed, n_iter=n_iter, **quiet)
            runs.append(sorted(json.dumps(one, sort_keys=True) for one in sent(server)))
    assert runs[0] == runs[1] != runs[2]
    assert len(runs[0]) == len(set(runs[0])) == 5 + n_iter


def test_the_best_is_exactly_a_request_that_was_sent(stand_in, quiet):
    """Whole numbers are whole from end to end: params are the fields of one request, its score the reported one."""
    with stand_in(noise=0.0) as server:
        result = search(server, **quiet)
        assert {"max_tokens": 700, **result.params} in sent(server)
        assert all(isinstance(one["top_k"], int) for one in sent(server))
        assert result.params.keys() == set(FIELDS)
        assert result.body["top_k"] == result.params["top_k"]


@pytest.mark.parametrize("engine", ["random", "tpe", "cmaes", "gp", "auto", "bayesian"])
def test_every_engine_searches(stand_in, quiet, engine):
    """Each sends as many different requests as it may, any field, list and range among them."""
    bounds = {"temperature": (0.1, 0.9), "top_k": (1, 64, "log"), "stop": ["a", "b"], "mirostat": [0, 1, 2]}
    with stand_in() as server:
        result = search(server, search=engine, pbounds=bounds, n_iter=2, init_points=4, **quiet)
        bodies = sent(server)
    assert len(bodies) == len({json.dumps(one, sort_keys=True) for one in bodies}) == 6
    assert all(one["stop"] in {"a", "b"} and one["mirostat"] in {0, 1, 2} for one in bodies)
    assert list(result.params) == list(bounds)


def test_repeats_have_a_mean_a_spread_and_tell_the_noise(stand_in, quiet):
    """Each pair is asked three times; the score is the mean, and the engine knows how far it can be trusted."""
    with stand_in(noise=0.1) as server:
        result = search(server, repeats=3, n_iter=1, init_points=3, **quiet)
        assert len(sent(server)) == 12
    best = result.best
    assert (best.n, len(best.answers)) == (3, 3)
    assert best.spread > 0
    outcome = result.history.best.outcome
    assert isinstance(outcome, Evaluation)
    assert outcome.score == pytest.approx(sum(outcome.examples) / 3)
    assert outcome.metrics["noise"] == pytest.approx(best.spread / 3**0.5)


@pytest.mark.parametrize("failed", ["penalised", "excluded"])
def test_a_failure_is_no_zero(stand_in, quiet, failed):
    """What the endpoint refuses is last in the ranking, without a similarity; a true 0 is above it."""

    def answer(body, index):
        if body["temperature"] > 0.6:
            return Answer("too hot", status=400)
        return "~" if body["temperature"] < 0.3 else WANTED

    with stand_in(answer) as server:
        result = search(server, failed=failed, n_iter=10, **quiet)
    ranked = [one.similarity for one in result.pairs]
    assert ranked[0] == 1.0
    assert ranked.count(0.0) >= 1
    assert ranked[-1] is None
    assert None not in ranked[: sum(one is not None for one in ranked)]
    assert all("too hot" in one.failure for one in result.pairs if one.similarity is None)


def test_all_failing_ends_without_a_best(stand_in, capsys, tmp_path):
    """No best, no body, exit code 1; it does not go on to the last pair."""
    with stand_in(lambda body, index: Answer("no", status=400)) as server:
        result = search(server, n_iter=25, probe=False, store=None)
        assert len(sent(server)) == 8
    assert (result.best, result.max, result.body, result.curl, result.code) == (None, {}, {}, "", 1)
    assert "No request succeeded" in capsys.readouterr().out.splitlines()[-1]
    assert not (tmp_path / "results" / "best.json").exists()
    assert len(json.loads((tmp_path / "results" / "results.json").read_text(encoding="utf-8"))) == 8


def test_an_empty_answer_is_a_failure(stand_in, quiet):
    """Nothing is compared that is no answer."""
    with stand_in(lambda body, index: "" if index % 2 else WANTED) as server:
        result = search(server, n_iter=1, init_points=3, **quiet)
    assert [one.similarity for one in result.pairs] == [1.0, 1.0, None, None]
    assert "empty answer" in result.pairs[-1].failure


def test_a_failed_call_is_made_again(stand_in, quiet):
    """A server that fails once is asked again after a while: no failure is left."""
    with stand_in(lambda body, index: Answer("busy", status=503) if index == 1 else WANTED) as server:
        result = search(server, n_iter=1, init_points=2, **quiet)
        assert len(sent(server)) == 4
    assert [one.similarity for one in result.pairs] == [1.0] * 3


def test_fields_without_an_effect_are_reported_and_left_out(stand_in, quiet, capsys):
    """The probe finds top_k ignored: it is said, not sent and not searched; declared ones likewise."""
    loud = quiet | {"verbose": True, "probe": True}
    with stand_in(honoured=frozenset({*FIELDS, "seed", "max_tokens"} - {"top_k"})) as server:
        result = search(server, search="random", n_iter=1, **loud)
        assert all("top_k" not in one for one in sent(server))
    assert result.no_effect == ["top_k"]
    assert "no effect: top_k" in capsys.readouterr().out
    assert "top_k" not in result.params
    with stand_in() as server:
        result = search(server, search="random", n_iter=1, **(quiet | {"probe": ["top_p"]}))
        assert result.no_effect == ["top_p"]


def test_header_key_and_proxy_reach_the_endpoint(stand_in, quiet):
    """The key and further headers are sent; with a proxy every request goes there."""
    with stand_in() as server:
        search(server, n_iter=0, init_points=1, api_key="sk-1", headers={"X-Team": "blue"}, timeout=5.0, **quiet)
        [request] = server.requests
        assert request.headers["authorization"] == "Bearer sk-1"
        assert request.headers["x-team"] == "blue"
    with pytest.raises(ModelUnavailable), stand_in() as server:
        search(server, n_iter=0, init_points=1, proxy="http://127.0.0.1:9", attempts=1, **quiet)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"pbounds": {"temperature": (0.9, 0.1)}}, "temperature"),
        ({"pbounds": {"top_p": (-1.0, 2.0)}}, "top_p"),
        ({"prompt": ""}, "prompt"),
        ({"target": " "}, "target"),
        ({"target": ["a", "b"], "inputs": [{}, {}, {}]}, "target holds 2 wanted answers for 3 inputs"),
        ({"prompt": "{{article}}"}, "slot"),
        ({"search": "best"}, "search"),
        ({"similarity": "close"}, "kind"),
        ({"similarity": "judge"}, "judge"),
        ({"similarity": 3}, "similarity"),
        ({"init_points": 0}, "init_points"),
        ({"n_iter": -1}, "n_iter"),
        ({"repeats": 0}, "repeats"),
        ({"failed": "ignored"}, "failed"),
        ({"language": "fr"}, "language"),
        ({"inputs": 3}, "inputs"),
        ({"study": " "}, "study"),
        ({"nonsense": 1}, "nonsense"),
        ({"probe": ["top_q"]}, "probe"),
    ],
)
def test_what_cannot_work_is_refused_before_any_call(stand_in, quiet, how, said):
    """One line that names the field, and no request."""
    with stand_in() as server, pytest.raises(BadInput, match=said):
        search(server, **(quiet | how))
    assert not server.requests


@pytest.mark.parametrize("search_name", ["gp", "tpe"])
def test_parallel_suggestions_do_not_depend_on_who_answers_first(stand_in, quiet, search_name):
    """With answers that take longer or shorter by chance the same requests are made."""
    runs = []
    for turn in range(2):
        surface = Surface()

        def answer(body, index, surface=surface, turn=turn):
            return Answer(surface(body, index), delay=0.03 * ((index + turn) % 3))

        with stand_in(answer) as server:
            search(server, search=search_name, parallel=3, n_iter=4, init_points=4, **quiet)
            runs.append(sorted(json.dumps(one, sort_keys=True) for one in sent(server)))
    assert runs[0] == runs[1]
