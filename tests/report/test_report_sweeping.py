"""What a report says of a sweep, and how to repeat a study."""

from __future__ import annotations

import csv
import io
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from llm_optimize import Evaluation, MaxSteps, MemoryStore, Problem, SQLiteStore, Study
from llm_optimize.core.types import Candidate, Trial
from llm_optimize.report.data import report_data
from llm_optimize.report.log import read_log
from llm_optimize.report.pairs import pairs
from llm_optimize.report.reproduce import commands, in_force
from llm_optimize.report.sweeping import request_of, sweep_data
from llm_optimize.report.texts import Texts
from llm_optimize.report.writing import write_report

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
import report_studies as studies

PAIRS = 400


@pytest.fixture
def sweep(tmp_path):
    """A store with a sweep of some hundred pairs, and its name."""
    store = SQLiteStore(tmp_path / "s.db")
    return store, studies.sweep(store, PAIRS)


def pair(prompt: str, similarity: float = 0.5, **settings: object) -> Trial:
    text = json.dumps({"prompt": prompt, "system_prompt": "", "settings": settings})
    return Trial(Candidate(0, text), Evaluation(similarity, answers=("yes",)))


def test_the_ranking_holds_every_pair_as_it_was_sent(sweep):
    """Rank by rank: the pair's id, its settings, its answer; integers stay integers."""
    data = report_data(read_log(*sweep))
    ranking, trials, texts = data["sweep"], data["trials"], data["texts"]
    assert sorted(ranking["order"]) == list(range(PAIRS))
    assert ranking["names"] == ["presence_penalty", "temperature", "top_k", "top_p"]
    for place in (0, 7, PAIRS // 2):
        number = ranking["order"][place]
        body = json.loads(studies.point(number))
        assert {name: ranking["settings"][name][place] for name in ranking["names"]} == body["settings"]
        assert texts[ranking["prompts"][ranking["prompt"][place]]] == body["prompt"]
        [answer] = trials["answers"][trials["id"].index(number)]
        assert texts[answer] == studies.answered(studies.point(number)).answers[0]
    assert all(isinstance(value, int) for value in ranking["settings"]["top_k"])
    scores = [trials["score"][trials["id"].index(number)] for number in ranking["order"]]
    assert scores == sorted(scores, key=lambda score: (score is None, -(score or 0)))
    assert data["study"]["kind"] == "sweep"
    assert ranking["effects"][0]["name"] == "temperature"
    assert [one["ignored"] for one in ranking["effects"] if one["name"] == "top_k"] in ([True], [])


def test_the_files_of_a_sweep(sweep, tmp_path):
    """JSON has the pairs with answer, similarity, tokens and seconds; CSV has a column for each setting."""
    data = json.loads(write_report(*sweep, tmp_path / "r.json").read_text())
    best = data["pairs"][0]
    assert {"id", "prompt", "settings", "answer", "similarity", "tokens", "seconds"} <= set(best)
    assert best["similarity"] == max(one["similarity"] or 0 for one in data["pairs"])
    rows = list(csv.DictReader(io.StringIO(write_report(*sweep, tmp_path / "r.csv").read_text())))
    assert [row["rank"] for row in rows] == [str(place + 1) for place in range(PAIRS)]
    assert float(rows[0]["temperature"]) == best["settings"]["temperature"]
    text = write_report(*sweep, tmp_path / "r.md").read_text()
    assert "## Effect of each setting" in text
    assert f"## The 20 best of {PAIRS} pairs" in text


def test_the_best_is_a_ready_request():
    """Slots are filled, settings stand beside model and messages, and a shell reads the command as it was meant."""
    prompt = 'It\'s {{what}}; $(touch pwned) `x` "q"'
    sent = {"model": "m", "base_url": "http://127.0.0.1:1/v1", "inputs": [{"what": "5 o'clock"}], "wanted": ["yes"]}
    ranked = pairs([pair(prompt, temperature=0.3, top_k=7)])
    body = request_of(ranked[0], sent)
    assert body["messages"] == [{"role": "user", "content": prompt.replace("{{what}}", "5 o'clock")}]
    assert (body["model"], body["temperature"], body["top_k"]) == ("m", 0.3, 7)
    request = sweep_data(ranked, sent, Texts())["request"]
    assert json.loads(request["json"]) == body
    words = shlex.split(request["curl"].replace("\\\n", " "))
    assert words[1] == "http://127.0.0.1:1/v1/chat/completions"
    assert json.loads(words[-1]) == body
    echoed = subprocess.run(
        ["sh", "-c", f"printf %s {shlex.quote(words[-1])}"], capture_output=True, text=True, check=True
    )
    assert json.loads(echoed.stdout) == body


def test_a_sweep_of_one_pair_and_of_failures_has_data():
    """Without anything to compare there are no effects, and without a score no request."""
    one = sweep_data(pairs([pair("p", t=1)]), {}, Texts())
    assert (one["effects"], one["heat"], one["wanted"]) == ([], None, [])
    assert sweep_data([], {}, Texts())["request"] is None


def test_the_commands_repeat_the_study():
    """The run as it was typed, with its flags, comes first; a password in an address is left out."""
    settings = {
        "file": "my task.py", "folder": "/tmp/x",
        "flags": {"model": "http://me:secret@localhost/v1#m", "price": [1, 2]},
        "in_force": {"max_steps": 3, "seed": 4, "stop_score": None},
    }  # fmt: skip
    store = MemoryStore()
    Study(Problem("t", start="x"), None, len, store=store, name="a b", stop=MaxSteps(0), settings=settings).run()
    log = read_log(store, "a b")
    [(label, command)] = commands(log)
    assert label == "Run it again"
    assert command == ("cd /tmp/x && llm-optimize run 'my task.py' --model 'http://localhost/v1#m' --price 1,2")
    assert ("in_force.max_steps", "3") in in_force(log)
    assert not any("secret" in value for _, value in in_force(log))
    assert "secret" not in json.dumps(report_data(log))


def test_the_commands_of_other_kinds_of_study(tmp_path):
    """A search that a command of its own began is repeated by that one; a sweep goes on by being given again."""
    began = {"prompt": {"command": "prompt", "flags": {"prompt": "Sum up {text}."}}, "sweep": {"sweep": {"wanted": []}}}
    with SQLiteStore(tmp_path / "studies.db") as store:
        for name, settings in began.items():
            Study(Problem("t", start="x"), None, len, store=store, name=name, stop=MaxSteps(0), settings=settings).run()
        said = {name: dict(commands(read_log(store, name))) for name in began}
    assert said["prompt"]["Run it again"] == "llm-optimize prompt --prompt 'Sum up {text}.'"
    assert said["prompt"]["Go on with it"].startswith("llm-optimize resume prompt --store ")
    assert said["sweep"]["Go on with it"].startswith("llm-optimize sweep ... --study sweep")
    assert "Run it again" not in said["sweep"]
