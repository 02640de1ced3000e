"""SIGKILL of owner, warm parent, lane and program at random moments of a study.

    python tests/soak/kills.py [--kills 200] [--seed 0] [--quick]

After each kill nothing of what was killed is alive a second later; the study goes on by itself, or, when its owner was
killed, by starting it again; in the end every trial is there once, with the right score. The status is 1 otherwise.
"""

# ruff: noqa: T201 - run by hand, it prints its figures

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from llm_optimize import SQLiteStore
from llm_optimize.core.events import Told
from llm_optimize.sandbox.lane import descendants

STUDY = Path(__file__).with_name("kills_study.py")
TARGETS = ("owner", "warm parent", "lane", "program")
PATIENCE_S = 60.0


class Victim:
    """The study in a process of its own, started again when it was killed."""

    def __init__(self, store: Path, over: Path) -> None:
        self._store, self._over = store, over
        self._process: subprocess.Popen[bytes] | None = None
        self.errors = b""

    @property
    def pid(self) -> int:
        """Of the owner."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Of the owner; None while it runs."""
        return self._process.poll()

    def start(self) -> None:
        """Start it, or start it again."""
        command = [sys.executable, str(STUDY), str(self._store), str(self._over)]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def told(self) -> int:
        """How many trials are on disk."""
        if not self._store.exists():
            return 0
        with SQLiteStore(self._store) as store:
            return sum(isinstance(event, Told) for _, event in store.read("kills"))

    def goes_on(self, before: int) -> bool:
        """Whether further trials are told, within a patience that only a dead study passes."""
        ends = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends:
            if self.status is not None:
                return self.status == 0
            if self.told() > before + 1:
                return True
            time.sleep(0.01)
        return False

    def end(self) -> None:
        """Kill what is left of it."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def _born(pid: int) -> int | None:
    """When a process was started; None when it is gone, or only waits to be collected."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if words[0] in "ZX" else int(words[19])


def _below(pid: int) -> dict[int, int]:
    found = {child: _born(child) for child in descendants(pid)}
    return {child: born for child, born in found.items() if born is not None}


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])
    except OSError:
        return -1


def _find(owner: int, target: str) -> int | None:
    """A process of that kind, or None when there is none at this moment."""
    level = [owner]
    for _ in range(TARGETS.index(target)):
        below = descendants(owner)
        level = [pid for pid in below if _parent(pid) in level]
    return random.choice(level) if level else None


def _gone(doomed: dict[int, int]) -> float | None:
    """Seconds until all of these had ended; None when some still live after a second."""
    begun = time.monotonic()
    while time.monotonic() - begun <= 1.0:
        if not any(_born(pid) == born for pid, born in doomed.items()):
            return time.monotonic() - begun
        time.sleep(0.001)
    return None


class Kills:
    """Kills, and keeps count."""

    def __init__(self, victim: Victim, number: int, seed: int) -> None:
        self._victim, self._number = victim, number
        self._draw = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.orphans: list[str] = []
        self.stuck: list[str] = []

    def run(self) -> None:
        """Kill ``number`` times."""
        self._victim.start()
        while sum(self.counts.values()) < self._number:
            target = TARGETS[sum(self.counts.values()) % len(TARGETS)]
            if not self._wait_a_while(target):
                break

    def _wait_a_while(self, target: str) -> bool:
        if self._victim.told() == 0 and not self._victim.goes_on(0):
            self.stuck.append("the study did not begin")
            return False
        time.sleep(self._draw.random() * 0.05)
        pid, ends = None, time.monotonic() + PATIENCE_S
        while time.monotonic() < ends:
            if self._victim.status is not None:
                self.stuck.append(f"the study ended early, status {self._victim.status}")
                return False
            pid = _find(self._victim.pid, target)
            if pid is not None:
                break
        if pid is None:
            self.stuck.append(f"there is no {target}")
            return False
        return self._kill(target, pid)

    def _kill(self, target: str, pid: int) -> bool:
        born = _born(pid)
        doomed = _below(pid) | ({pid: born} if born is not None else {})
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return True  # it ended by itself meanwhile: not counted
        if target == "owner":
            self._victim.end()
        self.counts[target] += 1
        took = _gone(doomed)
        if took is None:
            alive = {
                pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid, born in doomed.items() if _born(pid) == born
            }
            self.orphans.append(f"after the {target} was killed: {alive}")
        else:
            self.seconds.append(took)
        before = self._victim.told()
        if target == "owner":
            self._victim.start()
        if not self._victim.goes_on(before):
            self.stuck.append(f"after the {target} was killed, at {before} trials, status {self._victim.status}")
            return False
        return True


def _all_there(store: Path) -> bool:
    with SQLiteStore(store) as opened:
        told = [event.candidate_id for _, event in opened.read("kills") if isinstance(event, Told)]
    return bool(told) and sorted(told) == list(range(len(told)))


def main() -> int:
    """Run and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="12 only")
    args = parser.parse_args()
    number = 12 if args.quick else args.kills
    with tempfile.TemporaryDirectory() as folder:
        store, over = Path(folder) / "studies.db", Path(folder) / "over"
        victim = Victim(store, over)
        kills = Kills(victim, number, args.seed)
        try:
            kills.run()
            told = victim.told()
            over.touch()
            ends = time.monotonic() + PATIENCE_S * 5
            while victim.status is None and time.monotonic() < ends:
                time.sleep(0.05)
        finally:
            victim.end()
        complete = victim.status == 0 and _all_there(store)
    print(
        f"killed: {', '.join(f'{name} {kills.counts[name]}' for name in TARGETS)}; {told} trials told by the last kill"
    )
    if kills.seconds:
        slowest, median = max(kills.seconds), statistics.median(kills.seconds)
        print(f"until all below had ended: median {median * 1000:.1f} ms, slowest {slowest * 1000:.1f} ms")
    print(f"orphans after a second: {len(kills.orphans)}; stuck: {len(kills.stuck)}")
    print(
        f"study: {'each of its trials once, with its score' if complete else f'NOT complete, status {victim.status}'}"
    )
    for line in (*kills.orphans[:5], *kills.stuck[:5]):
        print(f"  {line}")
    return 0 if complete and not kills.orphans and not kills.stuck else 1


if __name__ == "__main__":
    sys.exit(main())
