"""Very many evaluations in one run: descriptors, memory, temporary files and time per evaluation must stay flat.

    python tests/soak/many.py [--number 100000] [--threads 2] [--quick]

Nine in ten programs are plain; the others fail, print, fork, leave files or hand back arrays. Prints the first and the
last tenth of each figure and its slope over the whole run; the status is 1 if one of them is not flat.
"""

# ruff: noqa: T201 - run by hand, it prints its figures

from __future__ import annotations

import argparse
import contextlib
import math
import os
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from llm_optimize.sandbox import Limits, Sandbox
from llm_optimize.sandbox.lane import descendants

PLAIN = "y = x * x"
OTHERS = (
    ("raise ValueError(x)", "raised"),
    ("print('x' * 5000)\ny = 1", "finished"),
    ("y = bytes(200_000)", "finished"),
    ("import os\nif os.fork() == 0:\n    os.setsid()\n    import time\n    time.sleep(60)\ny = 1", "finished"),
    ("open('left', 'w').write('x' * 10000)\ny = 1", "finished"),
    ("y = [", "raised"),
    ("y = object()", "bad_value"),
    ("import os\nos._exit(3)", "killed"),
    ("y = bytearray(1 << 40)", "memory"),
)
SAMPLES = 200
LIMITS = Limits(wall_s=30, cpu_s=30, memory_mb=256, files_mb=8)


@dataclass(frozen=True)
class Sample:
    """Figures of one moment; memory in KiB, time in ms (median of the plain programs since the last sample)."""

    host_descriptors: int
    other_descriptors: int
    host_kb: int
    warm_kb: int
    lane_kb: int
    processes: int
    files: int
    ms: float


ALLOWED = {  # by how much the last tenth may lie above the first: a share, and a number
    "host_descriptors": (0.0, 1),
    "other_descriptors": (0.0, 2),
    "host_kb": (0.05, 4096),
    "warm_kb": (0.05, 2048),
    "lane_kb": (0.05, 2048),
    "processes": (0.0, 1),
    "files": (0.0, 0),
    "ms": (0.30, 1.0),
}


RESTS, REST_S = 500, 0.01


class Soak:
    """Runs the programs in threads and takes samples in between."""

    def __init__(self, box: Sandbox, number: int, threads: int, folder: Path) -> None:
        self._box, self._number, self._threads, self._folder = box, number, threads, folder
        self._next, self._lock = 0, threading.Lock()
        self._times: list[float] = []
        self.samples: list[Sample] = []
        self.wrong: list[str] = []
        self.done = 0

    def run(self) -> None:
        """Run all programs."""
        every = max(1, self._number // SAMPLES)
        for start in range(0, self._number, every):
            self._next, self._times = start, []
            workers = [threading.Thread(target=self._work, args=(start + every,)) for _ in range(self._threads)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            self.samples.append(self._sample())
            self.done = start + every
            if len(self.samples) % (SAMPLES // 10) == 0:
                print(f"... {self.done}", file=sys.stderr, flush=True)

    def _work(self, end: int) -> None:
        while True:
            with self._lock:
                number, self._next = self._next, self._next + 1
            if number >= end:
                return
            begun = time.perf_counter()
            if number % 10 == 0:
                source, reason = OTHERS[number // 10 % len(OTHERS)]
                done = self._box.run(source, {"x": number}, ["y"], LIMITS)
            else:
                reason = "finished"
                done = self._box.run(PLAIN, {"x": number}, ["y"], LIMITS)
                self._times.append((time.perf_counter() - begun) * 1000)
                if done.values.get("y") != number * number:
                    self.wrong.append(f"{number}: {done}")
            if done.reason != reason:
                self.wrong.append(f"{number}: {done.reason} instead of {reason}: {done.message}")

    def _sample(self) -> Sample:
        host = os.getpid()
        levels = _at_rest(host)
        others = [pid for level in levels[:2] for pid in level]
        return Sample(
            host_descriptors=_descriptors(host),
            other_descriptors=sum(map(_descriptors, others)),
            host_kb=_private_kb(host),
            warm_kb=sum(map(_private_kb, levels[0])),
            lane_kb=sum(map(_private_kb, levels[1])),
            processes=len(descendants(host)),
            files=sum(1 for _ in self._folder.rglob("*")),
            ms=statistics.median(self._times),
        )


def _at_rest(host: int) -> list[list[int]]:
    """Return the levels once every lane has its next process ready and its ends are handed over, or after a while."""
    seen: tuple[object, ...] = ()
    for _ in range(RESTS):
        levels = _levels(host)
        now = (levels, [_descriptors(pid) for pid in levels[0] + levels[1]])
        ended = sum(map(_has_ended, levels[1]))  # a lane that has served long enough is collected with the next one
        if now == seen and len(descendants(host)) == len(levels[0]) + 2 * len(levels[1]) - ended:
            return levels
        seen = now
        time.sleep(REST_S)
    return _levels(host)


def _levels(host: int) -> list[list[int]]:
    """Children and grandchildren of a process: the warm parent, its lanes."""
    below = descendants(host)
    parents = {pid: _parent(pid) for pid in below}
    first = [pid for pid in below if parents[pid] == host]
    return [first, [pid for pid in below if parents[pid] in first]]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])
    except OSError:
        return -1


def _has_ended(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def _descriptors(pid: int) -> int:
    try:
        return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # not ours to see: lanes are not dumpable
        return 0


def _private_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_", "Pss_Shmem:")))


def _judge(samples: list[Sample], allowed: dict[str, tuple[float, float]]) -> bool:
    """Print the table and return whether everything is flat."""
    warm = samples[max(1, len(samples) // 100) :]  # the first hundredth starts processes and fills caches
    tenth = max(1, len(warm) // 10)
    flat = True
    print(f"{'figure':<18} {'first tenth':>12} {'last tenth':>12} {'slope/run':>12}  flat?")
    for name, (share, number) in allowed.items():
        values = [float(getattr(sample, name)) for sample in warm]
        first, last = statistics.median(values[:tenth]), statistics.median(values[-tenth:])
        slope = statistics.linear_regression(range(len(values)), values).slope * len(values) if len(values) > 1 else 0
        good = last <= first * (1 + share) + number
        flat &= good
        print(f"{name:<18} {first:>12.2f} {last:>12.2f} {slope:>12.2f}  {'yes' if good else 'NO'}")
    return flat


def main() -> int:
    """Run and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=100_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="2,000 only")
    parser.add_argument("--any-speed", action="store_true", help="do not judge time per evaluation (other work runs)")
    args = parser.parse_args()
    number = 2000 if args.quick else args.number
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = folder  # nobody else's files in it
        begun = time.monotonic()
        with Sandbox() as box:
            soak = Soak(box, number, args.threads, Path(folder))
            print(f"layers: {', '.join(box.layers().in_force)}", flush=True)
            with contextlib.suppress(KeyboardInterrupt):  # then what was done is judged
                soak.run()
        seconds = time.monotonic() - begun
        left = list(Path(folder).rglob("*"))
    print(f"{soak.done} evaluations in {seconds:.0f} s: {soak.done / seconds:.0f} per second, {args.threads} threads")
    flat = _judge(soak.samples, ALLOWED | ({"ms": (math.inf, 0)} if args.any_speed else {}))
    print(f"ended otherwise than they should: {len(soak.wrong)}; files left after closing: {len(left)}")
    for line in soak.wrong[:5]:
        print(f"  {line}")
    return 0 if flat and not soak.wrong and not left else 1


if __name__ == "__main__":
    sys.exit(main())
