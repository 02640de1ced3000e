"""A control group for each lane: memory and number of processes of a whole tree, bounded by the kernel (cgroups(7)).

Only where a group of version 2 with the controllers ``memory`` and ``pids`` has been delegated to this user, as
systemd does for user sessions; elsewhere the lane's watch counts instead. A program enters its group by writing to a
descriptor that was opened before the walls went up, so nothing of the control file system is visible inside. This file
runs inside the jail too, so it needs the standard library only.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["ROOT", "Group", "delegated", "remove"]

ROOT = Path("/sys/fs/cgroup")
"""Where the unified hierarchy is mounted."""

_WANTED = {"memory", "pids"}
_PREFIX = "llm_optimize-"
_MEMBER = Path("/proc/self/cgroup")


def delegated(root: Path = ROOT, member: Path = _MEMBER) -> tuple[Path | None, str]:
    """Return the group below which we may make our own, or None and the reason why there is none.

    Groups that hold processes hand out no controllers, so it is our own group's parent more often than our own.

    Args:
        root: where the hierarchy is mounted.
        member: the file that says which group we are in.
    """
    if not (root / "cgroup.controllers").exists():
        return None, "no control groups of version 2 here"
    lines = _read(member).splitlines()
    own = next((line.partition("::")[2] for line in lines if line.startswith("0::")), "")
    place = root / own.lstrip("/")
    for folder in (place, place.parent):
        inside = folder == root or root in folder.parents
        if inside and set(_read(folder / "cgroup.subtree_control").split()) >= _WANTED and _writable(folder):
            return folder, ""
    return (
        None,
        "no control group with memory and pids is delegated to this user (systemd-run --user --scope gives one)",
    )


class Group:
    """A group of one lane, open for use behind walls."""

    def __init__(self, parent: Path, name: str) -> None:
        """Make it; swap is switched off in it, so that the limit means memory.

        Raises:
            OSError: it cannot be made or opened.
        """
        self.folder = parent / f"{_PREFIX}{os.getpid()}-{name}"
        self.folder.mkdir(exist_ok=True)
        with suppress(OSError):  # a kernel without swap has no such file
            (self.folder / "memory.swap.max").write_text("0", "ascii")
        self._opened = {
            name: os.open(self.folder / name, os.O_RDWR if name != "memory.events" else os.O_RDONLY)
            for name in ("cgroup.procs", "memory.max", "pids.max", "memory.events")
        }
        self._kills = self._counted()

    def close(self) -> None:
        """Close the descriptors; the group stays."""
        while self._opened:
            os.close(self._opened.popitem()[1])

    def limit(self, memory_mb: int, processes: int) -> None:
        """Bound what its members use together.

        Raises:
            OSError: the kernel refused.
        """
        for name, value in (("memory.max", memory_mb << 20), ("pids.max", processes + 1)):
            os.pwrite(self._opened[name], str(value).encode(), 0)

    def enter(self) -> None:
        """Move this process into it, and with it all that it will start.

        Raises:
            OSError: the kernel refused.
        """
        os.write(self._opened["cgroup.procs"], b"0")

    def ran_out(self) -> bool:
        """Whether the kernel has ended a member for its memory since this was asked last."""
        before, self._kills = self._kills, self._counted()
        return self._kills > before

    def _counted(self) -> int:
        rows = dict(line.split() for line in os.pread(self._opened["memory.events"], 4096, 0).decode().splitlines())
        return int(rows.get("oom_kill", 0))


def remove(folder: Path) -> None:
    """Remove an empty group."""
    with suppress(OSError):  # gone already, or the kernel still holds a member that is ending
        folder.rmdir()


def _writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK)


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except OSError:
        return ""
