"""One PostgreSQL connection shared by threads, made again after an outage or a fork; foreign errors become ours here.

Whatever is run on it may be run again: where the connection is lost nobody knows whether the server has done it, so
each statement is written such that a second time changes nothing.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from llm_optimize.errors import BadInput, StoreError, StudyOwned
from llm_optimize.stores.postgres_schema import TAKEN_OVER, migrate

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    import psycopg

    from llm_optimize.stores.postgres_address import Address

__all__ = ["PostgresConnection"]

_LOG = logging.getLogger("llm_optimize")
_FIRST_PAUSE_S = 0.02  # between two attempts to connect; doubles
_LONGEST_PAUSE_S = 1.0

_SETTINGS: dict[str, Any] = {
    "application_name": "llm_optimize",
    "client_encoding": "utf8",
    "connect_timeout": 10,
    # A machine that vanishes closes no connection: it is given up after half a minute of silence.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,  # milliseconds
}

_PASSING = ("08", "57P", "40001", "40P01", "53300")
"""SQLSTATEs of what passes: connection lost, server going down or coming up, deadlock, too many connections."""

_REMEDIES = {
    "28": "the server refuses this user: check user, password (~/.pgpass or PGPASSWORD) and the server's pg_hba.conf",
    "3D000": "there is no such database: make it with createdb",
    "42501": "this user lacks a right: GRANT it on the schema llm_optimize, or let the database's owner open it first",
    "25006": "the server is read-only, perhaps a standby: give the address of the primary",
    "53100": "the server's disk is full: free some space there and resume the study",
    "54000": "a study's name or a reply's key is too long for the server: choose a shorter one",
}

_ISOLATION = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED"
"""Whoever waits for a study's row must see what was committed meanwhile, whatever the database's default is."""

_OPEN: weakref.WeakSet[PostgresConnection] = weakref.WeakSet()
_INHERITED: list[object] = []

_T = TypeVar("_T")


class PostgresConnection:
    """A connection that opens on first use and again when it is lost. Every method may be called from any thread."""

    def __init__(self, address: Address, outage_s: float | None = None, *, was_up: bool = False) -> None:
        """Remember how to connect.

        Args:
            address: where.
            outage_s: see :class:`~llm_optimize.stores.postgres_address.Timing`; None takes the address's.
            was_up: whether the server has been reached before. If not, failing to do so is reported at once: the
                address is likely to be wrong.
        """
        self.address = address
        self._outage_s = address.timing.outage_s if outage_s is None else outage_s
        self._lock = threading.Lock()
        self._ending = threading.Event()
        self._connection: psycopg.Connection | None = None
        self._was_up = was_up
        _watch_forks()
        _OPEN.add(self)

    @property
    def is_closed(self) -> bool:
        """Whether it was closed for good."""
        return self._ending.is_set()

    def run(self, work: Callable[[psycopg.Connection], _T]) -> _T:
        """Return what ``work`` returns, given the connection in autocommit mode; begin it anew when that is lost.

        Args:
            work: may run more than once; what a first time has done on the server must be no obstacle.

        Raises:
            StudyOwned: another process has taken the study over.
            StoreError: the server cannot be reached, or refuses.
            BadInput: a text cannot be stored.
        """
        with self._lock:
            deadline = None
            while True:
                try:
                    return work(self._connected())
                except _driver().Error as error:
                    if not self._may_pass(error):
                        raise self._translated(error) from error
                    deadline = deadline or time.monotonic() + self._outage_s
                    self._reconnect(deadline, error)
                except UnicodeEncodeError as error:
                    msg = f"{error.object!r} cannot be stored: a study's name and a reply's key must be valid Unicode"
                    raise BadInput(msg) from error

    def hurry(self, outage_s: float) -> None:
        """Wait no longer than ``outage_s`` for a server that is away, from the next outage on."""
        self._outage_s = min(self._outage_s, outage_s)

    def close(self) -> None:
        """Close for good; a second time does nothing."""
        self._ending.set()
        with self._lock:
            self._drop()

    def put_aside(self) -> None:
        """Forget what a forked child inherited: the connection, and locks that another thread may have held."""
        self._lock = threading.Lock()
        ending, self._ending = self._ending, threading.Event()
        if ending.is_set():
            self._ending.set()
        if self._connection is not None:
            _INHERITED.append(self._connection)  # collecting it would end the parent's session
            self._connection = None

    def _connected(self) -> psycopg.Connection:
        connection = self._connection
        if connection is not None and not _is_usable(connection):  # an interrupt may have left it in mid-statement
            self._drop()
            connection = None
        return connection or self._connect()

    def _connect(self) -> psycopg.Connection:
        if self._ending.is_set():
            msg = f"{self.address.shown}: the store is closed: open it again with PostgresStore(address)"
            raise StoreError(msg)
        connection = _connect(self.address)
        try:
            _check_encoding(connection, self.address)
            connection.execute(_ISOLATION)
            migrate(connection, self.address.shown)
        except BaseException:
            connection.close()
            raise
        self._connection, self._was_up = connection, True
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _may_pass(self, error: psycopg.Error) -> bool:
        """Return whether trying again may help."""
        if not self._was_up:
            return False
        if error.sqlstate is None:  # libpq's own: it could not connect, or the connection broke
            return isinstance(error, _driver().OperationalError)
        return error.sqlstate.startswith(_PASSING)

    def _reconnect(self, deadline: float, why: psycopg.Error) -> None:
        """Return with a new connection.

        Raises:
            StoreError: none could be made until the deadline, or the store was closed meanwhile.
        """
        pause = _FIRST_PAUSE_S
        self._drop()
        _LOG.info("%s: connection lost (%s); connecting again", self.address.shown, _one_line(why))
        while True:
            try:
                self._connect()
            except _driver().Error as error:
                if time.monotonic() + pause > deadline:
                    raise self._translated(error) from error
                self._ending.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)
            else:
                return

    def _translated(self, error: psycopg.Error) -> StoreError | BadInput:
        code = error.sqlstate or ""
        if code == TAKEN_OVER:
            return StudyOwned(f"{self.address.shown}: {_one_line(error)}")
        if isinstance(error, _driver().DataError) and not code:  # psycopg's own: the server was not asked
            return BadInput(f"{_one_line(error)}: a study's name and a reply's key must not hold a null character")
        known = next((text for start, text in _REMEDIES.items() if code.startswith(start)), None)
        remedy = "check the address, and that the server runs"
        return StoreError(f"{self.address.shown}: {known or f'{_one_line(error)}: {remedy}'}")


def _connect(address: Address) -> psycopg.Connection:
    driver = _driver()
    given = driver.conninfo.conninfo_to_dict
    try:
        settings = _SETTINGS | given(address.conninfo)
    except driver.ProgrammingError:  # its message repeats the address, so nothing of it may go on
        msg = f"{address.shown}: not an address that libpq understands: check its port and its options"
        raise BadInput(msg) from None
    connection: psycopg.Connection = driver.connect(autocommit=True, **settings)
    return connection


def _check_encoding(connection: psycopg.Connection, address: Address) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        msg = f"{address.shown}: the database's encoding is {encoding}: make one with createdb -E UTF8 -T template0"
        raise StoreError(msg)


def _is_usable(connection: psycopg.Connection) -> bool:
    idle = _driver().pq.TransactionStatus.IDLE
    return not connection.closed and bool(connection.info.transaction_status == idle)


def _one_line(error: psycopg.Error) -> str:
    return " ".join((error.diag.message_primary or str(error)).split())


@cache
def _driver() -> ModuleType:
    try:
        import psycopg  # noqa: PLC0415 - an extra, loaded when a store of this kind is used
        import psycopg.conninfo  # noqa: PLC0415 - as above
    except ImportError as error:
        msg = f"store: postgresql:// needs the package psycopg ({error}): pip install 'llm-optimize[postgres]'"
        raise BadInput(msg) from error
    # What it warns of when a connection breaks is mended here; whoever sets up logging still gets it.
    logging.getLogger("psycopg").addHandler(logging.NullHandler())
    return psycopg


@cache
def _watch_forks() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_put_all_aside)


def _put_all_aside() -> None:
    for connection in list(_OPEN):
        connection.put_aside()
