"""Ctrl-C while examples of a data set are under way in threads: it ends in time, and nothing that was paid is lost."""

from __future__ import annotations

import signal
import threading

import pytest

from llm_optimize.testing.server import ScriptedServer

_EXAMPLES, _THREADS, _ANSWERED = 12, 4, 5

_TASK = f"""
import os

from llm_optimize.scorers.example import Example
from llm_optimize.scorers.prompt_task import PromptTask

x0 = "Say it: {{{{word}}}}"
_task = PromptTask(
    x0, os.environ["TARGET"], [Example({{"word": f"word-{{n}}"}}, f"WORD-{{n}}") for n in range({_EXAMPLES})],
    lambda said, example: said == example.expected, parallel={_THREADS},
)
TASK, QUESTION, MAX_STEPS, score = "Make it say the word.", "What is better?", 1, _task
"""


class Target:
    """Answers examples at once; of the second prompt a few, then none until it is let go."""

    def __init__(self):
        self.lock = threading.Lock()
        self.left = _ANSWERED
        self.held = threading.Semaphore(0)
        self.free = threading.Event()

    def __call__(self, body, _):
        said = body["messages"][-1]["content"]
        if "word-" not in said or "What is better?" in said:
            return "```\nSay it loud: {{word}}\n```"
        if said.startswith("Say it loud"):
            with self.lock:
                self.left -= 1
                waits = self.left < 0
            if waits:
                self.held.release()
                self.free.wait()
        return said.rpartition(" ")[2].upper() if said.startswith("Say it loud") else "no"


@pytest.fixture
def target():
    """A target whose threads are let go at the end, whatever happens."""
    answers = Target()
    yield answers
    answers.free.set()


def test_ctrl_c_while_examples_are_under_way(cli, target):
    """With every thread in a call: 130, the best so far, within seconds; a resume asks only what has no answer yet."""
    with ScriptedServer(target) as server:
        cli.env["TARGET"] = f"{server.url}#scripted"
        process = cli.start("run", cli.write(_TASK), "--model", cli.env["TARGET"])
        for _ in range(_THREADS):
            assert target.held.acquire(timeout=60), "the threads have not come as far as that in a minute"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)  # nobody waits for the calls: they are held until the end
        assert (process.returncode, out) == (130, "Say it: {{word}}\n")
        assert "interrupted by Ctrl-C" in err
        assert "Traceback" not in err
        asked = len(server.requests)
        assert asked == _EXAMPLES + 1 + _ANSWERED + _THREADS

        target.free.set()
        resumed = cli("resume", "task-1", "--json")
        assert resumed.returncode == 0, resumed.stderr
        assert '"best_score":1.0' in resumed.stdout.splitlines()[-1]
        assert len(server.requests) - asked == _EXAMPLES - _ANSWERED
        assert server.charged == _EXAMPLES + 1 + _EXAMPLES


def test_a_second_ctrl_c_changes_nothing(cli, target):
    """Who presses it again ends the process all the same, and the study can be resumed."""
    with ScriptedServer(target) as server:
        cli.env["TARGET"] = f"{server.url}#scripted"
        process = cli.start("run", cli.write(_TASK), "--model", cli.env["TARGET"])
        for _ in range(_THREADS):
            assert target.held.acquire(timeout=60)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode in {130, -signal.SIGINT}
        target.free.set()
        resumed = cli("resume", "task-1", "--json")
        assert '"best_score":1.0' in resumed.stdout.splitlines()[-1]
        assert server.charged == _EXAMPLES + 1 + _EXAMPLES
