"""The same study on every engine with two workers, first quietly, then with a worker killed every few seconds.

    python tests/parallel/same_study.py [--engines threads standard ...] [--evaluations 100] [--seconds 0.2] [--every 3]

What was evaluated is read from the scorer's own log, a file to which it writes when it begins and when it ends. The
exit code is 1 unless each run has the number of evaluations and the best of the one on threads, each evaluation stands
once in the study and at least once in the log to its end, a quiet run has begun each once, and a killed worker costs no
more repetitions than there are workers.

The standard pool and an MPI job end as a whole when one of their processes is killed: the session then ends orderly, or
with the job, and the next one goes on with the study. The column "sessions" says how many it took.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from evaluation_log import LoggingScorer, at, began, ended, make_study

from llm_optimize import SQLiteStore
from llm_optimize.parallel import as_executor, executing

WORKERS = 2
ENGINES = {
    "threads": None,
    "standard": f"concurrent.futures.ProcessPoolExecutor({WORKERS})",
    "processes": f"processes?workers={WORKERS}",
    "dask": f"dask://local?workers={WORKERS}",
    "ray": f"ray://local?workers={WORKERS}",
    "mpi": f"mpi4py.futures.MPIPoolExecutor, {WORKERS} of {WORKERS + 1} ranks",
}
_NEEDS = {"dask": "distributed", "ray": "ray", "mpi": "mpi4py"}
_MOST = 2  # kills at one evaluation
_SESSIONS = 50  # far more than there are kills


@dataclass(frozen=True)
class Run:
    """What came of one study.

    Attributes:
        engine: its name here.
        killed: workers that were killed.
        trials: (text, score) of each evaluation that counts, in order of the candidates' numbers; None for a failure.
        begun: how often each evaluation was begun, by its number.
        ended: how often it was carried to its end.
        sessions: of the study.
        seconds: of all sessions, the start of the engine left out where it is kept.
    """

    engine: str
    killed: int
    trials: tuple[tuple[str, float], ...]
    begun: dict[int, int]
    ended: dict[int, int]
    sessions: int
    seconds: float

    @property
    def repeats(self):
        """Evaluations that were begun once more."""
        return sum(self.begun.values()) - len(self.begun)

    @property
    def best(self):
        """The best (text, score); a killed candidate has no score."""
        return max((one for one in self.trials if one[1] is not None), key=lambda one: one[1])

    def faults(self, reference):
        """Return what is not as it must be, in words; nothing for a run that is right."""
        numbers = set(range(len(reference.trials)))
        checks = {
            "number of evaluations": len(self.trials) == len(reference.trials),
            "an evaluation counts twice": len(set(self.trials)) == len(self.trials),
            "texts or scores": set(self.trials) == set(reference.trials),
            "best": self.best == reference.best,
            "not in the scorer's log": set(self.ended) == numbers,
            "evaluated twice": self.repeats <= WORKERS * self.killed,
        }
        return [what for what, holds in checks.items() if not holds]

    def row(self, reference):
        """Return its line of the table."""
        counts = f"{len(self.trials):11d} {len(set(self.trials)):8d} {self.best[1]:9.6f} {sum(self.begun.values()):5d}"
        per_kill = f"{self.repeats / self.killed:8.2f}" if self.killed else f"{'-':>8s}"
        faults = ", ".join(self.faults(reference))
        return (
            f"{self.engine:10s} {self.killed:6d} {counts} {sum(self.ended.values()):5d} {self.repeats:7d} {per_kill} "
            f"{self.sessions:8d} {self.seconds:7.1f}  {f'WRONG: {faults}' if faults else 'same'}"
        )


HEAD = "engine     killed evaluations distinct      best begun ended repeats per kill sessions seconds  beside threads"


@contextmanager
def killing(log, every):
    """Kill a worker within an evaluation every so many seconds; yield the list of (process, evaluation).

    None dies of the same evaluation more than twice: more often would say that the candidate is what kills it.
    """
    over, killed = threading.Event(), []

    def kill():
        while not over.wait(every):
            known = {pid for pid, _ in killed}
            often = Counter(number for _, number in killed)
            alive = [(pid, number) for pid, number in at(log).items() if pid not in known and often[number] < _MOST]
            if alive:
                try:
                    os.kill(alive[-1][0], signal.SIGKILL)
                except ProcessLookupError:  # its pool has ended it, with another one's death
                    continue
                killed.append(alive[-1])

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        over.set()
        killer.join()


def sessions(folder, executor, options, most=1):
    """Run the study, and go on with it where a session ends early; return how many sessions it took."""
    for number in range(1, most + 1):
        with SQLiteStore(folder / "studies.db") as store, executor() as pool:
            scorer = LoggingScorer(str(folder / "log"), options.seconds)
            one = make_study(scorer, as_executor(pool), options.evaluations - 1, store=store)
            with one:
                one.run()
                if one.last.evaluations == options.evaluations:
                    return number
    msg = f"not done after {most} sessions"
    raise RuntimeError(msg)


def on_mpi(folder, options):
    """Run the study as MPI jobs, one after the other until one is not ended by a rank's death; return how many."""
    mpiexec, here = Path(sys.executable).with_name("mpiexec"), Path(__file__)
    command = [mpiexec, "-n", str(WORKERS + 1), sys.executable, "-m", "mpi4py.futures", here, "--inside", folder]
    command += ["--evaluations", str(options.evaluations), "--seconds", str(options.seconds)]
    for number in range(1, _SESSIONS + 1):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return number
    msg = f"not done after {_SESSIONS} jobs: {done.stderr}"
    raise RuntimeError(msg)


def inside(options):
    """Be rank 0 of an MPI job."""
    from mpi4py.futures import MPIPoolExecutor  # noqa: PLC0415 - there is an MPI only in its jobs

    sessions(Path(options.inside), MPIPoolExecutor, options)


def measured(name, kept, options, every):
    """Run the study on an engine, in a folder of its own, with or without kills; return the :class:`Run`."""
    makers = {"threads": nullcontext, "standard": lambda: ProcessPoolExecutor(WORKERS)}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        folder = Path(place)
        began_at = time.perf_counter()
        with killing(folder / "log", every) if every else nullcontext([]) as killed:
            if name == "mpi":
                took = on_mpi(folder, options)
            else:
                took = sessions(folder, makers.get(name, lambda: nullcontext(kept)), options, _SESSIONS)
        seconds = time.perf_counter() - began_at
        with SQLiteStore(folder / "studies.db") as store, make_study(len, None, store=store) as one:
            trials = sorted(one.history.trials, key=lambda trial: trial.id)
        log = folder / "log"
        found = tuple((trial.text, trial.score) for trial in trials)
        return Run(name, len(killed), found, dict(began(log)), dict(ended(log)), took, seconds)


def show(name, options, reference):
    """Run the study quietly and with kills on one engine; print its rows and return whether both are right."""
    named = ENGINES[name] if name in {"processes", "dask", "ray"} else None
    with executing(named) as kept:
        if kept is not None:
            kept.submit(os.getpid).result()  # the engine starts now
        runs = [measured(name, kept, options, 0)]
        print(runs[0].row(reference or runs[0]), flush=True)
        if name != "threads":
            runs.append(measured(name, kept, options, options.every))
            print(runs[1].row(reference or runs[0]), flush=True)
    return runs[0], not any(run.faults(reference or runs[0]) for run in runs)


def main():
    """Print a row for each engine and circumstance; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    there = [name for name in ENGINES if name not in _NEEDS or find_spec(_NEEDS[name])]
    parser.add_argument("--engines", nargs="+", choices=there, default=there, help="threads come first in any case")
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=0.2, help="that an evaluation takes")
    parser.add_argument("--every", type=float, default=3.0, help="seconds after which a worker is killed")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside(options)
        return 0
    for name in options.engines:
        print(f"{name}: {ENGINES[name] or 'threads of the study itself'}")
    print(f"\n{HEAD}")
    reference, right = show("threads", options, None)
    results = [show(name, options, reference)[1] for name in options.engines if name != "threads"]
    return 0 if right and all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
