"""Prompts x settings: NUX's call in both forms, the ranking, slots, inputs, budgets, halving, a joint search."""

from __future__ import annotations

import json

import pytest

from llm_optimize import Budget, ScriptedModel, sweep
from llm_optimize.core.events import Opened
from llm_optimize.core.types import Evaluation
from llm_optimize.errors import BadInput
from llm_optimize.stores.sqlite import SQLiteStore
from llm_optimize.sweep.halving import Halving
from llm_optimize.testing.server import ScriptedServer
from llm_optimize.testing.surface import WANTED, Surface

PROMPTS = ["Retell: {{article}}", "Summarize: {{article}}"]
ARTICLE = {"article": "The boats came in."}


@pytest.fixture
def openai(monkeypatch):
    """A stand-in that the environment names, which has ``chatgpt``'s model."""
    with ScriptedServer(Surface(prompts={"Summarize": 0.5}), models=("chatgpt-4o-latest",)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        yield server


@pytest.mark.parametrize("form", ["function", "class"])
def test_nux_calls_as_typed(openai, form, capsys, tmp_path):
    """Both forms of the README rank every pair, show the cost first, and write the results and the page."""
    how = {"interval": 0.1, "user_prompts": PROMPTS, "desired_output": WANTED, "inputs": ARTICLE}
    if form == "function":
        result = sweep.optimize("chatgpt", api_key="sk-1", **how)
    else:
        result = sweep.NuxAI(model="chatgpt", api_key="sk-1").optimize(**how)
    out = capsys.readouterr().out
    assert out.index("20 pairs, 20 calls of chatgpt-4o-latest") < out.index("#0 similarity")
    ranked = result.pairs
    assert len(ranked) == 20
    assert sorted({one.settings["temperature"] for one in ranked}) == [i / 10 for i in range(1, 11)]
    assert [one.similarity for one in ranked] == sorted((one.similarity for one in ranked), reverse=True)
    assert result.best.prompt == PROMPTS[0]
    assert "{{article}}" not in result.body["messages"][0]["content"]
    folder = tmp_path / "results"
    rows = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert {"id", "prompt", "settings", "response", "similarity", "tokens", "seconds"} <= rows[0].keys()
    lines = [json.loads(line) for line in (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(one["id"] for one in lines) == list(range(20))
    assert all(one["response"] and one["tokens"] and one["seconds"] > 0 for one in lines)
    assert "sortable" in (folder / "index.html").read_text(encoding="utf-8") or (folder / "index.html").stat().st_size


def test_a_huge_grid_is_sampled(openai, quiet):
    """``max_combinations`` alone samples the five fields of the README's diagram; no pair comes twice."""
    result = sweep.optimize(
        "chatgpt", "sk-1", max_combinations=12, user_prompts="Retell: x", desired_output=WANTED, **quiet
    )
    assert len({json.dumps(dict(one.settings), sort_keys=True) for one in result.pairs}) == 12
    assert result.best.settings.keys() == {
        "temperature", "top_p", "max_tokens", "frequency_penalty", "presence_penalty",
    }  # fmt: skip


def test_every_kind_of_dimension(stand_in, quiet):
    """Prompts, system prompts, listed values, ranges and any further field make one grid."""
    with stand_in() as server:
        result = sweep.optimize(
            "m", base_url=server.url, user_prompts=["a", "b"], system_prompts=["", "s"], desired_output=WANTED,
            settings={"temperature": (0.5, 0.1, -0.4), "min_p": [0.0, 0.1], "seed": 7}, **quiet,
        )  # fmt: skip
        roles = sorted(len(one.body["messages"]) for one in server.requests)
    assert len(result.pairs) == 16
    assert roles == [1] * 8 + [2] * 8
    assert {one.settings["seed"] for one in result.pairs} == {7}


def test_several_inputs_and_wanted_answers(stand_in, quiet):
    """Each input has its own wanted answer, the score is the mean; of alternatives the nearest counts."""

    def answer(body, index):
        return body["messages"][-1]["content"].upper()

    with stand_in(answer) as server:
        how = {"base_url": server.url, "user_prompts": "{{word}}", "settings": {}, "similarity": "ratio", **quiet}
        both = sweep.optimize("m", desired_output=["ONE", "xxx"], inputs=[{"word": "one"}, {"word": "two"}], **how)
        near = sweep.optimize("m", desired_output=["xxx", "ONE"], inputs={"word": "one"}, **how)
        rows = [["xxx", "ONE"], "TWO"]
        mixed = sweep.optimize("m", desired_output=rows, inputs=[{"word": "one"}, {"word": "two"}], **how)
    assert (both.target, both.best.n, both.best.answers) == (0.5, 2, ("ONE", "TWO"))
    assert (near.target, mixed.target) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("similarity", "expected"),
    [
        ("ratio", 0.88),
        ("token_f1", 0.5),
        (lambda answer, wanted: len(answer) / len(wanted), 13 / 12),
        (lambda answer, wanted: (0.25, "because"), 0.25),
    ],
)
def test_the_measure_is_chosen(stand_in, quiet, similarity, expected):
    """A named measure or any function of the answer and the wanted text."""
    with stand_in(lambda body, index: "The cat sits.") as server:
        result = sweep.optimize(
            "m", base_url=server.url, user_prompts="a", desired_output="The cat sat.", settings={},
            similarity=similarity, **quiet,
        )  # fmt: skip
    assert result.target == pytest.approx(expected)


def test_the_pair_that_autojunk_spoils(stand_in, quiet):
    """Two long texts that differ by one letter's place are near by default, and far as the original has it."""
    wanted, said = "b" + "a" * 300, "a" * 300 + "b"
    with stand_in(lambda body, index: said) as server:
        how = {"prompt": "p", "target": wanted, "n_iter": 0, "init_points": 1, **quiet}
        ours = sweep.find_parameters(server.url, "m", **how).target
        original = sweep.find_parameters(server.url, "m", similarity="ratio_autojunk", **how).target
    assert ours > 0.99
    assert original < 0.01


def test_a_judge_may_compare(stand_in, quiet):
    """A chat model that judges sees the wanted answer; its mark is the similarity, its cost is in the account."""

    def marks(request):
        code = request.messages[-1].content.partition("<<<CANDIDATE ")[2][:16]
        assert "The cat sat." in request.messages[0].content
        return f'{{"fence_code": "{code}", "closeness": {{"reason": "Near.", "mark": 8}}}}'

    with stand_in(lambda body, index: "A cat sat.") as server:
        result = sweep.optimize(
            "m", base_url=server.url, user_prompts="a", desired_output="The cat sat.", settings={},
            similarity="judge", judge=ScriptedModel(marks), **quiet,
        )  # fmt: skip
    assert result.target == pytest.approx(0.8)
    assert result.history.account.by_role()["judge"].calls == 1
    assert result.history.account.by_role()["target"].calls == 1


class Letters:
    """An embedding model of one's own."""

    name = "letters"
    asked = 0

    def embed(self, texts):
        import numpy as np  # noqa: PLC0415 - only here

        Letters.asked += len(texts)
        return np.array([[one.count("a"), one.count("b")] for one in texts], dtype=np.float32)


def test_embeddings_are_chosen_and_kept(stand_in, quiet):
    """The cosine of any model's vectors; a second run embeds nothing again."""
    with stand_in(lambda body, index: "aab") as server:
        how = {
            "base_url": server.url, "user_prompts": "x", "desired_output": "aabb", "settings": {},
            "similarity": "cosine", "embedding": Letters(), **quiet,
        }  # fmt: skip
        first = sweep.optimize("m", **how).target
        asked = Letters.asked
        assert sweep.optimize("m", **how).target == first == pytest.approx(6 / 40**0.5)
    assert Letters.asked == asked


def test_a_cap_stops_the_sweep(stand_in, quiet):
    """A budget of pairs or tokens ends it before the grid does; what was asked is ranked."""
    how = {"user_prompts": "a", "desired_output": WANTED, **quiet}
    with stand_in() as server:
        result = sweep.optimize("m", base_url=server.url, budget=Budget(evaluations=4), **how)
        assert len(server.requests) == len(result.pairs) == 4
    with stand_in() as server:
        settings = {"temperature": (0.1, 1.0, 0.1), "max_tokens": 100}
        result = sweep.optimize("m", base_url=server.url, settings=settings, budget=Budget(tokens=700), **how)
        assert 1 <= len(result.pairs) < 10
        assert result.usage.tokens <= 700
    with stand_in() as server, pytest.raises(BadInput, match="price"):
        sweep.optimize("http://127.0.0.1:1/v1#m", budget=Budget(dollars=1.0), prices={}, **how)


def test_the_price_is_shown_before_the_run(stand_in, quiet):
    """Calls, tokens and dollars come before the first request; an unknown price is said to be unknown."""
    said = []
    how = {"user_prompts": "a", "desired_output": WANTED, **quiet, "verbose": True, "repeats": 2}
    with stand_in() as server:

        def note(line):
            said.append((line, len(server.requests)))

        sweep.optimize("m", base_url=server.url, prices={"m": (1000, 1000)}, say=note, **how)
        sweep.optimize("m", base_url=server.url, prices={}, say=note, **how)
    first = said[0]
    assert first[1] == 0
    assert "10 pairs, 20 calls of m" in first[0]
    assert "$" in first[0]
    assert any("price unknown" in line for line, _ in said)


def test_halving_spends_repeats_on_the_better_half(stand_in, quiet):
    """16 pairs are asked once, 8 twice, 4 four times, 2 eight times, whatever the number of workers."""
    counted = []
    for workers in (1, 3):
        with stand_in(Surface(noise=0.08)) as server:
            result = sweep.optimize(
                "m", base_url=server.url, user_prompts=["a", "b"], desired_output=WANTED, search="halving",
                settings={"temperature": (0.1, 0.8, 0.1)}, repeats=8, similarity="ratio", parallel=workers, **quiet,
            )  # fmt: skip
            assert len(server.requests) == Halving(arms=16, most=8).evaluations == 40
        counted.append(sorted((one.n for one in result.pairs), reverse=True))
        assert result.best.n == 8
    assert counted == [[8, 8, 4, 4, 2, 2, 2, 2, *[1] * 8]] * 2


def test_the_log_holds_what_a_report_needs(stand_in, quiet, tmp_path):
    """What is wanted, the inputs, the dimensions and the endpoint are in the log; every answer is."""
    path = tmp_path / "sweep.db"
    with stand_in() as server:
        sweep.optimize(
            "m", base_url=server.url, user_prompts=["{{x}}"], desired_output=WANTED, inputs={"x": "1"},
            **(quiet | {"store": path, "study": "s"}),
        )  # fmt: skip
    with SQLiteStore(path) as store:
        events = [event for _, event in store.read("s")]
    opened = next(one for one in events if isinstance(one, Opened))
    kept = opened.settings["sweep"]
    assert kept["wanted"] == [WANTED]
    assert kept["inputs"] == [{"x": "1"}]
    assert (kept["model"], kept["base_url"], kept["no_effect"]) == ("m", server.url, [])
    assert kept["dimensions"]["temperature"] == {"low": 0.1, "high": 1.0, "count": 10, "whole": False, "log": False}
    outcomes = [one.outcome for one in events if hasattr(one, "outcome")]
    assert all(isinstance(one, Evaluation) and one.answers for one in outcomes)


def test_another_sweep_under_the_same_name_is_refused(stand_in, quiet, tmp_path):
    """A study is gone on with only where it is about the same."""
    how = quiet | {"store": tmp_path / "sweep.db", "study": "s"}
    with stand_in() as server:
        sweep.optimize("m", base_url=server.url, user_prompts="a", desired_output="one", settings={}, **how)
        with pytest.raises(BadInput, match="another question"):
            sweep.optimize("m", base_url=server.url, user_prompts="a", desired_output="two", settings={}, **how)
        asked = len(server.requests)
        again = sweep.optimize("m", base_url=server.url, user_prompts="a", desired_output="one", settings={}, **how)
        assert len(server.requests) == asked
    assert len(again.pairs) == 1


def test_prompt_and_settings_are_searched_jointly(stand_in, quiet):
    """The chat model writes a better prompt, the engine sets the numbers, and the best has both."""
    asked = []

    def better(request):
        asked.append(request)
        settings = {"temperature": 0.5, "top_k": 50}
        body = {"prompt": f"Retell {len(asked)}: {{{{article}}}}", "settings": settings, "system_prompt": ""}
        return f"A retelling is closer.\n```json\n{json.dumps(body)}\n```"

    surface = Surface(
        prompts={"Retell": 1.0, "Summarize": 0.4, "Tell": 0.5}, noise=0.0, best={"temperature": 0.8, "top_k": 85}
    )
    with stand_in(surface) as server:
        result = sweep.optimize(
            "m", base_url=server.url, user_prompts=["Summarize: {{article}}", "Tell: {{article}}"], inputs=ARTICLE,
            desired_output=WANTED, settings={"temperature": (0.1, 0.9), "top_k": (1, 100)}, search="auto",
            max_combinations=30, improve_with=ScriptedModel(better), similarity="ratio", **quiet,
        )  # fmt: skip
        assert len(server.requests) == 30
    assert asked
    assert result.best.prompt.startswith("Retell")
    assert result.best.settings["temperature"] != 0.5
    assert all(isinstance(one.settings["top_k"], int) for one in result.pairs)
    assert {"Summarize: {{article}}", "Tell: {{article}}"} <= {one.prompt for one in result.pairs}
