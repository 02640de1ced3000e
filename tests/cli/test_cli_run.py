"""``run`` and ``resume`` as a user starts them, against a real server."""

from __future__ import annotations

import json

import pytest

from llm_optimize.testing.server import Answer, ScriptedServer

_NUMBERS = """
TASK = "Find the minimum."
QUESTION = "Which x is better?"
x0 = "x = 4.0  # tune: x=-5..5"
MAX_STEPS = 4

def score(text):
    return -float(text.split()[2]) ** 2
"""


def _flags(server):
    return "--model", f"{server.url}#scripted"


def test_run_prints_the_best_text_alone_to_stdout(cli, server):
    """The best text is all of stdout, so that it can be piped; the rest is on stderr, without a single escape."""
    done = cli("run", cli.write(), *_flags(server))
    assert (done.returncode, done.stdout) == (0, "long" * 4 + "\n")
    assert "score 18  best 18 (#3)" in done.stderr
    assert "max_steps: 3 steps are done" in done.stderr
    assert (
        f"study task-1 in {cli.folder}/.llm_optimize/studies.db; resume with: llm-optimize resume task-1" in done.stderr
    )
    assert "\x1b" not in done.stdout + done.stderr


def test_run_without_a_key_tunes_numbers(cli):
    """Without a model the numbers in x0 are tuned, and the one line about it is on stderr."""
    done = cli("run", cli.write(_NUMBERS), "--quiet")
    assert done.returncode == 0
    assert done.stdout.startswith("x = ")
    assert done.stderr == ""


def test_flags_win_over_the_file(cli, server):
    """A flag overrides what the file says."""
    done = cli("run", cli.write(), *_flags(server), "--max-steps", 1)
    assert done.returncode == 0
    assert "max_steps: 1 steps are done" in done.stderr
    assert len(server.requests) == 1


def test_model_and_base_url_combine(cli, server):
    """``--base-url`` is the server for the name in ``--model``."""
    done = cli("run", cli.write(), "--model", "scripted", "--base-url", server.url, "--max-steps", 1)
    assert done.returncode == 0
    assert server.requests[0].body["model"] == "scripted"


def test_the_environment_names_server_and_model(cli, server):
    """OPENAI_BASE_URL and LLM_OPTIMIZE_MODEL are enough."""
    env = {"OPENAI_BASE_URL": server.url, "LLM_OPTIMIZE_MODEL": "scripted"}
    done = cli("run", cli.write(), "--max-steps", 1, env=env)
    assert done.returncode == 0
    assert len(server.requests) == 1


def test_resume_goes_on_with_the_flags_of_the_run(cli, server):
    """A resumed study has the model and the limits that it was begun with; a flag given now wins."""
    store = cli.folder / "my.db"
    cli("run", cli.write(), *_flags(server), "--study", "mine", "--store", store, "--max-steps", 1)
    done = cli("resume", "mine", "--store", store, "--max-steps", 2, "--json")
    assert done.returncode == 0
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["scores"] == [5, 10, 14]
    assert len(server.requests) == 2


def test_resume_of_a_done_study_says_what_to_raise(cli, server):
    """A study that is done is said to be so with the flag to raise; nothing is asked and nothing is logged."""
    cli("run", cli.write(), *_flags(server))
    asked = len(server.requests)
    done = cli("resume", "task-1")
    assert done.returncode == 0
    assert "done already (max_steps: 3 steps are done); to go on, raise --max-steps" in done.stderr
    assert done.stdout == "long" * 4 + "\n"
    assert len(server.requests) == asked
    assert cli("show", "task-1", "--log").stdout.count("opened") == 1


def test_running_a_file_again_begins_another_study(cli, server):
    """Without ``--study`` each run is a study of its own; with one it goes on."""
    task = cli.write()
    cli("run", task, *_flags(server), "--max-steps", 1)
    again = cli("run", task, *_flags(server), "--max-steps", 1)
    assert "study task-2 in" in again.stderr
    on = cli("run", task, *_flags(server), "--max-steps", 2, "--study", "task-2")
    assert "going on after 2 evaluations" in on.stderr


def test_resume_finds_a_moved_file_by_flag(cli, server):
    """A study whose file has moved says so, and goes on when it is told where the file is."""
    task = cli.write()
    cli("run", task, *_flags(server), "--max-steps", 1)
    moved = task.rename(cli.folder / "other.py")
    lost = cli("resume", "task-1")
    assert (lost.returncode, lost.stderr.count("\n")) == (2, 1)
    assert "give --file FILE if it has moved" in lost.stderr
    assert cli("resume", "task-1", "--file", moved, "--max-steps", 2).returncode == 0


def test_resume_refuses_a_study_begun_by_a_program(cli):
    """A study that was begun by optimize.run has no task file, and the message says what to do."""
    program = """
from llm_optimize import optimize
optimize.run("t", "q", lambda x: -float(x.split()[2]) ** 2, x0="x = 4.0  # tune: x=-5..5", max_steps=1, verbose=False,
             store="own.db", study="mine")
"""
    cli.command.pop()
    cli.command[-1] = "-c"
    assert cli.fresh(program).returncode == 0
    cli.command[-1:] = ["-m", "llm_optimize"]
    done = cli("resume", "mine", "--store", "own.db")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "was not begun with `llm-optimize run`" in done.stderr


def test_resume_refuses_a_changed_task(cli, server):
    """A file that now holds another task does not go on with the old study."""
    task = cli.write()
    cli("run", task, *_flags(server), "--max-steps", 1)
    task.write_text(task.read_text().replace("Make the text long", "Make it short"))
    done = cli("resume", "task-1", "--max-steps", 2)
    assert done.returncode == 2
    assert "another task" in done.stderr


def test_modules_and_objects_can_be_named(cli, server):
    """``package.module`` is a task file by its import name, ``package.module:name`` an object with the attributes."""
    folder = cli.folder / "pack"
    folder.mkdir()
    cli.write(name="pack/task.py")
    cli.write("import types, pack.task\nit = types.SimpleNamespace(**vars(pack.task))", "pack/other.py")
    cli.write(
        "from llm_optimize import ScriptedModel\nmodel = ScriptedModel(['```\\nabcdefgh\\n```'])", "pack/models.py"
    )
    named = cli("run", "pack.task", *_flags(server), "--max-steps", 1)
    assert "study task-1" in named.stderr
    inside = cli("run", "pack.other:it", "--model", "pack.models:model", "--max-steps", 1, "--study", "x")
    assert inside.stdout == "abcdefgh\n"


def test_parallel_run_from_flags(cli, server):
    """``--parallel`` and budgets reach the study."""
    done = cli("run", cli.write(), *_flags(server), "--parallel", 3, "--budget-evals", 3, "--max-steps", 9, "--json")
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["reason"].startswith("budget evaluations: 3 of 3 used")
    assert len(result["scores"]) == 3


def test_json_is_whole_whatever_the_scorer_prints(cli, server):
    """Every line of stdout is an object, the last one the result; what scorer and children print is on stderr."""
    task = cli.write("""
import subprocess
TASK, QUESTION, x0, MAX_STEPS = "t", "q", "start", 1

def score(text):
    print("noise of the scorer")
    subprocess.run(["echo", "noise of a child"])
    return len(text)
""")
    done = cli("run", task, *_flags(server), "--json")
    assert done.returncode == 0
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["kind"] for line in lines] == ["opened", "proposed", "told", "proposed", "told", "stopped", "result"]
    assert lines[2] | {"id": 0, "score": 5, "best_score": 5, "failure": None} == lines[2]
    assert lines[-1]["best_text"].strip() == "longlong"
    assert lines[-1]["usage"]["calls"] == 1
    assert lines[-1]["study"] == "task-1"
    assert done.stderr.count("noise of the scorer") == 2
    assert done.stderr.count("noise of a child") == 2


def test_json_goes_on_when_nobody_reads(cli, server):
    """A reader that leaves early does not end a run that costs money."""
    task = cli.write()
    words = [*cli.command, "run", str(task), *_flags(server), "--json"]
    quoted = " ".join(f"'{word}'" for word in words)
    cli.command[:] = ["sh", "-c", f"{quoted} | head -n 1"]
    done = cli.fresh()
    assert json.loads(done.stdout)["kind"] == "opened"
    assert "Traceback" not in done.stderr
    assert len(server.requests) == 3


def test_dry_run_spends_nothing(cli, server):
    """The first prompt, its tokens and the cost are shown; nothing is sent, evaluated or written."""
    task = cli.write("""
TASK, QUESTION, x0 = "Make the text long.", "What is longer?", "start"

def score(text):
    raise SystemExit("it was evaluated")
""")
    done = cli("run", task, *_flags(server), "--dry-run")
    assert done.returncode == 0
    assert "Make the text long." in done.stdout
    assert "start" in done.stdout
    assert "tokens (counted by estimate)" in done.stderr
    assert "whole run: at most 10 candidates, about " in done.stderr
    assert "price unknown" in done.stderr
    assert server.requests == []
    assert not (cli.folder / ".llm_optimize").exists()


def test_dry_run_estimates_dollars(cli, tmp_path):
    """A model with a price has an estimate in dollars, in JSON as well."""
    prices = tmp_path / "prices.json"
    prices.write_text('{"mine": [1.0, 2.0]}')
    env = {"LLM_OPTIMIZE_PRICES": str(prices)}
    done = cli("run", cli.write(), "--model", "http://127.0.0.1:9/v1#mine", "--dry-run", "--json", env=env)
    shown = json.loads(done.stdout)
    assert shown["price_known"]
    assert shown["steps"] == 3
    assert shown["total"]["dollars"] == pytest.approx(
        (shown["total"]["tokens_in"] + 2 * shown["total"]["tokens_out"]) / 1e6
    )


def test_dry_run_without_a_model_lists_the_numbers(cli):
    """Where only numbers are tuned there is no prompt; they are listed with their ranges."""
    done = cli("run", cli.write(_NUMBERS), "--dry-run")
    assert done.returncode == 0
    assert "x = 4.0" in done.stdout
    assert "at no cost" in done.stderr


def test_an_endpoint_that_fails_on_the_way_leaves_the_best_so_far(cli):
    """The run fails with 1, prints the best so far, and goes on once the endpoint is mended."""
    broken = [True]

    def answer(_, index):
        refused = Answer("no such model any more", status=404, code="model_not_found")
        return refused if index and broken else f"```\n{'long' * (index + 2)}\n```"

    with ScriptedServer(answer) as server:
        done = cli("run", cli.write(), *_flags(server))
        assert (done.returncode, done.stdout) == (1, "longlong\n")
        assert "404" in done.stderr or "no such model" in done.stderr
        broken.clear()
        assert cli("resume", "task-1").returncode == 0


def test_a_run_without_any_score_has_failed(cli, server):
    """Where nothing could be scored the exit code is 1 and stdout is empty."""
    task = cli.write("TASK, QUESTION, MAX_STEPS = 't', 'q', 1\ndef score(text):\n    raise ValueError('never')")
    done = cli("run", task, *_flags(server))
    assert (done.returncode, done.stdout) == (1, "")
    assert "failed (raised): ValueError: never" in done.stderr
