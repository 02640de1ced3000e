"""Watches over one program at a time: its processes, memory and processor time, and the end of them all.

A lane is a small process that never runs a candidate's code. Inside a pid namespace it is process 1, so one signal
ends everything that a program has started, daemons included; elsewhere it is the one to whom orphans return, and it
ends them by walking the tree. This file runs inside the jail too, so it needs the standard library only.
"""

# Paths here are arguments of system calls, so they stay texts.
# ruff: noqa: PTH110, PTH115, PTH116, PTH123, PTH208

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = [
    "Ended",
    "Watch",
    "count_tasks",
    "descendants",
    "kill_namespace",
    "kill_tree",
    "namespace_pids",
    "rehearse",
    "socket_kb",
    "sweep",
    "wait",
]

_TICK_MS = 20
_SEND_BUFFER = "/proc/sys/net/core/wmem_default"
_SEND_BUFFER_BYTES = 212_992  # the kernel's own default
_LOOKS_BETWEEN = 5
_FIRST_PAUSE_S, _TELL_AGAIN_S = 0.0005, 0.05
_KERNEL_PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024 if hasattr(os, "sysconf") else 4
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass
class Ended:
    """How a program's processes ended: wait status of the first, reason of the lane, costs."""

    status: int = 0
    reason: str = ""
    cpu_seconds: float = 0.0
    peak_kb: int = 0


class Watch:
    """Counts what the processes of a program use together; a limit per process is the kernel's own business."""

    def __init__(
        self, limits: Mapping[str, float], pids: Callable[[], Iterable[int]], a_socket_kb: int, own: int
    ) -> None:
        """Watch the processes that ``pids()`` names under ``cpu_s``, ``memory_mb`` and ``processes`` of ``limits``.

        Args:
            limits: see above.
            pids: names the processes, as often as asked.
            a_socket_kb: what the buffers of one socket are taken to hold, from :func:`socket_kb`.
            own: the lane's own number, as /proc shows it.
        """
        self._socket_kb = a_socket_kb
        self._limits = limits
        self._pids = pids
        self._looks = 0
        self._own = own
        self._start_bytes = 0
        self.peak_kb = 0

    def check(self) -> str:
        """Return the reason to end the program now, or an empty text."""
        self._start_bytes = self._start_bytes or (_stat(self._own) or [0] * 21)[20]
        tasks, cpu, resident_kb, mapped, alive = 0, 0.0, 0, 0, []
        for pid in self._pids():
            numbers = _stat(pid)
            if numbers is None:
                continue
            alive.append(pid)
            cpu += sum(numbers[11:15]) / _TICKS_PER_SECOND  # utime stime cutime cstime
            tasks += numbers[17]
            mapped += numbers[20] - self._start_bytes
            resident_kb += numbers[21] * _KERNEL_PAGE_KB
        self._looks += 1
        self.peak_kb = max(self.peak_kb, resident_kb if len(alive) == 1 else 0)
        if tasks > self._limits["processes"]:
            return "processes"
        if cpu > self._limits["cpu_s"]:
            return "cpu"
        return "memory" if self._too_big(resident_kb, alive) or self._hides(mapped, alive) else ""

    def _hides(self, mapped: int, alive: list[int]) -> bool:
        """Whether memory may be kept where no process has it in its tables: in sockets, in shared pages given back."""
        limit_kb = self._limits["memory_mb"] * 1024
        most = limit_kb // self._socket_kb
        if sum(map(_descriptors, alive)) > most and _sockets(alive) > most:
            return True
        seldom = self._looks % _LOOKS_BETWEEN == 0
        return seldom and mapped > limit_kb * 1024 and _shared_kb(alive) > limit_kb

    def _too_big(self, resident_kb: int, alive: list[int]) -> bool:
        # resident pages count what forked processes share once for each; only a suspicion is worth the exact sum
        limit_kb = self._limits["memory_mb"] * 1024
        if resident_kb <= limit_kb:
            return False
        exact_kb = sum(map(_own_kb, alive)) - _own_kb(self._own)  # the lane's share stands for the preloaded modules'
        self.peak_kb = max(self.peak_kb, exact_kb)
        return exact_kb > limit_kb


def wait(descriptor: int, orders: int, watch: Watch | None) -> str:
    """Wait until the program's first process has ended, a limit is passed, or the host orders the end.

    Args:
        descriptor: readable when it has ended.
        orders: descriptor of the host's orders; anything that arrives, or its end, ends the program.
        watch: what to hold against the limits, or None.

    Returns:
        The reason for ending it, empty when it ended by itself.
    """
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    poller.register(orders, select.POLLIN)
    pause = 2.0  # short programs are common, long ones need no close watch
    while True:
        ready = {number for number, _ in poller.poll(pause)}
        if descriptor in ready:
            return ""
        if orders in ready:
            return "killed"
        reason = watch.check() if watch else ""
        if reason:
            return reason
        pause = min(pause * 2, _TICK_MS)


def sweep(child: int, kill: Callable[[], None]) -> Ended:
    """End every process that is left and collect them all; afterwards the lane has no descendant.

    Args:
        child: the program's first process.
        kill: sends the end to all descendants; called again until none is left.
    """
    ended = Ended()
    pause = 0.0
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return ended  # orphans come to us, so no child of ours means no descendant at all
        if pid == 0:
            if pause == 0 or pause > _TELL_AGAIN_S:
                kill()
                pause = _FIRST_PAUSE_S
            time.sleep(pause)
            pause *= 2
            continue
        ended.cpu_seconds += usage.ru_utime + usage.ru_stime
        ended.peak_kb = max(ended.peak_kb, usage.ru_maxrss)
        if pid == child:
            ended.status = status


def rehearse() -> None:
    """Touch what :func:`sweep` will touch: after a fork each page is copied once, better before than after the end."""
    with suppress(ChildProcessError):
        os.wait4(os.getpid(), os.WNOHANG)  # no child of ours
    Ended().cpu_seconds += time.monotonic()


def kill_namespace() -> None:
    """End every process of this pid namespace but process 1, which must be the caller."""
    with suppress(ProcessLookupError):  # none is left
        os.kill(-1, signal.SIGKILL)


def kill_tree() -> None:
    """End every descendant of the caller: first stop them all, so that none forks on, then kill.

    A fork bomb forks as fast as we look, so what is stopped is not looked at again before the last, full look.
    """
    stopped: set[int] = set()
    fresh = descendants(os.getpid())
    while fresh:
        for pid in fresh:
            _signal(pid, signal.SIGSTOP)
        stopped |= fresh
        fresh = _children(fresh) - stopped or descendants(os.getpid()) - stopped
    for pid in stopped:
        _signal(pid, signal.SIGKILL)


def socket_kb() -> int:
    """Return what a socket's buffer may hold in KiB, if a program cannot widen it; to be asked outside the walls."""
    return (int(_read(_SEND_BUFFER) or 0) or _SEND_BUFFER_BYTES) // 1024 + 1


def count_tasks(user: int) -> int:
    """Return the processes and threads that a user has on this machine, which is what RLIMIT_NPROC counts."""
    tasks = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            owner = os.stat(f"/proc/{name}").st_uid
        except OSError:
            continue  # it ended meanwhile
        numbers = _stat(int(name)) if owner == user else None
        tasks += numbers[17] if numbers is not None else 0
    return tasks


def namespace_pids() -> list[int]:
    """Return the processes of this pid namespace but process 1."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1"]


def descendants(root: int) -> set[int]:
    """Return all processes below ``root``."""
    parents = None if os.path.exists(f"/proc/{root}/task/{root}/children") else _parents()
    found: set[int] = set()
    fresh = {root}
    while fresh:
        found |= fresh
        below = _children(fresh) if parents is None else {pid for pid, parent in parents.items() if parent in fresh}
        fresh = below - found
    return found - {root}


def _children(pids: set[int]) -> set[int]:
    found: set[int] = set()
    for pid in pids:
        try:
            threads = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue  # it ended meanwhile
        for thread in threads:
            found.update(map(int, _read(f"/proc/{pid}/task/{thread}/children").split()))
    return found


def _parents() -> dict[int, int]:
    """Each process's parent, for kernels that do not list children (CONFIG_PROC_CHILDREN)."""
    numbers = {int(name): _stat(int(name)) for name in os.listdir("/proc") if name.isdigit()}
    return {pid: found[1] for pid, found in numbers.items() if found is not None}


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # gone meanwhile, or another user's
        os.kill(pid, number)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            return lines.read()
    except OSError:  # it ended meanwhile
        return ""


def _stat(pid: int) -> list[int] | None:
    """Numbers of /proc/PID/stat behind the name, from ``state`` (as 0) on; None for one that has ended."""
    state, _, rest = _read(f"/proc/{pid}/stat").rpartition(")")[2].strip().partition(" ")
    return None if state in ("", "Z", "X") else [0, *map(int, rest.split())]


def _own_kb(pid: int) -> int:
    """Anonymous and shared memory of a process in KiB, shared pages divided among those who share them."""
    text = _read(f"/proc/{pid}/smaps_rollup")
    if not text:  # it keeps us from looking: then all that it has is its own
        numbers = _stat(pid)
        return numbers[21] * _KERNEL_PAGE_KB if numbers else 0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(("Pss_Anon:", "Pss_Shmem:")))


def _descriptors(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:  # it ended meanwhile
        return 0


def _sockets(pids: list[int]) -> int:
    """The sockets that processes hold, each counted once."""
    found = set()
    for pid in pids:
        with suppress(OSError):
            for name in os.listdir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    found.add(os.readlink(f"/proc/{pid}/fd/{name}"))
    return sum(target.startswith("socket:") for target in found)


def _shared_kb(pids: list[int]) -> int:
    """Size in KiB of the memory without a file that processes share (mmap(2), MAP_SHARED), used or not."""
    sizes: dict[str, int] = {}
    for pid in pids:
        for line in _read(f"/proc/{pid}/maps").splitlines():
            place, rights, offset, device, inode, *name = line.split(maxsplit=5)
            if rights.endswith("s") and name and name[0].startswith("/dev/zero"):
                low, high = (int(part, 16) for part in place.split("-"))
                end = int(offset, 16) + high - low
                sizes[device + inode] = max(sizes.get(device + inode, 0), end)
    return sum(sizes.values()) // 1024
