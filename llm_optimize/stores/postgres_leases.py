"""Who runs a study: a claim that lasts for a lease, is renewed while its process lives, and fences off who lost it.

The lease ends by the server's clock, so clocks of the machines need not agree. Whoever takes an expired lease writes a
token of its own into the study's row; each write of an owner carries its token and is refused, in the same transaction,
where the row holds another. A process that was stopped, or cut off, for longer than its lease therefore writes nothing
after its successor, whenever it wakes up. Method: Gray and Cheriton, "Leases" (1989); fencing as in Burrows, "The
Chubby lock service" (2006), 2.4.
"""

from __future__ import annotations

import logging
import os
import platform
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from llm_optimize.errors import StoreError, StudyOwned
from llm_optimize.stores.postgres_connection import PostgresConnection

if TYPE_CHECKING:
    import psycopg

    from llm_optimize.stores.postgres_address import Address
    from llm_optimize.stores.postgres_waiting import Announcements

__all__ = ["Holder", "Leases"]

_LOG = logging.getLogger("llm_optimize")
_MARGIN_S = 0.005  # after the end of a lease, so that looking again finds it over


@dataclass(frozen=True, slots=True)
class Holder:
    """Who stands in the way of a claim.

    Attributes:
        pid: its process id on its machine.
        host: that machine's name.
        since: when it became the owner, in seconds since the epoch by the server's clock.
        seconds: until its lease ends, unless it renews it.
    """

    pid: int
    host: str
    since: float
    seconds: float

    def refusal(self, study: str, shown: str) -> StudyOwned:
        """Return the error that names it and says what to do."""
        since = datetime.fromtimestamp(self.since, UTC).astimezone().isoformat(" ", "seconds")
        here = self.pid == os.getpid() and self.host == platform.node()
        remedy = (
            "that is this process: wait for its other Study, or close that one's store"
            if here
            else f"wait for it or end it; dead, it is replaced in {self.seconds:.0f} s (a claim waits with patience_s)"
        )
        return StudyOwned(
            f"{shown}: study {study!r} is run by process {self.pid} on {self.host} since {since}: {remedy}"
        )


class Leases:
    """The claims that this process holds through one store, and the thread that renews them."""

    def __init__(self, address: Address, connection: PostgresConnection, announcements: Announcements) -> None:
        """Hold no claim yet.

        Args:
            address: of the server; its timing says how long a lease lasts and how long a claim waits.
            connection: for claims and releases.
            announcements: tell whoever waits for a claim that the study is free.
        """
        self._address = address
        self._connection = connection
        self._announcements = announcements
        self._tokens: dict[str, tuple[int, UUID]] = {}  # by study: process and token
        self._renewal: _Renewal | None = None

    @property
    def seconds(self) -> float:
        """How long a lease lasts."""
        return self._address.timing.lease_s

    def token(self, study: str) -> UUID | None:
        """Return the token to write under; None for a study that was not claimed here.

        A forked child writes under its parent's claim, so it is fenced off with it.
        """
        _, token = self._tokens.get(study, (0, None))
        return token

    def claim(self, study: str) -> None:
        """Become the owner, as soon as the present one gives up or its lease ends.

        Raises:
            StudyOwned: it does neither within the address's ``patience_s``.
        """
        token = uuid4()
        row = (study, token, self.seconds, os.getpid(), platform.node())
        in_the_way: list[Holder] = []

        def attempt(connection: psycopg.Connection) -> tuple[bool | None, float]:
            in_the_way[:] = [Holder(*found) for found in connection.execute(_CLAIM, row).fetchall()]
            return (None, in_the_way[0].seconds + _MARGIN_S) if in_the_way else (True, 0.0)

        if not self._connection.run(lambda connection: attempt(connection)[0]) and self._address.timing.patience_s:
            self._announcements.until(attempt, self._address.timing.patience_s)
        if in_the_way:
            raise in_the_way[0].refusal(study, self._address.shown)
        self._tokens[study] = (os.getpid(), token)
        self._keep_renewing()

    def release(self, study: str) -> None:
        """Give up a claim of this process made through this store; a forked child cannot give up its parent's."""
        pid, token = self._tokens.pop(study, (None, None))
        if pid == os.getpid():
            if not self._held():
                self._stop_renewing()
            self._connection.run(lambda connection: connection.execute(_RELEASE, (study, token)))

    def release_all(self) -> None:
        """Give up every claim of this process made through this store; where the server is away, they run out."""
        for study in tuple(self._tokens):
            try:
                self.release(study)
            except StoreError as error:
                _LOG.warning("study %r stays claimed until its lease ends: %s", study, error)
        self._stop_renewing()

    def release_stale(self, study: str) -> None:
        """Remove the study's owner, whoever it is."""
        self._connection.run(lambda connection: connection.execute(_RELEASE, (study, None)))

    def _held(self) -> list[UUID]:
        return [token for pid, token in tuple(self._tokens.values()) if pid == os.getpid()]

    def _keep_renewing(self) -> None:
        if self._renewal is None or not self._renewal.is_alive():  # a forked child has no such thread
            self._renewal = _Renewal(self, self._address)
            self._renewal.start()

    def _stop_renewing(self) -> None:
        renewal, self._renewal = self._renewal, None
        if renewal is not None and renewal.is_alive():
            renewal.end()


class _Renewal(threading.Thread):
    """Renews three times in each lease, on a connection of its own: a long read must not make an owner look dead."""

    def __init__(self, leases: Leases, address: Address) -> None:
        super().__init__(name="llm_optimize leases", daemon=True)
        self._leases = leases
        self._connection = PostgresConnection(address, outage_s=address.timing.lease_s / 3, was_up=True)
        self._ending = threading.Event()

    def run(self) -> None:
        while not self._ending.wait(self._leases.seconds / 3):
            self._renew(self._leases._held())  # noqa: SLF001 - one class in two: this one is its thread
        self._connection.close()

    def end(self) -> None:
        self._ending.set()

    def _renew(self, tokens: list[UUID]) -> None:
        try:
            self._connection.run(lambda connection: connection.execute(_RENEW, (self._leases.seconds, tokens)))
        except StoreError as error:
            if not self._ending.is_set():
                _LOG.warning("a lease could not be renewed: %s", error)


_CLAIM = "SELECT * FROM llm_optimize.claim(%s, %s, %s, %s, %s)"
_RELEASE = "SELECT llm_optimize.release(%s, %s)"
_RENEW = """
UPDATE llm_optimize.studies SET lease_until = clock_timestamp() + make_interval(secs => %s) WHERE token = ANY(%s)
"""
