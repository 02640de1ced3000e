"""``llm-optimize export`` and ``--model recorded:FILE``, as a user types them."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def ran(cli, server):
    """A command whose store holds the study ``one`` of three steps."""
    cli.write()
    done = cli("run", "task.py", "--study", "one", "--model", f"{server.url}#scripted", "--quiet")
    assert done.returncode == 0, done.stderr
    return cli


def best(cli, study):
    """Return the scores and texts of a study's trials."""
    shown = json.loads(cli("show", study, "--json").stdout)
    return [(trial["id"], trial["score"], trial["text"]) for trial in shown["trials"]]


def test_a_run_is_exported_and_repeated_without_its_server(ran, server):
    """The file holds each exchange on a line; a run from it has the same trials and asks nobody."""
    done = ran("export", "one", "--exchanges", "run.jsonl")
    assert (done.returncode, done.stdout) == (0, "3 exchanges of study 'one' in run.jsonl\n")
    assert len((ran.folder / "run.jsonl").read_text().splitlines()) == 4
    asked = len(server.requests)
    again = ran("run", "task.py", "--study", "two", "--model", "recorded:run.jsonl", "--quiet")
    assert again.returncode == 0, again.stderr
    assert best(ran, "one") == best(ran, "two")
    assert len(server.requests) == asked


def test_a_run_that_departs_ends_with_the_place(ran):
    """Another question is a failed run with one line that says where the prompts part; the exit code is 1."""
    assert ran("export", "one", "--exchanges", "run.jsonl").returncode == 0
    ran.write((ran.folder / "task.py").read_text().replace("What is longer?", "What is shorter?"))
    done = ran("run", "task.py", "--model", "recorded:run.jsonl", "--quiet")
    assert done.returncode == 1
    assert "proposal/0/ask-0: the prompts part at message 1 (user)" in done.stderr
    assert "task_question" in done.stderr


WRONG = [
    (("export", "won", "--exchanges", "x"), "did you mean 'one'?"),
    (("export", "one", "--exchanges", ""), "the path is empty"),
    (("export", "one", "--exchanges", "task.py"), "exists already: choose another file, or give --force"),
    (("export", "one", "--exchanges", "none/x"), "cannot be written"),
    (("export", "one"), "--exchanges --format is required"),
    (("run", "task.py", "--model", "recorded:none"), "cannot be read (No such file or directory)"),
    (("run", "task.py", "--model", "recorded:task.py"), "line 1: "),
    (("run", "task.py", "--model", "recorded:x", "--base-url", "http://127.0.0.1:1"), "a recording asks no server"),
]


def test_wrong_use_is_one_line(ran):
    """Whatever cannot be is told in one line with exit code 2, and nothing is written."""
    before = sorted(path.name for path in ran.folder.iterdir())
    for words, says in WRONG:
        done = ran(*words)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert says in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
    assert sorted(path.name for path in ran.folder.iterdir()) == before


def test_a_file_is_replaced_on_demand(ran):
    """--force replaces a file, and --json says what was written."""
    (ran.folder / "run.jsonl").write_text("old")
    done = ran("export", "one", "--exchanges", "run.jsonl", "--force", "--json")
    assert json.loads(done.stdout) == {"kind": "export", "study": "one", "file": "run.jsonl", "exchanges": 3}
    assert "old" not in (ran.folder / "run.jsonl").read_text()[:3]
