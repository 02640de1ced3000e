"""The SQLite store between real processes: guides beside an owner, SIGKILL, forks, takeover."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from llm_optimize.core.events import Guided
from llm_optimize.errors import StoreError, StudyOwned
from llm_optimize.stores import SQLiteStore
from llm_optimize.stores.owners import Owner, identity

PRELUDE = """
import os, sys
from llm_optimize.core.events import Guided
from llm_optimize.errors import StoreError
from llm_optimize.stores import SQLiteStore
store = SQLiteStore(sys.argv[1])
"""

GUIDE = """
print("ready", flush=True)
sys.stdin.readline()
for number in range(200):
    store.append("study", Guided(f"{sys.argv[2]}/{number}"))
"""

WRITER = """
number = 0
while True:
    number = store.append("study", Guided("x" * 500))
    store.remember("study", f"reply/{number}", "y" * 500)
    os.write(1, f"{number}\\n".encode())
"""

OWNER = """
store.claim("study")
print("owned", flush=True)
sys.stdin.readline()
"""

FULL_DISK = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store.append("study", Guided("first"))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
kept = 1
try:
    while True:
        kept = store.append("study", Guided("x" * 1000))
except StoreError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert store.append("study", Guided("after")) == kept + 1
"""


@pytest.fixture
def path(tmp_path):
    """Return the path of a store that does not exist yet."""
    return tmp_path / "studies.db"


@pytest.fixture
def start(path):
    """Return a function that starts a process with a store on ``path``; all are killed at the end."""
    started = []

    def begin(body, *arguments):
        command = [sys.executable, "-c", PRELUDE + body, str(path), *arguments]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def test_guides_and_owner_lose_nothing(path, start):
    """Two processes append guidance while the owner appends its events: none is lost, no number is skipped."""
    guides = [start(GUIDE, name) for name in ("left", "right")]
    for guide in guides:
        assert guide.stdout.readline() == "ready\n"
    with SQLiteStore(path) as owner:
        owner.claim("study")
        for guide in guides:
            guide.stdin.write("go\n")
            guide.stdin.flush()
        for number in range(500):
            owner.append("study", Guided(f"owner/{number}"))
        assert [guide.wait() for guide in guides] == [0, 0]
        log = list(owner.read("study"))
    assert [number for number, _ in log] == list(range(1, 901))
    for name, count in (("owner", 500), ("left", 200), ("right", 200)):
        mine = [event.text for _, event in log if event.text.startswith(name)]
        assert mine == [f"{name}/{number}" for number in range(count)]


@pytest.mark.parametrize("events", [1, 40, 300])
def test_what_was_appended_survives_a_kill(path, start, events):
    """After SIGKILL in the middle of appends, everything whose append had returned is there, without a gap."""
    writer = start(WRITER)
    for _ in range(events):
        last = writer.stdout.readline()
    writer.send_signal(signal.SIGKILL)
    last = (last + writer.stdout.read()).splitlines()[-1]
    writer.wait()
    with SQLiteStore(path) as store:
        numbers = [number for number, _ in store.read("study")]
        assert numbers == list(range(1, len(numbers) + 1))
        assert int(last) <= len(numbers) <= int(last) + 1
        assert all(store.recall("study", f"reply/{number}") for number in range(1, int(last) + 1))


def test_full_file_system_is_reported_and_survived(path, start):
    """A write that the system refuses raises one line; the next one that fits gets the next number."""
    writer = start(FULL_DISK)
    told, _ = writer.communicate()
    assert writer.returncode == 0
    assert "free" in told
    assert str(path) in told
    assert told.count("\n") == 1


class TestOwners:
    """One owner at a time, whatever happens to the one before."""

    def test_live_owner_is_named_and_a_dead_one_replaced(self, path, start):
        """Another process's claim is refused with its id; once it is killed, even if not yet waited for, it is free."""
        process = start(OWNER)
        assert process.stdout.readline() == "owned\n"
        with SQLiteStore(path) as store:
            with pytest.raises(StudyOwned, match=f"process {process.pid} on .* since 20..-") as caught:
                store.claim("study")
            assert str(path) in str(caught.value)
            assert "wait for it or end it" in str(caught.value)
            store.append("study", Guided("a guide needs no ownership"))
            assert store.overview()[0].owner_pid == process.pid
            process.send_signal(signal.SIGKILL)
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            assert store.overview()[0].owner_pid is None
            store.claim("study")
            assert store.overview()[0].owner_pid == os.getpid()

    def test_owner_that_ends_leaves_the_study_free(self, path, start):
        """A process that ends in order releases what it owned."""
        process = start(OWNER)
        assert process.stdout.readline() == "owned\n"
        process.communicate("end\n")
        with SQLiteStore(path) as store:
            with store._connection.use() as connection:
                assert connection.execute("SELECT count(*) FROM owners").fetchone() == (0,)
            store.claim("study")

    def test_recycled_process_id_is_not_the_owner(self, path):
        """A live process under a dead owner's id does not keep the study."""
        with SQLiteStore(path) as store:
            store.claim("study")
            with store._connection.use() as connection:
                connection.execute("UPDATE owners SET started = 'another boot/1'")
            store.claim("study")

    def test_other_machines_are_asked_about(self, path):
        """An owner on another machine is not replaced until it is removed by hand."""
        with SQLiteStore(path) as store:
            store.append("study", Guided("x"))
            store.claim("study")
            with store._connection.use() as connection:
                connection.execute("UPDATE owners SET host = 'elsewhere', pid = 4242")
            with pytest.raises(StudyOwned, match=r"process 4242 on elsewhere .*release_stale\('study'\)"):
                store.claim("study")
            assert store.overview()[0].owner_pid == 4242
            store.release_stale("study")
            store.claim("study")

    def test_one_of_many_wins(self, path):
        """Of several threads that claim at once exactly one becomes the owner."""
        ready = threading.Barrier(8)
        won = []

        def run():
            with SQLiteStore(path) as store:
                ready.wait()
                try:
                    store.claim("study")
                    won.append(store)
                except StudyOwned:
                    pass
                ready.wait()

        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1

    def test_identity_tells_the_living_from_the_dead(self):
        """A live process has an identity, the same at each look; a process that has ended has none."""
        assert identity(os.getpid()) == identity(os.getpid()) is not None
        with subprocess.Popen([sys.executable, "-c", ""]) as ended:
            os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
            assert identity(ended.pid) is None
        assert identity(ended.pid) is None
        assert Owner.current().may_live


def try_without_rights(path, queue):
    """Open the store as a user who owns nothing here."""
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        store = SQLiteStore(path)
        queue.put([number for number, _ in store.read("study")])
        store.append("study", Guided("y"))
        queue.put("written")
    except StoreError as error:
        queue.put(str(error))


def ask_without_rights(path):
    """Return what a child process without rights said, in order."""
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=try_without_rights, args=(path, queue))
    child.start()
    said = [queue.get()]
    while isinstance(said[-1], list):
        said.append(queue.get())
    child.join()
    return said


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # from 3.12, in a process with threads
@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "expected"),
    [
        (0o755, 0o444, r"studies\.db: cannot be (written|opened): check its permissions"),
        (0o755, 0o000, r"studies\.db: cannot be opened: check its permissions"),
        (0o000, 0o444, r"studies\.db: (cannot be opened|the folder cannot be made)"),
    ],
)
def test_missing_rights_are_named(folder_mode, file_mode, expected):
    """A folder or file that the user may not write to, read or enter is one line with the path and a remedy."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "studies.db"
        with SQLiteStore(path) as store:
            store.append("study", Guided("x"))
        path.chmod(file_mode)
        Path(folder).chmod(folder_mode)
        *_, message = ask_without_rights(path)
        Path(folder).chmod(0o700)
    assert re.search(expected, message), message
    assert "\n" not in message


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
def test_forked_child_opens_a_connection_of_its_own(path):
    """A child forked in the middle of the parent's writes can write too, and cannot give up the parent's claim."""
    context = multiprocessing.get_context("fork")
    with SQLiteStore(path) as store:
        store.claim("study")
        store.append("study", Guided("before"))
        queue = context.Queue()
        with store._connection.use():  # as if another thread were writing while this one forks
            child = context.Process(target=in_child, args=(store, queue), daemon=True)
            child.start()
        for number in range(50):
            store.append("study", Guided(f"parent/{number}"))
        assert queue.get(timeout=60) == "refused"
        assert queue.get(timeout=60) > 50
        child.join()
        assert child.exitcode == 0
        assert [number for number, _ in store.read("study")] == list(range(1, 102))


def test_spawned_child_gets_the_path(path):
    """A store handed to a spawned process works there."""
    context = multiprocessing.get_context("spawn")
    with SQLiteStore(path) as store:
        child = context.Process(target=_append_one, args=(store,))
        child.start()
        child.join()
        assert child.exitcode == 0
        assert [event.text for _, event in store.read("study")] == ["from the child"]


def _append_one(store):
    store.append("study", Guided("from the child"))


def _create_together(folder, barrier, failures):
    for number in range(80):
        barrier.wait(60)
        try:
            with SQLiteStore(folder / f"{number}.db") as store:
                store.append("study", Guided("x"))
        except StoreError as error:
            failures.put(str(error))
    failures.put(None)


def test_processes_may_create_a_file_together(tmp_path):
    """Several processes that find no file at the same moment all come to the same one, 80 times in a row."""
    context = multiprocessing.get_context("spawn")
    barrier, failures = context.Barrier(6), context.Queue()
    children = [
        context.Process(target=_create_together, args=(tmp_path, barrier, failures), daemon=True) for _ in range(6)
    ]
    for child in children:
        child.start()
    said = []
    while said.count(None) < len(children):
        said.append(failures.get(timeout=60))
    assert [failure for failure in said if failure] == []
    for child in children:
        child.join()
    for number in range(80):
        with SQLiteStore(tmp_path / f"{number}.db") as store:
            assert [sequence for sequence, _ in store.read("study")] == [1, 2, 3, 4, 5, 6]


def test_stuck_writer_is_waited_for(path):
    """A write waits while another connection holds the file's lock, and goes through once it is given up."""
    with SQLiteStore(path) as store, SQLiteStore(path) as other:
        store.append("study", Guided("one"))
        waiting = threading.Thread(target=other.append, args=("study", Guided("two")))
        with store._connection.transaction():
            waiting.start()
            waiting.join(0.05)
            assert waiting.is_alive()
        waiting.join()
        assert [event.text for _, event in store.read("study")] == ["one", "two"]


def fail_halfway(store):
    """Write something, then fail, in one transaction."""
    with store._connection.transaction() as connection:
        connection.execute("INSERT INTO studies (name) VALUES ('ghost')")
        connection.execute("SELECT * FROM missing")


def test_failed_transaction_leaves_the_store_usable(path):
    """An error inside a transaction undoes it and gives the lock up."""
    with SQLiteStore(path) as store:
        with pytest.raises(StoreError, match="no such table"):
            fail_halfway(store)
        store.append("study", Guided("x"))
        with store._connection.use() as connection:
            assert connection.execute("SELECT name FROM studies").fetchall() == [("study",)]
