"""Killed at any moment and resumed: nothing that was paid for is lost, and nothing is paid for again."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from helpers.warm import Session

from llm_optimize.core.events import Proposed, Told
from llm_optimize.stores.sqlite import SQLiteStore
from llm_optimize.testing.server import ScriptedServer

SESSION = Path(__file__).parent / "helpers" / "crash_session.py"
STEPS = 200
KILLS = 30


def words(store, server, notes, parallel):
    return [str(store), server.url, str(notes), str(STEPS), str(parallel)]


def kill_after(process, server, more, jitter):
    """Let ``more`` further requests reach the server, then kill in whatever phase the session happens to be."""
    target = len(server.requests) + more
    while len(server.requests) < target and process.poll() is None:
        time.sleep(0.0005)
    time.sleep(jitter)
    process.kill()
    process.wait(60)
    return process.returncode == -signal.SIGKILL


def on_disk(path):
    """Return (texts by id, told ids, keys of replies) as another process sees them now."""
    with SQLiteStore(path) as store:
        events = [event for _, event in store.read("crash")]
    texts = {one.id: one.text.strip() for event in events if isinstance(event, Proposed) for one in event.candidates}
    told = [event.candidate_id for event in events if isinstance(event, Told)]
    connection = sqlite3.connect(path)
    keys = {key for (key,) in connection.execute("SELECT key FROM replies WHERE key LIKE 'proposal/%'")}
    connection.close()
    return texts, told, keys


@pytest.mark.parametrize("parallel", [1, 4])
def test_a_study_killed_thirty_times_loses_and_repeats_nothing(tmp_path, parallel):
    """Same ids, every trial told once; no told candidate is scored again, no reply on disk is asked for again."""
    path, notes = tmp_path / "studies.db", tmp_path / "notes"
    draw = random.Random(parallel)
    kills, known_texts, told_at_kill, replies_at_kill = 0, {}, [], []
    begins_at_kill, requests_at_kill = [], []
    with ScriptedServer(lambda body, index: f"```\nline {index:03d}\n```", latency=0.002) as server:
        for _ in range(KILLS):
            process = Session(SESSION, *words(path, server, notes, parallel), errors=tmp_path / "errors")
            kills += kill_after(process, server, draw.randint(1, 5), draw.random() * 0.008)
            texts, told, keys = on_disk(path)
            assert known_texts.items() <= texts.items(), "an id changed its candidate"
            known_texts = texts
            told_at_kill.append({texts[i] for i in told})
            replies_at_kill.append(len(keys))
            begins_at_kill.append(len(notes.read_text().splitlines()) if notes.exists() else 0)
            requests_at_kill.append(len(server.requests))
        command = [sys.executable, str(SESSION), *words(path, server, notes, parallel)]  # an interpreter of its own
        last = subprocess.run(command, capture_output=True, timeout=300, check=False)
        assert last.returncode == 0, last.stderr.decode()
        counts = server.counts()
        received = [request.key for request in server.requests]
    texts, told, keys = on_disk(path)
    assert kills == KILLS
    assert known_texts.items() <= texts.items()
    assert sorted(told) == list(range(STEPS + 1)), "a trial is missing or told twice"
    assert len(texts) == STEPS + 1
    lines = notes.read_text().splitlines()
    for place, done in zip(begins_at_kill, told_at_kill, strict=True):
        begun_after = {line.removeprefix("begin ") for line in lines[place:] if line.startswith("begin ")}
        assert not begun_after & done, "a candidate with an outcome on disk was scored again"
    # What a kill cuts off before its answer is on disk is begun anew: at most `parallel` pieces of work a kill.
    assert len([line for line in lines if line.startswith("begin ")]) <= STEPS + 1 + KILLS * parallel
    assert counts["charged"] == STEPS == len(keys), "a model call was paid twice, or its reply was lost"
    assert counts["repeats"] <= KILLS * parallel
    assert len(Counter(received)) == STEPS
    for place, kept in zip(requests_at_kill, replies_at_kill, strict=True):
        before, after = set(received[:place]), set(received[place:])
        assert len(before & after) <= len(before) - kept, "a reply that was on disk was asked for again"
