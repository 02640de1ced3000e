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


@pytest.mark.parametrize(("pairs", "workers"), [(1000, 1), (120, 4)])
def test_a_sweep_killed_halfway_makes_the_other_half_of_its_requests(tmp_path, pairs, workers):
    """SIGKILL after 500 of 1,000 evaluations; the resumed sweep makes exactly the other 500 requests."""
    with ScriptedServer(lambda body, index: f"word {body['top_k']}", models=("m",)) as server:
        words = (server.url, tmp_path / "sweep.db", "word 2", pairs, workers)
        first = session(*words, pairs // 2)
        assert first.stdout.readline() == "waiting\n"
        first.kill()
        first.wait()
        first.stdout.close()
        # What several workers had in flight when they died is asked again under its key, and not charged again.
        before = len(server.requests)
        assert pairs // 2 <= before < pairs // 2 + workers
        second = session(*words, 0)
        assert second.communicate(timeout=300)[0] == f"{pairs}\n"
        counts = server.counts()
        assert counts["charged"] == pairs
        assert len(set(asked(server))) == pairs
        assert counts["requests"] == pairs + counts["repeats"]
        assert workers > 1 or counts["requests"] - before == pairs // 2
    rows = [json.loads(line) for line in Path("out/results.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(one["id"] for one in rows) == list(range(pairs))
    ranked = json.loads(Path("out/results.json").read_text(encoding="utf-8"))
    assert len(ranked) == pairs
    assert ranked[0]["settings"]["top_k"] == 2
