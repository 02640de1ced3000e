"""Whatever is wrong is one line that names the field and the remedy, with the right exit code; nothing is spent."""

from __future__ import annotations

import socket
import sqlite3

import pytest

from llm_optimize.testing.server import Answer, ScriptedServer

_GOOD = 'TASK, QUESTION, x0 = "t", "q", "start"\ndef score(text):\n    return len(text)\n'
_NUMBERS = 'TASK, QUESTION, x0 = "t", "q", "x = 1.0  # tune: x=-5..5"\ndef score(text):\n    return 1.0\n'


def _one_line(done, code, *parts):
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("llm-optimize")
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in done.stderr


def test_no_key_and_no_numbers(cli):
    """Without a model and without numbers there is nothing to do; both remedies are named."""
    _one_line(cli("run", cli.write(_GOOD)), 2, "OPENAI_API_KEY", "OPENAI_BASE_URL")
    assert not (cli.folder / ".llm_optimize").exists()


def test_unknown_model(cli):
    """A server that has no such model is asked for nothing else."""
    refusal = Answer("The model `gpt-0` does not exist", status=404, code="model_not_found")
    with ScriptedServer(lambda *_: refusal) as server:
        _one_line(cli("run", cli.write(_GOOD), "--model", f"{server.url}#gpt-0"), 1, "gpt-0")
        assert server.charged == 0


def test_unreachable_server(cli):
    """A closed port is found out before x0 is evaluated."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        _one_line(cli("run", cli.write(_GOOD), "--model", f"{url}#m"), 1, url)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("raise ValueError('broken')", "ValueError: broken"),
        ("return float('nan')", "nan"),
        ("return 'good'", "'good'"),
        ("return None", "None"),
    ],
)
def test_a_scorer_that_cannot_score_x0(cli, server, body, said):
    """x0 that fails ends the run with 1 before a model is asked."""
    task = cli.write(f'TASK, QUESTION, x0 = "t", "q", "start"\ndef score(text):\n    {body}\n')
    done = cli("run", task, "--model", f"{server.url}#scripted", "--quiet")
    _one_line(done, 1, "x0 failed to score", said)
    assert server.requests == []


def test_a_scorer_that_hangs_on_x0(cli, server):
    """A scorer that hangs is given up after --eval-timeout."""
    source = (
        'import threading\nTASK, QUESTION, x0 = "t", "q", "start"\ndef score(text):\n    threading.Event().wait()\n'
    )
    done = cli("run", cli.write(source), "--model", f"{server.url}#scripted", "--eval-timeout", 0.2, "--quiet")
    _one_line(done, 1, "x0 failed to score (timeout)", "eval_timeout")


def test_a_store_that_cannot_be_written(cli):
    """A store inside a file that is no folder is refused by its path."""
    (cli.folder / "file").write_text("")
    _one_line(cli("run", cli.write(_NUMBERS), "--store", cli.folder / "file" / "s.db", "--quiet"), 1, "s.db")


def test_a_store_from_a_newer_version(cli):
    """A store that a newer version wrote is left alone."""
    path = cli.folder / "s.db"
    task = cli.write(_NUMBERS)
    assert cli("run", task, "--store", path, "--max-steps", 1).returncode == 0
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 999")
    database.close()
    _one_line(cli("run", task, "--store", path, "--quiet"), 1, "newer", "s.db")
    _one_line(cli("list", "--store", path), 1, "newer")


def test_a_file_that_is_no_store(cli):
    """Another file is not taken for a store."""
    _one_line(cli("list", "--store", cli.write(_GOOD)), 1, "task.py")


@pytest.mark.parametrize("name", ["TASK", "QUESTION", "score"])
def test_a_task_file_without_a_name(cli, name):
    """A missing name is told with what to write."""
    source = _GOOD.replace(name, f"_{name}", 1)
    _one_line(cli("run", cli.write(source)), 2, f"{name} is missing: add {name}")


def test_a_range_turned_round(cli):
    """A range whose low end is above its high end is shown the right way round."""
    _one_line(cli("run", cli.write(_NUMBERS.replace("-5..5", "5..-5"))), 2, "task.py", "turned round")
    _one_line(cli("run", cli.write(f'{_GOOD}TUNE = {{"C": (5, 1)}}')), 2, "TUNE", "turned round")


def test_an_unexpected_error_is_a_line_with_a_hint(cli):
    """A defect ends with 1 and one line; the traceback is there for those who want it."""
    cli.write(
        "class Broken:\n    name = 'broken'\n    def complete(self, request):\n        raise ZeroDivisionError('oh')",
        "b.py",
    )
    words = ("run", cli.write(_GOOD), "--model", "b:Broken.instance")
    (cli.folder / "b.py").write_text((cli.folder / "b.py").read_text() + "\nBroken.instance = Broken()\n")
    done = cli(*words, "--quiet")
    _one_line(done, 1, "unexpected ZeroDivisionError: oh (LLM_OPTIMIZE_DEBUG=1")
    assert "Traceback" in cli(*words, "--quiet", env={"LLM_OPTIMIZE_DEBUG": "1"}).stderr
