r"""A script as the judge: ``python PATH --prompt TEXT``, whose last line of output is a number from 0 to 1.

The contract is that of the terminal program promptimal 2.0, made safe: whatever else the script prints goes to the
model as feedback, its exit code counts, it has a time limit, and several may run at a time. A script::

    import argparse
    parser = argparse.ArgumentParser()
    parser.add_argument("--prompt")
    prompt = parser.parse_args().prompt
    print("it has", len(prompt), "characters")
    print(1 / (1 + len(prompt)))

What it writes to stderr is shown as warnings. It is the user's own program: it runs with the user's rights and
environment, not in the sandbox.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import signal
import subprocess
import sys
import threading
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from llm_optimize.core.checks import check_number
from llm_optimize.core.types import Evaluation, Failure
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from llm_optimize.core.types import Outcome

__all__ = ["CommandScorer"]

_LOG = logging.getLogger("llm_optimize")
_SHOWN = 2000  # characters of what a script printed
_LONGEST_WAIT = 86_400


class _Running:
    """The scripts that run now; a copy in another process begins with none."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.processes: set[subprocess.Popen[str]] = set()
        self.closed = False

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[()]]:
        return _Running, ()


@dataclass(frozen=True, slots=True)
class CommandScorer:
    """Scores a text by what a script prints for it; safe to call from many threads.

    Attributes:
        path: of the script.
        timeout: seconds that it may take; then it is killed, with whatever it has started.
        python: the interpreter that runs it.

    Raises:
        BadInput: there is no such file, or the limit is no number above 0.
    """

    path: str | os.PathLike[str]
    _: KW_ONLY
    timeout: float = 60.0
    python: str = sys.executable
    _running: _Running = field(default_factory=_Running, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Find the script."""
        if not Path(self.path).expanduser().is_file():
            msg = f"evaluator: {os.fspath(self.path)!r} is no file: give the path of a Python script"
            raise BadInput(msg)
        check_number("evaluator: timeout", self.timeout, 0, _LONGEST_WAIT)
        if not self.timeout:
            msg = "evaluator: timeout is 0 s: give more"
            raise BadInput(msg)
        object.__setattr__(self, "path", str(Path(self.path).expanduser().absolute()))

    def __call__(self, text: str) -> Outcome:
        """Run the script for ``text``.

        Returns:
            An Evaluation, whose feedback is what the script printed before its last line. Or a Failure: ``timeout``;
            ``raised`` for an exit code other than 0, with the end of stderr; ``bad_score`` for a last line that is no
            number from 0 to 1; ``too_long`` or ``raised`` for a text that cannot be an argument of a program.
        """
        try:
            process = self._start(text)
        except ValueError:
            return Failure("raised", "it holds the character NUL, which no program can be given: leave it out")
        except OSError as error:
            kind = "too_long" if error.errno == errno.E2BIG else "raised"
            return Failure(kind, f"the evaluator could not be started: {error}")
        try:
            said, errors = process.communicate(timeout=self.timeout)
        except subprocess.TimeoutExpired:
            _kill(process)
            _, errors = process.communicate()
            _show(errors)
            return Failure("timeout", f"the evaluator took longer than {self.timeout:g} s{_end_of(errors)}")
        except BaseException:  # Ctrl-C in the thread that waits for it
            _kill(process)
            raise
        finally:
            with self._running.lock:
                self._running.processes.discard(process)
        _show(errors)
        return _outcome(process.returncode, said, errors)

    def close(self) -> None:
        """Kill the scripts that still run, as after Ctrl-C; no further one is started."""
        with self._running.lock:
            self._running.closed = True
            for process in self._running.processes:
                _kill(process)

    def _start(self, text: str) -> subprocess.Popen[str]:
        command = [self.python, str(self.path), "--prompt", text]
        with self._running.lock:
            if self._running.closed:
                msg = "the run has ended"
                raise OSError(msg)
            process = subprocess.Popen(  # noqa: S603 - the user's own script
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                encoding="utf-8", errors="replace", start_new_session=True,
            )  # fmt: skip
            self._running.processes.add(process)
        return process


def _show(errors: str) -> None:
    for line in errors.strip()[-_SHOWN:].splitlines():
        _LOG.warning("evaluator: %s", line)


def _outcome(code: int, said: str, errors: str) -> Outcome:
    if code:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return Failure("raised", f"the evaluator {how}{_end_of(errors)}")
    lines = said.strip().splitlines() or [""]
    try:
        score = float(lines[-1])
    except ValueError:
        score = math.nan
    if not 0 <= score <= 1:
        shown = lines[-1].strip()[:80]
        last = f"its last line is {shown!r}" if shown else "it printed nothing"
        return Failure("bad_score", f"the evaluator must print a number from 0 to 1, and {last}{_end_of(errors)}")
    return Evaluation(score, "\n".join(lines[:-1])[-_SHOWN:])


def _end_of(errors: str) -> str:
    return f": {errors.strip()[-_SHOWN:]}" if errors.strip() else ""


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill a script's whole group; it may be gone."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
