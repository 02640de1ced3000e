"""``--noise``, ``--suspicious-above`` and FINAL from the command line: evaluations again, a sealed score, a bound."""

from __future__ import annotations

import json

import pytest

from llm_optimize.cli import main
from llm_optimize.cli.taskfile import load_task
from llm_optimize.errors import BadInput

_NOISY = """
import random

TASK, QUESTION, MAX_STEPS = "Find k.", "Which k is better?", 3
x0 = "k = 10.0  # tune: k=0..100"
_dice = random.Random(7)


def _true(text):
    return -abs(float(text.partition("=")[2].partition("#")[0]) - 40)


def score(text):
    return _true(text) + _dice.gauss(0, 3)
"""
_FINAL = """
def FINAL(text):
    with open("sealed.txt", "a") as file:
        file.write("x")
    return _true(text)
"""


def _parts(cli, name="task-1"):
    """Return for what each evaluation of a candidate told before was made, in order."""
    lines = map(json.loads, cli("show", name, "--log", "--json").stdout.splitlines())
    return [line["part"] for line in lines if line["kind"] == "retold"]


def _run(cli, *words):
    done = cli("run", cli.write(_NOISY), "--json", *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_noise_auto_tests_again_and_reports_an_interval(cli):
    """The flag turns the policy on: leaders are tested again, the winner afresh, and the verdict has an interval."""
    result = _run(cli, "--noise", "auto")
    parts = _parts(cli)
    assert parts.count("fresh") >= 10
    assert "again" in parts
    assert "95 %" in result["verdict"]


def test_list_and_show_tell_what_the_run_reported(cli):
    """The best of list and of show is the chosen candidate with the mean of its fresh scores, not a lucky first one."""
    result = _run(cli, "--noise", "auto")
    listed = json.loads(cli("list", "--json").stdout)
    shown = json.loads(cli("show", "task-1", "--json").stdout)
    assert listed["best_score"] == pytest.approx(result["best_score"])
    assert (shown["best_id"], shown["best_score"]) == (result["best_id"], result["best_score"])
    page = cli("show", "task-1").stdout
    assert "10 times afresh after the search" in page
    assert result["verdict"] in page
    assert "mean of 3" in cli("show", "task-1", "--trial", "0").stdout


def test_noise_is_off_unless_asked_for(cli):
    """Without the flag, and with off where the file says auto, each candidate is scored once."""
    _run(cli)
    assert _parts(cli) == []
    done = cli("run", cli.write(_NOISY + 'NOISE = "auto"\n'), "--noise", "off", "--study", "off")
    assert (done.returncode, _parts(cli, "off")) == (0, [])


def test_a_file_may_hold_the_policy(cli):
    """NOISE may be a policy of one's own."""
    done = cli("run", cli.write(_NOISY + "from llm_optimize import Noise\nNOISE = Noise(repeats=2, fresh=4)\n"))
    assert done.returncode == 0, done.stderr
    assert _parts(cli).count("fresh") == 6  # four of the winner, half as many of the start


def test_resume_goes_on_with_the_noise_policy(cli):
    """The flag is in the log: a resume tests again without being told to; a flag given then wins."""
    _run(cli, "--noise", "auto")
    before = len(_parts(cli))
    assert cli("resume", "task-1", "--max-steps", "6").returncode == 0
    between = len(_parts(cli))
    assert between > before
    assert cli("resume", "task-1", "--max-steps", "8", "--noise", "off").returncode == 0
    assert len(_parts(cli)) == between


def test_the_end_that_is_missing_is_made_up_for(cli):
    """A study whose search is over is not done while its evaluations afresh are missing."""
    _run(cli)
    done = cli("resume", "task-1", "--noise", "auto")
    assert done.returncode == 0, done.stderr
    assert "done already" not in done.stderr
    assert _parts(cli).count("fresh") >= 1
    assert "done already" in cli("resume", "task-1").stderr


def test_final_scores_start_and_winner_once(cli):
    """FINAL of the file sees x0 and the winner, once each, and is not asked again at a resume."""
    done = cli("run", cli.write(_NOISY + _FINAL), "--json")
    assert done.returncode == 0, done.stderr
    assert "sealed test" in json.loads(done.stdout.splitlines()[-1])["verdict"]
    assert _parts(cli) == ["sealed", "sealed"]
    assert "done already" in cli("resume", "task-1").stderr
    assert cli("resume", "task-1", "--max-steps", "5").returncode == 0
    assert (cli.folder / "sealed.txt").read_text() == "xx"


@pytest.mark.parametrize("words", [("--suspicious-above", "-5"), ()])
def test_a_score_that_cannot_be_honest_ends_the_run(cli, words):
    """The bound of the flag, or of the file, ends the run; a resume ends at once and names the flag that lifts it."""
    more = "" if words else "SUSPICIOUS_ABOVE = -5\n"
    source = _NOISY.replace("_dice.gauss(0, 3)", "0").replace("k = 10.0", "k = 38.0")
    done = cli("run", cli.write(source + more), *words)
    assert "suspicious score: -2 of #0 is above suspicious_above=-5" in done.stderr
    assert "raise --suspicious-above" in cli("resume", "task-1").stderr
    assert cli("resume", "task-1", "--suspicious-above", "1").returncode == 0


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ("NOISE = 'on'", "NOISE is 'on': give 'auto', a Noise(...)"),
        ("NOISE = True", "NOISE is True"),
        ("FINAL = 3", "FINAL is 3: give a function"),
        ("SUSPICIOUS_ABOVE = 'high'", "SUSPICIOUS_ABOVE is 'high'"),
        ("NOISES = 'auto'", "did you mean NOISE?"),
    ],
)
def test_values_of_the_file_that_cannot_work(cli, more, part):
    """Each is refused in a line before anything is scored."""
    with pytest.raises(BadInput) as caught:
        load_task(str(cli.write(_NOISY + more + "\n")))
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("word", ["--noise=on", "--noise=", "--suspicious-above=nan"])
def test_flags_that_cannot_work(capsys, word):
    """The flag is named, in one line."""
    assert main(["run", "task.py", word]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert word.partition("=")[0] in said
