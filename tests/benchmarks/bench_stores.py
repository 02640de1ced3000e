"""What a store costs, SQLite beside a PostgreSQL server on this machine: ``bench_stores.py [--seconds 2] [--quick]``.

Appends per second of an evaluation with 500 characters of feedback, by one writer and by four at once, each of these
with a store of its own; events read per second; how long after an append a reader that waits has the event; and how
long after the SIGKILL of an owner the next one has the study. The server is Debian's package ``postgresql`` with its
defaults, so each commit is flushed to the disk, as with SQLite's durability ``full``; ``normal`` flushes nothing and
survives the death of processes only.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from helpers.postgres_server import PostgresServer, programs

from llm_optimize.core.events import Told
from llm_optimize.core.types import Evaluation, Usage
from llm_optimize.stores import PostgresStore, SQLiteStore, Timing

WRITERS = 4
WAKES = 200
TAKEOVERS = 5
LEASE_S = 2.0

OWNER = """
import sys
from llm_optimize.stores import PostgresStore
store = PostgresStore(sys.argv[1])
store.claim("study")
print("owned", flush=True)
sys.stdin.readline()
"""


def told(number):
    """Return the event that a log holds most of."""
    return Told(number, Evaluation(number / 7, "feedback " * 55, usage=Usage(1, 1500, 0, 40, 0.001, 0.5)), 0.2, 1e9)


def append_for(store, study, seconds):
    """Return how many events could be appended."""
    end, count = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        store.append(study, told(count))
        count += 1
    return count


def rates(name, opened, seconds):
    """Print a row: appends per second by one and by several, and events read per second."""
    with opened() as store:
        alone = append_for(store, "alone", seconds) / seconds
        began = time.perf_counter()
        count = sum(1 for _ in store.read("alone"))
        reading = count / (time.perf_counter() - began)

    def work(number):
        with opened() as mine:
            return append_for(mine, f"study {number}", seconds)

    with ThreadPoolExecutor(WRITERS) as pool:
        together = sum(pool.map(work, range(WRITERS))) / seconds
    print(f"{name:<34}{alone:>12,.0f}{together:>14,.0f}{reading:>12,.0f}", flush=True)


def wakes(address):
    """Print how long after the call of ``append`` another store's waiting reader has the event, in ms."""
    times = []
    with PostgresStore(address) as store, PostgresStore(address) as reader:
        ready = threading.Semaphore(0)
        began = [0.0] * (WAKES + 1)

        def follow():
            for number in range(WAKES):
                ready.release()
                reader.wait("wakes", number)
                list(reader.read("wakes", number))
                times.append(1000 * (time.perf_counter() - began[number + 1]))

        thread = threading.Thread(target=follow)
        thread.start()
        for number in range(1, WAKES + 1):
            ready.acquire()
            time.sleep(0.003)  # the reader is to wait, not to find the event there
            began[number] = time.perf_counter()
            store.append("wakes", told(number))
        thread.join()
    cut = statistics.quantiles(times, n=20)
    print(f"append to a waiting reader: median {statistics.median(times):.1f} ms, 95 % within {cut[-1]:.1f} ms")


def takeovers(address):
    """Print how long after an owner's SIGKILL its successor owns the study, in seconds."""
    times = []
    for _ in range(TAKEOVERS):
        command = [sys.executable, "-c", OWNER, f"{address}?lease_s={LEASE_S}"]
        with (
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner,
            PostgresStore(address, Timing(LEASE_S, patience_s=60)) as store,
        ):
            owner.stdout.readline()
            time.sleep(LEASE_S * len(times) / TAKEOVERS)  # at different moments between two renewals
            owner.send_signal(signal.SIGKILL)
            began = time.perf_counter()
            store.claim("study")
            times.append(time.perf_counter() - began)
    print(f"killed owner replaced, lease {LEASE_S:g} s: {', '.join(f'{one:.2f}' for one in sorted(times))} s later")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each rate of appends")
    parser.add_argument("--quick", action="store_true", help="0.2 seconds for each")
    options = parser.parse_args()
    seconds = 0.2 if options.quick else options.seconds
    print(f"{'events per second':<34}{'one writer':>12}{f'{WRITERS} writers':>14}{'read':>12}")
    with tempfile.TemporaryDirectory() as folder:
        for durability in ("normal", "full"):
            path = Path(folder) / f"{durability}.db"
            rates(f"SQLite, {durability}", lambda: SQLiteStore(path, durability), seconds)  # noqa: B023 - called here
    if programs() is None:
        print("PostgreSQL: not installed here (apt-get install postgresql)")
        return
    for name, settings in (("PostgreSQL", {}), ("PostgreSQL, fsync off (tests)", {"fsync": "off"})):
        server = PostgresServer(settings)
        try:
            server.start()
            address = server.database()
            rates(name, lambda: PostgresStore(address), seconds)  # noqa: B023 - called here
            if not settings:
                wakes(address)
                takeovers(address)
        finally:
            server.stop()


if __name__ == "__main__":
    main()
