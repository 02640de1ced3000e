"""The back end for Linux: each program is a fork of a warm parent, in a lane of its own behind walls.

One lane per program that runs at the same time; made when it is first needed, used again, never shared. The strongest
walls that the machine allows are found out with the first lane; weaker ones than asked for are announced.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import time
from typing import TYPE_CHECKING

from llm_optimize.errors import SandboxError
from llm_optimize.sandbox import wire
from llm_optimize.sandbox.base import ONE_THREAD, Layers
from llm_optimize.sandbox.collecting import Pipe
from llm_optimize.sandbox.driving import LaneRefused, Work
from llm_optimize.sandbox.exchange import scratch
from llm_optimize.sandbox.live_lane import LiveInLane
from llm_optimize.sandbox.pool import LanePool
from llm_optimize.sandbox.verdict import (
    MAX_RESULT_BYTES,
    Observed,
    encode_call,
    encode_inputs,
    encode_task,
    look,
    source_bytes,
    verdict,
)
from llm_optimize.sandbox.warm import WarmParent, memory_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llm_optimize.sandbox.base import Finished, Limits, Program
    from llm_optimize.sandbox.driving import Lane, Report
    from llm_optimize.sandbox.live import Live

__all__ = ["ENVIRONMENT", "ZygoteBackend", "output_pipes"]

_LOG = logging.getLogger("llm_optimize")
_LEVELS = ("full", "namespaces", "none")
_GAPS = (  # layers of which one closes it; what is open without
    ("mount", "which files exist on the host can be found out"),
    ("mount|landlock", "the host's files stay readable, and writable where this user may write"),
    ("pid", "other processes can be seen"),
    ("pid|landlock", "other processes of this user can be signalled and read"),
    ("net|seccomp", "the network stays reachable"),
    ("ipc|seccomp", "shared memory and queues of this user stay reachable"),
    ("seccomp", "no system call filter: faults of the kernel itself are within reach"),
    ("seccomp|cgroup", "memory in files that no process maps (memfd) is bounded by the machine only"),
    ("cgroup", "many processes together can pass the limit of memory between two looks, some 20 ms"),
    ("rlimits|cgroup", "nothing bounds one process between two looks, some 20 ms"),
    ("watch", "processor time and processes are bounded for one process, not for all of them together"),
)
_UNCOVERED = (
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

    def __init__(
        self,
        preload: Sequence[str],
        network: str,
        without: Sequence[str] = (),
        *,
        look_every: int = 1000,
        growth_kb: int = 128 * 1024,
    ) -> None:
        """Remember what to load; nothing is started before the first run.

        Args:
            preload: modules to import.
            network: ``none``, ``host`` or ``loopback:`` with ports.
            without: layers to leave out, for tests and for ``doctor``; announced like any other weakness.
            look_every: programs between two looks at the warm parent's memory.
            growth_kb: KiB by which it may grow before it is replaced.
        """
        self._look_every, self._growth_kb = look_every, growth_kb
        self._preload = tuple(preload)
        self._network = network
        self._without = tuple(without)
        self._pool = LanePool(self._open)
        self._parent: WarmParent | None = None
        self._level = 2 if "user" in without else 1 if "mount" in without else 0
        self._refused: list[tuple[str, str]] = []
        self._told = False
        self._looks = itertools.count(1)

    def run(self, program: Program) -> Finished:
        """Run the program in a lane of its own. See :class:`llm_optimize.sandbox.base.Backend`."""
        try:
            lane, report, seconds = self._with_files(program)
        except OSError as error:  # no descriptors, memory or disk left
            msg = f"the sandbox could not run the program: {error}"
            raise SandboxError(msg) from error
        if next(self._looks) % self._look_every == 0:
            self._look_at_parent()
        seen = Observed(
            status=report.status,
            cause=report.cause,
            result=bytes(report.pipes[2].data),
            stdout=bytes(report.pipes[0].data),
            stderr=bytes(report.pipes[1].data),
            seconds=seconds,
            cpu_seconds=report.cpu_seconds,
            peak_mb=report.peak_mb,
            frame=report.pipes[2].made,
        )
        return verdict(program, seen, lane.layers)

    def open(self, program: Program) -> Live:
        """Start a live process in a lane of its own. See :class:`llm_optimize.sandbox.base.Backend`."""
        return LiveInLane(self._pool, program, lambda: _folder(needed=self._level > 0))

    def layers(self) -> Layers:
        """Return the layers in force, opening a lane to find out. See :class:`llm_optimize.sandbox.base.Backend`."""
        with self._pool.borrowed() as lane:
            return Layers("zygote", lane.layers, (*self._refused, *lane.missing), (*_gaps(lane.layers), *_UNCOVERED))

    def close(self) -> None:
        """End every process. See :class:`llm_optimize.sandbox.base.Backend`."""
        if self._pool.owned and self._parent is not None:
            with self._pool.lock:
                self._pool.clear()
                self._parent.close()
                self._parent = None

    def _with_files(self, program: Program) -> tuple[Lane, Report, float]:
        limits = program.limits
        inputs = encode_inputs(program) if program.inputs else []
        if sum(map(len, inputs)) < wire.INLINE:
            names = "\n".join(program.outputs).encode()
            message = wire.task(limits, source_bytes(program), names, encode_call(program), b"".join(inputs))
            if message:
                return self._run(limits, message)
        with contextlib.ExitStack() as stack:
            files = []
            for chunks in (encode_task(program), inputs or encode_inputs(program)):
                files.append(memory_file(chunks))
                stack.callback(os.close, files[-1])
            return self._run(limits, wire.task_in_files(limits), files)

    def _run(self, limits: Limits, message: bytes, files: Sequence[int] = ()) -> tuple[Lane, Report, float]:
        while True:
            lane, generation = self._pool.take()
            good = False
            try:
                with (
                    contextlib.nullcontext("") if self._level == 0 else scratch() as folder
                ):  # the lane has one of its own, or not
                    start = time.perf_counter()
                    report = lane.evaluate(Work(message, limits, folder, files), output_pipes(limits), limits.wall_s)
                seconds = time.perf_counter() - start
                good = True
            except ConnectionError:
                continue  # it was gone before the order reached it: nothing ran
            finally:
                self._pool.give_back(lane, generation, good=good)
            return lane, report, seconds

    def _open(self) -> Lane:
        """Open a lane behind the strongest walls to be had; what is not to be had is found out, and told, once."""
        parent = self._running()
        while True:
            level = _LEVELS[self._level]
            try:
                lane = parent.open_lane(walls=level, network=self._network, drop=True, without=self._without)
            except LaneRefused as refused:
                if level == _LEVELS[-1]:
                    msg = f"the sandbox cannot start: {refused}"
                    raise SandboxError(msg) from None
                self._refused.append((level, str(refused)))
                self._level += 1
            else:
                self._announce(lane)
                return lane

    def _announce(self, lane: Lane) -> None:
        if self._told or not (self._refused or self._without):
            return
        self._told = True
        why = [*(f"{level} walls: {why}" for level, why in self._refused), *(f"without {n}" for n in self._without)]
        _LOG.warning("sandbox: weaker than asked (%s): %s", "; ".join(why), "; ".join(_gaps(lane.layers)))

    def _look_at_parent(self) -> None:
        """Replace a warm parent that has grown: programs go on in the old one until the new one stands."""
        with self._pool.lock:
            old = self._parent
            if old is None or not old.alive or old.grown_kb() <= self._growth_kb:
                return
        fresh = self._new_parent()
        with self._pool.lock:
            if self._parent is old:
                self._parent = fresh
                self._pool.clear()  # the old one ends with its last lane

    def _new_parent(self) -> WarmParent:
        return WarmParent(self._preload, ENVIRONMENT)

    def _running(self) -> WarmParent:
        if self._parent is not None and self._parent.alive:
            return self._parent
        if self._parent is not None and self._parent.owned:
            _LOG.warning("sandbox: the warm parent died and is started again")
            self._parent.close()
        self._parent = self._new_parent()
        return self._parent


def _gaps(layers: Sequence[str]) -> tuple[str, ...]:
    return tuple(text for closing, text in _GAPS if not set(closing.split("|")) & set(layers))


def output_pipes(limits: Limits) -> list[Pipe]:
    """Return the pipes for stdout, stderr and the result under these limits."""
    kept = limits.output_kb * 1024
    result = Pipe(-1, MAX_RESULT_BYTES + 1, MAX_RESULT_BYTES, "bad_value", look)
    return [*(Pipe(-1, kept, kept * _OUTPUT_FACTOR, "output") for _ in range(2)), result]


@contextlib.contextmanager
def _folder(*, needed: bool) -> Iterator[str]:
    if not needed:
        yield ""  # the lane has one of its own
        return
    with scratch() as folder:
        yield folder
