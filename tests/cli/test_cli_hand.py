"""Decisions by hand from the command line: on a study at rest, on one that runs, and asked for while it runs."""

from __future__ import annotations

import subprocess

import pytest

from llm_optimize.stores.sqlite import SQLiteStore
from llm_optimize.testing.server import ScriptedServer


@pytest.fixture
def finished(cli):
    """A finished study of three candidates."""
    with ScriptedServer(lambda body, index: f"```\n{'long' * (index + 2)}\n```") as server:
        cli.write()
        done = cli("run", "task.py", "--model", f"{server.url}#scripted", "--max-steps", "2", "--quiet")
        assert done.returncode == 0, done.stderr
        yield server


def _events(cli):
    with SQLiteStore(cli.folder / ".llm_optimize" / "studies.db") as store:
        return [event for _, event in store.read("task-1")]


def test_rejecting_and_injecting_change_a_resumed_study(cli, finished):
    """The rejected best is not returned; the injected text is evaluated first."""
    mine = cli.folder / "mine.txt"
    mine.write_text("a text by hand")
    for words in (("--reject", "2", "it is spam"), ("--inject", mine), ("--pin", "0")):
        done = cli("guide", "task-1", *words)
        assert (done.returncode, done.stderr) == (0, "heeded when the study is resumed\n")
    done = cli("resume", "task-1", "--max-steps", "3", "--quiet")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "a text by hand"
    assert [event.act for event in _events(cli) if type(event).__name__ == "Guided"] == ["reject", "inject", "pin"]
    assert len(finished.requests) == 2  # the injected text was the third step: no proposal was needed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--accept", "9"), "candidate 9 is unknown to this study: give a number from 0 to 2"),
        (("why", "--pin", "1"), "TEXT does not go with --pin"),
        (("--reject", "why", "1"), "'why' is no candidate's number"),
        (("--inject", "none.txt"), "--inject: none.txt cannot be read"),
        ((), "TEXT is empty"),
        (("--pause",), "--pause: study 'task-1' is not running; `llm-optimize resume task-1` goes on with it"),
        (("--stop",), "is not running"),
        (("now", "--continue"), "TEXT does not go with --continue"),
        (("--raise", "tokens"), "'tokens' raises no cap: give one of steps, evaluations, tokens, dollars, seconds"),
        (("--raise", "steps=-1"), "raises no cap"),
        (("--raise", "steps=5", "--stop"), "not allowed with argument"),
    ],
)
@pytest.mark.usefixtures("finished")
def test_what_cannot_be_is_refused_in_one_line(cli, words, said):
    """Exit code 2, and nothing in the log."""
    before = len(_events(cli))
    done = cli("guide", "task-1", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert len(_events(cli)) == before


def test_a_run_is_steered_from_another_terminal(cli, gate, gated_task):
    """Paused, given more, continued and stopped while its scorer is at work; the log has each, and it ends by hand."""
    begun, go = gate
    with ScriptedServer(lambda body, index: f"```\n{'long' * (index + 2)}\n```") as server:
        words = ("run", gated_task, "--model", f"{server.url}#scripted", "--max-steps", "1")
        process = cli.start(*words)
        assert begun.read_text() == "x"
        for more in (("--pause",), ("--raise", "steps=9"), ("--continue",)):
            done = cli("guide", "task-1", *more)
            assert (done.returncode, done.stderr) == (0, "heeded from the next prompt on\n")
        go.write_text("")
        assert begun.read_text() == "x"  # a second step, for which there was no leave at first
        assert cli("guide", "task-1", "--stop").returncode == 0
        go.write_text("")
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert out.strip() == "long" * 3
    acts = [event.act for event in _events(cli) if type(event).__name__ == "Guided"]
    assert acts == ["pause", "raise", "continue", "stop"]
    assert "stopped by hand" in err


def test_an_interactive_run_asks_on_stdin(cli):
    """Asked after every two evaluations; an accepted candidate is the result."""
    with ScriptedServer(lambda body, index: f"```\n{'long' * (index + 2)}\n```") as server:
        cli.write()
        words = ("run", "task.py", "--model", f"{server.url}#scripted", "--max-steps", "9", "--interactive", "2")
        process = cli.start(*words, stdin=subprocess.PIPE)
        out, err = process.communicate("use the letter q\n\naccept 1\n", timeout=60)
        prompts = [str(request.body["messages"]) for request in server.requests]
    assert process.returncode == 0, err
    assert out.strip() == "longlong"
    assert "accepted by hand: candidate #1" in err
    assert "use the letter q" not in prompts[0]
    assert "use the letter q" in prompts[1]
