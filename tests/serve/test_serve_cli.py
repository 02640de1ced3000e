"""What the command line says about a page that cannot be served; nothing is spent and nothing listens."""

from __future__ import annotations

import json

import pytest
from helpers.gate import Gate

from llm_optimize import SQLiteStore
from llm_optimize.cli import main
from llm_optimize.core.events import Opened
from llm_optimize.core.types import Problem
from llm_optimize.testing.server import ScriptedServer

TASK = "TASK = 'Make it long.'\nQUESTION = 'What is longer?'\nx0 = 'start'\nscore = len\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("serve",), "does not exist: run a study first"),
        (("serve", "none"), "it holds no study"),
        (("serve", "--store", "s.db", "nothing-like-it"), "is not in"),
        (("serve", "--store", "s.db", "--host", "0.0.0.0"), "other machines could steer the study; give --token auto"),
        (("serve", "--store", "s.db", "--token", "short"), "which can be guessed"),
        (("serve", "--store", "s.db", "--port", "70000"), "give 0 to 65535"),
        (("serve", "--store", "s.db", "--host", "203.0.113.1", "--token", "auto"), "cannot be listened on"),
        (("run", "task.py", "--port", "1"), "--port: it says where the page is served; add --serve"),
        (("run", "task.py", "--serve", "--host", "0.0.0.0"), "other machines could steer the study"),
        (("resume", "demo", "--store", "s.db", "--token", "auto"), "--token: it says where the page is served"),
    ],
)
def test_what_cannot_be_served_is_told_in_a_line(words, said, tmp_path, capsys):
    """Exit code 2 and one line that says what to do."""
    (tmp_path / "task.py").write_text(TASK)
    with SQLiteStore("s.db") as store:
        store.append("demo", Opened(Problem("t")))
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not (tmp_path / ".llm_optimize").exists()


def test_a_token_can_come_from_the_environment(tmp_path, capsys, monkeypatch):
    """A command line can be read by others on the machine; a token that is too short is refused from there too."""
    monkeypatch.setenv("LLM_OPTIMIZE_TOKEN", "short")
    with SQLiteStore("s.db") as store:
        store.append("demo", Opened(Problem("t")))
    assert main(["serve", "--store", "s.db"]) == 2
    assert "which can be guessed" in capsys.readouterr().err


PROMPT = ("prompt", "--prompt", "Sum up {text}.", "--num-iters", "1", "--num-samples", "2", "--plain", "--seed", "1")
SWEEP = ("sweep", "--prompt", "p", "--wanted", "w", "--no-probe", "--set", "temperature=0.1,0.2", "--study", "swept")


@pytest.mark.parametrize(("words", "study"), [(PROMPT, "prompt-1"), (SWEEP, "swept")])
def test_the_page_stands_beside_other_searches(words, study, started, page_at):
    """While the command runs its page shows the study as running here; what is said there is in its log: it stops."""
    gate = Gate(lambda index: f"```\nSum up {{text}} {index}.\n```")
    with ScriptedServer(gate, models=("m",)) as server:
        model = ("--model", "m", "--url", server.url) if words is SWEEP else ("--model", f"{server.url}#m")
        with started(*words, *model, "--serve", "--port", "0") as (process, url):
            page = page_at(url)
            [line] = json.loads(page.ask("/api/studies")[2])["studies"]
            assert (line["name"], line["state"], line["here"]) == (study, "running", True)
            assert page.ask(f"/api/say?study={study}", "POST", {"act": "stop"})[0] == 200
            gate.let(200)
            process.wait(60)
    with SQLiteStore(".llm_optimize/studies.db") as store:
        last = [event for _, event in store.read(study)][-1]
    assert last.reason == "stopped by hand"
