"""A script as the judge: what it prints, how it ends, how long it takes, and that several run at a time."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llm_optimize import optimize
from llm_optimize.core.types import Evaluation, Failure
from llm_optimize.errors import BadInput, StartFailed
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.scorers.command import CommandScorer

_HEAD = """
import argparse, sys
parser = argparse.ArgumentParser()
parser.add_argument("--prompt")
prompt = parser.parse_args().prompt
"""


@pytest.fixture
def script(tmp_path):
    """Writes a script that has the prompt in ``prompt``, and returns its scorer."""

    def write(body, **settings):
        path = tmp_path / "evaluator.py"
        path.write_text(_HEAD + body, encoding="utf-8")
        return CommandScorer(path, **settings)

    return write


def test_the_last_line_is_the_score_and_the_others_are_feedback(script) -> None:
    """Whatever a script prints before the number is shown to the model."""
    scorer = script(
        "print('it has', len(prompt), 'characters')\nprint()\nprint('fine')\nprint(len(prompt) / 10)\nprint()"
    )
    assert scorer("hello") == Evaluation(0.5, "it has 5 characters\n\nfine")


@pytest.mark.parametrize("prompt", ["a\nb", "- a list", "'; rm -rf /", "ü 日本 \u202e", "{text} $HOME", ""])
def test_the_prompt_arrives_as_it_is(script, prompt) -> None:
    """No shell, no encoding and no flag parser changes what is scored, as far as argparse can take it."""
    scorer = script("print(ascii(prompt))\nprint(0)")
    assert scorer(prompt) == Evaluation(0.0, ascii(prompt))


@pytest.mark.parametrize("last", ["1.5", "-0.1", "nan", "inf", "good", "", "0,5"])
def test_a_last_line_that_is_no_number_from_0_to_1_is_a_failure(script, last) -> None:
    """The failure says what was printed in place of a number."""
    outcome = script(f"print({last!r})")("p")
    assert isinstance(outcome, Failure)
    assert outcome.kind == "bad_score"
    assert (repr(last) if last else "printed nothing") in outcome.message


@pytest.mark.parametrize("score", ["0", "1", "1e-3", " 0.25 "])
def test_numbers_at_the_edges_count(script, score) -> None:
    """0 and 1 are scores, and so is a number in any notation."""
    assert script(f"print({score!r})")("p").score == float(score)


def test_an_exit_code_is_a_failure_with_the_end_of_stderr(script) -> None:
    """A script that fails scores nothing, whatever it printed; its stderr says why."""
    outcome = script("print(1)\nraise SystemExit('no such model')")("p")
    assert outcome == Failure("raised", "the evaluator ended with exit code 1: no such model")
    outcome = script("import os\nprint(1, flush=True)\nos.kill(os.getpid(), 9)")("p")
    assert outcome == Failure("raised", "the evaluator was killed by signal 9")


def test_stderr_of_a_script_that_scores_is_shown(script, caplog) -> None:
    """Warnings of a script reach the person who runs it."""
    assert script("print('careful', file=sys.stderr)\nprint(1)")("p") == Evaluation(1.0, "")
    assert "evaluator: careful" in caplog.text


def test_a_script_that_takes_too_long_is_killed_with_its_children(script, tmp_path) -> None:
    """At the time limit the script and what it has started are killed, and the candidate fails."""
    child = tmp_path / "pid"
    scorer = script(
        f"import subprocess\nprocess = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(child)!r}, 'w').write(str(process.pid))\nprint('waiting', file=sys.stderr, flush=True)\n"
        "process.wait()",
        timeout=5.0,
    )
    outcome = scorer("p")
    assert outcome.kind == "timeout"
    assert outcome.message == "the evaluator took longer than 5 s: waiting"
    pid = int(child.read_text(encoding="utf-8"))
    assert _ends(pid)


def _ends(pid):
    """Wait until a process that was killed is gone, or dead and only waiting to be collected."""
    status = Path(f"/proc/{pid}/status")
    for _ in range(1000):
        try:
            if "State:\tZ" in status.read_text(encoding="utf-8"):
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        threading.Event().wait(0.01)
    return False


def test_scripts_run_side_by_side(script, tmp_path) -> None:
    """Two scripts that wait for each other both end: one at a time would hang."""
    first, second = tmp_path / "1", tmp_path / "2"
    os.mkfifo(first)
    os.mkfifo(second)
    scorer = script(
        f"mine, other = ({str(first)!r}, {str(second)!r}) if prompt == 'a' else ({str(second)!r}, {str(first)!r})\n"
        "if prompt == 'a':\n    open(mine, 'w').write('x'); open(other).read()\n"
        "else:\n    open(other).read(); open(mine, 'w').write('x')\nprint(1)"
    )
    with ThreadPoolExecutor(2) as pool:
        assert [outcome.score for outcome in pool.map(scorer, "ab")] == [1.0, 1.0]


def test_close_kills_what_runs_and_starts_nothing_more(script, tmp_path) -> None:
    """After Ctrl-C no script goes on by itself."""
    begun = tmp_path / "begun"
    os.mkfifo(begun)
    scorer = script(f"open({str(begun)!r}, 'w').write('x')\nimport time\ntime.sleep(600)")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(scorer, "p")
        begun.read_text(encoding="utf-8")
        scorer.close()
        assert running.result(timeout=60) == Failure("raised", "the evaluator was killed by signal 9")
    assert scorer("p").message == "the evaluator could not be started: the run has ended"


def test_a_text_that_no_program_can_be_given_is_a_failure(script) -> None:
    """A NUL or a text beyond the system's limit fails the candidate, not the run."""
    scorer = script("print(1)")
    assert scorer("a\0b").kind == "raised"
    assert scorer("x" * 3_000_000).kind == "too_long"


def test_a_script_that_fails_for_the_start_ends_the_run_at_once(script) -> None:
    """A missing module in the script is told before a prompt is asked for."""
    model = ScriptedModel([])
    with pytest.raises(StartFailed, match="no such model"):
        optimize.run("t", "q", script("raise SystemExit('no such model')"), "p", model=model, verbose=False, store=None)
    assert model.requests == []


@pytest.mark.parametrize(
    ("path", "settings", "named"),
    [
        ("missing.py", {}, "missing.py"),
        (".", {}, "no file"),
        (__file__, {"timeout": 0}, "0 s"),
        (__file__, {"timeout": -1}, "timeout"),
    ],
)
def test_what_cannot_work_is_refused(path, settings, named) -> None:
    """A script that is not there and a limit that cannot be are named before anything is spent."""
    with pytest.raises(BadInput, match=named):
        CommandScorer(path, **settings)


def test_a_quick_script_is_quick(script) -> None:
    """What a script costs beside its own work is the start of an interpreter: no waiting for a clock."""
    begun = time.process_time()
    assert script("print(1)")("p").score == 1.0
    assert time.process_time() - begun < 1
