"""A real PostgreSQL server in a temporary folder, for tests and benchmarks: Debian's package ``postgresql``.

Its programs refuse to run as root, so root starts them as the user ``nobody``.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import psycopg

__all__ = ["PASSWORD", "PostgresServer", "programs"]

PASSWORD = "a-word-nobody-may-read"
"""Of the user ``tester``: tests look for it where it must not be."""

_DATABASE = "test_store"

_END_SESSIONS = """
SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""

_UNSAFE = {"fsync": "off", "full_page_writes": "off"}  # survives the death of every process, only not a power cut


def programs() -> Path | None:
    """Return the folder of the newest server's programs, or None where the package is not installed."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((path.parent for path in found), key=lambda path: float(path.parent.name), default=None)


class PostgresServer:
    """One cluster; ``start`` and ``kill`` may be called in turn."""

    def __init__(self, settings: dict[str, str] = _UNSAFE) -> None:
        """Make the cluster in a folder of its own; nothing runs yet."""
        self.settings = settings
        self._programs = programs()
        # Not pytest's folder, into which only its user may look.
        self.folder = Path(tempfile.mkdtemp(prefix="llm_optimize_pg_"))
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        if self._user:
            os.chown(self.folder, self._user.pw_uid, self._user.pw_gid)
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._make()

    def _make(self) -> None:
        secret = self.folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self._run(
            *("initdb", "-D", self.folder / "data", "-U", "tester", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
            *("--auth=scram-sha-256", f"--pwfile={secret}"),
        )

    def start(self) -> None:
        """Start the server; returns when it takes connections."""
        options = [f"-c{name}={value}" for name, value in self.settings.items()]
        place = ["-D", self.folder / "data", "-k", self.folder, "-p", str(self.port), "-clisten_addresses=127.0.0.1"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", *place, *options], stdout=log, stderr=log, **self._as_user()
            )
        while self._run("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), check=False):
            if self._process.poll() is not None:
                raise RuntimeError((self.folder / "log").read_text())

    def kill(self) -> None:
        """SIGKILL the server and whatever serves its clients; nothing is written down any more."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in (self._process.pid, *map(int, children)):
            os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        """Stop the server without writing anything down, and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
        shutil.rmtree(self.folder)

    def database(self) -> str:
        """Return the address of a database, password and all, in which nobody works and nothing is."""
        with psycopg.connect(self.address("postgres"), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (_DATABASE,)).fetchall():
                connection.execute(f"CREATE DATABASE {_DATABASE}")
        with psycopg.connect(self.address(_DATABASE), autocommit=True) as connection:
            connection.execute(_END_SESSIONS)
            connection.execute("DROP SCHEMA IF EXISTS llm_optimize CASCADE")
        return self.address(_DATABASE)

    def address(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql://tester:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def _run(self, program: str, *words: object, check: bool = True) -> int:
        command = [str(self._programs / program), *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self._as_user())
        if check and done.returncode:
            raise RuntimeError(done.stdout + done.stderr)
        return done.returncode

    def _as_user(self) -> dict[str, object]:
        if self._user is None:
            return {"cwd": self.folder}
        return {"cwd": self.folder, "user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
