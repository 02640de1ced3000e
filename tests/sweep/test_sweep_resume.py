"""A sweep that is killed goes on where it was: what was paid for is not asked again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llm_optimize.testing.server import ScriptedServer

SESSION = Path(__file__).parent.parent / "helpers" / "sweep_session.py"


def session(*words):
    """Start a session in a process of its own."""
    return subprocess.Popen(
        [sys.executable, str(SESSION), *map(str, words)], stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )


def asked(server):
    """Each request as it was sent."""
    return [json.dumps(one.body, sort_keys=True) for one in server.requests]


@pytest.mark.parametrize("workers", [1, 4])
def test_a_sweep_killed_at_500_of_1000_makes_500_more(tmp_path, workers):
    """SIGKILL after 500 evaluations; the resumed sweep makes the other 500 requests, none of them twice."""
    with ScriptedServer(lambda body, index: f"word {body['top_k']}", models=("m",)) as server:
        words = (server.url, tmp_path / "sweep.db", "word 7", workers)
        first = session(*words, 500)
        assert first.stdout.readline() == "waiting\n"
        first.kill()
        first.wait()
        first.stdout.close()
        # What several workers had in flight when they died is asked again under its key, and not charged again.
        before = len(server.requests)
        assert 500 <= before < 500 + workers
        second = session(*words, 0)
        assert second.communicate(timeout=300)[0] == "1000\n"
        counts = server.counts()
        assert counts["charged"] == 1000
        assert len(set(asked(server))) == 1000
        assert counts["requests"] - before == 500 if workers == 1 else counts["requests"] <= 1000 + workers
    rows = [json.loads(line) for line in Path("out/results.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(one["id"] for one in rows) == list(range(1000))
    ranked = json.loads(Path("out/results.json").read_text(encoding="utf-8"))
    assert len(ranked) == 1000
    assert ranked[0]["settings"]["top_k"] == 7
