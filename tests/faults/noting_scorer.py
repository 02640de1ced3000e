"""A scorer whose own notes say what was really evaluated: a line as it begins, a line as it ends, whoever is killed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_optimize.parallel import evaluation_key
from llm_optimize.sandbox import Sandbox

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Note", "NotingScorer", "notes"]


@dataclass(frozen=True)
class NotingScorer:
    """Runs a program such as ``y = 7`` in the sandbox and scores it by its ``y``."""

    path: str
    seconds: float = 0.0
    box: Sandbox = field(default_factory=Sandbox)

    def __call__(self, text: str) -> float:
        """Return the program's ``y``; a program that did not finish is an error, with the sandbox's word for it."""
        self._note("begin", text)
        done = self.box.run(f"import time\ntime.sleep({self.seconds})\n{text.strip()}", {}, ["y"])
        if done.reason != "finished":
            raise RuntimeError(f"{done.reason}: {done.message}")
        self._note("end", text)
        return float(done.values["y"])

    def _note(self, what: str, text: str) -> None:
        line = "\t".join((what, str(os.getpid()), evaluation_key() or "", text.strip()))
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(
            file, line.encode() + b"\n"
        )  # one write: lines of several processes do not mix, a kill leaves whole ones
        os.close(file)


@dataclass(frozen=True)
class Note:
    """A line: ``begin`` or ``end``, the process, the evaluation's key and study, the candidate's text."""

    what: str
    pid: int
    key: str
    text: str

    @property
    def study(self) -> str:
        """The study's name."""
        return self.key.split("/")[1] if self.key else ""

    @property
    def candidate(self) -> int:
        """The candidate's number."""
        return int(self.key.rpartition("/")[2])


def notes(path: Path) -> list[Note]:
    """Return the lines so far."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [Note(what, int(pid), key, text) for what, pid, key, text in (line.split("\t") for line in lines)]
