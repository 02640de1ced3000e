"""Processes that tests start by the hundred and that need not load anything: each is forked from a warm one.

Most of the time of a command, or of a session that is killed after a few calls, goes into importing, the same modules
each time, of the openai package above all. The standard library's fork server imports them once in a process that does
nothing else; what is started here is a fork of it: a process with memory, files and connections of its own, which a
kill ends as it would end any other. What depends on the interpreter's own start takes ``subprocess`` instead.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

__all__ = ["Session"]

_LOADED = ["llm_optimize.optimize", "llm_optimize.cli.commands", "openai", "tiktoken", "tenacity", "asyncio"]


class Session:
    """One run of a script: what of ``subprocess.Popen`` the tests need."""

    def __init__(
        self, script: Path | str, *words: object, errors: Path, output: Path | None = None,
        folder: Path | None = None, environment: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Start it.

        Args:
            script: a file, or the name of a module, which is run as ``python -m`` would.
            words: its arguments.
            errors: the file that gets its standard error.
            output: the file that gets its standard output, which is thrown away without.
            folder: where it runs; this process's without.
            environment: its environment; this process's without.
        """
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_LOADED)
        place = (folder or Path.cwd(), dict(os.environ) if environment is None else environment)
        self._errors = errors
        self._process: ForkServerProcess = context.Process(
            target=_run, args=(script, [*map(str, words)], place, (output or Path(os.devnull), errors))
        )
        self._process.start()

    @property
    def returncode(self) -> int | None:
        """The exit status; negative: the signal that ended it; None: it runs."""
        return self._process.exitcode

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return ``returncode``."""
        return self._process.exitcode

    def kill(self) -> None:
        """Kill it: nothing in it can prepare for that."""
        self._process.kill()

    def wait(self, seconds: float) -> str:
        """Return what it wrote to standard error, once it has ended.

        Raises:
            TimeoutError: it has not, and is killed.
        """
        self._process.join(seconds)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
            msg = f"it ran for more than {seconds:g} s"
            raise TimeoutError(msg)
        return self._errors.read_text(encoding="utf-8") if self._errors.exists() else ""


def _run(script: Path | str, words: list[str], place: tuple[Path, dict[str, str]], ends: tuple[Path, Path]) -> None:
    """Be the script, in the forked process."""
    folder, environment = place
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, path in zip((1, 2), ends, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), descriptor)
    sys.stdout = open(1, "w", buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115 - as above
    sys.argv = [str(script), *words]
    try:
        if isinstance(script, Path):
            runpy.run_path(str(script), run_name="__main__")
        else:
            sys.path.insert(0, str(folder))  # as `python -m` does
            runpy.run_module(script, run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # a fork ends without
