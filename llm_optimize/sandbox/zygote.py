"""The back end for Linux: each program is a fork of a warm parent, in a lane of its own behind walls.

One lane per program that runs at the same time; made when it is first needed, used again, never shared. The strongest
walls that the machine allows are found out with the first lane; weaker ones than asked for are announced.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import tempfile
import time
from typing import TYPE_CHECKING

from llm_optimize.errors import SandboxError
from llm_optimize.sandbox.base import ONE_THREAD, Layers
from llm_optimize.sandbox.collecting import Pipe
from llm_optimize.sandbox.live_lane import LiveInLane
from llm_optimize.sandbox.pool import LanePool
from llm_optimize.sandbox.verdict import MAX_RESULT_BYTES, Observed, encode_inputs, encode_task, verdict
from llm_optimize.sandbox.warm import LaneRefused, WarmParent, memory_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llm_optimize.sandbox.base import Finished, Limits, Program
    from llm_optimize.sandbox.live import Live
    from llm_optimize.sandbox.warm import Lane, Report

__all__ = ["ENVIRONMENT", "ZygoteBackend", "output_pipes"]

_LOG = logging.getLogger("llm_optimize")
_LEVELS = ("full", "namespaces", "none")
_COST = {
    "full": "the host's files stay readable",
    "namespaces": "network, other processes and the host's files stay reachable",
}
_UNCOVERED = (
    "no system call filter: faults of the kernel itself are within reach",
    "memory in files that no process maps (memfd) is bounded by the machine only",
    "no share of the processor is set aside: a program may keep every core busy until its limit",
    "system folders and the interpreter's packages can be read",
)
_OUTPUT_FACTOR = 16  # printing this many times the kept output ends a program

ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    **ONE_THREAD,
}
"""The whole environment of a program, but for HOME and TMPDIR, which are its working folder."""


class ZygoteBackend:
    """Runs programs in lanes of one warm parent; thread-safe; a dead warm parent is replaced at the next run."""

    def __init__(self, preload: Sequence[str], network: str) -> None:
        """Remember what to load; nothing is started before the first run."""
        self._preload = tuple(preload)
        self._network = network
        self._pool = LanePool(self._open)
        self._parent: WarmParent | None = None
        self._level = 0
        self._refused: list[tuple[str, str]] = []

    def run(self, program: Program) -> Finished:
        """Run the program in a lane of its own. See :class:`llm_optimize.sandbox.base.Backend`."""
        with contextlib.ExitStack() as stack:
            files = []
            for chunks in (encode_task(program), encode_inputs(program)):
                files.append(memory_file(chunks))
                stack.callback(os.close, files[-1])
            lane, report, seconds = self._run(program.limits, files)
        seen = Observed(
            status=report.status,
            cause=report.cause,
            result=bytes(report.pipes[2].data),
            stdout=bytes(report.pipes[0].data),
            stderr=bytes(report.pipes[1].data),
            seconds=seconds,
            cpu_seconds=report.cpu_seconds,
            peak_mb=report.peak_mb,
        )
        return verdict(program, seen, lane.layers)

    def open(self, program: Program) -> Live:
        """Start a live process in a lane of its own. See :class:`llm_optimize.sandbox.base.Backend`."""
        return LiveInLane(self._pool, program, lambda: _folder(needed=self._level > 0))

    def layers(self) -> Layers:
        """Return the layers in force, opening a lane to find out. See :class:`llm_optimize.sandbox.base.Backend`."""
        with self._pool.borrowed() as lane:
            cost = tuple(_COST[level] for level, _ in self._refused)
            return Layers("zygote", lane.layers, (*self._refused, *lane.missing), (*cost, *_UNCOVERED))

    def close(self) -> None:
        """End every process. See :class:`llm_optimize.sandbox.base.Backend`."""
        if self._pool.owned and self._parent is not None:
            with self._pool.lock:
                self._pool.clear()
                self._parent.close()
                self._parent = None

    def _run(self, limits: Limits, files: list[int]) -> tuple[Lane, Report, float]:
        while True:
            pipes = output_pipes(limits)
            with self._pool.borrowed() as lane, _folder(needed=self._level > 0) as folder:
                order = {"run": "data", "limits": dataclasses.asdict(limits), "folder": folder}
                start = time.perf_counter()
                try:
                    report = lane.run(order, pipes, limits.wall_s, behind=files)
                except ConnectionError:
                    continue  # it was gone before the order reached it: nothing ran, and the pool will not keep it
                return lane, report, time.perf_counter() - start

    def _open(self) -> Lane:
        """Open a lane behind the strongest walls to be had; what is not to be had is found out, and told, once."""
        parent = self._running()
        while True:
            level = _LEVELS[self._level]
            try:
                return parent.open_lane(walls=level, network=self._network, drop=True)
            except LaneRefused as refused:
                if level not in _COST:
                    msg = f"the sandbox cannot start: {refused}"
                    raise SandboxError(msg) from None
                self._refused.append((level, str(refused)))
                self._level += 1
                _LOG.warning("sandbox: weaker than asked, %s (%s)", _COST[level], refused)

    def _running(self) -> WarmParent:
        if self._parent is not None and self._parent.alive:
            return self._parent
        if self._parent is not None and self._parent.owned:
            _LOG.warning("sandbox: the warm parent died and is started again")
            self._parent.close()
        self._parent = WarmParent(self._preload, ENVIRONMENT)
        return self._parent


def output_pipes(limits: Limits) -> list[Pipe]:
    """Return the pipes for stdout, stderr and the result under these limits."""
    kept = limits.output_kb * 1024
    result = Pipe(-1, MAX_RESULT_BYTES + 1, MAX_RESULT_BYTES, "bad_value")
    return [*(Pipe(-1, kept, kept * _OUTPUT_FACTOR, "output") for _ in range(2)), result]


@contextlib.contextmanager
def _folder(*, needed: bool) -> Iterator[str]:
    if not needed:
        yield "/box"
        return
    with tempfile.TemporaryDirectory(prefix="box-", ignore_cleanup_errors=True) as folder:
        yield folder
