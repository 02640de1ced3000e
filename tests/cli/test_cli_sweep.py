"""``llm-optimize sweep``: both forms from the command line, its flags, its exit codes."""

from __future__ import annotations

import ast
import json

import pytest

from llm_optimize.cli.sweep import read_setting
from llm_optimize.errors import BadInput
from llm_optimize.testing.server import Answer, ScriptedServer
from llm_optimize.testing.surface import WANTED, Surface


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("temperature=0.7", ("temperature", 0.7)),
        ("temperature=0.1,0.5", ("temperature", [0.1, 0.5])),
        ("temperature=0.1..0.9", ("temperature", (0.1, 0.9))),
        ("temperature=0.9..0.1:-0.2", ("temperature", (0.9, 0.1, -0.2))),
        ("k=1..9 int", ("k", (1, 9, "int"))),
        ("k=1..1000 log:4", ("k", (1, 1000, "log", 4))),
        ("presence_penalty=-1..1", ("presence_penalty", (-1, 1))),
        ("stop=END", ("stop", "END")),
        ('stop=["a","b"]', ("stop", ["a", "b"])),
        ('extra={"a": 1}', ("extra", {"a": 1})),
    ],
)
def test_a_field_is_read(text, read):
    """Values, lists and ranges of any field."""
    assert read_setting(text) == read


@pytest.mark.parametrize("text", ["temperature", "=1", "temperature=", "temperature=a..b"])
def test_what_is_no_field_is_refused(text):
    """One line that says how to write it."""
    with pytest.raises(BadInput, match="--set"):
        read_setting(text)


def test_find_from_the_command_line(cli, tmp_path):
    """Endpoint, model, texts in files, a field more and a budget: the heading and the last line, in German."""
    (tmp_path / "wanted.txt").write_text(WANTED, encoding="utf-8")
    with ScriptedServer(Surface(), models=("m",)) as server:
        done = cli(
            "sweep", "--find", "--url", f"{server.url}/chat/completions", "--model", "m", "--system", "s", "--prompt",
            "p", "--wanted-file", "wanted.txt", "--set", "min_p=0..0.2", "--set", "top_k=40", "--init-points", 2,
            "--n-iter", 1, "--search", "random", "--language", "de", "--no-probe",
        )  # fmt: skip
        bodies = [one.body for one in server.requests]
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[-2] == "Beste gefundene Parameter:"
    assert "min_p" in ast.literal_eval(lines[-1])["params"]
    assert len(bodies) == 3
    assert all(one["top_k"] == 40 and one["max_tokens"] == 700 and 0 <= one["min_p"] <= 0.2 for one in bodies)
    assert (tmp_path / "results" / "best.sh").read_text(encoding="utf-8").startswith("curl ")


def test_a_grid_from_the_command_line(cli, tmp_path):
    """Prompts, a range and inputs: JSON lines for machines, the page for people, and a study that goes on."""
    (tmp_path / "inputs.json").write_text('[{"x": "1"}, {"x": "2"}]', encoding="utf-8")
    with ScriptedServer(Surface(), models=("m",)) as server:
        words = (
            "sweep", "--url", server.url, "--model", "m", "--prompt", "a {{x}}", "--prompt", "b {{x}}", "--json",
            "--wanted", WANTED, "--set", "temperature=0.2..0.4:0.1", "--inputs", "inputs.json", "--study", "one",
            "--out", "here", "--similarity", "ratio",
        )  # fmt: skip
        done = cli(*words, "--budget-evals", 2)
        assert len(done.stdout.splitlines()) == 3
        refused = [cli("resume", "one", *more) for more in (("--ideas", 3), ("--serve", "--host", "0.0.0.0"))]
        again = cli("resume", "one", "--budget-evals", 100, "--json")
        grid = [one for one in server.requests if one.body["messages"][0]["content"][:1] in "ab"]
    assert again.returncode == 0, again.stderr
    assert [one.returncode for one in refused] == [2, 2]
    assert "--ideas: a sweep goes on as it was begun; leave it out" in refused[0].stderr
    assert "other machines could steer the study" in refused[1].stderr
    rows = [json.loads(line) for line in again.stdout.splitlines()]
    assert len(rows) == 7
    assert rows[-1]["best"]["target"] == rows[0]["similarity"]
    assert len(grid) == 12
    assert (tmp_path / "here" / "results.jsonl").exists()


def test_a_sweep_with_a_key_is_resumed_by_its_own_command(cli):
    """A header may be a key: the log keeps neither it nor a proxy, and says so to who resumes."""
    with ScriptedServer(Surface(), models=("m",)) as server:
        words = (
            "sweep", "--url", server.url, "--model", "m", "--prompt", "p", "--wanted", "w", "--no-probe", "--study",
            "one", "--header", "X-Key=sesame",
        )  # fmt: skip
        assert cli(*words).returncode == 0
        resumed = cli("resume", "one")
    assert resumed.returncode == 2
    assert "had --header, which no log keeps: give its `sweep` command again with --study" in resumed.stderr
    assert b"sesame" not in (cli.folder / ".llm_optimize" / "studies.db").read_bytes()


def test_all_failing_is_exit_code_one(cli):
    """No best, exit code 1; a wrong range is 2, and no request is made for it."""
    with ScriptedServer(lambda body, index: Answer("no", status=400), models=("m",)) as server:
        words = ("sweep", "--url", server.url, "--model", "m", "--prompt", "p", "--wanted", "w", "--no-probe")
        failed = cli(*words)
        asked = len(server.requests)
        wrong = cli(*words, "--set", "temperature=0.9..0.1:0.1")
        assert len(server.requests) == asked
    assert failed.returncode == 1
    assert "target" not in failed.stdout
    assert wrong.returncode == 2
    assert "temperature" in wrong.stderr
    assert cli("sweep", "--prompt", "p").returncode == 2
