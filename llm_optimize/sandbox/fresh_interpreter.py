"""The back end ``subprocess``, for every platform: a fresh interpreter per program, watched from outside.

Weaker than lanes and says so: the host's files, network and processes stay reachable. It bounds time, memory, output
and processes, hides the host's environment, and ends the program's processes as far as they can be found.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import secrets
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from llm_optimize.errors import SandboxError
from llm_optimize.sandbox.base import ONE_THREAD, Layers
from llm_optimize.sandbox.verdict import MAX_RESULT_BYTES, Observed, encode_inputs, encode_task, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_optimize.sandbox.base import Finished, Limits, Program

__all__ = ["SubprocessBackend"]

_LOG = logging.getLogger("llm_optimize")
_ONCE = Path(__file__).with_name("once.py")
_MARK = "BOX_MARK"
_KEPT_VARIABLES = ("PATH", "LANG", "SYSTEMROOT")  # Windows cannot start an interpreter without the last
_OUTPUT_FACTOR = 16
_INTERPRETER_MB = 32  # resident before a program takes anything
_END_S = 10.0
_FIRST_LOOK_S, _LONGEST_PAUSE_S = 0.02, 0.1
_IN_FORCE = ("environment", "folder", "rlimits", "watch", "tree_kill")
_UNCOVERED = (
    "the host's files, network and processes stay reachable",
    "a process that leaves the tree and clears its environment may outlive the program",
    "the working folder's size is bounded per file only",
)


class SubprocessBackend:
    """Runs every program in an interpreter of its own; thread-safe; nothing to start or to close."""

    def __init__(self) -> None:
        """Nothing is started before the first run."""
        self._announced = False

    def run(self, program: Program) -> Finished:
        """Run the program in a fresh interpreter. See :class:`llm_optimize.sandbox.base.Backend`."""
        if not self._announced:
            self._announced = True
            _LOG.warning("sandbox: back end subprocess, weaker than asked: %s", _UNCOVERED[0])
        with _folders(program) as (control, work):
            run = _Run(program.limits, control, work)
            try:
                seen = run.wait()
            finally:
                run.end()
            return verdict(program, dataclasses.replace(seen, result=_result(control)), _IN_FORCE)

    def layers(self) -> Layers:
        """Return what is in force. See :class:`llm_optimize.sandbox.base.Backend`."""
        return Layers("subprocess", _IN_FORCE, (("walls", "this back end has none"),), _UNCOVERED)

    def close(self) -> None:
        """Nothing to end: every program ended with its run."""


class _Run:
    """One interpreter, its output, and a watch over its tree."""

    def __init__(self, limits: Limits, control: Path, work: Path) -> None:
        import psutil  # type: ignore[import-untyped]  # noqa: PLC0415 - no stubs; heavy: loaded on first use

        self._psutil = psutil
        self._limits = limits
        self._mark = secrets.token_hex(16)
        self._start = time.perf_counter()
        self._born = time.time() - 1
        environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ} | ONE_THREAD
        environment |= {_MARK: self._mark, "HOME": str(work), "TMPDIR": str(work), "TEMP": str(work)}
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and file
                [sys.executable, "-I", "-B", "-X", "utf8", str(_ONCE), str(control)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=work,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            msg = f"the sandbox could not start an interpreter: {error}"
            raise SandboxError(msg) from error
        self._root = psutil.Process(self._process.pid)
        self._known: set[Any] = {self._root}
        self._cpu_seconds, self._peak_mb = 0.0, 0.0
        self._outputs = [_Output(pipe, limits) for pipe in (self._process.stdout, self._process.stderr) if pipe]

    def wait(self) -> Observed:
        """Wait until the program ends or passes a limit."""
        pause, cause = _FIRST_LOOK_S, ""
        while not cause:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(min(pause, max(0.001, self._limits.wall_s - self._elapsed())))
                break
            cause = self._passed()
            pause = min(pause * 2, _LONGEST_PAUSE_S)
        seconds = self._elapsed()
        self.end()
        return Observed(
            status=self._process.wait(),
            cause=cause,
            result=b"",
            stdout=bytes(self._outputs[0].data),
            stderr=bytes(self._outputs[1].data),
            seconds=seconds,
            cpu_seconds=self._cpu_seconds,
            peak_mb=self._peak_mb,
        )

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
        for output in self._outputs:
            output.finish()

    def _alive(self, process: Any) -> bool:  # noqa: ANN401 - psutil is loaded on first use
        try:
            return bool(process.is_running() and process.status() != self._psutil.STATUS_ZOMBIE)
        except self._psutil.Error:
            return False

    def _elapsed(self) -> float:
        return time.perf_counter() - self._start

    def _passed(self) -> str:
        """Return the limit that is passed, or an empty text."""
        if self._elapsed() >= self._limits.wall_s:
            return "timeout"
        if any(output.too_much for output in self._outputs):
            return "output"
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
        for process in self._known:
            with contextlib.suppress(self._psutil.Error), process.oneshot():
                times = process.cpu_times()
                cpu_seconds += times.user + times.system
                megabytes += process.memory_info().rss / 2**20
                tasks += process.num_threads()
        self._cpu_seconds = max(self._cpu_seconds, cpu_seconds)
        self._peak_mb = max(self._peak_mb, megabytes)
        return tasks, cpu_seconds, megabytes

    def _marked(self) -> set[Any]:
        """Processes that carry this run's mark: those that left the tree."""
        found = set()
        for process in self._psutil.process_iter():
            with contextlib.suppress(self._psutil.Error):
                if process.create_time() >= self._born and process.environ().get(_MARK) == self._mark:
                    found.add(process)
        return found


class _Output:
    """Reads one stream to its end in a thread, keeping the first bytes."""

    def __init__(self, pipe: IO[bytes], limits: Limits) -> None:
        self._pipe = pipe
        self._keep = limits.output_kb * 1024
        self._seen = 0
        self.data = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def too_much(self) -> bool:
        return self._seen > self._keep * _OUTPUT_FACTOR

    def finish(self) -> None:
        """Wait for the last bytes; a process that nobody found may hold the stream open, so not for long."""
        self._thread.join(1)
        if not self._thread.is_alive():
            self._pipe.close()

    def _read(self) -> None:
        while part := os.read(self._pipe.fileno(), 1 << 16):
            self._seen += len(part)
            self.data += part[: max(0, self._keep - len(self.data))]


@contextlib.contextmanager
def _folders(program: Program) -> Iterator[tuple[Path, Path]]:
    """A folder for what host and program exchange, and the program's working folder; gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="box-", ignore_cleanup_errors=True) as folder:
        control, work = Path(folder, "control"), Path(folder, "work")
        control.mkdir()
        work.mkdir()
        for name, chunks in (("task", encode_task(program)), ("inputs", encode_inputs(program))):
            with (control / name).open("wb") as file:
                file.writelines(chunks)
        (control / "limits").write_text(json.dumps(dataclasses.asdict(program.limits)), "ascii")
        yield control, work


def _result(control: Path) -> bytes:
    """What the program left, if it is a plain file of a bearable size: it may have put anything there."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(control / "result", flags)
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        return file.read(MAX_RESULT_BYTES + 1)
