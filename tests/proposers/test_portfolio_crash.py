"""A study with a portfolio, killed at any moment and resumed: each paid reply goes to the arm that asked for it."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

from helpers.warm import Session

from llm_optimize.core.history import History
from llm_optimize.stores.sqlite import SQLiteStore
from llm_optimize.testing.server import ScriptedServer

SESSION = Path(__file__).parent.parent / "helpers" / "portfolio_session.py"
STEPS = 40
KILLS = 6


def begin(store, server):
    return Session(SESSION, store, server.url, errors=store.with_name("errors"))


def test_a_killed_portfolio_pays_nothing_twice_and_mixes_no_replies_up(tmp_path):
    """Each proposal takes two calls; after six kills both were of the model that the proposal's arm asks."""
    path, draw, mixed = tmp_path / "studies.db", random.Random(2), []

    def answer(body, index):
        first = next((turn["content"] for turn in body["messages"] if turn["content"].startswith("I am ")), None)
        if first is None:
            return f"I am {body['model']}"
        if first != f"I am {body['model']}":
            mixed.append((first, body["model"]))
        return f"```\n{body['model']} {index:03d}\n```"

    with ScriptedServer(answer, latency=0.04) as server:
        for _ in range(KILLS):
            process = begin(path, server)
            target = len(server.requests) + draw.randint(4, 8)
            while len(server.requests) < target and process.poll() is None:
                time.sleep(0.0005)
            time.sleep(0.02)  # into the second call of a proposal whose first reply is on disk
            process.kill()
            process.wait(60)
            assert process.returncode == -signal.SIGKILL
        last = begin(path, server)
        errors = last.wait(120)
        assert last.returncode == 0, errors
        charged = server.counts()["charged"]
    history = History.empty()
    with SQLiteStore(path) as store:
        for _, event in store.read("mixed"):
            history = history.after(event)
    assert not mixed
    made = [(history.arm(trial.id), trial.text.split()[0]) for trial in history.trials if trial.id]
    assert len(made) == STEPS
    assert all(arm == model for arm, model in made)
    assert {arm for arm, _ in made} == {"a", "b"}
    assert sum(arm.proposals for arm in history.arms.values()) == STEPS
    assert charged == 2 * STEPS
