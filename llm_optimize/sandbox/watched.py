"""A fresh interpreter and everything that it starts, watched from outside by means that every platform has."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from llm_optimize.errors import SandboxError
from llm_optimize.sandbox.base import ONE_THREAD

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llm_optimize.sandbox.base import Limits

__all__ = ["ONCE", "Watched"]

ONCE = Path(__file__).with_name("once.py")
"""The program that runs on the other side."""

_MARK = "BOX_MARK"
_KEPT_VARIABLES = ("PATH", "LANG", "SYSTEMROOT")  # Windows cannot start an interpreter without the last
_INTERPRETER_MB = 32  # resident before a program takes anything
_END_S = 10.0
_FIRST_LOOK_S, _LONGEST_PAUSE_S = 0.02, 0.1


class Watched:
    """One interpreter with a clean environment, and a watch over its tree."""

    def __init__(
        self, script: Path, arguments: Sequence[str], limits: Limits, work: Path, given: Sequence[int] = ()
    ) -> None:
        """Start it.

        Args:
            script: what it runs; ``arguments`` are the script's.
            arguments: see there.
            limits: what the tree may use.
            work: its working folder.
            given: descriptors that it inherits; the last two of them become its output streams. Where there are none,
                the streams are piped to :attr:`streams`.

        Raises:
            SandboxError: the interpreter could not be started.
        """
        import psutil  # type: ignore[import-untyped]  # noqa: PLC0415 - no stubs; heavy: loaded on first use

        self._psutil = psutil
        self._limits = limits
        self._mark = secrets.token_hex(16)
        self._start = time.perf_counter()
        self._born = time.time() - 1
        environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ} | ONE_THREAD
        environment |= {_MARK: self._mark, "HOME": str(work), "TMPDIR": str(work), "TEMP": str(work)}
        out, err = given[-2:] if given else (subprocess.PIPE, subprocess.PIPE)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and file
                [sys.executable, "-I", "-B", "-X", "utf8", str(script), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=work,
                env=environment,
                start_new_session=True,
                pass_fds=given[:-2],
            )
        except OSError as error:
            msg = f"the sandbox could not start an interpreter: {error}"
            raise SandboxError(msg) from error
        self._root = psutil.Process(self._process.pid)
        self._known: set[Any] = {self._root}
        self.cpu_seconds, self.peak_mb = 0.0, 0.0

    @property
    def streams(self) -> list[IO[bytes]]:
        """The pipes of stdout and stderr, if it was given no others."""
        return [pipe for pipe in (self._process.stdout, self._process.stderr) if pipe]

    @property
    def seconds(self) -> float:
        """Wall time since its start."""
        return time.perf_counter() - self._start

    @property
    def status(self) -> int:
        """Exit status, negative for a signal; waits for it."""
        return self._process.wait()

    def wait(self, seconds: float, look: Callable[[], str] = lambda: "") -> str:
        """Wait until the interpreter ends or its tree passes a limit, and return the reason, empty for the former.

        Args:
            seconds: the wall limit.
            look: asked now and then for a reason of the caller's own.
        """
        pause = _FIRST_LOOK_S
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(min(pause, max(0.001, seconds - self.seconds)))
                return ""
            cause = "timeout" if self.seconds >= seconds else look() or self._passed()
            if cause:
                return cause
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def kill(self) -> None:
        """End the interpreter itself, so that :meth:`wait` returns; safe from another thread."""
        self._process.kill()

    def end(self) -> None:
        """End every process of the program that can be found; safe to call again."""
        self._look()
        self._known |= self._marked()
        deadline = time.monotonic() + _END_S
        while (alive := [process for process in self._known if self._alive(process)]) and time.monotonic() < deadline:
            for process in alive:
                with contextlib.suppress(self._psutil.Error):
                    process.kill()
            self._psutil.wait_procs([process for process in alive if process != self._root], timeout=0.01)
            self._process.poll()
            self._known = set(alive) | self._marked()

    def _alive(self, process: Any) -> bool:  # noqa: ANN401 - psutil is loaded on first use
        try:
            return bool(process.is_running() and process.status() != self._psutil.STATUS_ZOMBIE)
        except self._psutil.Error:
            return False

    def _passed(self) -> str:
        """Return the limit that is passed, or an empty text."""
        tasks, cpu_seconds, megabytes = self._look()
        if tasks > self._limits.processes:
            return "processes"
        if cpu_seconds > self._limits.cpu_s:
            return "cpu"
        return "memory" if megabytes > self._limits.memory_mb + _INTERPRETER_MB else ""

    def _look(self) -> tuple[int, float, float]:
        """Return tasks, processor seconds and resident MiB of the tree as it is now; remembers its members."""
        with contextlib.suppress(self._psutil.Error):
            self._known |= set(self._root.children(recursive=True))
        tasks, cpu_seconds, megabytes = 0, 0.0, 0.0
        for process in list(self._known):
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    cpu_seconds += times.user + times.system
                    megabytes += process.memory_info().rss / 2**20
                    tasks += process.num_threads()
            except self._psutil.NoSuchProcess:
                self._known.discard(process)
            except self._psutil.Error:  # another user's by now: end() tries even so
                continue
        self.cpu_seconds = max(self.cpu_seconds, cpu_seconds)
        self.peak_mb = max(self.peak_mb, megabytes)
        return tasks, cpu_seconds, megabytes

    def _marked(self) -> set[Any]:
        """Processes that carry this run's mark: those that left the tree."""
        found = set()
        for process in self._psutil.process_iter():
            with contextlib.suppress(self._psutil.Error):
                if process.create_time() >= self._born and process.environ().get(_MARK) == self._mark:
                    found.add(process)
        return found
