"""A run's folder: JSON Lines to which each piece is appended, and on disk, before anything builds on it.

A process that is killed leaves at most one torn line, the last one of a file; it is cut off when the file is opened
again. Nothing else is ever changed, so whatever a file says stays said. One process at a time may write.
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.core.linefiles import as_line, read_lines
from llm_optimize.errors import BadInput, StoreError, StudyOwned

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

__all__ = ["Folder", "Lines", "Replies"]


class Lines:
    """One file of records; safe from many threads.

    Attributes:
        path: of the file.
        records: those that were there when it was opened, and those appended since, in order.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, which need not exist; cut a torn last line off.

        Raises:
            StoreError: it is damaged, or cannot be opened.
        """
        self.path = path
        self.records, end = read_lines(path)
        self._lock = threading.Lock()
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
            if os.fstat(self._file).st_size > end:
                os.ftruncate(self._file, end)
        except OSError as error:
            raise StoreError(_unwritable(path, error)) from error

    def append(self, record: Mapping[str, Any]) -> None:
        """Write a record; it is on disk when this returns.

        Raises:
            StoreError: it could not be written; what of it was is cut off again.
        """
        line = as_line(record)
        try:
            with self._lock:
                end = os.fstat(self._file).st_size
                if os.write(self._file, line) < len(line):
                    os.ftruncate(self._file, end)
                    msg = f"{self.path}: the disk is full: free some space and run again"
                    raise StoreError(msg)
            os.fsync(self._file)  # outside the lock: the system syncs the lines of several threads at once
        except OSError as error:
            raise StoreError(_unwritable(self.path, error)) from error
        with self._lock:
            self.records.append(dict(record))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


class Replies:
    """Paid replies in a file, a :class:`~llm_optimize.core.protocols.ReplyLog`; the study's name is not looked at."""

    def __init__(self, path: Path) -> None:
        """Open the file.

        Raises:
            StoreError: it is damaged, or cannot be opened.
        """
        self._lines = Lines(path)
        self._lock = threading.Lock()
        self._bodies: dict[str, str] = {}
        for record in self._lines.records:
            if not isinstance(record.get("key"), str) or not isinstance(record.get("reply"), str):
                msg = f"{path}: holds a line without key and reply: restore the file or give another folder"
                raise StoreError(msg)
            self._bodies.setdefault(record["key"], record["reply"])
        self._lines.records.clear()  # the bodies are held once

    def remember(self, study: str, key: str, body: str) -> None:  # noqa: ARG002 - the protocol's; a folder is one run
        """Write ``body`` durably under ``key``; the first body written stays.

        Raises:
            StoreError: it could not be written.
        """
        with self._lock:
            if key in self._bodies:
                return
            self._bodies[key] = body
        self._lines.append({"key": key, "reply": body})
        self._lines.records.clear()

    def recall(self, study: str, key: str) -> str | None:  # noqa: ARG002 - as in remember
        """Return the body under ``key``, or None."""
        return self._bodies.get(key)

    def items(self) -> tuple[tuple[str, str], ...]:
        """Return every key with its body, in the order in which they were written."""
        return tuple(self._bodies.items())

    def close(self) -> None:
        """Close the file."""
        self._lines.close()


class Folder:
    """The folder of a run; a context manager that holds the lock while it is open.

    Attributes:
        path: of the folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Name the folder; it is made when it is entered."""
        self.path = Path(path).expanduser().absolute()
        self._opened: list[Lines | Replies] = []
        self._lock = -1

    def __enter__(self) -> Self:
        """Make the folder and become its owner.

        Raises:
            BadInput: it cannot be made.
            StudyOwned: another live process works in it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            msg = f"folder: {self.path} cannot be made ({error.strerror}): give one that you may write to"
            raise BadInput(msg) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            msg = f"{self.path}: another process works in this folder: wait for it, or give another folder"
            raise StudyOwned(msg) from None
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files and let the folder go."""
        for file in self._opened:
            file.close()
        os.close(self._lock)

    def lines(self, name: str) -> Lines:
        """Open ``name.jsonl`` for appending."""
        found = Lines(self.path / f"{name}.jsonl")
        self._opened.append(found)
        return found

    def replies(self) -> Replies:
        """Open the file of paid replies."""
        found = Replies(self.path / "replies.jsonl")
        self._opened.append(found)
        return found


def _unwritable(path: Path, error: OSError) -> str:
    return f"{path}: cannot be written ({error.strerror}): free some space or give another folder"
