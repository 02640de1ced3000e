"""A noisy study that is killed and resumed: no evaluation is lost, none counted twice, the sealed set touched once."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest
from helpers.warm import Session

from llm_optimize import SQLiteStore
from llm_optimize.core.events import Opened, Proposed, Retold, Stopped, Told

SESSION = Path(__file__).parents[1] / "helpers" / "noise_session.py"


def begin(store, notes, parallel):
    return Session(SESSION, store, notes, parallel, errors=store.with_name("errors"))


def finish(process):
    errors = process.wait(120)
    assert process.returncode == 0, errors


def lines(notes):
    return notes.read_text().splitlines() if notes.exists() else []


def events(path):
    with SQLiteStore(path) as store:
        return [event for _, event in store.read("noise")]


def course(path):
    """What happened, without clocks and sessions."""
    return [
        (event.candidate_id, event.outcome.score, getattr(event, "serial", -1), getattr(event, "part", ""))
        if isinstance(event, Told | Retold)
        else [one.text for one in event.candidates]
        for event in events(path)
        if isinstance(event, Told | Retold | Proposed)
    ]


@pytest.mark.parametrize("parallel", [1, 3])
def test_a_noisy_study_that_is_killed_goes_on(tmp_path, parallel):
    """After six kills all evaluations are there, each once; in sequence they are those of a run that was not killed."""
    path, notes, dice = tmp_path / "s.db", tmp_path / "notes", random.Random(parallel)
    kills = 0
    for more in (15, 20, 25, 15, 20, 18):
        process, before = begin(path, notes, parallel), len(lines(notes))
        while len(lines(notes)) < before + more and process.poll() is None:
            time.sleep(0.001)
        time.sleep(dice.uniform(0, 0.003))
        process.kill()
        process.wait(60)
        kills += process.returncode == -signal.SIGKILL
    finish(begin(path, notes, parallel))
    assert kills >= 4
    happened = events(path)
    told = [event.candidate_id for event in happened if isinstance(event, Told)]
    retold = [event for event in happened if isinstance(event, Retold)]
    assert sorted(told) == list(range(len(told)))
    assert sorted(event.serial for event in retold) == list(range(len(retold)))
    assert len(told) + len(retold) == 120
    assert sum(event.part == "fresh" for event in retold) == 6 + 3
    assert sum(event.part == "sealed" for event in retold) == 2
    assert 120 <= len(lines(notes)) <= 120 + kills * parallel
    assert sum(isinstance(event, Opened) for event in happened) == 7
    assert sum(isinstance(event, Stopped) for event in happened) == 7 - kills
    if parallel == 1:
        whole = tmp_path / "whole.db"
        finish(begin(whole, tmp_path / "other", parallel))
        assert course(path) == course(whole)
