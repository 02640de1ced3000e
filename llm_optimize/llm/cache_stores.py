"""Where cached replies are kept: in memory, or in a small SQLite file that many processes and runs share.

A cache holds nothing that cannot be had again, so its troubles must never end a run or cost a reply that was paid for:
what is wrong with the file is said when it is opened, before anything is spent; afterwards trouble is logged once and
the cache is left alone. A damaged cache file is set aside as ``NAME.damaged`` and a fresh one begun, with a warning.
A file that is something else than a cache is never touched.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections import OrderedDict
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, runtime_checkable

from llm_optimize.errors import BadInput, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CacheStore", "MemoryCache", "SQLiteCache", "open_cache"]

_LOG = logging.getLogger("llm_optimize")
_T = TypeVar("_T")
_ENTRIES = 1024
_FILE_ENTRIES = 100_000
_BUSY_SECONDS = 10.0
_MARK = 0x6C6C6D63  # "llmc", SQLite's application_id of a cache file
_MARK_AT = slice(68, 72)  # in the file's header
_MAGIC = b"SQLite format 3\x00"
_VERSION = 1
_TABLE = "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, body TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID"
_DAMAGE = ("SQLITE_CORRUPT", "SQLITE_NOTADB")


@runtime_checkable
class CacheStore(Protocol):
    """Replies by key; anything with these two methods fits."""

    def get(self, key: str) -> str | None:
        """Return what was put under ``key``, or None."""
        ...

    def put(self, key: str, body: str) -> None:
        """Keep ``body`` under ``key``; it may be forgotten at any time."""
        ...


class MemoryCache:
    """The latest replies of this process; a pickled one travels empty.

    Args:
        entries: how many are kept; the one that was not used for the longest time is forgotten first.

    Example:
        >>> cache = MemoryCache(1)
        >>> cache.put("a", "1"); cache.put("b", "2")
        >>> cache.get("a"), cache.get("b")
        (None, '2')
    """

    def __init__(self, entries: int = _ENTRIES) -> None:
        """Hold nothing.

        Raises:
            BadInput: ``entries`` is below 1.
        """
        if entries < 1:
            msg = f"cache entries: {entries!r} keep nothing; give at least 1, or cache=False for no cache"
            raise BadInput(msg)
        self._entries = entries
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, str] = OrderedDict()

    def __reduce__(self) -> tuple[Callable[..., MemoryCache], tuple[int]]:
        """Pickle the size only."""
        return MemoryCache, (self._entries,)

    def __len__(self) -> int:
        """Return how many replies are kept."""
        return len(self._kept)

    def get(self, key: str) -> str | None:
        """Return what was put under ``key``, or None."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: str, body: str) -> None:
        """Keep ``body`` under ``key``, and forget the one unused for longest when there are too many."""
        with self._lock:
            self._kept[key] = body
            self._kept.move_to_end(key)
            while len(self._kept) > self._entries:
                self._kept.popitem(last=False)


class SQLiteCache:
    """A file of replies; any number of threads and processes may use it at once. A pickled one takes the path along.

    Args:
        path: of the file; it and its folder are made when they are missing.
        entries: how many replies are kept; older ones are deleted when the file is opened.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     cache = SQLiteCache(f"{folder}/replies.db")
        ...     cache.put("a", "1")
        ...     cache.get("a")
        ...     cache.close()
        '1'
    """

    def __init__(self, path: str | os.PathLike[str], entries: int = _FILE_ENTRIES) -> None:
        """Open the file.

        Raises:
            BadInput: the path is empty, a folder, or a file that is no cache; or ``entries`` is below 1.
            StoreError: it cannot be opened or made.
        """
        if entries < 1 or not str(path).strip():
            msg = f"cache: {str(path)!r} with {entries!r} entries keeps nothing; give a path and at least 1"
            raise BadInput(msg)
        self.path = Path(path).expanduser().absolute()
        self._entries = entries
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._inherited: list[sqlite3.Connection] = []
        self._connection: sqlite3.Connection | None = None
        self._given_up = False
        try:
            self._connection = self._open()
        except (sqlite3.Error, OSError) as error:
            msg = f"cache: {self.path} cannot be opened ({error}): check its permissions, or choose another path"
            raise StoreError(msg) from error

    def __reduce__(self) -> tuple[Callable[..., SQLiteCache], tuple[str, int]]:
        """Pickle the path."""
        return SQLiteCache, (str(self.path), self._entries)

    def get(self, key: str) -> str | None:
        """Return what was put under ``key`` by any process, or None."""

        def find(connection: sqlite3.Connection) -> str | None:
            row = connection.execute("SELECT body FROM replies WHERE key = ?", (key,)).fetchone()
            return str(row[0]) if row else None

        return self._try(find)

    def put(self, key: str, body: str) -> None:
        """Keep ``body`` under ``key``; trouble with the file is logged, not raised."""
        row = (key, body, time.time())
        self._try(lambda connection: connection.execute("INSERT OR REPLACE INTO replies VALUES (?, ?, ?)", row))

    def close(self) -> None:
        """Close the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _try(self, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        if self._process != os.getpid():  # a forked child may neither use nor close what it inherited
            self._process, self._lock = os.getpid(), threading.Lock()
            self._inherited += [self._connection] if self._connection else []
            self._connection = None
        with self._lock:
            if self._given_up:
                return None
            try:
                return work(self._connected())
            except (sqlite3.Error, OSError, BadInput, UnicodeEncodeError) as error:
                return self._mended(error, work)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _mended(self, error: Exception, work: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """Do the work in a fresh file if the old one is damaged; else leave the cache alone from now on."""
        if isinstance(error, UnicodeEncodeError):
            return None  # a reply with half a character cannot be kept; the next one can
        try:
            if _is_damage(error):
                self._set_aside(error)
                return work(self._connected())
        except (sqlite3.Error, OSError) as again:
            error = again
        self._given_up = True
        _LOG.warning("the cache %s is left alone from now on: %s", self.path, error)
        return None

    def _open(self) -> sqlite3.Connection:
        _check_kind(self.path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return self._prepared()
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
            self._set_aside(error)
            return self._prepared()

    def _prepared(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            _use_wal(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
            if connection.execute("PRAGMA application_id").fetchone()[0] != _MARK:
                connection.execute(f"PRAGMA application_id = {_MARK}")
                connection.execute(f"PRAGMA user_version = {_VERSION}")
            connection.execute(_TABLE)
            older = "SELECT key FROM replies ORDER BY at DESC LIMIT -1 OFFSET ?"
            if connection.execute("SELECT count(*) FROM replies").fetchone()[0] > self._entries:
                connection.execute(f"DELETE FROM replies WHERE key IN ({older})", (self._entries,))  # noqa: S608 - constant
        except BaseException:
            connection.close()
            raise
        return connection

    def _set_aside(self, error: Exception) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):  # closing a damaged file may fail again; it is put away either way
                self._connection.close()
            self._connection = None
        away = self.path.with_name(self.path.name + ".damaged")
        for ending in ("-wal", "-shm", ""):
            with suppress(FileNotFoundError):
                Path(f"{self.path}{ending}").replace(f"{away}{ending}")
        _LOG.warning("the cache %s was damaged (%s): it is now %s, and a fresh one is begun", self.path, error, away)


def open_cache(cache: object) -> CacheStore | None:
    """Return the store that the ``cache`` argument of :func:`llm_optimize.llm.connect` means.

    Args:
        cache: None for what the environment's ``LLM_OPTIMIZE_CACHE`` says (a path, ``off``), else memory; False for
            none; a path for a file; or an object with ``get`` and ``put``.

    Raises:
        BadInput: none of these, or a file that is no cache.
        StoreError: the file cannot be opened.
    """
    if cache is None:
        named = os.environ.get("LLM_OPTIMIZE_CACHE", "").strip()
        cache = False if named.lower() == "off" else named or MemoryCache()
    if cache is False:
        return None
    if isinstance(cache, str | os.PathLike):
        return SQLiteCache(cache)
    if isinstance(cache, CacheStore) and not isinstance(cache, type):
        return cache
    msg = f"cache: {cache!r} is none; give a path, False for no cache, None for memory, or an object with get and put"
    raise BadInput(msg)


def _check_kind(path: Path) -> None:
    """Make sure that nothing but a cache is opened, let alone set aside."""
    if path.is_dir():
        msg = f"cache: {path} is a folder; give the path of a file"
        raise BadInput(msg)
    if not path.exists() or not path.stat().st_size:
        return
    with path.open("rb") as file:
        header = file.read(_MARK_AT.stop)
    with suppress(sqlite3.Error):
        if header[_MARK_AT] == bytes(4) and header.startswith(_MAGIC) and _is_being_made(path):
            return
    if not header.startswith(_MAGIC) or header[_MARK_AT] != _MARK.to_bytes(4, "big"):
        msg = f"cache: {path} is a file of another kind; choose another path (or delete it, if it was a cache once)"
        raise BadInput(msg)


def _is_being_made(path: Path) -> bool:
    # Another process may be between making the file and marking it: then it holds no table yet, or the mark is in
    # the write-ahead log, which a connection sees and the bare header does not.
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", timeout=_BUSY_SECONDS, uri=True)) as connection:
        if connection.execute("PRAGMA application_id").fetchone()[0] == _MARK:
            return True
        return not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]


def _is_damage(error: Exception) -> bool:
    return str(getattr(error, "sqlite_errorname", "")).startswith(_DAMAGE)


def _use_wal(connection: sqlite3.Connection) -> None:
    # SQLite does not wait for a lock here, unlike everywhere else, when several processes make the file at once.
    deadline = time.monotonic() + _BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
