"""A live process in a lane: the lane stays borrowed for as long as the session lasts, then serves others again."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from typing import TYPE_CHECKING

from llm_optimize.sandbox import wire
from llm_optimize.sandbox.driving import Work
from llm_optimize.sandbox.live import Ended, Wires
from llm_optimize.sandbox.verdict import encode_inputs
from llm_optimize.sandbox.warm import memory_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from llm_optimize.sandbox.base import Program
    from llm_optimize.sandbox.driving import Lane
    from llm_optimize.sandbox.pool import LanePool

__all__ = ["LiveInLane"]


class LiveInLane:
    """See :class:`llm_optimize.sandbox.live.Live`."""

    def __init__(self, pool: LanePool, program: Program, folder: Callable[[], AbstractContextManager[str]]) -> None:
        """Borrow a lane and start the process in it.

        Args:
            pool: where the lane comes from.
            program: its inputs and limits; the source is asked for later.
            folder: gives the working folder, and takes it away again.

        Raises:
            BadInput: an input is not data.
            SandboxError: no lane could be opened.
        """
        self._stack = contextlib.ExitStack()
        try:
            self._lane = self._started(pool, program, folder)
        except BaseException:
            self._stack.close()
            raise
        self.layers = self._lane.layers

    def end(self) -> Ended:
        """End its processes. See :class:`llm_optimize.sandbox.live.Live`."""
        report = self._lane.end()
        return Ended(report.status, report.cause, report.cpu_seconds, report.peak_mb)

    def release(self) -> None:
        """Close the wires and give the lane back. See :class:`llm_optimize.sandbox.live.Live`."""
        self._stack.close()

    def _started(self, pool: LanePool, program: Program, folder: Callable[[], AbstractContextManager[str]]) -> Lane:
        with contextlib.ExitStack() as mine:
            inputs = memory_file(encode_inputs(program))
            mine.callback(os.close, inputs)
            order = wire.order({"run": "session", "limits": dataclasses.asdict(program.limits)})
            while True:
                attempt = contextlib.ExitStack()
                lane = attempt.enter_context(pool.borrowed())
                with attempt:
                    work = attempt.enter_context(folder())
                    self.wires, theirs = Wires.opened(program.limits.output_kb)
                    attempt.callback(self.wires.close)
                    given = [theirs[name] for name in ("stdout", "stderr", "answers", "questions")]
                    try:
                        self.alarm = lane.start(Work(order, program.limits, work, (*given, inputs)))
                    except ConnectionError:
                        continue  # it was gone before the order reached it: nothing ran, the pool will not keep it
                    finally:
                        for descriptor in given:
                            os.close(descriptor)
                    self._stack = attempt.pop_all()
                    return lane
