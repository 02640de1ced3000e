"""Killed at any moment of any stage and begun again: nothing that was paid for is lost, and nothing is paid twice."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from llm_optimize.testing.server import ScriptedServer

SESSION = Path(__file__).parent.parent / "helpers" / "distill_session.py"
FIXTURES = Path(__file__).parent.parent / "fixtures"
PARALLEL = 3
STAGES = ("length", "samples", "rewrites", "scores", "comparison")


def begin(folder, server):
    command = [sys.executable, str(SESSION), str(folder), server.url, str(PARALLEL), str(FIXTURES)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return out


def begun_stages(folder):
    """Return the stages of which a reply is on disk."""
    path = folder / "replies.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return {json.loads(line)["key"].partition("/")[0] for line in lines if line.endswith("}")}


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    return process.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def whole(world, tmp_path_factory):
    """The output, the chosen prompts, the number of calls and the folder of a run that nobody kills."""
    folder = tmp_path_factory.mktemp("distill") / "whole"
    with ScriptedServer(world) as server:
        out = finish(begin(folder, server))
        return out, (folder / "best.jsonl").read_bytes(), server.counts()["charged"], folder


def test_killed_in_each_stage_it_repeats_no_call(world, whole, tmp_path):
    """After a kill in every stage the run ends as one that was never killed, and each call was paid for once."""
    out, best, calls, _ = whole
    folder, seen, kills = tmp_path / "run", [], 0
    draw = random.Random(5)
    with ScriptedServer(world, latency=0.01) as server:
        for stage in STAGES:
            process = begin(folder, server)
            while process.poll() is None and stage not in begun_stages(folder):
                time.sleep(0.002)
            time.sleep(draw.random() * 0.02)
            kills += kill(process)
            seen.append(begun_stages(folder))
        assert kills == len(STAGES)
        assert [stage in stages for stage, stages in zip(STAGES, seen, strict=True)] == [True] * len(STAGES)
        again = finish(begin(folder, server))
        counts = server.counts()
        keys = Counter(one.key for one in server.requests)
    assert counts["charged"] == calls, "a call was paid twice, or one is missing"
    assert counts["repeats"] <= kills * PARALLEL
    assert max(keys.values()) <= 1 + kills
    assert (folder / "best.jsonl").read_bytes() == best
    assert again == out
    replies = [json.loads(line)["key"] for line in (folder / "replies.jsonl").read_text().splitlines()]
    assert len(replies) == len(set(replies)) == calls


def test_killed_at_random_it_ends_the_same(world, whole, tmp_path):
    """After many kills, a few requests apart, the outcome and the number of paid calls are those of one session."""
    out, best, calls, _ = whole
    folder, kills, kept = tmp_path / "run", 0, []
    draw = random.Random(11)
    with ScriptedServer(world, latency=0.002) as server:
        for _ in range(6):
            process = begin(folder, server)
            target = len(server.requests) + draw.randint(1, calls // 6)
            while len(server.requests) < target and process.poll() is None:
                time.sleep(0.0005)
            time.sleep(draw.random() * 0.01)
            kills += kill(process)
            lines = (folder / "replies.jsonl").read_text().count("\n") if (folder / "replies.jsonl").exists() else 0
            kept.append((len(server.requests), lines))
        assert finish(begin(folder, server)) == out
        counts = server.counts()
        received = [one.key for one in server.requests]
    assert kills >= 4
    assert counts["charged"] == calls
    assert counts["repeats"] <= kills * PARALLEL
    for place, on_disk in kept:
        before, after = set(received[:place]), set(received[place:])
        assert len(before & after) <= len(before) - on_disk, "a reply that was on disk was asked for again"
    assert (folder / "best.jsonl").read_bytes() == best


def test_a_torn_last_line_is_cut_off_and_its_work_done_again(world, whole, tmp_path):
    """Half a line at the end of any file, as after a power cut, costs no call and changes nothing."""
    out, best, _, begun = whole
    folder = tmp_path / "run"
    shutil.copytree(begun, folder)
    with ScriptedServer(world) as server:
        for name in ("lengths", "samples", "rewrites", "scores", "comparison"):
            file = folder / f"{name}.jsonl"
            content = file.read_bytes()
            file.write_bytes(content[: -len(content.splitlines()[-1]) // 2])
        assert finish(begin(folder, server)) == out
        assert server.counts()["requests"] == 0
    assert (folder / "best.jsonl").read_bytes() == best
