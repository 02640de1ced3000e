"""What a campaign stands on: the model's server, the store, the owners; each a real process that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.postgres_server import PostgresServer
from helpers.warm import Session
from keeping_server import charges
from noting_scorer import notes
from owner_session import Order

from llm_optimize import SQLiteStore
from llm_optimize.sandbox.lane import descendants
from llm_optimize.stores import PostgresStore

if TYPE_CHECKING:
    from random import Random

__all__ = ["PATIENCE_S", "VARIANTS", "Ground", "Hang", "Variant", "kill", "within"]

PATIENCE_S = 90.0
"""How long anything is waited for: many times what it takes on a slow machine, so that who passes it hangs."""

SERVER = Path(__file__).with_name("keeping_server.py")
OWNER = Path(__file__).with_name("owner_session.py")
CLUSTER = Path(__file__).with_name("dask_cluster.py")
LEASE_S = 1.0


class Hang(Exception):
    """Something did not come within :data:`PATIENCE_S`."""


@dataclass(frozen=True)
class Variant:
    """Where studies are kept and scored, and how many processes want to run them at once."""

    name: str
    dask: bool = False
    database: bool = False

    @property
    def owners(self) -> int:
        """On PostgreSQL there is a second one that takes over."""
        return 2 if self.database else 1


VARIANTS = {
    one.name: one
    for one in (
        Variant("sqlite-processes"),
        Variant("sqlite-dask", dask=True),
        Variant("postgres-processes", database=True),
        Variant("postgres-dask", dask=True, database=True),
    )
}


class ModelServer:
    """The model's server, at one port for good."""

    def __init__(self, books: Path, errors: Path) -> None:
        """Start it."""
        self._books, self._errors, self._port = books, errors, "0"
        self._process = self._started()
        self.url = self._process.stdout.readline().strip()
        self._port = self.url.rpartition(":")[2].partition("/")[0]

    def _started(self) -> subprocess.Popen[str]:
        command = [sys.executable, str(SERVER), str(self._books), self._port, "0.01"]
        with self._errors.open("ab") as errors:
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)

    def kill(self) -> None:
        """End it, with all that it was about to say."""
        self._process.kill()
        self._process.communicate()

    def restart(self) -> None:
        """Open it again with its books, at the same port."""
        self._process = self._started()
        if self._process.stdout.readline().strip() != self.url:
            raise Hang("the model's server did not open again")


class Ground:
    """All processes of one variant."""

    def __init__(self, variant: Variant, folder: Path, seconds: float = 0.02) -> None:
        """Start the servers; :meth:`order` and :meth:`start_owners` do the rest."""
        self.variant, self.folder = variant, folder
        self.books, self.notes_path = folder / "books", folder / "notes"
        self.words: list[str] = []  # the last of each owner that has ended, but was not killed
        self._errors: dict[int, Path] = {}
        self.postgres = PostgresServer() if variant.database else None
        if self.postgres is not None:
            self.postgres.start()
        self.model = ModelServer(self.books, folder / "errors-model")
        self.cluster = self._clustered() if variant.dask else None
        self.store = self._store()
        options = f"?lease_s={LEASE_S}&patience_s=600" if self.postgres else ""
        executor = self.cluster.stdout.readline().strip() if self.cluster else "processes?workers=2"
        self.order = Order(
            self._address() + options, "", self.model.url, str(self.notes_path), executor, seconds=seconds
        )
        self.owners: list[Session] = []
        self.charged_before = 0
        self._seen = 0
        self._orphans: dict[int, str] = {}

    def _address(self) -> str:
        return self.postgres.database() if self.postgres else str(self.folder / "studies.db")

    def _store(self) -> SQLiteStore | PostgresStore:
        return PostgresStore(self._address()) if self.postgres else SQLiteStore(self._address())

    def _clustered(self) -> subprocess.Popen[str]:
        with (self.folder / "errors-cluster").open("ab") as errors:
            return subprocess.Popen([sys.executable, str(CLUSTER)], stdout=subprocess.PIPE, stderr=errors, text=True)

    def begin(self, study: str, **caps: int | None) -> None:
        """Let a study begin."""
        self._seen = 0
        self.charged_before = len(charges(self.books))
        self.order = replace(self.order, study=study, **caps)
        self.start_owners()

    def start_owners(self) -> list[int]:
        """Start owners in place of those that have ended; return the statuses of those that had."""
        ended = [process for process in self.owners if process.poll() is not None]
        self.owners = [process for process in self.owners if process.poll() is None]
        self.words += [_last_line(self._errors[process.pid]) for process in ended if process.returncode > 0]
        if not any(process.returncode == 0 for process in ended):
            while len(self.owners) < self.variant.owners:
                self.owners.append(self._started())
        return [process.returncode for process in ended]

    def _started(self) -> Session:
        path = self.folder / f"errors-{len(self._errors)}"
        process = Session(OWNER, self.order.text(), errors=path)
        self._errors[process.pid] = path
        return process

    def owner(self) -> Session | None:
        """Return the process that runs the study now."""
        pid = next((one.owner_pid for one in self.store.overview() if one.name == self.order.study), None)
        return next((one for one in self.owners if one.pid == pid and one.poll() is None), None)

    def worker(self, dice: Random) -> int | None:
        """Return a worker process that is within an evaluation, or was just now."""
        above = self.cluster or self.owner()
        below = descendants(above.pid) if above else set()
        found = sorted(below & {note.pid for note in notes(self.notes_path)[-8:]})
        return dice.choice(found) if found else None

    def sandbox(self, dice: Random) -> int | None:
        """Return the process that a worker's sandboxed programs are forked from."""
        worker = self.worker(dice)
        children = descendants(worker) if worker else set()
        return next((pid for pid in sorted(children) if _parent(pid) == worker and "guest.py" in _command(pid)), None)

    def doom(self, pid: int) -> None:
        """Remember what is below a process that is about to be killed: it has to end as well."""
        self._orphans.update((child, _born(child)) for child in descendants(pid))

    def orphans(self) -> list[str]:
        """Return which of those live, once they had time to end."""
        ends = time.monotonic() + PATIENCE_S
        while (alive := [pid for pid, born in self._orphans.items() if born and _born(pid) == born]) and (
            time.monotonic() < ends
        ):
            time.sleep(0.05)
        return [f"{pid} below {_parent(pid)}: {_command(pid)}" for pid in alive]

    def stacks(self) -> str:
        """Return where the threads of the owners are: asked for when nothing goes on."""
        paths = []
        for owner in self.owners:
            with suppress(ProcessLookupError):
                os.kill(owner.pid, signal.SIGUSR1)
                paths.append(self._errors[owner.pid])
        time.sleep(1.0)
        return "\n".join(path.read_text("utf-8", "replace")[-6000:] for path in paths if path.exists())

    def signs(self) -> tuple[int, int, int]:
        """Return the sizes of what grows while a study goes on: log, notes, books."""
        self._seen = max((number for number, _ in self.store.read(self.order.study, self._seen)), default=self._seen)
        return self._seen, _size(self.notes_path), _size(self.books)

    def close(self) -> None:
        """End everything."""
        for process in (*self.owners, *([self.cluster] if self.cluster else ())):
            self.doom(process.pid)
            process.kill()
        for owner in self.owners:
            owner.wait(PATIENCE_S)
        if self.cluster:
            self.cluster.communicate()
        self.store.close()
        self.model.kill()
        if self.postgres is not None:
            self.postgres.stop()


def within(what: str, look):
    """Return what ``look`` finds, as soon as it finds something.

    Raises:
        Hang: it did not within :data:`PATIENCE_S`.
    """
    ends = time.monotonic() + PATIENCE_S
    while not (found := look()):
        if time.monotonic() > ends:
            raise Hang(f"{what}: not within {PATIENCE_S:.0f} s")
        time.sleep(0.01)
    return found


def _last_line(errors: Path) -> str:
    lines = errors.read_text("utf-8", "replace").splitlines()
    return next((line[:400] for line in reversed(lines) if line.strip()), "no word")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    return ""


def _stat(pid: int) -> list[str]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    return []


def _parent(pid: int) -> int:
    words = _stat(pid)
    return int(words[1]) if words else -1


def _born(pid: int) -> str:
    """When a process was started; empty when it is gone, or only waits to be collected."""
    words = _stat(pid)
    return words[19] if words and words[0] not in "ZX" else ""


def kill(pid: int) -> bool:
    """SIGKILL; False if it had ended by itself."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
