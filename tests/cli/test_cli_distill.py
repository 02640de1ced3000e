"""``llm-optimize distill`` and ``export --format``, as a user types them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from llm_optimize.cli import main
from llm_optimize.testing.server import ScriptedServer

FIXTURES = Path(__file__).parent.parent / "fixtures"


@pytest.fixture
def target():
    """A target that is right when asked politely, and a rewriter that asks so."""

    def answer(body, _):
        last = body["messages"][-1]["content"]
        if body["messages"][0]["role"] != "system":
            return "B" if last.startswith("Please") else "no idea"
        if "score=" not in last:
            return f"Please: {last}"
        return f"<prompt>Please: {last.partition('>')[2].partition('<')[0].strip()}</prompt>"

    with ScriptedServer(answer) as scripted:
        yield scripted


@pytest.fixture
def words(cli, target):
    """The words of a run of few calls."""
    lines = (FIXTURES / "mmlu.csv").read_text().splitlines()
    right = [line for line in lines[1:] if line.endswith(",B")][:4]
    (cli.folder / "q.csv").write_text("\n".join([lines[0], *right]) + "\n")
    few = ("--samples", 1, "--wrong", 1, "--rounds", 1)
    return ("distill", "--mmlu", "q.csv", "--folder", "run", "--model", f"{target.url}#scripted", *few)


@pytest.fixture
def command(capsys):
    """The command in this process, which is quicker: returns (exit code, stdout, stderr)."""

    def run(*words):
        capsys.readouterr()
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run


def test_a_run_is_made_and_exported(cli, command, target, words):
    """The forecast goes to stderr before the first call, the report to stdout; the folder exports in each format."""
    code, out, _ = command(*words, "--dry-run")
    assert (code, len(target.requests)) == (0, 0)
    assert out.startswith("at most ")
    done = cli(*words, "--price", "1,2", "--budget-usd", "1")
    assert done.returncode == 0, done.stderr
    assert "forecast: at most" in done.stderr
    assert "hard: 4 of 4, wrong in at least 1 of 1 answers" in done.stdout
    assert "best: 4 improved, 0 kept" in done.stdout
    assert "first words after: please 4 (100%)" in done.stdout
    asked = len(target.requests)
    code, out, _ = command(*words, "--json")
    fields = json.loads(out)
    assert (code, fields["done"], fields["counts"]["improved"]) == (0, True, 4)
    assert fields["total"]["dollars"] > 0
    assert len(target.requests) == asked
    for kind in ("chat", "prompt-completion", "conversational", "dpo", "dpo-conversational", "openai-dpo", "inst"):
        code, out, err = command("export", "run", "--format", kind, "--out", f"{kind}.jsonl")
        assert code == 0, err
        assert out.startswith(f"3 rows in {kind}.jsonl\n1 row in {kind}.validation.jsonl\n")
        assert ("only 3 rows: fine-tuning takes 10 or more" in out) == (kind == "chat")
    _, out, _ = command("export", "chat.jsonl", "--format", "inst", "--out", "x.csv", "--json")
    assert json.loads(out)["files"] == [{"file": "x.csv", "rows": 3}]


def test_a_cap_is_told_and_the_same_command_goes_on(command, target, words):
    """A run that meets its cap ends with 1 and says so; with a higher one it ends well."""
    code, out, _ = command(*words, "--budget-calls", 6)
    assert code == 1
    assert "ended before it was done: cap on calls: all 6 are made or under way" in out
    assert target.charged == 6
    code, out, _ = command(*words, "--budget-calls", 60, "--json")
    assert code == 0
    assert target.charged == json.loads(out)["total"]["calls"]


def test_a_study_is_exported_as_training_file(cli, command, server):
    """Candidates that beat the one they were made from become rows, held out by seed where that is asked for."""
    cli.write()
    assert cli("run", "task.py", "--study", "one", "--model", f"{server.url}#scripted", "--quiet").returncode == 0
    code, _, err = command(
        "export", "one", "--store", ".llm_optimize/studies.db", "--format", "chat", "--out", "x.jsonl"
    )
    assert code == 0, err
    rows = [json.loads(line) for line in (cli.folder / "x.jsonl").read_text().splitlines()]
    assert rows[0]["messages"][0] == {"role": "system", "content": "Make the text long."}
    assert rows[0]["messages"][1]["content"].startswith("start")
    assert "long" in rows[0]["messages"][-1]["content"]


WRONG = [
    (("distill", "--folder", "x"), "no questions: give at least one of --mmlu FILE"),
    (("distill", "--mmlu", "q.csv"), "--folder"),
    (("distill", "--mmlu", "none.csv", "--folder", "x", "--model", "m"), "none.csv: cannot be read"),
    (("distill", "--mmlu", "q.csv", "--folder", "x", "--model", "m", "--wrong", "9"), "wrong is 9"),
    (("export", "run", "--format", "chat"), "--out: the path is empty"),
    (("export", "empty", "--format", "chat", "--out", "x.jsonl"), "is no folder of a distill run"),
    (("export", "none", "--format", "chat", "--out", "x.jsonl"), "it holds no study"),
    (("export", "run", "--format", "xml", "--out", "x"), "invalid choice: 'xml'"),
    (("export", "run", "--format", "chat", "--exchanges", "x"), "not allowed with"),
]


def test_wrong_use_is_one_line_each(cli, command, words):
    """Whatever cannot be is told in one line with exit code 2, and no folder or file is made."""
    assert words
    (cli.folder / "empty").mkdir()
    before = sorted(path.name for path in cli.folder.iterdir())
    for given, says in WRONG:
        code, out, err = command(*given)
        assert (code, out) == (2, ""), given
        assert says in err, err
        assert err.count("\n") == 1, err
    shutil.rmtree(cli.folder / "empty")
    assert sorted(path.name for path in cli.folder.iterdir()) == [name for name in before if name != "empty"]


def test_keys_come_from_the_environment_only(cli, command, target, words):
    """No flag takes a key; what the environment gives is sent, and stands in no file of the folder."""
    assert "--api-key" not in command("distill", "--help")[1]
    done = cli(*words, env={"OPENAI_API_KEY": "sk-of-this-test"})
    assert done.returncode == 0, done.stderr
    sent = [one.headers.get("authorization", "") for one in target.requests]
    assert set(sent) == {"Bearer sk-of-this-test"}
    files = [path for path in (cli.folder / "run").rglob("*") if path.is_file()]
    assert len(files) >= 6
    assert not any(b"sk-of-this-test" in path.read_bytes() for path in files)
