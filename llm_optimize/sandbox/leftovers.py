"""Counts what a program could have left on the machine: processes, descriptors, sockets, files, shared memory, keys.

Reads /proc and the usual folders, so Linux only; elsewhere the counts are of what can be seen. Attempts name what they
leave ``planted`` and use the number 0x1234 for System V objects, so that it is found among everything else.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from llm_optimize.sandbox.confine import NOBODY
from llm_optimize.sandbox.lane import descendants

__all__ = ["MARK", "Leftovers", "look", "more", "settled"]

MARK = "planted"
"""Part of the name of whatever an attempt leaves."""

_SYSV_KEY = 0x1234
_PAUSE_S = 0.01
_SETTLED = 5  # looks in a row


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What is there at one moment.

    Attributes:
        processes: processes below this one, the sandbox's own included.
        orphans: processes of the user that programs run as whose parent has gone, by number.
        descriptors: descriptors that this process has open.
        sockets: those of them that are sockets.
        planted: marked files, shared memory, queues, keys and sockets of the machine.
    """

    processes: int
    orphans: frozenset[int]
    descriptors: int
    sockets: int
    planted: frozenset[str]


def look() -> Leftovers:
    """Return what is there now."""
    links = _links()
    return Leftovers(
        processes=len(descendants(os.getpid())),
        orphans=frozenset(_orphans()),
        descriptors=len(links),
        sockets=sum(link.startswith("socket:") for link in links),
        planted=frozenset((*_files(), *_marked_lines(), *_system_v())),
    )


def settled() -> Leftovers:
    """Return what is there once it stays the same for a while: a process may just be made ahead of need."""
    last, same = look(), 0
    while same < _SETTLED:
        time.sleep(_PAUSE_S)
        now = look()
        last, same = now, same + 1 if now == last else 0
    return last


def more(before: Leftovers, patience_s: float = 1.0) -> tuple[str, ...]:
    """Return what is there beyond ``before``, one text for each kind; what is still ending gets some time for it."""
    ends = time.monotonic() + patience_s
    while True:
        found = _beyond(before, look())
        if not found or time.monotonic() > ends:
            return found
        time.sleep(_PAUSE_S)


def _beyond(before: Leftovers, now: Leftovers) -> tuple[str, ...]:
    found = [
        f"{getattr(now, kind) - getattr(before, kind)} more {kind}"
        for kind in ("processes", "descriptors", "sockets")
        if getattr(now, kind) > getattr(before, kind)
    ]
    found += [f"orphan {pid}" for pid in sorted(now.orphans - before.orphans)]
    return (*found, *sorted(now.planted - before.planted))


def _links() -> list[str]:
    found = []
    for entry in Path("/proc/self/fd").glob("*"):
        try:
            found.append(str(entry.readlink()))
        except OSError:
            continue  # the one that reads the folder
    return found


def _orphans() -> list[int]:
    user = NOBODY if os.getuid() == 0 else os.getuid()
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _is_orphan(pid, user)]  # noqa: PTH208 - names are wanted


def _is_orphan(pid: int, user: int) -> bool:
    folder = Path("/proc") / str(pid)
    try:
        state, parent = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[:2]
        ended = state in "ZX"  # waits to be collected by whoever is process 1 here, which may take its time
        return not ended and parent == "1" and pid != os.getpid() and folder.stat().st_uid == user
    except (OSError, IndexError, ValueError):
        return False  # it ended meanwhile


def _files() -> list[str]:
    folders = {"/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", tempfile.gettempdir(), str(Path.cwd())}  # noqa: S108 - looked at only
    return [str(path) for folder in folders for path in Path(folder).glob(f"*{MARK}*")]


def _marked_lines() -> list[str]:
    files = (Path("/proc/net/unix"), Path("/proc/keys"))
    return [f"{path.name}: {line}" for path in files for line in _lines(path) if MARK in line]


def _system_v() -> list[str]:
    kinds = ("shm", "sem", "msg")
    lines = ((kind, line.split()) for kind in kinds for line in _lines(Path("/proc/sysvipc") / kind))
    return [f"System V {kind}" for kind, words in lines if words and words[0] == str(_SYSV_KEY)]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
