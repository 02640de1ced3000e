"""The host's side of the warm parent: starting it, asking it for lanes, running one program in a lane.

Host and lane share a socket of whole messages and, for each program, three pipes; task and inputs travel in sealed
memory files, so that large arrays are written once and mapped, not copied, on the other side. The other half is
``guest.py`` in this folder.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from llm_optimize.errors import BadInput, SandboxError
from llm_optimize.sandbox.collecting import Pipe, collect
from llm_optimize.sandbox.relay import Relay, loopback_ports

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["GUEST", "Lane", "LaneRefused", "Report", "WarmParent", "memory_file"]

GUEST = Path(__file__).with_name("guest.py")
"""The program that runs on the other side."""

_MESSAGE = 1 << 16
_START_S = 300.0
_PIPE_BYTES = 1 << 20
_JOINED = 1 << 16


class LaneRefused(Exception):
    """The kernel, or the container around us, does not allow these walls; says which call failed."""


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


@dataclass(frozen=True, slots=True)
class Report:
    """What came of one order: the lane's report, the host's reason for ending it, and what the pipes gave."""

    status: int
    cause: str
    cpu_seconds: float
    peak_mb: float
    pipes: tuple[Pipe, ...]


class Lane:
    """One program at a time; not thread-safe."""

    def __init__(self, channel: socket.socket, ports: Sequence[int] = ()) -> None:
        """Wait for the lane to stand.

        Args:
            channel: our end of its socket.
            ports: of our loopback, to which its programs are led.

        Raises:
            LaneRefused: it could not build its walls.
            SandboxError: it died.
        """
        self._channel = channel
        self.served = 0
        self.parent: WarmParent | None = None  # kept from being collected, and so ended, while its lane is in use
        listeners: list[int] = []
        try:
            message, listeners, _, _ = socket.recv_fds(channel, _MESSAGE, len(ports))
            hello = json.loads(message or b"null")
        except OSError:
            hello = None
        if hello is None or "failed" in hello:
            channel.close()
            if hello is None:
                msg = "the sandbox's warm parent died while it opened a lane"
                raise SandboxError(msg)
            raise LaneRefused(hello["failed"])
        channel.settimeout(None)
        self._relay = Relay(listeners, ports) if listeners else None
        self.pid: int = hello["pid"]
        self.layers: tuple[str, ...] = tuple(hello["layers"])
        self.missing: tuple[tuple[str, str], ...] = tuple((name, why) for name, why in hello["missing"])

    @property
    def usable(self) -> bool:
        """Whether it waits for an order: its end of the socket is open and it has said nothing unasked."""
        poller = select.poll()
        poller.register(self._channel, select.POLLIN)
        return not poller.poll(0)

    def run(
        self,
        order: Mapping[str, Any],
        pipes: Sequence[Pipe],
        seconds: float,
        *,
        before: Sequence[int] = (),
        behind: Sequence[int] = (),
    ) -> Report:
        """Run one order to its end; afterwards none of its processes is left.

        Args:
            order: what to run, for the guest.
            pipes: what is read from the program; their descriptors are set here.
            seconds: the wall limit.
            before: descriptors that the program gets as 1, 2, ..., ahead of the pipes.
            behind: descriptors that it gets behind the pipes.

        Raises:
            ConnectionError: the lane was gone before the order reached it; nothing was run.
            SandboxError: it died on the way; whether the program did anything is unknown.
        """
        with ExitStack() as stack:
            if self._relay is not None:
                stack.callback(self._relay.cut)
            theirs = []
            for pipe in pipes:
                pipe.descriptor, write = os.pipe()
                stack.callback(os.close, pipe.descriptor)
                theirs.append(write)
            _widen(theirs[-1])
            try:
                socket.send_fds(self._channel, [json.dumps(order).encode()], [*before, *theirs, *behind])
            finally:
                for descriptor in theirs:
                    os.close(descriptor)
            report, cause = collect(self._channel, list(pipes), seconds)
        status = os.waitstatus_to_exitcode(report["status"])
        return Report(status, cause or report["reason"], report["cpu"], report["peak_kb"] / 1024, tuple(pipes))

    def start(self, order: Mapping[str, Any], descriptors: Sequence[int]) -> socket.socket:
        """Start one order and return the channel on which its report will come; the caller ends it in good time.

        Args:
            order: what to run, for the guest.
            descriptors: what the program gets as 1, 2, ...; the caller closes its own copies.

        Raises:
            ConnectionError: the lane was gone before the order reached it; nothing was run.
        """
        if self._relay is not None:
            self._relay.cut()
        socket.send_fds(self._channel, [json.dumps(order).encode()], list(descriptors))
        return self._channel

    def close(self) -> None:
        """End the lane, and with it whatever runs in it."""
        self._channel.close()
        if self._relay is not None:
            self._relay.close()


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


def _widen(descriptor: int) -> None:
    with suppress(OSError):  # beyond this user's share of pipe memory: slower, not wrong
        fcntl.fcntl(descriptor, _F_SETPIPE_SZ, _PIPE_BYTES)


_F_SETPIPE_SZ = 1031
_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE
