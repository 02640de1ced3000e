"""A scorer that writes down when it begins and ends, so that a file says what was really evaluated, and how often."""

from __future__ import annotations

import os
import time
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from llm_optimize import Draft, MaxSteps, MemoryStore, Problem, Proposal, Study
from llm_optimize.parallel import evaluation_key

__all__ = ["LoggingScorer", "Numbered", "at", "began", "ended", "make_study", "within"]


@dataclass(frozen=True)
class Numbered:
    """Drafts named after their slot: every run of a study makes the same ones, whatever the order of results."""

    def propose(self, history, n):
        return Proposal(tuple(Draft(f"slot {history.slot}, draft {i}") for i in range(n)))


@dataclass(frozen=True)
class LoggingScorer:
    """Scores by a checksum of the text."""

    path: str
    seconds: float = 0.0

    def __call__(self, text):
        self.note("begin")
        time.sleep(self.seconds)
        self.note("end")
        return zlib.crc32(text.encode()) / 2**32, evaluation_key()

    def note(self, what):
        line = f"{what} {evaluation_key().rpartition('/')[2]} {os.getpid()}\n".encode()
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(file, line)  # one write, so that lines of several processes do not mix
        os.close(file)


def _lines(path):
    return [line.split() for line in Path(path).read_text().splitlines()] if Path(path).exists() else []


def began(path):
    """How often each evaluation was begun, by its number."""
    return Counter(int(number) for what, number, _ in _lines(path) if what == "begin")


def ended(path):
    """How often each evaluation was carried to its end, by its number."""
    return Counter(int(number) for what, number, _ in _lines(path) if what == "end")


def at(path):
    """The evaluations that processes are within now, by process, as far as the file knows."""
    state = {int(pid): (what, int(number)) for what, number, pid in _lines(path)}
    return {pid: number for pid, (what, number) in state.items() if what == "begin"}


def within(path):
    """The processes that are within an evaluation now, as far as the file knows."""
    return list(at(path))


def make_study(scorer, executor, steps=10, **options):
    options = {"store": MemoryStore(), "parallel": 2, "stop": MaxSteps(steps)} | options
    return Study(Problem("task", "question", "start"), Numbered(), scorer, executor=executor, **options)
