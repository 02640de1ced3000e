"""``--executor``: the same command, with the evaluations elsewhere."""

from __future__ import annotations

import json

from llm_optimize.testing.server import ScriptedServer

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


_EVALUATOR = """
import os, sys
with open("pids", "a") as file:
    file.write(f"{os.getppid()}\\n")
print(min(len(sys.argv[2]) / 100, 0.9))
"""


def test_prompts_are_scored_elsewhere(cli):
    """The script that scores prompts is started by a worker, once for each; the study's next session goes there too."""
    (cli.folder / "score.py").write_text(_EVALUATOR)

    def longer(body, _):
        return f"```\nSum up {{text}}. {sum(map(ord, str(body)))}\n```"

    small = ("--num-iters", 0, "--num-samples", 3, "--evaluator", "score.py", "--executor", "processes?workers=1")
    with ScriptedServer(longer) as model:
        flags = ("prompt", "--prompt", "Sum up {text}.", "--model", f"{model.url}#scripted", *small)
        done = cli(*flags, "--plain", "--study", "one")
        assert done.returncode == 0, done.stderr
        scored = (cli.folder / "pids").read_text().split()
        again = cli("prompt", "--study", "one", "--num-iters", 1, "--plain")
    assert again.returncode == 0, again.stderr
    parents = (cli.folder / "pids").read_text().split()
    assert len(set(scored)) == 1
    assert len(parents) > len(scored)
    assert len(set(parents)) == 2


def test_pairs_of_a_sweep_are_asked_for_elsewhere(cli):
    """The model and the comparison travel; each pair is asked for once, and its costs are in the study's log."""
    with ScriptedServer(lambda body, _: f"about {body['temperature']}") as server:
        done = cli(
            "sweep", "--url", server.url, "--model", "scripted", "--prompt", "p", "--wanted", "about 0.5",
            "--set", "temperature=0.1,0.5,0.9", "--no-probe", "--executor", "processes?workers=2", "--parallel", 2,
            "--json",
        )  # fmt: skip
        asked = sorted(request.body["temperature"] for request in server.requests)
    assert done.returncode == 0, done.stderr
    assert asked == [0.1, 0.5, 0.9]
    best = json.loads(done.stdout.splitlines()[-1])["best"]
    assert best["params"]["temperature"] == 0.5


def test_a_task_file_can_name_the_executor(cli, server):
    """``EXECUTOR`` does what the flag does, and the flag wins over it."""
    task = cli.write(_TASK + "EXECUTOR = 'processes?workers=1'\nMAX_STEPS = 0\n")
    flags = ("run", task, "--model", f"{server.url}#scripted")
    assert cli(*flags).returncode == 0
    assert cli(*flags, "--executor", "threads").returncode == 0
    (parent, worker), (above, here) = (line.split() for line in (cli.folder / "pids").read_text().splitlines())
    assert len({parent, worker, here}) == 3
    assert above not in {worker, parent}
