"""Sessions for tests of kills, each in a process of its own that need not load anything: it is forked from a warm one.

Most of the time of a session that is killed after a few calls goes into importing, the same modules each time. The
standard library's fork server imports them once in a process that does nothing else; a session is a fork of it, with
memory, files and connections of its own, and a kill ends it as it would end any process.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerProcess

__all__ = ["Session"]

_LOADED = ["llm_optimize.optimize", "openai", "tiktoken", "tenacity", "genai_prices", "asyncio"]


class Session:
    """One run of a script: what of ``subprocess.Popen`` the tests need.

    Attributes:
        errors: where the script's standard error goes.
    """

    def __init__(self, script: Path, *arguments: object, errors: Path) -> None:
        """Start it, here and now, in this folder and with this environment."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_LOADED)
        words = [str(script), *map(str, arguments)]
        self.errors = errors
        self._process: ForkServerProcess = context.Process(
            target=_run, args=(words, Path.cwd(), dict(os.environ), errors), daemon=True
        )
        self._process.start()

    @property
    def returncode(self) -> int | None:
        """The exit status; negative: the signal that ended it; None: it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return ``returncode``."""
        return self._process.exitcode

    def kill(self) -> None:
        """Kill it as nothing can be prepared for."""
        self._process.kill()

    def wait(self, seconds: float) -> str:
        """Return what it wrote to standard error, once it has ended.

        Raises:
            TimeoutError: it has not.
        """
        self._process.join(seconds)
        if self._process.exitcode is None:
            msg = f"the session runs after {seconds:g} s"
            raise TimeoutError(msg)
        return self.errors.read_text()


def _run(words: list[str], folder: Path, environment: dict[str, str], errors: Path) -> None:
    """Be the script, in a forked process."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 2)
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")
