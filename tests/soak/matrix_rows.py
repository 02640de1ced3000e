"""The rows of the matrix: kept in a file as they come, so that a run that was broken off goes on where it was."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["Rows", "identity"]

Row = dict[str, Any]
Key = tuple[str, tuple[str, ...], str]


def identity(root: Path) -> str:
    """Return what every verdict depends on, as one text: sources of sandbox and matrix, interpreter, kernel, user."""
    found = hashlib.sha256()
    sandbox, attempts = root / "llm_optimize" / "sandbox", root / "sandbox" / "attempts"
    others = [sandbox / "policy.json", attempts / "_honest.py", root / "tests" / "soak" / "matrix.py"]
    for path in sorted([*sandbox.glob("*.py"), *others]):
        found.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    machine = f"{platform.system()} {platform.release()} {platform.machine()}"
    return f"{found.hexdigest()[:16]}, Python {platform.python_version()}, {machine}, uid {os.getuid()}"


class Rows:
    """Verdicts by who started the sandbox, which layers were off, and the program; thread-safe."""

    def __init__(self, path: Path | None, identify: Callable[[], str], sources: Mapping[str, str]) -> None:
        """Read what the file holds of the same identity and the same programs; a file of another identity is set aside.

        Args:
            path: of the file, or None to keep rows in memory only.
            identify: returns what all verdicts depend on.
            sources: the programs by name.
        """
        self._sources = {name: hashlib.sha256(text.encode()).hexdigest()[:16] for name, text in sources.items()}
        self._identify = identify
        self.identity = identify()
        self._path = path
        self._lock = threading.Lock()
        self._first: dict[Key, Row] = {}
        self._again: dict[Key, Row] = {}
        self._passed: dict[Key, Row] = {}
        if path is not None and path.exists():
            self._read(path)
        if path is not None and not path.exists():
            path.write_text(json.dumps({"identity": self.identity}) + "\n", "utf-8")

    @property
    def count(self) -> int:
        """Number of verdicts, second ones not counted."""
        return len(self._first)

    def check(self) -> None:
        """End the run if the sources have changed under it: its rows would no longer belong together."""
        if self._identify() != self.identity:
            msg = "the sources have changed since this run began; begin anew"
            raise SystemExit(msg)

    def add(self, who: str, without: Sequence[str], row: Row, *, again: bool) -> None:
        """Note a verdict."""
        with self._lock:
            (self._again if again else self._first)[who, tuple(without), row["name"]] = row
            if self._path is not None:
                with self._path.open("a", encoding="utf-8") as file:
                    place = {"who": who, "without": list(without), "again": again}
                    file.write(json.dumps({**place, "source": self._sources[row["name"]], **row}) + "\n")

    def pass_over(self, who: str, without: tuple[str, ...], name: str, why: str) -> None:
        """Note that a program was not run, and why."""
        with self._lock:
            self._passed[who, without, name] = {"name": name, "outcome": "not run", "why": [why], "doubt": ""}

    def has(self, who: str, without: tuple[str, ...], name: str) -> bool:
        """Whether there is a first verdict."""
        return (who, without, name) in self._first

    def doubted(self, who: str, without: tuple[str, ...], name: str) -> bool:
        """Whether the only verdict that there is may be owed to the speed of the machine."""
        key = who, without, name
        return key not in self._again and bool(self._first.get(key, {}).get("doubt"))

    def verdict(self, who: str, without: tuple[str, ...], name: str) -> Row:
        """Return the verdict that counts: the second where there is one."""
        key = who, without, name
        missing = {"outcome": "not run", "why": ["never reached"], "doubt": ""}
        return self._again.get(key) or self._first.get(key) or self._passed.get(key, missing)

    def unknown(self, who: str, without: tuple[str, ...], name: str) -> bool:
        """Whether nothing was noted, not even why it was not run."""
        key = who, without, name
        return key not in self._first and key not in self._passed

    def repeated(self) -> list[tuple[Key, Row, Row]]:
        """Return the programs that were run again, with both verdicts."""
        return [(key, self._first[key], row) for key, row in self._again.items() if key in self._first]

    def _read(self, path: Path) -> None:
        lines = path.read_text("utf-8").splitlines(keepends=True)
        if not lines or json.loads(lines[0]).get("identity") != self.identity:
            aside = path.with_name(path.name + ".old")
            path.replace(aside)
            sys.stdout.write(f"{path} holds rows of other sources: set aside as {aside}\n")
            return
        for line in lines[1:]:
            if line.endswith("\n"):  # the last one may be half written
                row = json.loads(line)
                key = row.pop("who"), tuple(row.pop("without")), row["name"]
                rows = self._again if row.pop("again") else self._first
                if row.pop("source") == self._sources.get(row["name"]):
                    rows[key] = row
        if not lines[-1].endswith("\n"):
            path.write_text("".join(lines[:-1]), "utf-8")
