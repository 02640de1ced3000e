"""The store for teams: studies in a PostgreSQL database, run, watched and guided from any number of machines.

What :class:`~llm_optimize.stores.sqlite.SQLiteStore` promises on one machine holds between machines: a commit is on the
server's disk before :meth:`PostgresStore.append` returns; one owner runs a study and others read and guide it. A study
whose owner dies is free when its lease ends (:mod:`llm_optimize.stores.postgres_leases`). While the server is away,
operations wait for it (``outage_s``); what it had committed without being able to say so is recognised, not repeated.

Passwords belong into ``~/.pgpass`` or ``PGPASSWORD``, which libpq reads; one in the address is not shown anywhere.
"""

from __future__ import annotations

import secrets
import time
import weakref
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, LiteralString, Self
from uuid import UUID

from llm_optimize.core.events import Event, Guided, Retold, Stopped, Told, dump, load
from llm_optimize.core.history import History
from llm_optimize.core.types import Evaluation
from llm_optimize.core.verdict import best_score
from llm_optimize.errors import StoreError, StudyOwned
from llm_optimize.stores import postgres_queries as queries
from llm_optimize.stores.listing import StudyInfo
from llm_optimize.stores.postgres_address import Address, Timing
from llm_optimize.stores.postgres_connection import PostgresConnection
from llm_optimize.stores.postgres_leases import Leases
from llm_optimize.stores.postgres_waiting import LOOK_AGAIN_S, Announcements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import psycopg

__all__ = ["PostgresStore"]

_LAST = "\U0010ffff"  # no key holds it, so that those with a prefix lie between the prefix and that with this
_PAGE = 512  # events fetched at a time
_CLOSING_S = 1.0  # how long a store that is closed tries to reach a server that is away


class PostgresStore:
    """Logs, paid replies and owners in one database; any number of machines, processes and threads may use it at once.

    It needs the extra ``postgres`` (psycopg 3) and a database whose encoding is UTF8; everything lies in its schema
    ``llm_optimize``, which the first store that is opened makes. Picklable: the address travels, password and all, and
    the copy connects by itself; claims do not travel. After a fork the child's copy does the same.

    Example::

        with PostgresStore("postgresql://ann@db.example/team?lease_s=30&patience_s=3600") as store:
            optimize.run(..., store=store, study="digits")  # waits up to an hour until nobody else runs it
    """

    def __init__(self, address: str, timing: Timing | None = None) -> None:
        """Connect; make the schema where it is missing.

        Args:
            address: ``postgresql://user@host:port/database?option=value``; besides libpq's options it takes those of
                :class:`~llm_optimize.stores.postgres_address.Timing`.
            timing: instead of the address's.

        Raises:
            BadInput: the address makes no sense, or psycopg is not installed.
            StoreError: the server cannot be reached or refuses.
            StoreTooNew: a newer version made the schema.
        """
        parsed = Address.parse(address)
        self.address = parsed if timing is None else replace(parsed, timing=timing)
        self._connection = PostgresConnection(self.address)
        self._announcements = Announcements(self.address)
        self._leases = Leases(self.address, self._connection, self._announcements)
        self._shut = weakref.finalize(self, _shut, self._connection, self._announcements, self._leases)
        self._connection.run(lambda _: None)

    def append(self, study: str, event: Event) -> int:
        """Write the event durably, in one transaction, and return its sequence number (1, 2, ... within the study).

        Raises:
            StudyOwned: this object claimed the study and another process has taken it over; nothing was written.
            StoreError: it could not be written. Nothing was, unless the server vanished for longer than ``outage_s``
                after it was asked to.
            BadInput: the study's name cannot be stored.
        """
        kind, body = dump(event)
        token = self._leases.token(study)
        row = (
            *(study, token, self._leases.seconds, _new_key()),
            *(kind, event.at, _score(event), _decides(event), _encodable(body)),
        )

        def work(connection: psycopg.Connection) -> int:
            # Not in a pipeline: there the study's row stays locked until the pipeline's end has come, which a process
            # that is stopped in between never sends. Measured, it is no slower.
            [(sequence,)] = connection.execute(queries.APPEND, row).fetchall()
            connection.execute(queries.ANNOUNCE, (study,))
            return int(sequence)

        return self._connection.run(work)

    def read(self, study: str, after: int = 0) -> Iterator[tuple[int, Event]]:
        """Yield (sequence number, event) behind ``after``, up to the last one at the time of the first step.

        Events are fetched in pages. With nothing new it costs one look at the index.

        Raises:
            StudyOwned: this object claimed the study and another process has taken it over: what an owner reads it
                builds on, and this one must not begin anything more. After :meth:`release` it may read again.
            StoreError: the server or an event cannot be read.
        """
        rows = self._connection.run(lambda connection: connection.execute(queries.LAST, (study,)).fetchall())
        for number, last, token in rows:
            mine = self._leases.token(study)
            if mine is not None and mine != token:
                msg = f"{self.address.shown}: study {study!r} was taken over: its lease was not renewed in time: end it"
                raise StudyOwned(msg)
            position = after
            while position < last and (page := self._page(number, position, last)):
                for position, kind, body in page:
                    yield position, self._loaded(study, position, kind, body)

    def of_kinds(self, study: str, *kinds: str) -> list[Event]:
        """Return the events of these kinds (``opened``, ``proposed``, ...), oldest first.

        Raises:
            StoreError: the server or one of these events cannot be read.
        """
        rows = self._connection.run(partial(_asked, queries.OF_KINDS, (study, list(kinds))))
        return [self._loaded(study, sequence, kind, body) for sequence, kind, body in rows]

    def fetch(self, study: str, sequences: Sequence[int]) -> dict[int, Event]:
        """Return the events with these sequence numbers; those that the log does not hold are missing.

        Raises:
            StoreError: the server or one of these events cannot be read.
        """
        wanted = sorted(set(sequences))
        found: dict[int, Event] = {}
        for row in ((study, wanted[at : at + _PAGE]) for at in range(0, len(wanted), _PAGE)):
            rows = self._connection.run(partial(_asked, queries.FETCH, row))
            found.update((sequence, self._loaded(study, sequence, kind, body)) for sequence, kind, body in rows)
        return found

    def keep_fold(self, study: str, head: bytes, part: bytes, number: int) -> None:
        """Keep a snapshot, in one transaction: a head, and a part behind those that are there.

        Raises:
            StudyOwned: as :meth:`append`.
            StoreError: it could not be written; then what was kept before is.
        """
        row = (study, self._leases.token(study), head, part, number)
        self._connection.run(lambda connection: connection.execute(queries.KEEP_FOLD, row))

    def kept_fold(self, study: str) -> list[bytes]:
        """Return the head and the parts in order; nothing where no snapshot is kept."""
        return [bytes(body) for (body,) in self._connection.run(partial(_asked, queries.KEPT_FOLD, (study,)))]

    def twin(self) -> PostgresStore:
        """Return another store on the same database, with a connection of its own; it stays open when this closes."""
        return PostgresStore(self.address.conninfo, self.address.timing)

    def wait(self, study: str, after: int = 0, timeout: float | None = None) -> bool:
        """Return True as soon as the study holds an event behind ``after``, and False when ``timeout`` is over.

        The server announces events, so a reader that waits asks nothing meanwhile. It keeps a connection of its own.

        Args:
            study: its name; it need not exist yet.
            after: the sequence number of the last event that is known.
            timeout: seconds; None waits until the store is closed.

        Raises:
            StoreError: the server has been away for longer than ``outage_s``.
        """
        return bool(self.news(lambda: {study: after}, timeout))

    def news(self, known: Callable[[], Mapping[str, int]], timeout: float | None = None) -> dict[str, int]:
        """Return the studies that hold more than is known as soon as one does: the numbers of their last events.

        As :meth:`wait`, over one connection for all of them.

        Args:
            known: returns the studies to look at, with the last event known of each; called again before each look, so
                they may change meanwhile. What it returns anew must have been read since: only writing is announced.
            timeout: seconds; None waits until the store is closed.

        Raises:
            StoreError: the server has been away for longer than ``outage_s``.
        """

        def look(connection: psycopg.Connection) -> tuple[dict[str, int] | None, float]:
            behind = known()
            rows = connection.execute(queries.LASTS, (list(behind),)).fetchall()
            return {name: last for name, last in rows if last > behind[name]} or None, LOOK_AGAIN_S

        return self._announcements.until(look, timeout) or {}

    def studies(self) -> tuple[str, ...]:
        """Return the names of all studies, oldest first."""
        rows = self._connection.run(lambda connection: connection.execute(queries.STUDIES).fetchall())
        return tuple(name for (name,) in rows)

    def overview(self) -> tuple[StudyInfo, ...]:
        """Return one line about each study, oldest first.

        It reads a row for each study, and the log of those where candidates were evaluated again or decided about.
        """
        rows = self._connection.run(lambda connection: connection.execute(queries.OVERVIEW).fetchall())
        return tuple(self._info(*row) for row in rows)

    def remember(self, study: str, key: str, body: str) -> None:
        """Write ``body`` durably under ``key``; the first body written stays.

        Raises:
            StudyOwned: as :meth:`append`.
            StoreError: it could not be written.
        """
        self.remember_all(study, {key: body})

    def remember_all(self, study: str, entries: Mapping[str, str]) -> None:
        """Write all bodies by key durably, in one transaction: all of them or none; the first under a key stays.

        Raises:
            StudyOwned: as :meth:`append`.
            StoreError: they could not be written; then none was.
        """
        bodies = [body.encode("utf-8", "surrogatepass") for body in entries.values()]  # a paid reply is kept as it came
        row = (study, self._leases.token(study), list(entries), bodies)
        self._connection.run(lambda connection: connection.execute(queries.REMEMBER, row))

    def recall(self, study: str, key: str) -> str | None:
        """Return the body under ``key``, or None."""
        rows = self._connection.run(lambda connection: connection.execute(queries.RECALL, (study, key)).fetchall())
        return bytes(rows[0][0]).decode("utf-8", "surrogatepass") if rows else None

    def keys(self, study: str, prefix: str = "") -> tuple[str, ...]:
        """Return the keys that begin with ``prefix``, in the order in which they were first written."""
        row = (study, prefix, prefix + _LAST)
        rows = self._connection.run(lambda connection: connection.execute(queries.KEYS, row).fetchall())
        return tuple(key for (key,) in rows)

    def claim(self, study: str) -> None:
        """Become the owner of the study; an owner whose lease has ended is replaced.

        Whoever asks second is refused after ``patience_s``, in the same process too. A claim is renewed by a thread
        until :meth:`release`, :meth:`close` or the end of the process.

        Raises:
            StudyOwned: a process owns the study whose lease lasts; the message names process, machine and time.
            StoreError: the server cannot be reached.
        """
        self._leases.claim(study)

    def release(self, study: str) -> None:
        """Give up a claim made through this object; no effect without one, or when another process has taken it."""
        self._leases.release(study)

    def release_stale(self, study: str) -> None:
        """Remove the study's owner, whoever it is, before its lease ends; should it live, it can write no more."""
        self._leases.release_stale(study)

    def close(self) -> None:
        """Give up the claims made through this object and disconnect; a second time does nothing."""
        self._shut()

    def __enter__(self) -> Self:
        """Return the store."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def __reduce__(self) -> tuple[type[PostgresStore], tuple[str, Timing]]:
        """Let the address travel, not the connection."""
        return PostgresStore, (self.address.conninfo, self.address.timing)

    def __repr__(self) -> str:
        """Name the database, without a password."""
        return f"PostgresStore({self.address.shown!r})"

    def _page(self, number: int, after: int, last: int) -> list[tuple[Any, ...]]:
        row = (number, after, last, _PAGE)
        return self._connection.run(lambda connection: connection.execute(queries.READ, row).fetchall())

    def _loaded(self, study: str, sequence: int, kind: str, body: str) -> Event:
        try:
            return load(kind, body)
        except StoreError as error:
            msg = f"{self.address.shown}: study {study!r}, event {sequence}: {error}"
            raise StoreError(msg) from error

    def _info(self, *columns: Any) -> StudyInfo:  # noqa: ANN401 - a row of the database: the query decides its types
        name, trials, best, decided, kind, body, opened, updated, pid = columns
        session = load(kind, body) if kind else None
        if decided:
            history = History.empty()
            for _, event in self.read(name):
                history = history.after(event)
            best = best_score(history)
        return StudyInfo(
            name, trials, best, session.reason if isinstance(session, Stopped) else None, opened, updated, pid
        )


def _asked(query: LiteralString, row: Sequence[Any], connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    return connection.execute(query, row).fetchall()


def _new_key() -> UUID:
    """Return a key that nobody else makes, in a forked child neither; near in time is near in the index."""
    return UUID(int=(time.time_ns() // 1_000_000) % 2**48 << 80 | secrets.randbits(80))


def _score(event: Event) -> float | None:
    outcome = event.outcome if isinstance(event, Told) else None
    return float(outcome.score) if isinstance(outcome, Evaluation) else None


def _decides(event: Event) -> bool:
    """Return whether the best is no longer the highest score, once this event is in the log."""
    return isinstance(event, Retold) or (isinstance(event, Guided) and event.act in {"accept", "reject"})


def _encodable(body: str) -> str:
    r"""Return the JSON with lone surrogates, which no database takes, as ``\udXXX``: the same value to any reader."""
    return body if body.isascii() else body.encode("utf-8", "backslashreplace").decode()


def _shut(connection: PostgresConnection, announcements: Announcements, leases: Leases) -> None:
    try:
        connection.hurry(_CLOSING_S)
        announcements.close()
        leases.release_all()
    finally:
        connection.close()
