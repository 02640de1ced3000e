"""Who runs a study: one row per owner in the store's file, and the question whether that owner still lives."""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from llm_optimize.errors import StudyOwned

if TYPE_CHECKING:
    from llm_optimize.stores.connection import Connection

__all__ = ["Owner", "Owners", "identity"]


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that runs a study.

    Attributes:
        pid: its process id.
        started: what tells it from a later process with the same id; see :func:`identity`.
        host: the name of its machine. Containers that share a file need names of their own.
        since: when it became the owner, in seconds since the epoch.
    """

    pid: int
    started: str
    host: str
    since: float

    @classmethod
    def current(cls) -> Owner:
        """Return the owner that this process would be now."""
        return cls(os.getpid(), identity(os.getpid()) or "", platform.node(), time.time())

    @property
    def is_local(self) -> bool:
        """Whether it is a process of this machine."""
        return self.host == platform.node()

    @property
    def may_live(self) -> bool:
        """False only when it is known to be dead; nothing is known of other machines."""
        return not self.is_local or identity(self.pid) == self.started


class Owners:
    """The ``owners`` table, and the claims that this process holds through one store."""

    def __init__(self, connection: Connection) -> None:
        """Hold no claim yet."""
        self._connection = connection
        self._tokens: dict[str, tuple[int, str]] = {}  # by study: process and token

    def claim(self, study: str) -> None:
        """Become the owner; a dead owner's place is taken in the same transaction that finds it dead.

        Raises:
            StudyOwned: a live process, or one of another machine, owns the study.
        """
        token = os.urandom(8).hex()
        mine = Owner.current()
        with self._connection.transaction() as connection:
            rows = connection.execute("SELECT pid, started, host, since FROM owners WHERE study = ?", (study,))
            for row in rows.fetchall():
                self._refuse_if_owned(study, Owner(*row))
            connection.execute(
                "INSERT OR REPLACE INTO owners (study, token, pid, started, host, since) VALUES (?, ?, ?, ?, ?, ?)",
                (study, token, mine.pid, mine.started, mine.host, mine.since),
            )
        self._tokens[study] = (mine.pid, token)

    def release(self, study: str) -> None:
        """Give up a claim of this process made through this store; a forked child cannot give up its parent's."""
        pid, token = self._tokens.pop(study, (None, ""))
        if pid == os.getpid():
            with self._connection.use() as connection:
                connection.execute("DELETE FROM owners WHERE study = ? AND token = ?", (study, token))

    def release_all(self) -> None:
        """Give up every claim of this process made through this store."""
        for study in tuple(self._tokens):
            self.release(study)

    def release_stale(self, study: str) -> None:
        """Remove the owner's row, whoever wrote it."""
        with self._connection.use() as connection:
            connection.execute("DELETE FROM owners WHERE study = ?", (study,))

    def _refuse_if_owned(self, study: str, owner: Owner) -> None:
        if not owner.may_live:
            return
        since = datetime.fromtimestamp(owner.since, UTC).astimezone().isoformat(" ", "seconds")
        who = f"process {owner.pid} on {owner.host} since {since}"
        if not owner.is_local:
            remedy = f"if that process is dead, call SQLiteStore(path).release_stale({study!r}), then try again"
        elif owner.pid == os.getpid():
            remedy = "that is this process: wait for its other Study, or close that one's store"
        else:
            remedy = "wait for it or end it; reading and guiding need no ownership"
        msg = f"{self._connection.path}: study {study!r} is run by {who}: {remedy}"
        raise StudyOwned(msg)


def identity(pid: int) -> str | None:
    """Return what tells this process from a later one with the same id, or None when none lives under ``pid``.

    On Linux it is the boot's id and the process's start in clock ticks since then, which no change of the system's
    clock moves; elsewhere it is the start time that psutil reports. A process that has ended but was not waited for
    yet (a zombie) counts as dead.
    """
    return _linux_identity(pid) if sys.platform == "linux" else _portable_identity(pid)


def _linux_identity(pid: int) -> str | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces and brackets
    state, start = fields[0], fields[19]
    return None if state in "ZX" else f"{boot.strip()}/{start}"


def _portable_identity(pid: int) -> str | None:
    import psutil  # type: ignore[import-untyped]  # noqa: PLC0415 - untyped third party, needed only outside Linux

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.2f}"
    except psutil.NoSuchProcess:
        return None
    except psutil.AccessDenied:
        return f"{process.create_time():.2f}"
