"""How a forked process turns into a program's: the fences that it cannot take off, then the limits, then descriptors.

What does not depend on the program is done ahead of time, by a process that waits for its program; limits, which can
only be lowered, are put on when the program arrives. The fences are decided once for each lane and named by it.
This file runs inside the jail too, so it needs the standard library only.
"""

from __future__ import annotations

import ctypes
import fcntl
import functools
import importlib.util
import mmap
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_optimize.sandbox import cgroup, confine, landlock, lane, seccomp
else:

    def _sibling(name: str) -> object:
        # by path, not by import: this folder must not be on the path of a program, nor our package in its sight
        known = sys.modules.get(f"_jail_{name}")
        if known is not None:
            return known
        spec = importlib.util.spec_from_file_location(f"_jail_{name}", Path(__file__).with_name(f"{name}.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    cgroup, confine, landlock, lane, seccomp = map(_sibling, ("cgroup", "confine", "landlock", "lane", "seccomp"))

__all__ = ["Fences", "adopt"]

_STDOUT, _STDERR = 1, 2
_FIRST_FREE, _OUT_OF_THE_WAY = 100, 200
_PORTS_SINCE, _SCOPES_SINCE = 4, 6  # versions of Landlock
_SYS_KEYCTL = {"x86_64": 250, "aarch64": 219}
_KEYCTL_JOIN_SESSION_KEYRING = 1
_NO_ROOT_LIMIT = "the kernel limits no processes of root: the watch alone ends a fork bomb"


class Fences:
    """What is put on every program's process of a lane."""

    def __init__(self, order: Mapping[str, Any], kinds: tuple[str, ...], group: cgroup.Group | None) -> None:
        """Find out what this machine has.

        Args:
            order: the lane's settings: ``drop``, ``network``, ``ports``, ``without``.
            kinds: the namespaces that are in force around the lane.
            group: the lane's control group, or None.
        """
        self._drop: bool = order["drop"]
        self._kinds = kinds
        self._group = group
        self._off: list[str] = order["without"]
        self._network: str = order["network"]
        own_files = "mount" in kinds
        self._user = confine.other_user(guest="user" in kinds, own_files=own_files) if self._drop else None
        self._mapped = _mapped_bytes()
        self.missing = [(name, "switched off") for name in self._off] if self._drop else []
        if self._drop and _is_root(os.getuid() if self._user is None else self._user):
            self.missing.append(("user", "programs stay root: nobody cannot read the interpreter, or may not be used"))
            self.missing.append(("rlimits", _NO_ROOT_LIMIT))
        if self._drop and self._network == "loopback" and "net" not in kinds:
            self.missing.append(("net", "the same ports of other machines are within reach too"))
        self._version = self._landlock()
        self._rules = self._landlock_rules(order["ports"])
        self._filter = self._seccomp()
        self._ruleset = landlock.prepare(self._rules, self._version) if self._version and own_files else -1
        if self._drop:
            confine.renounce(no_new_privs=self._on("no_new_privs"))

    @property
    def user(self) -> int | None:
        """The user that programs become, or None to stay the lane's."""
        return self._user

    @property
    def layers(self) -> list[str]:
        """Names of what is in force."""
        found = {
            "no_new_privs": self._on("no_new_privs"),
            "rlimits": self._on("rlimits"),
            "cgroup": self._group is not None,
            "landlock": self._version > 0,
            "seccomp": bool(self._filter),
        }
        return [name for name, there in found.items() if there and self._drop]

    @property
    def guards_ports(self) -> bool:
        """Whether single TCP ports can be opened without a network namespace, and all else kept shut."""
        return self._version >= _PORTS_SINCE and bool(self._filter)

    def enter(self, folder: str) -> None:
        """Give up every right; what is left to do needs none.

        Raises:
            OSError: the kernel refused; then no program may run.
        """
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(folder)
        if self._drop:
            os.environ.update(HOME=folder, TMPDIR=folder)
            self._give_up()
        if self._on("rlimits"):
            for kind, value in _ALWAYS.items():
                _lower(kind, value)
        confine.prctl(confine.PR_SET_DUMPABLE, 1)
        confine.prctl(confine.PR_SET_PDEATHSIG, signal.SIGKILL)
        if self._version:
            own = self._ruleset
            if own < 0:
                home = landlock.Rules(self._rules.read, (folder,), self._rules.devices, self._rules.connect)
                own = landlock.prepare(home, self._version)
            landlock.enforce(own)
        if self._filter:
            seccomp.install(self._filter)
        elif self._drop:
            _join_keyring()

    def limit(self, limits: Mapping[str, float], others: int) -> None:
        """Bound this process, and the number of processes beside the ``others`` that the user has."""
        if not self._on("rlimits"):
            return
        files, seconds = int(limits["files_mb"]) << 20, int(limits["cpu_s"]) + 1
        _lower(resource.RLIMIT_AS, self._mapped + (int(limits["memory_mb"]) << 20))
        _lower(resource.RLIMIT_CPU, seconds, seconds + 1)  # a signal that names the reason, then one that ends it
        _lower(resource.RLIMIT_FSIZE, files)
        if others >= 0:
            # one too many, so that the watch sees it and says so
            _lower(resource.RLIMIT_NPROC, int(limits["processes"]) + others + 1)

    @property
    def counts_alone(self) -> bool:
        """Whether RLIMIT_NPROC counts a program's processes and the lane, and nothing else."""
        return "user" in self._kinds and _counts_per_namespace()

    def others(self) -> int:
        """Return what RLIMIT_NPROC counts beside a program's own processes, -1 where that cannot be known."""
        if self.counts_alone:
            return 1  # the lane
        if not Path("/proc/self/stat").exists():
            return -1
        return lane.count_tasks(os.getuid() if self._user is None else self._user)

    def _on(self, name: str) -> bool:
        return self._drop and name not in self._off

    def _give_up(self) -> None:
        if "ipc" in self._kinds and not self._filter:  # which forbids all that could pass to the next program
            confine.fresh_ipc()
        if self._group is not None:
            self._group.enter()
        confine.drop_rights(self._user)

    def _landlock(self) -> int:
        if not (self._on("landlock") and self._on("no_new_privs")):
            return 0
        known = landlock.version()
        if known == 0:
            self.missing.append(("landlock", "the kernel has none, or it is not among its active modules"))
        elif known < _PORTS_SINCE:
            self.missing.append(("landlock ports", f"version {known} of the kernel's rules, {_PORTS_SINCE} has them"))
        if 0 < known < _SCOPES_SINCE:
            self.missing.append(("landlock scopes", f"version {known} of the kernel's rules, {_SCOPES_SINCE} has them"))
        return known

    def _landlock_rules(self, ports: list[int]) -> landlock.Rules:
        connect = {"none": (), "loopback": tuple(ports), "host": None}[self._network]
        if "mount" in self._kinds:
            return landlock.Rules(("/",), (confine.GUEST_HOMES,), confine.DEVICES, connect)
        shown = (*confine.visible(network=self._network != "none"), *_OF_PROC)
        return landlock.Rules(shown, (), confine.DEVICES, connect)

    def _seccomp(self) -> bytes:
        if not (self._on("seccomp") and self._on("no_new_privs")):
            return b""
        why = seccomp.unavailable()
        if why:
            self.missing.append(("seccomp", why))
            return b""
        own_files, own_processes = "mount" in self._kinds, "pid" in self._kinds
        return seccomp.build(self._network, private_files=own_files, own_processes=own_processes)


_OF_PROC = tuple(f"/proc/{name}" for name in ("self", "cpuinfo", "meminfo", "stat", "loadavg", "uptime", "filesystems"))
_ALWAYS = {
    resource.RLIMIT_NOFILE: 1024,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_MEMLOCK: 1 << 20,
    resource.RLIMIT_MSGQUEUE: 1 << 20,
}


def adopt(descriptors: list[int], kept: int = -1) -> int:
    """Put the host's descriptors at 1, 2, ... and close everything else, but for one that may be ``kept``.

    Returns:
        The number that what is kept has from now on, out of the way of all that is opened later.
    """
    if kept >= 0:
        kept = fcntl.fcntl(kept, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY)
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE) for descriptor in descriptors]
    empty = os.open("/dev/null", os.O_RDONLY)
    os.dup2(empty, 0)
    for target, descriptor in enumerate(high, start=_STDOUT):
        os.dup2(descriptor, target, inheritable=target in (_STDOUT, _STDERR))
    os.closerange(_STDOUT + len(high), kept if kept >= 0 else _STDOUT + len(high))
    os.closerange(kept + 1 if kept >= 0 else _STDOUT + len(high), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    # new streams: the warm parent's were opened on something else; a line reaches the host even if the next never ends
    sys.stdout = open(1, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115 - for the process's life
    sys.stderr = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115 - for the process's life
    return kept


def _join_keyring() -> None:
    """Take a new session keyring, where no filter forbids keys: the lane's would pass from one program to the next."""
    number = _SYS_KEYCTL.get(os.uname().machine)
    with suppress(OSError):  # a kernel without keys, or the user's share is used up
        if number is not None:
            confine.call("syscall", number, _KEYCTL_JOIN_SESSION_KEYRING, ctypes.c_void_p(None))


def _mapped_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[0]) * mmap.PAGESIZE
    except OSError:  # no /proc: what a process with the usual modules maps
        return 1 << 30


def _is_root(number: int) -> bool:
    try:
        return confine.outside(number) == 0
    except OSError:  # no /proc to ask
        return number == 0


@functools.cache
def _counts_per_namespace() -> bool:
    """Since Linux 5.14 processes are counted per user namespace; before, all of the user's on the machine were."""
    major, minor = os.uname().release.split(".")[:2]
    return (int(major), int("".join(filter(str.isdigit, minor)))) >= (5, 14)


def _lower(kind: int, soft: int, hard: int | None = None) -> None:
    most = resource.getrlimit(kind)[1]
    wanted = (soft, soft if hard is None else hard)
    resource.setrlimit(kind, wanted if most == resource.RLIM_INFINITY else (min(wanted[0], most), min(wanted[1], most)))
