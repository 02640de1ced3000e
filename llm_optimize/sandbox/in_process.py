"""The back end ``in_process``: no isolation at all, for trusted code and for platforms without processes.

Never chosen by ``auto``. A program can read and change everything here; no limit is held.
"""

from __future__ import annotations

import contextlib
import io
import logging
import threading
import time
from typing import TYPE_CHECKING

from llm_optimize.errors import BadInput
from llm_optimize.sandbox import codec, program
from llm_optimize.sandbox.base import Layers
from llm_optimize.sandbox.verdict import Observed, encode_inputs, encode_task, verdict

if TYPE_CHECKING:
    from llm_optimize.sandbox.base import Finished, Program
    from llm_optimize.sandbox.live import Live

__all__ = ["InProcessBackend"]

_LOG = logging.getLogger("llm_optimize")
_UNCOVERED = ("everything: a program runs with all rights of this process, without limits",)


class InProcessBackend:
    """Runs programs right here, one at a time."""

    def __init__(self) -> None:
        """Say what this is worth."""
        _LOG.warning("sandbox: back end in_process: programs run here, with all rights and no limits")
        self._lock = threading.Lock()  # the output streams belong to the whole process

    def run(self, job: Program) -> Finished:
        """Run the program here. See :class:`llm_optimize.sandbox.base.Backend`."""
        task = codec.decode(b"".join(encode_task(job)))
        inputs = codec.decode(b"".join(encode_inputs(job)))
        out, err = io.StringIO(), io.StringIO()
        start, used = time.perf_counter(), time.process_time()
        with self._lock, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            outcome = program.perform(task, inputs, alone=False)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - used
        result = b"".join(codec.encode_outcome(outcome))
        kept = job.limits.output_kb * 1024
        stdout, stderr = (stream.getvalue().encode("utf-8", "replace")[:kept] for stream in (out, err))
        return verdict(job, Observed(0, "", result, stdout, stderr, seconds, cpu_seconds, 0.0), ())

    def open(self, _job: Program, /) -> Live:
        """Refuse: there is no process of its own that could stay. See :class:`llm_optimize.sandbox.base.Backend`."""
        msg = "backend is 'in_process', which has no sessions: give 'subprocess' or 'auto'"
        raise BadInput(msg)

    def layers(self) -> Layers:
        """Return what is in force: nothing. See :class:`llm_optimize.sandbox.base.Backend`."""
        return Layers("in_process", (), (("isolation", "programs run in this process"),), _UNCOVERED)

    def close(self) -> None:
        """Nothing to end."""
