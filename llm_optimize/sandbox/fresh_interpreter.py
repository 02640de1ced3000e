"""The back end ``subprocess``, for every platform: a fresh interpreter per program, watched from outside.

Weaker than lanes and says so: the host's files, network and processes stay reachable. It bounds time, memory, output
and processes, hides the host's environment, and ends the program's processes as far as they can be found.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
from typing import TYPE_CHECKING

from llm_optimize.errors import BadInput
from llm_optimize.sandbox import exchange
from llm_optimize.sandbox.base import Layers
from llm_optimize.sandbox.streams import Stream
from llm_optimize.sandbox.verdict import Observed, verdict
from llm_optimize.sandbox.watched import ONCE, Watched

if sys.platform != "win32":
    from llm_optimize.sandbox.live_interpreter import LiveInterpreter

if TYPE_CHECKING:
    from pathlib import Path

    from llm_optimize.sandbox.base import Finished, Limits, Program
    from llm_optimize.sandbox.live import Live

__all__ = ["SubprocessBackend"]

_LOG = logging.getLogger("llm_optimize")
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
        self._announce()
        with exchange.folders() as (control, work):
            exchange.write_orders(program, control)
            seen = _run(program.limits, control, work)
            return verdict(program, dataclasses.replace(seen, result=exchange.read_result(control)), _IN_FORCE)

    def open(self, program: Program) -> Live:
        """Start an interpreter that stays. See :class:`llm_optimize.sandbox.base.Backend`."""
        if sys.platform == "win32":
            msg = "backend is 'subprocess', which has no sessions on Windows: use run or call"
            raise BadInput(msg)
        self._announce()
        return LiveInterpreter(program, _IN_FORCE)

    def layers(self) -> Layers:
        """Return what is in force. See :class:`llm_optimize.sandbox.base.Backend`."""
        return Layers("subprocess", _IN_FORCE, (("walls", "this back end has none"),), _UNCOVERED)

    def close(self) -> None:
        """Nothing to end: every program ended with its run."""

    def _announce(self) -> None:
        if not self._announced:
            self._announced = True
            _LOG.warning("sandbox: back end subprocess, weaker than asked: %s", _UNCOVERED[0])


def _run(limits: Limits, control: Path, work: Path) -> Observed:
    watched = Watched(ONCE, [str(control)], limits, work)
    outputs = [Stream(pipe, limits) for pipe in watched.streams]
    try:
        cause = watched.wait(limits.wall_s, lambda: "output" if any(output.too_much for output in outputs) else "")
        seconds = watched.seconds
    finally:
        watched.end()
        for output in outputs:
            output.finish()
    return Observed(
        status=watched.status,
        cause=cause,
        result=b"",
        stdout=bytes(outputs[0].data),
        stderr=bytes(outputs[1].data),
        seconds=seconds,
        cpu_seconds=watched.cpu_seconds,
        peak_mb=watched.peak_mb,
    )
