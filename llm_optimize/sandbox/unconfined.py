"""Own processes for scripts that are trusted: real objects in and out, the host's files, network and environment.

Not a sandbox: what is kept of one is the time limit and the end of every process. One warm parent serves the whole
host process; it imports what scripts import, once, so that a script does not pay for it again.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput, SandboxError
from llm_optimize.sandbox import pickled
from llm_optimize.sandbox.codec import MAX_BYTES

if sys.platform == "linux":
    from llm_optimize.sandbox.collecting import Pipe
    from llm_optimize.sandbox.pool import LanePool
    from llm_optimize.sandbox.warm import WarmParent, memory_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from llm_optimize.sandbox.driving import Lane, Report

__all__ = ["OutOfTime", "run_command", "run_script"]

_PACKAGES = ("site-packages", "dist-packages")


class OutOfTime(Exception):
    """The script was stopped, with every process it had started, when its time was up."""


def run_script(script: str, variables: Mapping[str, Any], wanted: Sequence[str], seconds: float) -> dict[str, Any]:
    """Run a script with real objects as its variables and return real objects; both travel by pickle.

    Args:
        script: Python source, run as ``__main__`` in a process of its own, with the host's working folder, import path,
            environment and output streams.
        variables: set before it runs.
        wanted: names to return, exactly these.
        seconds: the time limit.

    Raises:
        OutOfTime: the limit was passed.
        SandboxError: the process could not be started.
        TypeError: a variable cannot be pickled, on the way in or out; names it.
        BaseException: see :func:`llm_optimize.sandbox.pickled.unpack`.
    """
    request = pickled.pack(script, variables, wanted)
    if sys.platform != "linux":
        return pickled.unpack(_reply_of_fresh_interpreter(request, seconds))
    host = _host(os.getpid())
    host.load(_imports(script) | {type(value).__module__ for value in variables.values()})
    with contextlib.ExitStack() as stack:
        task = memory_file([request])
        stack.callback(os.close, task)
        streams = [stack.enter_context(_stream(number)) for number in (1, 2)]
        result = Pipe(-1, MAX_BYTES, MAX_BYTES, "output")
        report = host.run({"run": "pickled"}, [result], seconds, (streams, [task]))
    if report.status != 0 or not result.data:
        how = f"by signal {-report.status}" if report.status < 0 else f"with exit status {report.status}"
        msg = f"the script's process ended {how} before it was done"
        raise RuntimeError(msg)
    return pickled.unpack(bytes(result.data))


def run_command(command: Sequence[str], seconds: float) -> tuple[int, str]:
    """Run a command with the host's working folder and environment; at its end every process below it is ended too.

    Returns:
        Its exit status (negative for a signal) and what it wrote to stdout and stderr, in the order of writing.

    Raises:
        OutOfTime: the limit was passed; ``args[0]`` is what was written until then.
        SandboxError: the process could not be started.
    """
    if sys.platform != "linux":
        return _run_here(command, seconds)
    output = Pipe(-1, MAX_BYTES, MAX_BYTES, "output")
    order = {"run": "command", "command": list(command), "environment": dict(os.environ)}
    try:
        report = _host(os.getpid()).run(order, [output], seconds)
    except OutOfTime:
        raise OutOfTime(output.data.decode("utf-8", "replace")) from None
    return report.status, output.data.decode("utf-8", "replace")


class _Host:
    """The warm parent of this process, its lanes, and what it has imported."""

    def __init__(self) -> None:
        self._pool = LanePool(self._open)
        self._parent: WarmParent | None = None
        self._loaded: list[str] = []
        self._refused: set[str] = set()

    def run(
        self,
        order: dict[str, Any],
        pipes: Sequence[Pipe],
        seconds: float,
        given: tuple[list[int], list[int]] = ([], []),
    ) -> Report:
        while True:
            with self._pool.borrowed() as lane:
                try:
                    report = lane.run({**order, "folder": str(Path.cwd())}, pipes, seconds, given)
                except ConnectionError:
                    continue  # it was gone before the order reached it: nothing ran, and the pool will not keep it
            if report.cause == "timeout":
                raise OutOfTime
            return report

    def load(self, names: set[str]) -> None:
        """Import those of the modules that are installed packages; their own files may change between two scripts."""
        with self._pool.lock:
            fresh = sorted(name for name in names - set(self._loaded) - self._refused if _installed(name))
            for name in fresh:
                try:
                    self._running().preload([name])
                except BadInput:  # the script will meet the same error and say so better
                    self._refused.add(name)
                else:
                    self._loaded.append(name)
            if fresh:
                self._pool.clear()

    def _open(self) -> Lane:
        return self._running().open_lane(walls="none", network="host", drop=False)

    def _running(self) -> WarmParent:
        if self._parent is None or not self._parent.alive:
            self._parent = WarmParent(self._loaded, os.environ)
        return self._parent


@functools.lru_cache(maxsize=1)
def _host(_process: int) -> _Host:
    """One for each process: a fork of this one starts its own."""
    return _Host()


def _imports(script: str) -> set[str]:
    try:
        nodes = list(ast.walk(ast.parse(script)))
    except (SyntaxError, ValueError):
        return set()  # it will say so itself
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return names | {
        node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level
    }


@functools.cache
def _installed(name: str) -> bool:
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top == "__main__":
        return False
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    places = [spec.origin or "", *(spec.submodule_search_locations or ())] if spec else []
    return any(folder in Path(place).parts for place in places for folder in _PACKAGES)


@contextlib.contextmanager
def _stream(number: int) -> Iterator[int]:
    """The host's own output stream, or nowhere where the host has none."""
    try:
        os.fstat(number)
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            yield nowhere
        finally:
            os.close(nowhere)
    else:
        yield number


def _reply_of_fresh_interpreter(request: bytes, seconds: float) -> bytes:
    with tempfile.TemporaryDirectory(prefix="script-") as folder:
        asked, answered = Path(folder, "request"), Path(folder, "reply")
        asked.write_bytes(request)
        status, output = _run_here([sys.executable, str(Path(pickled.__file__)), str(asked), str(answered)], seconds)
        sys.stdout.write(output)
        if not answered.exists():
            msg = f"the script's process ended with exit status {status} before it was done"
            raise RuntimeError(msg)
        return answered.read_bytes()


def _run_here(command: Sequence[str], seconds: float) -> tuple[int, str]:
    """Run a command where there are no lanes: its tree is found by the parents that its processes name."""
    try:
        process = subprocess.Popen(  # noqa: S603 - the caller's own command
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        msg = f"the process could not be started: {error}"
        raise SandboxError(msg) from error
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _end_tree(process.pid)
        output, _ = process.communicate()
        raise OutOfTime(output.decode("utf-8", "replace")) from None
    return process.returncode, output.decode("utf-8", "replace")


def _end_tree(root: int) -> None:
    import psutil  # type: ignore[import-untyped]  # noqa: PLC0415 - no stubs; heavy: only where there are no lanes

    with contextlib.suppress(psutil.Error):
        top = psutil.Process(root)
        for process in [*top.children(recursive=True), top]:
            with contextlib.suppress(psutil.Error):
                process.kill()
