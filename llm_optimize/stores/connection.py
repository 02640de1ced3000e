"""One SQLite connection per process, shared by its threads, renewed after a fork; foreign errors become ours here."""

from __future__ import annotations

import math
import os
import sqlite3
import threading
import time
import weakref
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Literal

from llm_optimize.errors import BadInput, StoreError
from llm_optimize.stores.migrations import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["Connection", "Durability", "add_square_root"]

Durability = Literal["normal", "full"]
"""``normal``: a commit survives the death of every process. ``full``: it survives a power cut too, at the price of
one disk flush per event."""

_BUSY_SECONDS = 30.0
"""How long a write waits for other processes' writes; one takes microseconds, so only a stuck process reaches it."""

_SHORTEST = 512  # bytes: the smallest page of a SQLite file

_OPEN: weakref.WeakSet[Connection] = weakref.WeakSet()
_INHERITED: list[sqlite3.Connection] = []


class Connection:
    """A connection that opens on first use and again after a fork or after nothing was left of it.

    SQLite forbids to use, or even to close, a connection in a forked child, so the child puts it aside and opens
    its own. Every method may be called from any thread.
    """

    def __init__(self, path: Path, durability: Durability) -> None:
        """Remember how to connect.

        Args:
            path: absolute path of the file.
            durability: see :data:`Durability`.
        """
        self.path = path
        self.durability: Durability = durability
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        _watch_forks()
        _OPEN.add(self)

    @contextmanager
    def use(self) -> Iterator[sqlite3.Connection]:
        """Hold the connection, in autocommit mode: each statement is a transaction of its own.

        Raises:
            StoreError: the file cannot be opened, read or written, or the connection is closed.
        """
        with self._lock:
            try:
                yield self._connection or self._connect()
            except sqlite3.Error as error:
                raise self._translated(error) from error
            except UnicodeEncodeError as error:
                msg = f"{error.object!r} cannot be stored: a study's name and a reply's key must be valid Unicode text"
                raise BadInput(msg) from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the connection and the file's write lock; commit at the end, undo everything on an error.

        Raises:
            StoreError: as :meth:`use`.
        """
        with self.use() as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close for good; a second time does nothing."""
        with self._lock:
            self._closed = True
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()

    def put_aside(self) -> None:
        """Forget what a forked child inherited: the connection, and a lock that another thread may have held."""
        self._lock = threading.Lock()
        if self._connection is not None:
            _INHERITED.append(self._connection)
            self._connection = None

    def _connect(self) -> sqlite3.Connection:
        if self._closed:
            msg = f"{self.path}: the store is closed: open it again with SQLiteStore(path)"
            raise StoreError(msg)
        self._make_folder()
        self._refuse_short_file()
        try:
            connection = sqlite3.connect(
                self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        except ValueError as error:  # a null character in the path
            msg = f"{str(self.path)!r}: {error}: choose another path"
            raise StoreError(msg) from error
        with ExitStack() as undo:
            undo.callback(connection.close)
            self._prepare(connection)
            undo.pop_all()
        self._connection = connection
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        [(mode,)] = connection.execute("PRAGMA journal_mode").fetchall()
        if mode != "wal":
            _use_wal(connection)
        connection.execute(f"PRAGMA synchronous = {self.durability}")
        add_square_root(connection)
        migrate(connection, self.path)

    def _make_folder(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"{self.path}: the folder cannot be made ({error.strerror}): choose a path that you may write to"
            raise StoreError(msg) from error

    def _refuse_short_file(self) -> None:
        """SQLite takes a file shorter than its header for an empty database and overwrites it.

        The file's size only: opening and closing it here would drop the locks that this process holds on it.
        """
        with suppress(OSError, ValueError):
            if 0 < self.path.stat().st_size < _SHORTEST:
                msg = f"{self.path}: {_REMEDIES['SQLITE_NOTADB']}"
                raise StoreError(msg)

    def _translated(self, error: sqlite3.Error) -> StoreError:
        name = getattr(error, "sqlite_errorname", "")
        known = next((text for code, text in _REMEDIES.items() if name.startswith(code)), None)
        with suppress(OSError):  # what may not be looked at is left as SQLite described it
            if self.path.is_dir():
                known = "is a folder: give the path of a file"
        return StoreError(f"{self.path}: {known or f'{error}: check the file and its disk'}")


_REMEDIES = {
    "SQLITE_NOTADB": "not a SQLite file: choose another path, or move that file away",
    "SQLITE_CORRUPT": "the file is damaged: restore a copy, or save what can be read with `sqlite3 FILE .recover`",
    "SQLITE_FULL": "the disk is full: free some space and resume the study",
    "SQLITE_BUSY": f"another process has held the file's write lock for {_BUSY_SECONDS:.0f} s: end it and try again",
    "SQLITE_READONLY": "cannot be written: check its permissions, or choose another path",
    "SQLITE_CANTOPEN": "cannot be opened: check its permissions and its folder's, or choose another path",
    "SQLITE_PERM": "cannot be opened: check its permissions, or choose another path",
    "SQLITE_IOERR": "reading or writing failed: check the disk, its free space and quota (no network file system)",
}


def add_square_root(connection: sqlite3.Connection) -> None:
    """Give the views a square root where SQLite was built without its mathematical functions."""
    try:
        connection.execute("SELECT sqrt(1.0)")
    except sqlite3.OperationalError:
        connection.create_function("sqrt", 1, lambda x: None if x is None else math.sqrt(x), deterministic=True)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Let readers and one writer work side by side; a disk without it (some network mounts) keeps its own mode.

    SQLite does not wait for a lock here, unlike everywhere else, when several processes make the file at once.
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


@cache
def _watch_forks() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_put_all_aside)


def _put_all_aside() -> None:
    for connection in list(_OPEN):
        connection.put_aside()
