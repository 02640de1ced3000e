"""What a long study costs to open, go on with, list and show: ``python bench_million.py [--trials N] [--file PATH]``.

The file is made once, by the real encoder, many rows to a transaction; each row of the table runs in a process of its
own, so that its peak of memory is its own. Limits for a million trials: opened within 10 s and 1 GB (1000 MB), a step
in the time that it takes in a small study. Every candidate is new, has about 200 characters and an idea of as many;
each tenth is a program of 3,000 characters, of which each comes twice. ``--quick`` makes 2,000 trials.

``bare`` opens the file without its snapshot, as one of an older version; ``killed`` after a session that was killed by
SIGKILL just before it would have written the next part of it; ``write`` is what a session appends, one event after
another, and its longest event, with which a part of the snapshot was written; ``start`` is a step of a study of 2,000
trials, ``resume`` one of this.
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from llm_optimize import Reply, ScriptedModel, Usage, optimize
from llm_optimize.core.account import Account
from llm_optimize.core.events import Opened, Proposed, Stopped, Told
from llm_optimize.core.folding import LEAST, Folding
from llm_optimize.core.journal import Journal
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem
from llm_optimize.stores import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_optimize.core.events import Event

NAME = "long"
PROBLEM = Problem("Make both numbers small.", "Which pair is better?", json.dumps([8, 8]))
STEPS = 200  # that are gone on with
LIMIT_S, LIMIT_MB = 10.0, 1000.0
WORDS = ("let", "the", "model", "first", "read", "every", "line", "then", "answer", "in", "one", "short", "sentence")


def log(trials: int) -> Iterator[Event]:
    """Yield the log of a study of so many trials that was closed."""
    drawn, usage = Random(0), Usage(1, 1500, 0, 80, 0.001, 0.5)
    account = Account.of("proposer", "gpt-5", usage)
    yield Opened(PROBLEM, 0, {}, 1.0)
    yield Proposed((Candidate(0, PROBLEM.start or "", origin="start"),), at=1.0)
    yield Told(0, Evaluation(-128.0, "x=8, y=8"), 0.01, 1.0)
    for id_ in range(1, trials):
        words = drawn.choices(WORDS, k=35)
        text = f"# {id_}\n" + " ".join(words)
        if id_ % 10 == 0:
            text = f"# {id_ // 20}\n" + " ".join(Random(id_ // 20).choices(WORDS, k=600))
        idea = f"Attempt {id_}: " + " ".join(reversed(words))
        at = 1.0 + id_ * 0.01
        yield Proposed((Candidate(id_, text, idea, "chat:gpt-5", id_ - 1),), usage, id_ - 1, "", at, account)
        failed = id_ % 25 == 0
        outcome = (
            Failure("raised", "ValueError: no number") if failed else Evaluation(drawn.gauss(), "two of ten wrong")
        )
        yield Told(id_, outcome, 0.012, at)
    yield Stopped("max_steps: the trials are used up", 1.0 + trials * 0.01)


def make(path: Path, trials: int) -> dict[str, float]:
    """Write the file; return its size and how fast it was written."""
    began = time.perf_counter()
    with SQLiteStore(path) as store:
        store.extend(NAME, log(trials))
    wall = time.perf_counter() - began
    return {
        "MB": sum(one.stat().st_size for one in path.parent.glob(f"{path.name}*")) / 1e6,
        "events/s": 2 * trials / wall,
    }


def bare(path: Path) -> dict[str, float]:
    """Open the study without its snapshot."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM folds")
    return opened(path)


def written(path: Path) -> dict[str, float]:
    """Append as a session does, beyond where a part of the snapshot is written."""
    times = [time.perf_counter() for _ in zip(range(LEAST + 1000), recorded(path), strict=False)]
    gaps = [(b - a) * 1000 for a, b in pairwise(times)]
    return {
        "events/s": 1000 * len(gaps) / sum(gaps), "ms an event": statistics.median(gaps), "ms the longest": max(gaps),
        "peak MB": peak_mb(),
    }  # fmt: skip


def recorded(path: Path) -> Iterator[None]:
    """Go on with the study without end; yield after each event."""
    with SQLiteStore(path) as store:
        journal = Journal(store, NAME)
        journal.open(PROBLEM, 0, {})
        while True:
            id_, slot = journal.history.next_id, journal.history.free_slots(1)[0]
            for event in (Proposed((Candidate(id_, f"more {id_}"),), slot=slot), Told(id_, Evaluation(-1e9))):
                journal.record(event)
                yield


def killed(path: Path) -> dict[str, float]:
    """Kill a session that has long not written a part of its snapshot; then open the study."""
    words = [sys.executable, __file__, "--row", "go on", "--file", str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as session:
        for line in session.stdout or ():
            if int(line) > LEAST - 1000:
                break
        session.kill()
    return opened(path)


def go_on(path: Path) -> dict[str, float]:
    """Append until killed; say how far the snapshot is behind."""
    with SQLiteStore(path) as store:
        behind = -Folding(store, NAME).sequence
        [(last,)] = sqlite3.connect(path).execute("SELECT max(seq) FROM events").fetchall()
    for number, _ in enumerate(recorded(path), behind + last + 2):
        print(number % LEAST, flush=True)
    return {}


def opened(path: Path) -> dict[str, float]:
    """Open the study as a session does, look at its best, and close it."""
    with SQLiteStore(path) as store:
        journal = Journal(store, NAME)
        began, spent = time.perf_counter(), time.process_time()
        journal.open(PROBLEM, 0, {})
        wall, spent = time.perf_counter() - began, time.process_time() - spent
        peak = peak_mb()
        journal.close("looked at")
    return {"s": wall, "s of CPU time": spent, "trials": len(journal.history.trials), "peak MB": peak}


def stepped(path: Path) -> dict[str, float]:
    """Go on for some steps; return what one costs."""
    calls, times, busy = iter(range(1, STEPS + 2)), [], []

    def answer(_: object) -> Reply:
        text = f"A little smaller.\n```\n{json.dumps([time.time(), next(calls)])}\n```"
        return Reply(text, usage=Usage(calls=1, tokens_in=1500, tokens_out=40))

    def watch(event: object) -> None:
        if isinstance(event, Told):
            times.append(time.perf_counter())
            busy.append(time.process_time())

    began = time.perf_counter()
    optimize.run(
        PROBLEM.task, PROBLEM.question, lambda _: -1e9, PROBLEM.start, 10**9, ScriptedModel(answer),
        verbose=False, store=str(path), study=NAME, observers=(watch,), budget=None,
        stop=lambda _: "enough" if len(times) >= STEPS else None,
    )  # fmt: skip
    gaps, spent = ([(b - a) * 1000 for a, b in pairwise(some)] for some in (times, busy))
    return {
        "s to the first": times[0] - began,
        "ms a step": statistics.median(gaps),
        "of CPU time": statistics.median(spent),
        "peak MB": peak_mb(),
    }


def command(*words: str) -> dict[str, float]:
    """Run a command of ours."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "llm_optimize", *words], check=True, stdout=subprocess.DEVNULL)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {"s": time.perf_counter() - began, "peak MB": peak}


def peak_mb() -> float:
    """Return the peak of this process's resident memory."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def started(_: Path) -> dict[str, float]:
    """Take the steps of a small study."""
    with tempfile.TemporaryDirectory() as folder:
        make(small := Path(folder) / "s.db", 2000)
        return stepped(small)


ROWS = {
    "bare": bare, "open": opened, "killed": killed, "write": written, "go on": go_on, "start": started,
    "resume": stepped,
}  # fmt: skip


def child(row: str, path: Path, trials: int) -> dict[str, float]:
    """Run one row in this process."""
    if row == "make":
        return make(path, trials)
    if row == "report":
        return command("report", NAME, "--store", str(path), "--force", "-o", str(path.with_suffix(".html")))
    return ROWS[row](path) if row in ROWS else command(*row.split(), "--store", str(path))


def main() -> None:
    """Print the table, or one row's figures as JSON for the parent."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a smoke run: 2,000 trials; its figures say little")
    parser.add_argument("--trials", type=int, default=1_000_000)
    parser.add_argument("--file", type=Path, help="kept, and made only if it is not there")
    parser.add_argument("--row")
    parser.add_argument("--rows", default="bare,open,killed,write,start,resume,list,show long,report")
    options = parser.parse_args()
    if options.row:
        print(json.dumps(child(options.row, options.file, options.trials)))
        return
    trials = 2000 if options.quick else options.trials
    with tempfile.TemporaryDirectory() as folder:
        path = options.file or Path(folder) / "studies.db"
        for row in (*(() if path.exists() else ("make",)), *options.rows.split(",")):
            words = [sys.executable, __file__, "--row", row, "--file", str(path), "--trials", str(trials)]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{row:10} failed: {done.stderr.strip().splitlines()[-1]}")
                continue
            figures = json.loads(done.stdout.splitlines()[-1])
            print(f"{row:10} " + "   ".join(f"{name} {value:,.2f}" for name, value in figures.items()), flush=True)
    print(f"limits: opened within {LIMIT_S:g} s and {LIMIT_MB:g} MB")


if __name__ == "__main__":
    main()
