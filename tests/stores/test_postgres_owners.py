"""One owner runs a study on PostgreSQL: real processes are killed, stopped, and race for it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest
from helpers.warm import Session

from llm_optimize.core.events import Guided, Opened, Proposed, Stopped, Told
from llm_optimize.errors import StudyOwned
from llm_optimize.stores import PostgresStore, Timing

pytestmark = pytest.mark.xdist_group("postgres")

SESSION = Path(__file__).parent.parent / "helpers" / "postgres_session.py"
EVALUATIONS = 45
PATIENCE = "&patience_s=120"

PRELUDE = """
import os, sys
from llm_optimize.core.events import Guided
from llm_optimize.errors import StudyOwned
from llm_optimize.stores import PostgresStore
store = PostgresStore(sys.argv[1])
"""

WRITER = """
store.claim("study")
try:
    while True:
        store.append("study", Guided("former"))
        os.write(1, b"written\\n")
except StudyOwned as error:
    try:
        store.remember("study", "late", "reply")
    except StudyOwned:
        print(error)
"""

RACER = """
print("ready", flush=True)
sys.stdin.readline()
for number in range(40):
    try:
        store.claim(f"study-{number}")
        print(number)
    except StudyOwned:
        pass
print("done", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def start(address):
    """Return a function that starts a process with a store on ``address``; all are killed at the end."""
    started = []

    def begin(body, options=""):
        command = [sys.executable, "-c", PRELUDE + body, address + options]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def session(address, tmp_path):
    """Return a function that starts a session of the study ``shared``; all are killed at the end."""
    started = []

    def begin(name, options):
        words = (address + options, tmp_path / "notes", EVALUATIONS)
        process = Session(SESSION, *words, errors=tmp_path / f"{name}.errors")
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process._process.join()


def reach(store, count):
    """Wait until ``count`` candidates of the shared study have been told; return the sequence number reached."""
    position = told = 0
    while told < count:
        assert store.wait("shared", position, timeout=60)
        log = list(store.read("shared", position))
        position = log[-1][0]
        told += sum(isinstance(event, Told) for _, event in log)
    return position


def check_shared(store, notes, done_at_takeover, successor):
    """Each candidate was told once, and the successor evaluated none that had an outcome when it took over."""
    events = [event for _, event in store.read("shared")]
    texts = {one.id: one.text for event in events if isinstance(event, Proposed) for one in event.candidates}
    told = [event.candidate_id for event in events if isinstance(event, Told)]
    assert sorted(told) == list(range(EVALUATIONS)), "a trial is missing or told twice"
    assert isinstance(events[-1], Stopped)
    begun = [line.split()[2] for line in notes.read_text().splitlines() if line.startswith(f"{successor} begin")]
    assert len(begun) == len(set(begun))
    assert not set(begun) & {texts[one] for one in done_at_takeover}, "a candidate with an outcome was evaluated again"


def lease_end(address, study="shared"):
    """Return when the lease ends and when the owner began, by the server's clock in seconds since the epoch."""
    sql = """
        SELECT extract(epoch FROM lease_until)::float8, extract(epoch FROM since)::float8
        FROM llm_optimize.studies WHERE name = %s
    """
    with psycopg.connect(address) as connection:
        return connection.execute(sql, (study,)).fetchone()


def test_killed_owner_is_replaced_when_its_lease_ends(address, session, tmp_path):
    """Another process goes on at the end of a killed owner's lease, not before, and evaluates nothing twice."""
    with PostgresStore(address) as store:
        owner = session("owner", "?lease_s=1")
        reach(store, EVALUATIONS // 3)
        standby = session("standby", f"?lease_s=1{PATIENCE}")
        reach(store, EVALUATIONS // 2)
        owner.kill()
        owner._process.join()
        end, _ = lease_end(address)
        log = list(store.read("shared"))
        done = {event.candidate_id for _, event in log if isinstance(event, Told)}
        assert store.wait("shared", log[-1][0], timeout=60)
        _, opened = next(iter(store.read("shared", log[-1][0])))
        assert isinstance(opened, Opened)
        assert 0 <= opened.at - end < 20  # the server's clock is this machine's
        assert standby.wait(60) == ""
        check_shared(store, tmp_path / "notes", done, standby._process.pid)


def test_stopped_owner_is_fenced_off(address, session, tmp_path):
    """A stopped owner that wakes up after its lease writes nothing and ends; it begins only what it was about to."""
    with PostgresStore(address) as store:
        owner = session("owner", "?lease_s=1")
        reach(store, EVALUATIONS // 3)
        os.kill(owner._process.pid, signal.SIGSTOP)
        before = [event.candidate_id for _, event in store.read("shared") if isinstance(event, Told)]
        standby = session("standby", f"?lease_s=1{PATIENCE}")
        assert reach(store, EVALUATIONS // 3 + 5)
        seen = (tmp_path / "notes").read_text().count(f"{owner._process.pid} begin")
        os.kill(owner._process.pid, signal.SIGCONT)
        errors = owner.wait(60)
        assert owner.returncode == 1
        assert "StudyOwned" in errors
        assert standby.wait(60) == ""
        assert (tmp_path / "notes").read_text().count(f"{owner._process.pid} begin") <= seen + 1
        check_shared(store, tmp_path / "notes", before, standby._process.pid)


@pytest.mark.parametrize("written", [3, 40])
def test_nothing_is_written_after_a_takeover(address, start, written):
    """A writer stopped at any moment writes neither event nor reply behind its successor's first event."""
    writer = start(WRITER, "?lease_s=0.5")
    for _ in range(written):
        assert writer.stdout.readline() == "written\n"
    writer.send_signal(signal.SIGSTOP)
    with PostgresStore(address, Timing(lease_s=0.5, patience_s=20)) as store:
        store.claim("study")
        taken = store.append("study", Guided("successor"))
        writer.send_signal(signal.SIGCONT)
        *_, last = writer.communicate(timeout=30)[0].splitlines()
        assert f"process {os.getpid()} on" in last
        assert "no longer run by this process" in last
        assert [number for number, event in store.read("study", taken - 1)] == [taken]
        assert store.keys("study") == ()
        assert store.overview()[0].owner_pid == os.getpid()


def test_one_of_two_processes_wins_each_race(start):
    """Two processes that claim the same studies at once share them out: each has one owner, none has two."""
    racers = [start(RACER) for _ in range(2)]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won = []
    for racer in racers:
        while (line := racer.stdout.readline()) != "done\n":
            won.append(int(line))
    assert sorted(won) == list(range(40))


def test_lease_is_renewed_while_nothing_is_written(address):
    """An owner that is long silent keeps its study; the time that remains is named to whoever asks."""
    with PostgresStore(address, Timing(lease_s=0.3)) as owner, PostgresStore(address) as other:
        owner.claim("study")
        first, since = lease_end(address, "study")
        while lease_end(address, "study")[0] < first + 1:  # three leases later
            with pytest.raises(StudyOwned, match=f"process {os.getpid()} on .* since 20.*that is this process"):
                other.claim("study")
        assert lease_end(address, "study")[1] == since


def test_patient_claim_wakes_when_the_owner_gives_up(address):
    """Whoever waits for a study gets it when it is released, long before the lease would have ended."""
    with PostgresStore(address, Timing(lease_s=1000)) as owner:
        owner.claim("study")
        with PostgresStore(address, Timing(patience_s=60)) as other:
            waiting = threading.Thread(target=other.claim, args=("study",))
            waiting.start()
            while not backends(address, "llm_optimize.claim", waiting=True):
                pass
            owner.release("study")
            waiting.join(15)
            assert not waiting.is_alive()
            with pytest.raises(StudyOwned):
                owner.claim("study")


def backends(address, text, *, waiting):
    """Return how many sessions of this database last said ``text``; waiting: and LISTEN, since it waits."""
    sql = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE %s AND state = 'idle'"
    )
    with psycopg.connect(address) as connection:
        [(count,)] = connection.execute(sql, (f"SELECT * FROM {text}%",)).fetchall()
    return count >= (2 if waiting else 1)  # one on the common connection, one on that which waits


def test_removed_owner_can_write_no_more(address):
    """Removing an owner by hand frees the study at once and fences the owner off, should it live."""
    with PostgresStore(address) as owner, PostgresStore(address) as other:
        owner.claim("study")
        owner.append("study", Guided("mine"))
        other.release_stale("study")
        with pytest.raises(StudyOwned, match="its claim was removed"):
            owner.append("study", Guided("late"))
        with pytest.raises(StudyOwned, match="taken over"):
            list(owner.read("study"))
        other.claim("study")
        owner.release("study")  # another's claim is not given up
        assert other.append("study", Guided("other's")) == 2
        assert len(list(owner.read("study"))) == 2


def in_child(store, queue):
    """Use an inherited store in a forked child."""
    store.release("study")
    try:
        store.claim("study")
        queue.put("claimed")
    except StudyOwned:
        queue.put("refused")
    for number in range(50):
        store.append("study", Guided(f"child/{number}"))
    queue.put(sum(1 for _ in store.read("study")))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # from 3.12, in a process with threads
def test_forked_child_opens_a_connection_of_its_own(address):
    """A child forked in the middle of the parent's work can write too, and cannot give up the parent's claim."""
    context = multiprocessing.get_context("fork")
    with PostgresStore(address) as store:
        store.claim("study")
        store.append("study", Guided("before"))
        queue = context.Queue()
        with store._connection._lock:  # as if another thread were writing while this one forks
            child = context.Process(target=in_child, args=(store, queue), daemon=True)
            child.start()
        for number in range(50):
            store.append("study", Guided(f"parent/{number}"))
        assert queue.get(timeout=60) == "refused"
        assert queue.get(timeout=60) > 50
        child.join()
        assert child.exitcode == 0
        assert [number for number, _ in store.read("study")] == list(range(1, 102))
        assert store.overview()[0].owner_pid == os.getpid()
