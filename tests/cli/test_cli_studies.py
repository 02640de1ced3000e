"""``list``, ``show``, ``guide``, ``init`` and ``doctor``."""

from __future__ import annotations

import json
import re

import pytest

from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem, Usage
from llm_optimize.stores.sqlite import SQLiteStore


@pytest.fixture
def told(cli):
    """A store with a study of three trials, one failed, and one candidate pending; its process was killed."""
    path = cli.folder / "s.db"
    chat = Candidate(1, "second \x1b[31mtext", "because\nit is longer", "chat:m", 0)
    events = [
        Opened(Problem("the task", "the question", "first text"), at=1.0),
        Proposed((Candidate(0, "first text", origin="start"),), at=2.0),
        Told(0, Evaluation(1.5, "short"), 0.5, 3.0),
        Proposed((chat, Candidate(2, "third", "", "chat:m")), Usage(1, 100, 20, 30, 0.01), 0, "", 4.0),
        Told(1, Evaluation(2.5, "longer\nstill"), 0.5, 5.0),
        Told(2, Failure("raised", "ValueError: no"), 0.1, 6.0),
        Proposed((Candidate(3, "fourth", "", "numeric:gp"),), Usage(), 1, "", 7.0),
    ]
    with SQLiteStore(path) as store:
        for event in events:
            store.append("essay-1", event)
    return path


def test_list_of_nothing_makes_nothing(cli):
    """A missing store is a store without studies, and stays missing."""
    done = cli("list", "--store", "none.db")
    assert (done.returncode, done.stdout) == (0, "")
    assert "no studies in" in done.stderr
    assert not (cli.folder / "none.db").exists()
    assert cli("list", "--store", "none.db", "--json").stdout == ""


def test_list(cli, told):
    """One row per study: name, trials, best, when, and that a killed one can be resumed."""
    head, row = cli("list", "--store", told).stdout.splitlines()
    assert head.split() == ["NAME", "TRIALS", "BEST", "UPDATED", "STATE"]
    assert re.fullmatch(r"essay-1 +3 +2\.5 +19[67]\d-.*killed; resume goes on", row)
    listed = json.loads(cli("list", "--store", told, "--json").stdout)
    assert (listed["name"], listed["trials"], listed["best_score"]) == ("essay-1", 3, 2.5)


def test_show_summary(cli, told):
    """The summary holds scores, counts, costs, the best text and the trials, and no control character of them."""
    shown = cli("show", "essay-1", "--store", told).stdout
    for part in (
        "x0        score 1.5",
        "best      score 2.5 (#1, chat:m)",
        "3 evaluations (1 failed), 1 pending",
        "1 model call, 100 tokens in, 20 of them (20 %) cached, 30 out, $0.0100",
        "chat:m 2 (best 2.5); start 1 (best 1.5)",
        "second \ufffd[31mtext",
        "#2  failed  chat:m",
    ):
        assert part in shown
    assert "\x1b" not in shown


def test_show_parts(cli, told):
    """A trial, the best text, the best few and the log can be had alone."""
    show = lambda *words: cli("show", "essay-1", "--store", told, *words).stdout  # noqa: E731 - a shorthand
    assert show("--best") == "second \x1b[31mtext\n"
    trial = show("--trial", 1)
    assert "idea:\nbecause\nit is longer" in trial
    assert "feedback:\nlonger\nstill" in trial
    assert [line.split()[0] for line in show("--top", 5).splitlines()] == ["ID", "#1", "#0"]
    assert len(show("--log").splitlines()) == 7
    assert [json.loads(line)["kind"] for line in show("--log", "--json").splitlines()][:2] == ["opened", "proposed"]
    assert json.loads(show("--json"))["pending"] == [3]
    assert json.loads(show("--trial", 2, "--json"))["failure"] == "raised"


@pytest.mark.parametrize("command", [("show",), ("resume",), ("guide",)])
def test_unknown_study(cli, told, command):
    """The closest name is offered, with 2; in a missing file as well, which stays missing."""
    text = ("hello",) if command == ("guide",) else ()
    done = cli(*command, "esay-1", *text, "--store", told)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "did you mean 'essay-1'?" in done.stderr
    gone = cli(*command, "essay-1", *text, "--store", "none.db")
    assert gone.returncode == 2
    assert not (cli.folder / "none.db").exists()


def test_show_unknown_trial(cli, told):
    """A trial that is pending, and one that never was, are told apart."""
    assert "is not evaluated yet" in cli("show", "essay-1", "--store", told, "--trial", 3).stderr
    unknown = cli("show", "essay-1", "--store", told, "--trial", 9)
    assert unknown.returncode == 2
    assert "the ids are 0 to 3" in unknown.stderr


def test_guide_is_logged(cli, told):
    """Guidance for a study that nobody runs waits in its log; an empty one is refused."""
    done = cli("guide", "essay-1", "use short words", "--store", told)
    assert done.returncode == 0
    assert "when the study is resumed" in done.stderr
    assert "guidance  use short words" in cli("show", "essay-1", "--store", told).stdout
    assert cli("guide", "essay-1", "  ", "--store", told).returncode == 2


def test_init_writes_a_file_that_runs(cli):
    """The starter runs as it is without a key, and is better at the end."""
    assert cli("init", "bread.py").returncode == 0
    done = cli("run", "bread.py", "--json", "--max-steps", 5)
    assert done.returncode == 0
    assert json.loads(done.stdout.splitlines()[-1])["scores"][0] == pytest.approx(7.73, abs=0.01)
    assert "no chat model is configured" in done.stderr


def test_init_never_overwrites(cli):
    """An existing file is left as it is; other suffixes and missing folders are refused."""
    path = cli.write("mine", "task.py")
    done = cli("init")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert path.read_text() == "mine"
    assert cli("init", "task.txt").returncode == 2
    assert cli("init", "no/such/task.py").returncode == 2


def test_doctor_without_a_model(cli):
    """Nothing needed fails: a model is optional, and what the sandbox does not cover is said."""
    done = cli("doctor")
    assert done.returncode == 0
    assert re.search(r"^warn +model +none is configured", done.stdout, re.MULTILINE)
    assert re.search(r"^(ok|warn) +sandbox ", done.stdout, re.MULTILINE)
    assert "not covered: " in done.stdout
    assert not (cli.folder / ".llm_optimize").exists()


def test_doctor_with_a_model(cli, server):
    """A model that answers is ok with its server and whether there is a key, which is never shown."""
    env = {"OPENAI_API_KEY": "sk-very-secret"}
    done = cli("doctor", "--model", "scripted", "--base-url", server.url, "--json", env=env)
    checks = {check["what"]: check for check in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 0
    assert checks["model"]["verdict"] == "ok"
    assert f"scripted at {server.url}, with a key" in checks["model"]["found"]
    assert checks["price"]["verdict"] == "warn"
    assert "sk-very-secret" not in done.stdout + done.stderr


def test_doctor_fails_for_what_is_asked_for(cli):
    """A model that was named and cannot be reached, or a store that is none, is a failure with 1."""
    cli.write(name="no.db")
    done = cli("doctor", "--model", "http://127.0.0.1:9/v1#m", "--store", "no.db")
    assert done.returncode == 1
    assert re.search(r"^fail +model ", done.stdout, re.MULTILINE)
    assert re.search(r"^fail +store ", done.stdout, re.MULTILINE)
