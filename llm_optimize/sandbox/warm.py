"""The host's side of the warm parent: starting it, asking it for lanes, files in memory for what is large.

Tasks and inputs beyond some 32 KiB travel in sealed memory files, so that large arrays are written once and mapped, not
copied, on the other side. The other half is ``guest.py`` in this folder.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from llm_optimize.errors import BadInput, SandboxError
from llm_optimize.sandbox.driving import Lane
from llm_optimize.sandbox.relay import loopback_ports

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["GUEST", "WarmParent", "memory_file"]

GUEST = Path(__file__).with_name("guest.py")
"""The program that runs on the other side."""

_MESSAGE = 1 << 16
_START_S = 300.0
_PIPE_BYTES = 1 << 20
_JOINED = 1 << 16


class WarmParent:
    """A process with the preloaded modules; every lane is a fork of it and dies with it, and it dies with us."""

    def __init__(
        self,
        preload: Sequence[str],
        environment: Mapping[str, str],
        *,
        wrapper: Sequence[str] = (),
        user: int | None = None,
    ) -> None:
        """Start it and wait until the modules are loaded.

        Args:
            preload: modules to import, by their full names.
            environment: the whole environment of the new process.
            wrapper: a command with its arguments that starts the interpreter, such as ``bwrap``.
            user: user and group number that the process gets when the caller is root.

        Raises:
            BadInput: one of the modules is missing or cannot be imported; names it.
            SandboxError: the process could not be started.
        """
        try:
            self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError as error:
            msg = f"the sandbox cannot be started: {error}"
            raise SandboxError(msg) from error
        with theirs:
            command = [*wrapper, sys.executable, "-I", "-B", "-X", "utf8", str(GUEST), str(theirs.fileno())]
            try:
                self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and file
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self._errors,
                    env=dict(environment),
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                    user=user,
                    group=user,
                    extra_groups=None if user is None else [],
                )
            except OSError as error:
                msg = f"the sandbox's process could not be started: {error}"
                raise SandboxError(msg) from error
        self._close = weakref.finalize(self, _end, os.getpid(), self._control, self._process, self._errors)
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._control.settimeout(_START_S)
        self._load({"preload": list(preload)}, preload)
        self._first_kb = self._resident_kb()

    def grown_kb(self) -> int:
        """Return by how much its resident memory has grown since it was ready, in KiB."""
        return self._resident_kb() - self._first_kb

    def _resident_kb(self) -> int:
        try:
            pages = Path(f"/proc/{self._process.pid}/statm").read_text("ascii").split()[1]
        except OSError:  # no /proc here
            return 0
        return int(pages) * os.sysconf("SC_PAGE_SIZE") // 1024

    @property
    def alive(self) -> bool:
        """Whether the process still runs and is ours."""
        return self.owned and self._close.alive and self._process.poll() is None

    @property
    def owned(self) -> bool:
        """Whether this process started it, and not one that this process was forked from."""
        return self._owner == os.getpid()

    def preload(self, names: Sequence[str]) -> None:
        """Import further modules; lanes opened before do not have them.

        Raises:
            BadInput: one of them cannot be imported; the warm parent is then dead.
        """
        with self._lock:
            self._load({"preload": list(names)}, names)

    def open_lane(self, *, walls: str, network: str, drop: bool, without: Sequence[str] = ()) -> Lane:
        """Return a new lane.

        Args:
            walls: ``full``, ``namespaces`` (the host's files stay visible) or ``none``.
            network: ``none``, ``host`` or ``loopback:`` with ports.
            drop: whether programs give up their rights and get limits.
            without: names of layers that are switched off.

        Raises:
            LaneRefused: these walls are not to be had on this machine.
            SandboxError: the warm parent is dead.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ports = loopback_ports(network)
        kind = network.partition(":")[0]
        order = {"walls": walls, "network": kind, "ports": ports, "drop": drop, "without": list(without)}
        with theirs, self._lock:
            try:
                socket.send_fds(self._control, [json.dumps(order).encode()], [theirs.fileno()])
            except OSError as error:
                ours.close()
                msg = f"the sandbox's warm parent is dead: {error}"
                raise SandboxError(msg) from error
        ours.settimeout(_START_S)
        lane = Lane(ours, ports)
        lane.parent = self
        return lane

    def close(self) -> None:
        """End the process, and with it every lane and program."""
        self._close()

    def _load(self, order: dict[str, Any], names: Sequence[str]) -> None:
        importing = "the interpreter"
        try:
            self._control.send(json.dumps(order).encode())
            while True:
                answer = json.loads(self._control.recv(_MESSAGE) or b"null")
                if answer is None:
                    break
                if "ready" in answer:
                    return
                importing = answer["importing"]
        except OSError:
            pass  # it died, or it never came to an end: told below
        self._process.kill()
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        why = lines[-1] if lines else f"it ended with status {self._process.returncode}"
        self.close()
        if names:
            msg = f"preload: importing {importing!r} failed ({why}); install it or leave it out"
            raise BadInput(msg)
        msg = f"the sandbox's warm parent could not start: {why}"
        raise SandboxError(msg)


def _end(owner: int, control: socket.socket, process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
    control.close()
    if owner != os.getpid():
        return  # in a fork of the host: the process is not ours to end
    process.kill()  # nothing in it needs an orderly end, and lanes die with it
    process.wait()
    errors.close()


def memory_file(chunks: Sequence[bytes | memoryview]) -> int:
    """Return a descriptor of a file in memory that holds the chunks and that nobody can change any more."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("task", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            _write_all(descriptor, chunks)
            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
        except OSError:
            os.close(descriptor)
            raise
        return descriptor
    with tempfile.NamedTemporaryFile() as file:  # interpreters built for old C libraries have no memfd_create
        _write_all(file.fileno(), chunks)
        return os.open(file.name, os.O_RDONLY | os.O_CLOEXEC)


def _write_all(descriptor: int, chunks: Sequence[bytes | memoryview]) -> None:
    joined = [b"".join(chunks)] if sum(map(len, chunks)) <= _JOINED else chunks  # one call for what is small
    for chunk in joined:
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(descriptor, rest) :]


_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE
