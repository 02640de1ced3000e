"""The command that shows the same study on every engine tells right from wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

from same_study import Run, measured

_COMMAND = [sys.executable, str(Path(__file__).with_name("same_study.py"))]
_TRIALS = (("start", 0.5), ("slot 0, draft 0", 0.25))


def test_it_runs_quietly_and_with_kills():
    """A row for threads, and two for each engine: the pool that a kill breaks is resumed, the other one goes on."""
    sizes = ["--evaluations", "16", "--seconds", "0.1", "--every", "0.35"]
    done = subprocess.run(
        [*_COMMAND, "--engines", "standard", "processes", *sizes], capture_output=True, text=True, check=False
    )
    rows = [line.split() for line in done.stdout.splitlines() if line.endswith("  same")]
    assert done.returncode == 0, done.stdout + done.stderr
    assert [row[0] for row in rows] == ["threads", "standard", "standard", "processes", "processes"]
    assert [row[1] == "0" for row in rows] == [True, True, False, True, False]
    assert {(row[2], row[3]) for row in rows} == {("16", "16")}
    assert int(rows[2][9]) > 1  # sessions of the pool that is dead for good
    assert rows[4][9] == "1"


def test_it_says_what_is_wrong():
    """Fewer evaluations, one that counts twice, another best, one that the log does not have, one begun too often."""
    right = Run("threads", 0, _TRIALS, {0: 1, 1: 1}, {0: 1, 1: 1}, 1, 0.1)
    assert right.faults(right) == []
    twice = Run("x", 0, (_TRIALS[0],) * 2, {0: 1, 1: 1}, {0: 1, 1: 1}, 1, 0.1)
    assert twice.faults(right) == ["an evaluation counts twice", "texts or scores"]
    fewer = Run("x", 0, _TRIALS[1:], {1: 1}, {1: 1}, 1, 0.1)
    assert fewer.faults(right) == ["number of evaluations", "texts or scores", "best", "not in the scorer's log"]
    again = {0: 3, 1: 1}
    assert Run("x", 0, _TRIALS, again, again, 1, 0.1).faults(right) == ["evaluated twice"]
    assert Run("x", 1, _TRIALS, again, again, 1, 0.1).faults(right) == []


def test_a_study_that_loses_an_evaluation_is_seen():
    """The counts are read from the store and from the scorer's log, not from what the study says of itself."""
    run = measured("threads", None, SimpleNamespace(evaluations=5, seconds=0.0), 0)
    assert len(run.trials) == 5
    assert run.begun == run.ended == dict.fromkeys(range(5), 1)
