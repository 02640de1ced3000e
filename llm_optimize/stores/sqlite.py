"""The default store: every study's log in one SQLite file that survives whatever kills the process.

A commit is on disk (in the write-ahead log) before :meth:`SQLiteStore.append` returns, so SIGKILL loses nothing;
``durability="full"`` also flushes the disk's own cache for each event, which a power cut needs. The file must not
lie on a network file system. Besides the log the file holds views for people who like SQL:

``trials``
    one row per candidate that was evaluated: study, id, score (the mean where the search has evaluated it again),
    failure (its kind, or NULL), text, idea, origin, parent, feedback, seconds; calls, tokens and dollars that the first
    evaluation cost; at (seconds since the epoch); evaluations; afresh (the mean score after the search, or NULL).
``chosen``
    study, id, score: the candidate to trust, one row per study in which candidates were evaluated again. It needs a
    SQLite with mathematical functions, which the ``sqlite3`` shell is.
``usage_by_study``
    what proposals and evaluations cost together: study, calls, tokens_in, tokens_cached, tokens_out, dollars, seconds.
``studies_overview``
    study, best_score (of the chosen candidate), trials, pending, last_reason (of a session that has ended), opened_at,
    updated_at.

For example, with ``sqlite3 .llm_optimize/studies.db``::

    SELECT id, score, substr(text, 1, 60) FROM trials WHERE study = 'digits' ORDER BY score DESC LIMIT 5;
    SELECT study, best_score, trials, dollars FROM studies_overview JOIN usage_by_study USING (study);
"""

from __future__ import annotations

import os
import weakref
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from llm_optimize.core.events import Event, Told, dump, load
from llm_optimize.core.types import Evaluation
from llm_optimize.errors import BadInput, StoreError
from llm_optimize.stores import queries
from llm_optimize.stores.connection import Connection, Durability
from llm_optimize.stores.importing import Importing
from llm_optimize.stores.listing import StudyInfo
from llm_optimize.stores.owners import Owner, Owners
from llm_optimize.stores.texts import joined, parted, texts_of, wanted, written

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from llm_optimize.stores.texts import Packed

__all__ = ["SQLiteStore"]

_LAST = "\U0010ffff"  # no key holds it, so that those with a prefix lie between the prefix and that with this
_KNOWN = 4096  # keys of the reply log that are remembered as written
_AT_ONCE = 4096  # events written in one transaction where many are
_PAGE = 256  # events fetched at a time: a read holds this many in memory, and the connection only while fetching


class SQLiteStore:
    """Logs, paid replies and owners in one file; any number of processes and threads may use it at once.

    Picklable: the path travels, and the copy opens a connection of its own; claims do not travel. After a fork the
    child's copy does the same.

    Example:
        >>> import tempfile
        >>> from llm_optimize.core.events import Guided
        >>> with tempfile.TemporaryDirectory() as folder, SQLiteStore(f"{folder}/studies.db") as store:
        ...     store.append("demo", Guided("shorter"))
        ...     [event.text for _, event in store.read("demo")]
        1
        ['shorter']
    """

    def __init__(self, path: str | os.PathLike[str], durability: Durability = "normal") -> None:
        """Open the file; make it, and the folders above it, when they are missing.

        Args:
            path: where the file is, or is to be; ``~`` is the home folder.
            durability: ``normal`` or ``full``, see the module's text.

        Raises:
            BadInput: the path is empty or ``:memory:``, or the durability is unknown.
            StoreError: the file cannot be made or opened, or is not a store.
            StoreTooNew: a newer version wrote it.
        """
        self.path = _checked(path)
        if durability not in {"normal", "full"}:
            msg = f"durability is {durability!r}: give 'normal' or 'full'"
            raise BadInput(msg)
        self.durability: Durability = durability
        self._connection = Connection(self.path, durability)
        self._owners = Owners(self._connection)
        self._numbers: dict[str, int] = {}
        self._kept: set[tuple[str, str]] = set()  # known to be in the file: writing them again would change nothing
        self._shut = weakref.finalize(self, _shut, self._connection, self._owners)
        with self._connection.use():
            pass

    def append(self, study: str, event: Event) -> int:
        """Write the event durably, in one transaction, and return its sequence number (1, 2, ... within the study).

        Raises:
            StoreError: it could not be written; then nothing was.
            BadInput: the study's name is not valid Unicode text.
        """
        left, texts = parted(event)
        row = _row(left)
        with self._connection.use() as connection:
            number = self._number(connection, study)
            if not texts:
                [(sequence,)] = connection.execute(queries.APPEND, (number, *row, None, number)).fetchall()
                return int(sequence)
        with self._connection.transaction() as connection:
            row = (number, *row, written(connection, texts), number)
            [(sequence,)] = connection.execute(queries.APPEND, row).fetchall()
        return int(sequence)

    def extend(self, study: str, events: Iterable[Event]) -> int:
        """Write many events durably, some thousands to a transaction; return the last sequence number, 0 without any.

        For logs that come from elsewhere: a study that runs appends its events one by one. Of a long log a snapshot
        is kept on the way.

        Raises:
            StoreError: one could not be written; what came some thousands before it is in the file.
        """
        with self._connection.use() as connection:
            number = self._number(connection, study)
            [(last,)] = connection.execute(queries.LAST, (study,)).fetchall()
        coming, importing = iter(events), Importing(self, study)
        while some := list(islice(coming, _AT_ONCE)):
            with self._connection.transaction() as connection:
                [(last,)] = connection.execute(queries.LAST, (study,)).fetchall()
                first, rows = (last or 0) + 1, []
                for sequence, (left, texts) in enumerate(map(parted, some), first):
                    rows.append((number, sequence, *_row(left), written(connection, texts)))
                connection.executemany(queries.EXTEND, rows)
                last = first + len(rows) - 1
            importing.wrote(first, some)
        return int(last or 0)

    def read(self, study: str, after: int = 0) -> Iterator[tuple[int, Event]]:
        """Yield (sequence number, event) behind ``after``, up to the last one at the time of the first step.

        Events are fetched in pages, so nothing is locked between two steps. With nothing new it costs one look at
        the index.

        Raises:
            StoreError: the file or an event in it cannot be read.
        """
        with self._connection.use() as connection:
            [(last,)] = connection.execute(queries.LAST, (study,)).fetchall()
        position = before = after
        while position < (last or 0):
            for position, event in self._page(study, before, last):
                yield position, event
            if position == before:
                return
            before = position

    def fetch(self, study: str, sequences: Sequence[int]) -> dict[int, Event]:
        """Return the events with these sequence numbers; those that the log does not hold are missing.

        Raises:
            StoreError: the file or one of these events cannot be read.
        """
        wanted = sorted(set(sequences))
        found: dict[int, Event] = {}
        for some in (wanted[at : at + _PAGE] for at in range(0, len(wanted), _PAGE)):
            query = queries.FETCH.format(",".join("?" * len(some)))
            found.update(self._events(study, query, (study, *some)))
        return found

    def of_kinds(self, study: str, *kinds: str) -> list[Event]:
        """Return the events of these kinds (``opened``, ``proposed``, ...), oldest first.

        Raises:
            StoreError: the file or one of these events cannot be read.
        """
        query = queries.OF_KINDS.format(",".join("?" * len(kinds)))
        return [event for _, event in self._events(study, query, (study, *kinds))]

    def keep_fold(self, study: str, head: bytes, part: bytes, number: int) -> None:
        """Keep a snapshot, in one transaction: a head, and a part behind those that are there.

        Raises:
            StoreError: it could not be written; then what was kept before is.
        """
        with self._connection.use() as connection:
            place = self._number(connection, study)
        with self._connection.transaction() as connection:
            connection.execute(queries.DROP_FOLDS, (place, number))
            connection.executemany(queries.KEEP_FOLD, [(place, number, part), (place, 0, head)])

    def kept_fold(self, study: str) -> list[bytes]:
        """Return the head and the parts in order; nothing where no snapshot is kept."""
        with self._connection.use() as connection:
            rows = connection.execute(queries.KEPT_FOLD, (study,)).fetchall()
        return [body for (body,) in rows if isinstance(body, bytes)]

    def twin(self) -> SQLiteStore:
        """Return another store on the same file, with a connection of its own; it stays open when this one closes."""
        return SQLiteStore(self.path, self.durability)

    def studies(self) -> tuple[str, ...]:
        """Return the names of all studies, oldest first."""
        with self._connection.use() as connection:
            return tuple(name for (name,) in connection.execute(queries.STUDIES).fetchall())

    def overview(self) -> tuple[StudyInfo, ...]:
        """Return one line about each study, oldest first, by one query."""
        with self._connection.use() as connection:
            rows = connection.execute(queries.OVERVIEW).fetchall()
        return tuple(_info(*row) for row in rows)

    def remember(self, study: str, key: str, body: str) -> None:
        """Write ``body`` durably under ``key``; the first body written stays.

        Raises:
            StoreError: it could not be written.
        """
        with self._connection.use() as connection:
            number = self._number(connection, study)
            connection.execute(queries.REMEMBER, (number, key, _text_or_bytes(body)))

    def remember_all(self, study: str, entries: Mapping[str, str]) -> None:
        """Write all bodies by key durably, in one transaction: all of them or none; the first under a key stays.

        Raises:
            StoreError: they could not be written; then none was.
        """
        fresh = [key for key in entries if (study, key) not in self._kept]
        with self._connection.use() as connection:
            number = self._number(connection, study)
        with self._connection.transaction() as connection:
            connection.executemany(queries.REMEMBER, [(number, key, _text_or_bytes(entries[key])) for key in fresh])
        if len(self._kept) > _KNOWN:
            self._kept.clear()
        self._kept.update((study, key) for key in fresh)

    def recall(self, study: str, key: str) -> str | None:
        """Return the body under ``key``, or None."""
        with self._connection.use() as connection:
            rows = connection.execute(queries.RECALL, (study, key)).fetchall()
        if not rows:
            return None
        [(body,)] = rows
        return body.decode("utf-8", "surrogatepass") if isinstance(body, bytes) else str(body)

    def keys(self, study: str, prefix: str = "") -> tuple[str, ...]:
        """Return the keys that begin with ``prefix``, in the order in which they were first written."""
        with self._connection.use() as connection:
            rows = connection.execute(queries.KEYS, (study, prefix, prefix + _LAST)).fetchall()
        return tuple(key for (key,) in rows)

    def claim(self, study: str) -> None:
        """Become the owner of the study; an owner that has died is replaced.

        Whoever asks second is refused, in the same process too.

        Raises:
            StudyOwned: a live process owns the study, or one of another machine, of which nothing can be known; the
                message names process, machine and time, and says what to do (see :meth:`release_stale`).
        """
        self._owners.claim(study)

    def release(self, study: str) -> None:
        """Give up a claim made through this object; no effect without one."""
        self._owners.release(study)

    def release_stale(self, study: str) -> None:
        """Remove the study's owner, whoever it is: for one on another machine that is known to be dead.

        An owner that lives would go on writing beside the next one, so make sure first.
        """
        self._owners.release_stale(study)

    def close(self) -> None:
        """Give up the claims made through this object and close the file; a second time does nothing."""
        self._shut()

    def __enter__(self) -> Self:
        """Return the store."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __reduce__(self) -> tuple[type[SQLiteStore], tuple[Path, Durability]]:
        """Let the path travel, not the connection."""
        return SQLiteStore, (self.path, self.durability)

    def __repr__(self) -> str:
        """Name the file."""
        return f"SQLiteStore({str(self.path)!r})"

    def _number(self, connection: sqlite3.Connection, study: str) -> int:
        """Return the study's number in the file, giving it one on first sight; never changes, so it is kept."""
        number = self._numbers.get(study)
        if number is None:
            connection.execute("INSERT OR IGNORE INTO studies (name) VALUES (?)", (study,))
            [(number,)] = connection.execute("SELECT id FROM studies WHERE name = ?", (study,)).fetchall()
            self._numbers[study] = number
        return number

    def _page(self, study: str, after: int, last: int) -> Iterator[tuple[int, Event]]:
        return self._events(study, queries.READ, (study, after, last, _PAGE))

    def _events(self, study: str, query: str, values: Sequence[Any]) -> Iterator[tuple[int, Event]]:
        """Yield the events that a question asks for; all rows are fetched before the first."""
        with self._connection.use() as connection:
            rows = connection.execute(query, values).fetchall()
            texts = texts_of(connection, wanted([row[3:] for row in rows]))
        return ((row[0], self._loaded(study, row, texts)) for row in rows)

    def _loaded(self, study: str, row: tuple[int, str, str, str | None], texts: Mapping[int, Packed]) -> Event:
        try:
            return joined(load(row[1], row[2]), row[3], texts)
        except StoreError as error:
            msg = f"{self.path}: study {study!r}, event {row[0]}: {error}"
            raise StoreError(msg) from error


def _checked(path: str | os.PathLike[str]) -> Path:
    text = os.fspath(path)
    if text in {"", ":memory:"}:
        msg = f"store path is {text!r}: give the path of a file, or use MemoryStore()"
        raise BadInput(msg)
    return Path(text).expanduser().absolute()


def _row(event: Event) -> tuple[Any, ...]:
    kind, body = dump(event)
    return kind, event.at, _score(event), _encodable(body)


def _score(event: Event) -> float | None:
    outcome = event.outcome if isinstance(event, Told) else None
    return float(outcome.score) if isinstance(outcome, Evaluation) else None


def _encodable(body: str) -> str:
    r"""Return the JSON with lone surrogates, which no database takes, as ``\udXXX``: the same value to any reader."""
    return body if body.isascii() else body.encode("utf-8", "backslashreplace").decode()


def _text_or_bytes(body: str) -> str | bytes:
    """Return the text, or its bytes when it holds lone surrogates: a paid reply is kept as it came."""
    encoded = body.encode("utf-8", "surrogatepass")
    try:
        encoded.decode()
    except UnicodeDecodeError:
        return encoded
    return body


def _info(*columns: Any) -> StudyInfo:  # noqa: ANN401 - a row of the database: the query decides its types
    name, trials, best, reason, opened, updated, pid, started, host, since = columns
    alive = pid is not None and Owner(pid, started, host, since).may_live
    return StudyInfo(name, trials, best, reason, opened, updated, pid if alive else None)


def _shut(connection: Connection, owners: Owners) -> None:
    try:
        owners.release_all()
    finally:
        connection.close()
