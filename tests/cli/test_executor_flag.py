"""``--executor``: the same command, with the evaluations elsewhere."""

from __future__ import annotations

_TASK = """
import os
from pathlib import Path

TASK = "Make the text long."
QUESTION = "What is longer?"
x0 = "start"

def score(text):
    with open("pids", "a") as file:
        file.write(f"{os.getppid()} {os.getpid()}\\n")
    print("printed by the scorer")
    return len(text)
"""


def test_the_flag_takes_evaluations_elsewhere_and_a_resume_keeps_it(cli, server):
    """Each evaluation runs once, in a child of the command; what a scorer prints does not get into the output."""
    flags = ("--model", f"{server.url}#scripted", "--executor", "processes?workers=1", "--parallel", 1)
    done = cli("run", cli.write(_TASK), *flags, "--max-steps", 2)
    assert (done.returncode, done.stdout) == (0, "long" * 3 + "\n"), done.stderr
    assert "max_steps: 2 steps are done" in done.stderr
    again = cli("resume", "task-1", "--max-steps", 3)
    assert (again.returncode, again.stdout) == (0, "long" * 4 + "\n"), again.stderr
    rows = [line.split() for line in (cli.folder / "pids").read_text().splitlines()]
    assert len(rows) == 4
    parents, workers = {parent for parent, _ in rows}, {worker for _, worker in rows}
    assert len(parents) == 2
    assert not parents & workers


def test_a_name_that_is_none_is_wrong_usage(cli):
    """It is said in a line, before anything is read or spent."""
    done = cli("run", cli.write(), "--executor", "slurm://x")
    assert done.returncode == 2
    assert "executor is 'slurm://x': give one of threads, processes[?workers=N], dask://HOST:PORT" in done.stderr
