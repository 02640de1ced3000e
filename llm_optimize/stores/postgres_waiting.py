"""Waiting for what others write: the server announces it (LISTEN, NOTIFY), so nobody has to ask again and again.

A connection announces nothing while it is lost, so whoever waits looks after every reconnection, and once in half a
minute besides: a connection may be dead without knowing it.
"""

from __future__ import annotations

import math
import time
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from llm_optimize.stores.postgres_connection import PostgresConnection
from llm_optimize.stores.postgres_schema import CHANNEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    from llm_optimize.stores.postgres_address import Address

__all__ = ["LOOK_AGAIN_S", "Announcements"]

LOOK_AGAIN_S = 30.0
"""How long an announcement is waited for before looking without one."""

_IDLE = 2  # connections that are kept for the next one who waits
_SLICE_S = 0.5  # how soon a wait notices that the store was closed; the server is not asked

_T = TypeVar("_T")


class Announcements:
    """Connections to wait on, one for each thread that waits: one that waits can do nothing else."""

    def __init__(self, address: Address) -> None:
        """Connect on first use."""
        self._address = address
        self._idle: deque[PostgresConnection] = deque()
        self._closed = False

    def until(self, look: Callable[[psycopg.Connection], tuple[_T | None, float]], timeout: float | None) -> _T | None:
        """Call ``look`` now and after each announcement until it finds something; return that, or None at the end.

        Args:
            look: gets a connection; returns what it found, or None, and the seconds after which it wants to look again
                even when nothing is announced. Looking twice must do no harm.
            timeout: seconds to wait; None waits for ever. A wait also ends when the store is closed.

        Raises:
            StoreError: the server has been away for longer than the address's ``outage_s``.
        """
        deadline = None if timeout is None else time.monotonic() + timeout

        def work(connection: psycopg.Connection) -> _T | None:
            connection.execute(f"LISTEN {CHANNEL}".encode())  # before looking, so that nothing falls between
            try:
                while True:
                    found, pause = look(connection)
                    left = math.inf if deadline is None else deadline - time.monotonic()
                    if found is not None or self._closed or left <= 0:
                        return found
                    self._listen(connection, min(pause, left))
            finally:
                if not connection.closed:
                    connection.execute(b"UNLISTEN *")  # a connection that nobody reads must not collect announcements

        with self._borrowed() as borrowed:
            return borrowed.run(work)

    def close(self) -> None:
        """Close the connections; those who wait give up within half a second."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _listen(self, connection: psycopg.Connection, seconds: float) -> None:
        """Return after an announcement, or when the time is over."""
        end = time.monotonic() + seconds
        while not self._closed and (left := end - time.monotonic()) > 0:
            for _ in connection.notifies(timeout=min(left, _SLICE_S), stop_after=1):
                return

    @contextmanager
    def _borrowed(self) -> Iterator[PostgresConnection]:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = PostgresConnection(self._address, was_up=True)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if len(self._idle) < _IDLE and not self._closed:
            self._idle.append(connection)
        else:
            connection.close()
