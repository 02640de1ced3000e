"""The wall clock jumps by a day, ahead and back, while real processes run: nothing ends, hangs or gets out of order."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from ground import ModelServer, within
from helpers.postgres_server import programs
from jumping import DAY_S, JumpingPostgres, WallClock
from keeping_server import charges
from owner_session import Order

from llm_optimize import SQLiteStore
from llm_optimize.core.events import Told
from llm_optimize.core.folding import read_folding
from llm_optimize.stores import PostgresStore

OWNER = Path(__file__).with_name("owner_session.py")
EVALUATIONS = 40
LEASE_S = 1.0

pytestmark = pytest.mark.skipif(not WallClock.can_be(), reason="no C compiler here: apt-get install gcc libc6-dev")


@pytest.fixture
def clock():
    """A clock whose library a server of another user may load."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield WallClock(Path(name))


@pytest.fixture
def start(clock, tmp_path):
    """Return a function that starts an owner under the clock; what it says last is in ``errors-N``."""
    started = []

    def begin(order):
        with (tmp_path / f"errors-{len(started)}").open("wb") as errors:
            command = [sys.executable, str(OWNER), order.text()]
            started.append(subprocess.Popen(command, env=clock.environment, stderr=errors))
        return started[-1]

    with ExitStack() as stack:
        stack.callback(lambda: [(process.kill(), process.wait()) for process in started])
        yield begin


@pytest.fixture
def order(tmp_path):
    """What to run, against a model's server that is up."""
    server = ModelServer(tmp_path / "books", tmp_path / "errors-model")
    store, noted = str(tmp_path / "studies.db"), str(tmp_path / "notes")
    yield Order(store, "jumps", server.url, noted, "threads", evaluations=EVALUATIONS, wall=3600.0, eval_timeout=600.0)
    server.kill()


def told(store):
    """How many outcomes are on disk."""
    return sum(isinstance(event, Told) for _, event in store.read("jumps"))


def check(store, evaluations, books):
    """Each candidate told once, in an unbroken order; durations are durations; each charge counted once."""
    log = list(store.read("jumps"))
    history = read_folding(store, "jumps").history
    outcomes = [event for _, event in log if isinstance(event, Told)]
    assert sorted(event.candidate_id for event in outcomes) == list(range(evaluations))
    assert [number for number, _ in log] == list(range(1, len(log) + 1))
    assert all(0 <= event.seconds < 600 for event in outcomes)
    assert history.usage.tokens == sum(line["usage"]["total_tokens"] for line in charges(books))
    assert history.reason == f"budget evaluations: {evaluations} of {evaluations} used"
    return history


def test_a_budget_of_seconds_and_a_timeout_outlive_the_jumps(clock, start, order, tmp_path):
    """+1 day and -1 day amid a session, and between two: only the cap on evaluations ends them."""
    with SQLiteStore(order.store) as store:
        owner = start(order)
        for place, ahead in ((10, DAY_S), (25, -DAY_S)):
            within(f"outcome {place}", lambda place=place: told(store) >= place)
            clock.jump(ahead)
        assert owner.wait(90) == 0
        check(store, EVALUATIONS, tmp_path / "books")
        for number, ahead in enumerate((2 * DAY_S, -2 * DAY_S), 1):
            clock.jump(ahead)
            caps = EVALUATIONS + 5 * number
            assert start(replace(order, evaluations=caps)).wait(90) == 0
            history = check(store, caps, tmp_path / "books")
    assert 0 <= history.active_seconds() < 600


def test_commands_tell_of_a_study_that_is_ahead_of_the_clock(clock, start, order, tmp_path):
    """A log written a day ahead is listed and shown, with no negative time in it."""
    clock.jump(DAY_S)
    assert start(replace(order, evaluations=5)).wait(90) == 0
    clock.jump(-DAY_S)
    for words in (["list"], ["show", "jumps"]):
        command = [sys.executable, "-m", "llm_optimize", *words, "--store", order.store]
        done = subprocess.run(command, env=clock.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "jumps" in done.stdout
        assert " -" not in done.stdout.replace(" - ", " ").replace(" --", " ")


@pytest.mark.xdist_group("postgres")
@pytest.mark.skipif(programs() is None, reason="no PostgreSQL server here: apt-get install postgresql")
@pytest.mark.parametrize("ahead", [DAY_S, -DAY_S])
def test_an_owner_that_dies_as_the_server_s_clock_jumps_is_replaced(clock, start, order, ahead, tmp_path):
    """Leases end by the server's clock; one that was set back by a day keeps nobody out for a day."""
    server = JumpingPostgres(clock)
    try:
        server.start()
        address = server.database()
        shared = replace(order, store=f"{address}?lease_s={LEASE_S}&patience_s=3600")
        with PostgresStore(address) as store:
            owners = [start(shared), start(shared)]
            within("outcome 10", lambda: told(store) >= 10)
            pid = store.overview()[0].owner_pid
            [owner] = [one for one in owners if one.pid == pid]
            clock.jump(ahead)
            owner.kill()
            owner.wait()
            [other] = [one for one in owners if one is not owner]
            assert other.wait(90) == 0
            check(store, EVALUATIONS, tmp_path / "books")
    finally:
        server.stop()


@pytest.mark.xdist_group("postgres")
@pytest.mark.skipif(programs() is None, reason="no PostgreSQL server here: apt-get install postgresql")
def test_owners_that_live_survive_the_jumps_of_the_server_s_clock(clock, start, order, tmp_path):
    """Whoever loses the lease by a jump ends with its reason, and the other goes on: nothing is lost or doubled."""
    server = JumpingPostgres(clock)
    try:
        server.start()
        address = server.database()
        shared = replace(order, store=f"{address}?lease_s={LEASE_S}&patience_s=3600")
        with PostgresStore(address) as store:
            owners = [start(shared), start(shared)]
            for place, ahead in ((10, DAY_S), (20, -DAY_S), (30, 0)):
                within(f"outcome {place}", lambda place=place: told(store) >= place)
                clock.jump(ahead)
                for one in [one for one in owners if one.poll() == 3]:  # taken over: it says so, and is started again
                    owners.remove(one)
                    owners.append(start(shared))
            statuses = {one.wait(90) for one in owners}
            assert 0 in statuses <= {0, 3}
            check(store, EVALUATIONS, tmp_path / "books")
    finally:
        server.stop()
