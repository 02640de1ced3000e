"""A study of very many steps: memory, descriptors, threads, processes and temporary files of its owner must stay flat.

    python tests/soak/steps.py [--steps 50000] [--parallel 2]

Everything is real: the loop, the SQLite file, the chat model's client against a server of its own process, the scorer
in the sandbox. Prints the figures at a tenth, at half and at the end, with the slope over what comes after the first
fifth; the status is 1 if one of them is not flat, or the log does not hold each step once.
"""

# ruff: noqa: T201 - run by hand, it prints its figures

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from llm_optimize import SQLiteStore, optimize
from llm_optimize.core.events import Told
from llm_optimize.sandbox import Sandbox
from llm_optimize.sandbox.lane import descendants

SERVER = Path(__file__).parents[1] / "faults" / "keeping_server.py"
SAMPLES = 100

ALLOWED = {  # by how much the last tenth may lie above that after the first fifth, per 1,000 steps in between
    "memory_kb": 400.0,
    "descriptors": 0.0,
    "threads": 0.0,
    "processes": 0.0,
    "files": 0.0,
}
SWING = {"memory_kb": 16_000.0, "descriptors": 4.0, "threads": 2.0, "processes": 2.0, "files": 2.0}
"""How much a figure may swing: trials are put on the shelf by the ten thousand, a program in flight has its own."""


@dataclass(frozen=True)
class Sample:
    """Figures of one moment: private memory in KiB, open descriptors, threads, processes below, temporary files.

    And time per step since the sample before: by the clock, and of the owner's process.
    """

    steps: int
    memory_kb: int
    descriptors: int
    threads: int
    processes: int
    files: int
    store_mb: float
    ms: float
    cpu_ms: float


class Watch:
    """An observer that takes a sample every so many steps."""

    def __init__(self, every: int, folder: Path, store: Path) -> None:
        self._every, self._folder, self._store = every, folder, store
        self._steps, self._since, self._cpu = 0, time.monotonic(), time.process_time()
        self.samples: list[Sample] = []

    def __call__(self, event: object) -> None:
        if not isinstance(event, Told):
            return
        self._steps += 1
        if self._steps % self._every == 0:
            self._sample()

    def _sample(self) -> None:
        now = time.monotonic()
        self.samples.append(
            Sample(
                steps=self._steps,
                memory_kb=_private_kb(),
                descriptors=sum(1 for _ in Path("/proc/self/fd").iterdir()),
                threads=threading.active_count(),
                processes=len(descendants(os.getpid())),
                files=sum(1 for path in self._folder.rglob("*") if self._store not in (path, path.parent)),
                store_mb=sum(path.stat().st_size for path in self._store.iterdir()) / 1e6,
                ms=(now - self._since) * 1000 / self._every,
                cpu_ms=(time.process_time() - self._cpu) * 1000 / self._every,
            )
        )
        self._since, self._cpu = time.monotonic(), time.process_time()
        if len(self.samples) % (SAMPLES // 10) == 0:
            print(f"... {self.samples[-1]}", file=sys.stderr, flush=True)


def _private_kb() -> int:
    lines = Path("/proc/self/smaps_rollup").read_text("ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def judge(samples: list[Sample]) -> bool:
    """Print the table and return whether everything is flat."""
    tenth = max(1, len(samples) // 10)
    marks = [samples[tenth - 1], samples[len(samples) // 2], samples[-1]]
    settled = samples[2 * tenth :]
    print(
        f"{'figure':<12}" + "".join(f"{f'at {one.steps:,}':>14}" for one in marks) + f"{'per 1,000 steps':>18}  flat?"
    )
    flat = True
    for name in (item.name for item in fields(Sample) if item.name != "steps"):
        values = [float(getattr(sample, name)) for sample in settled]
        places = [sample.steps / 1000 for sample in settled]
        slope = statistics.linear_regression(places, values).slope
        early, late = statistics.median(values[:tenth]), statistics.median(values[-tenth:])
        good = name not in ALLOWED or late - early <= ALLOWED[name] * (places[-1] - places[0]) + SWING[name]
        flat &= good
        word = "" if name not in ALLOWED else "yes" if good else "NO"
        print(f"{name:<12}" + "".join(f"{getattr(one, name):>14,.1f}" for one in marks) + f"{slope:>18.3f}  {word}")
    return flat


@contextmanager
def model_server(books: Path):
    """Start the model's server in a process of its own and yield its URL."""
    process = subprocess.Popen([sys.executable, str(SERVER), str(books), "0"], stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def soak(steps: int, parallel: int, folder: Path) -> tuple[Watch, str]:
    """Run the study; return what was seen, and why it ended."""
    store = folder / "store"
    watch = Watch(max(1, steps // SAMPLES), folder, store)
    with model_server(store / "books") as url, Sandbox() as box:

        def score(text: str) -> float:
            return float(box.run(text.strip(), {}, ["y"]).values["y"])

        result = optimize.run(
            "A program sets y; the larger the better.",
            "Which program sets a larger y?",
            score,
            x0="y = 0",
            max_steps=steps,
            model=f"{url}#scripted",
            verbose=False,
            store=store / "studies.db",
            study="soak",
            parallel=parallel,
            observers=(watch,),
        )
    return watch, result.reason


def all_told_once(store: Path, steps: int) -> bool:
    """Whether the log holds each step once."""
    with SQLiteStore(store) as opened:
        told = [event.candidate_id for _, event in opened.read("soak") if isinstance(event, Told)]
    return sorted(told) == list(range(steps + 1))


def main() -> int:
    """Run and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=50_000)
    parser.add_argument("--parallel", type=int, default=2)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["TMPDIR"] = tempfile.tempdir = name  # nobody else's files in it
        folder = Path(name)
        (folder / "store").mkdir()
        begun = time.monotonic()
        watch, reason = soak(args.steps, args.parallel, folder)
        seconds = time.monotonic() - begun
        complete = all_told_once(folder / "store" / "studies.db", args.steps)
        left = [path for path in folder.rglob("*") if folder / "store" not in (path, path.parent)]
    print(f"{args.steps:,} steps in {seconds:.0f} s: {seconds * 1000 / args.steps:.1f} ms a step; {reason}")
    flat = judge(watch.samples)
    print(f"log: {'each step once' if complete else 'NOT complete'}; files left after closing: {len(left)}")
    return 0 if flat and complete and not left else 1


if __name__ == "__main__":
    sys.exit(main())
