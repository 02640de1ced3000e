"""The back ends ``docker`` and ``podman``: each program in a container of its own, made and removed by the engine.

For machines where an engine runs anyway and its isolation is what the house trusts. Starting a container costs a large
part of a second, so ``auto`` never chooses this. The image is built once from ``sandbox/Containerfile``::

    docker build --tag llm-optimize-sandbox --file sandbox/Containerfile sandbox
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from llm_optimize.errors import BadInput, SandboxError
from llm_optimize.sandbox import exchange
from llm_optimize.sandbox.base import ONE_THREAD, Layers
from llm_optimize.sandbox.streams import Stream
from llm_optimize.sandbox.verdict import Observed, verdict

if TYPE_CHECKING:
    from llm_optimize.sandbox.base import Finished, Limits, Program
    from llm_optimize.sandbox.live import Live

__all__ = ["ENGINES", "IMAGE", "ContainerBackend", "Mounts", "arguments", "not_installed", "unavailable"]

ENGINES = ("docker", "podman")
"""Commands that are known to take these arguments."""
IMAGE = "llm-optimize-sandbox"
"""Name of the image; any image with Python 3.11 or newer at ``python`` will do."""

_JAIL = Path(__file__).parent
_NOBODY = 65534
_ANSWER_S, _END_S = 20.0, 30.0
_PAUSE_S = 0.02
_SIGNALLED = 128  # an engine reports a signal as this and its number
_IN_FORCE = ("container", "mount", "pid", "net", "ipc", "uts", "no_new_privs", "capabilities", "cgroup", "rlimits")
_UNCOVERED = (
    "the engine itself: it runs as root or as this user, and its faults are within reach",
    "the time that the engine takes to start a container counts as the program's",
    "processor time is bounded for one process, not for all of them together",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Mounts:
    """Folders of the host that a container sees.

    Attributes:
        jail: where ``once.py`` and what it loads lie; read-only.
        control: the exchange, which the container's user can write to.
    """

    jail: Path
    control: Path


class ContainerBackend:
    """Runs every program in a new container; thread-safe; nothing to start or to close."""

    def __init__(self, engine: str, network: str, image: str = IMAGE) -> None:
        """Remember how; the engine is asked for at the first run.

        Args:
            engine: one of :data:`ENGINES`.
            network: ``none`` or ``host``.
            image: name of the image.
        """
        self._engine = engine
        self._network = network
        self._image = image
        self._found = False

    def run(self, program: Program) -> Finished:
        """Run the program in a container. See :class:`llm_optimize.sandbox.base.Backend`."""
        self._find()
        with exchange.folders() as (control, _):
            exchange.write_orders(program, control)
            user = os.getuid() or _NOBODY
            if os.getuid() == 0:
                os.chown(control, user, user)
            run = _Run(self._command(program.limits, control, user), program.limits, control.with_name("id"))
            seen = run.wait()
            return verdict(program, dataclasses.replace(seen, result=exchange.read_result(control)), self._in_force())

    def open(self, _program: Program, /) -> Live:
        """Refuse: this back end has no sessions. See :class:`llm_optimize.sandbox.base.Backend`."""
        msg = f"backend is {self._engine!r}, which has no sessions: give 'auto', or use run and call"
        raise BadInput(msg)

    def layers(self) -> Layers:
        """Return what is in force. See :class:`llm_optimize.sandbox.base.Backend`."""
        self._find()
        return Layers(self._engine, self._in_force(), (), _UNCOVERED)

    def close(self) -> None:
        """Nothing to end: every container ended with its run."""

    def _in_force(self) -> tuple[str, ...]:
        return tuple(name for name in _IN_FORCE if name != "net" or self._network == "none")

    def _command(self, limits: Limits, control: Path, user: int) -> list[str]:
        name = f"{IMAGE}-{secrets.token_hex(8)}"
        mounts = Mounts(_JAIL, control)
        return arguments(self._engine, name, self._image, mounts, limits, network=self._network, user=user)

    def _find(self) -> None:
        if not self._found:
            why = unavailable(self._engine)
            if why:
                msg = f"backend {self._engine!r} cannot be used: {why}"
                raise SandboxError(msg)
            self._found = True


def arguments(  # noqa: PLR0913 - what a container is, in the order of the command
    engine: str, name: str, image: str, mounts: Mounts, limits: Limits, *, network: str = "none", user: int = _NOBODY
) -> list[str]:
    """Return the command that runs ``once.py`` in a new container, everything but its own folders forbidden to it.

    Args:
        engine: one of :data:`ENGINES`.
        name: the container's name, by which it can be ended.
        image: the image's name.
        mounts: what it sees of the host.
        limits: become the container's.
        network: ``none`` or ``host``.
        user: number of user and group inside.
    """
    memory = f"{limits.memory_mb}m"
    settings = {**ONE_THREAD, "HOME": "/box", "TMPDIR": "/box"}
    scratch = f"rw,nosuid,nodev,size={limits.files_mb}m,mode=1777"
    bound = {"cpu": int(limits.cpu_s) + 1, "fsize": max(limits.files_mb, 1) << 20, "core": 0, "nofile": 1024}
    return [
        *(engine, "run", "--rm", "--init", "--name", name, "--cidfile", str(mounts.control.with_name("id"))),
        *("--pull", "never", "--network", network, "--read-only", "--cap-drop", "ALL"),
        *("--security-opt", "no-new-privileges", "--ipc", "private", "--user", f"{user}:{user}"),
        *("--pids-limit", str(limits.processes + 2)),  # the init process, and one too many so that it is seen
        *("--memory", memory, "--memory-swap", memory),
        *(part for kind, most in bound.items() for part in ("--ulimit", f"{kind}={most}:{most}")),
        *("--tmpfs", f"/box:{scratch}", "--tmpfs", f"/tmp:{scratch}", "--workdir", "/box"),  # noqa: S108 - inside
        *(part for key, value in settings.items() for part in ("--env", f"{key}={value}")),
        *("--mount", f"type=bind,source={mounts.jail},target=/jail,readonly"),
        *("--mount", f"type=bind,source={mounts.control},target=/control"),
        *(image, "python", "-I", "-B", "-X", "utf8", "/jail/once.py", "/control"),
    ]


def unavailable(engine: str) -> str:
    """Return why the engine cannot be used here, asking it; an empty text when it answers."""
    why = not_installed(engine)
    if why:
        return why
    try:
        asked = _asked([engine, "info"])
    except subprocess.TimeoutExpired:
        return f"{engine} does not answer"
    lines = asked.stderr.decode("utf-8", "replace").strip().splitlines()
    return f"no engine of {engine} is running ({lines[-1] if lines else 'no reason given'})" if asked.returncode else ""


def not_installed(engine: str) -> str:
    """Return an empty text if the engine's command is there, else a reason."""
    return "" if shutil.which(engine) else f"{engine} is not installed"


class _Run:
    """One container, its output, and its end."""

    def __init__(self, command: list[str], limits: Limits, identity: Path) -> None:
        self._command = command
        self._limits = limits
        self._identity = identity
        self._start = time.perf_counter()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the engine's own client
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
        except OSError as error:
            msg = f"{command[0]} could not be started: {error}"
            raise SandboxError(msg) from error
        self._outputs = [Stream(pipe, limits) for pipe in (self._process.stdout, self._process.stderr) if pipe]

    def wait(self) -> Observed:
        """Wait until the program ends or passes a limit; afterwards the container is gone."""
        cause = ""
        try:
            while not cause:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(_PAUSE_S)
                    break
                cause = self._passed()
        finally:
            seconds = time.perf_counter() - self._start
            if self._process.poll() is None:
                self._remove()
            for output in self._outputs:
                output.finish()
        return self._seen(cause, seconds)

    def _passed(self) -> str:
        if time.perf_counter() - self._start >= self._limits.wall_s:
            return "timeout"
        return "output" if any(output.too_much for output in self._outputs) else ""

    def _remove(self) -> None:
        engine, name = self._command[0], self._command[self._command.index("--name") + 1]
        with contextlib.suppress(subprocess.TimeoutExpired):
            _asked([engine, "rm", "--force", name])
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            msg = f"{engine} did not end the container {name} within {_END_S:g} s"
            raise SandboxError(msg) from None

    def _seen(self, cause: str, seconds: float) -> Observed:
        out, err = (bytes(output.data) for output in self._outputs)
        status = self._process.wait()
        if not cause and status and not self._identity.exists():  # there never was a container
            lines = err.decode("utf-8", "replace").strip().splitlines()
            msg = f"{self._command[0]} made no container: {lines[0] if lines else f'exit status {status}'}"
            raise SandboxError(msg)
        status = _SIGNALLED - status if status > _SIGNALLED else status
        return Observed(status, cause, b"", out, err, seconds, 0.0, 0.0)


def _asked(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(  # noqa: S603 - the engine's own client
        command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_ANSWER_S, check=False
    )
