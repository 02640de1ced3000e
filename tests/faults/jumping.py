"""A wall clock that jumps, for processes that are started under it; compiled here, see ``wall_clock.c``."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

from helpers.postgres_server import PostgresServer

__all__ = ["DAY_S", "JumpingPostgres", "WallClock"]

DAY_S = 86_400


class WallClock:
    """The clock of the processes that get ``environment``."""

    def __init__(self, folder: Path) -> None:
        """Compile the library into a folder that every user may read."""
        self._file, library = folder / "ahead", folder / "wall_clock.so"
        source = Path(__file__).with_name("wall_clock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source)], check=True)
        self._file.write_bytes(struct.pack("=q", 0))
        self.environment = {**os.environ, "LD_PRELOAD": str(library), "WALL_CLOCK": str(self._file)}

    @staticmethod
    def can_be() -> bool:
        """Whether there is a compiler."""
        return shutil.which("cc") is not None

    def jump(self, seconds: int) -> None:
        """Set the clock ahead of the system's by ``seconds`` from now on, or behind it."""
        with self._file.open("r+b") as file:  # in place: the processes have the page mapped
            file.write(struct.pack("=q", seconds))


class JumpingPostgres(PostgresServer):
    """A PostgreSQL server under such a clock."""

    def __init__(self, clock: WallClock) -> None:
        """Make the cluster."""
        self._clock = clock
        super().__init__()

    def _as_user(self):
        return {**super()._as_user(), "env": self._clock.environment}
