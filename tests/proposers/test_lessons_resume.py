"""Lessons over HTTP: on the account, within the budget, and never paid for twice, whatever is killed."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from helpers import lessons_session
from helpers.warm import Session

from llm_optimize.core.budget import Budget
from llm_optimize.core.events import Proposed
from llm_optimize.core.history import History
from llm_optimize.core.types import Learned
from llm_optimize.stores.sqlite import SQLiteStore
from llm_optimize.testing.server import ScriptedServer

SESSION = Path(lessons_session.__file__)


def is_reflection(body: dict) -> bool:
    """Whether a request asks for lessons."""
    return body["messages"][0]["content"].startswith("You study the attempts")


def answer(body: dict, index: int) -> str:
    """Answer as a model would: lessons, or a candidate that grows."""
    if is_reflection(body):
        first = re.search(r"# Attempt #(\d+)", body["messages"][1]["content"])[1]
        return f"- Lesson from #{first}.\n- Longer is better."
    return f"Hypothesis: longer.\n```\nline {index:04d} {'x' * index}\n```"


@pytest.mark.parametrize("parallel", [1, 4])
def test_a_study_reflects_on_its_account(parallel: int) -> None:
    """Each batch once in a sequential run, booked as reflection; the last prompt holds the latest lessons."""
    with ScriptedServer(answer) as server:
        result = lessons_session.main(None, server.url, 20, parallel)
        reflections = [one for one in server.requests if is_reflection(one.body)]
        last = server.requests[-1].body["messages"][-1]["content"]
        charged = server.charged
    calls = {role: usage.calls for role, usage in result.history.account.by_role().items()}
    assert calls == {"proposer": 20, "reflection": len(reflections)}
    assert sum(calls.values()) == charged == result.usage.calls
    assert result.history.lessons.texts[1] == "Longer is better."
    if parallel == 1:
        assert len(reflections) == 5
        assert result.history.lessons.upto == 20
        assert "- Lesson from #16." in last


def test_a_budget_covers_reflections() -> None:
    """A cap on tokens holds with them."""
    with ScriptedServer(answer) as server:
        result = lessons_session.main(None, server.url, 50, budget=Budget(tokens=20_000))
        charged = server.tokens_in + server.tokens_out
    assert result.history.account.by_role()["reflection"].calls > 1
    assert charged == result.usage.tokens <= 20_000


def begin(store: Path, server: ScriptedServer, steps: int, parallel: int) -> Session:
    """Begin a session in a process of its own."""
    return Session(SESSION, store, server.url, steps, parallel, errors=store.with_name("errors"))


def end(process: Session) -> None:
    """Wait for a session that is let run."""
    errors = process.wait(120)
    assert process.returncode == 0, errors


def test_killed_between_reflection_and_proposal_it_recalls_the_reflection(tmp_path: Path) -> None:
    """The reply that was on disk is not asked for again, is counted once, and its lessons are in the log."""
    reached, go, seen = threading.Event(), threading.Event(), []

    def held(body: dict, index: int) -> str:
        seen.append(is_reflection(body))
        if seen[-2:] == [True, False] and not reached.is_set():
            reached.set()
            go.wait(60)
        return answer(body, index)

    path = tmp_path / "studies.db"
    with ScriptedServer(held) as server:
        process = begin(path, server, 6, 1)
        assert reached.wait(60)
        process.kill()
        process.wait(60)
        go.set()
        with SQLiteStore(path) as store:
            before = [event for _, event in store.read("lessons")]
        assert not any(event.lessons for event in before if isinstance(event, Proposed))
        end(begin(path, server, 6, 1))
        reflections = [one for one in server.requests if is_reflection(one.body)]
    assert len(reflections) == 1, "a reflection that was on disk was asked for again"
    history = History.empty()
    with SQLiteStore(path) as store:
        for _, event in store.read("lessons"):
            history = history.after(event)
    assert history.lessons == Learned(4, ("Lesson from #0.", "Longer is better."))
    assert history.account.by_role()["reflection"].calls == 1
    assert len(history.trials) == 7
    show = [sys.executable, "-m", "llm_optimize", "show", "lessons", "--store", str(path)]
    shown = subprocess.check_output(show, text=True)
    logged = subprocess.check_output([*show, "--log", "--json"], text=True)
    assert "Lesson from #0." in shown
    assert '"lessons":{"upto":4,"texts":["Lesson from #0.","Longer is better."]}' in logged


@pytest.mark.parametrize("parallel", [1, 3])
def test_killed_at_random_no_batch_is_paid_for_twice(tmp_path: Path, parallel: int) -> None:
    """What every batch was charged for, whatever is killed: as often as the log says."""
    path, draw = tmp_path / "studies.db", random.Random(parallel)
    with ScriptedServer(answer, latency=0.002) as server:
        for _ in range(3):
            process, wanted = begin(path, server, 20, parallel), len(server.requests) + draw.randint(1, 7)
            while len(server.requests) < wanted and process.poll() is None:
                threading.Event().wait(0.001)
            process.kill()
            process.wait(60)
        end(begin(path, server, 20, parallel))
        reflections = {
            one.key: one.body["messages"][1]["content"] for one in server.requests if is_reflection(one.body)
        }
        charged = server.charged
    history = History.empty()
    with SQLiteStore(path) as store:
        for _, event in store.read("lessons"):
            history = history.after(event)
    spent = history.account.by_role()
    assert len(history.trials) == 21
    assert spent["reflection"].calls == len(reflections)
    assert spent["reflection"].calls + spent["proposer"].calls == charged
    if parallel == 1:
        assert len(set(reflections.values())) == len(reflections) == history.lessons.upto // 4
