"""A live process in an interpreter of its own, for sessions of the back end ``subprocess``; not on Windows."""

from __future__ import annotations

import contextlib
import math
import os
import threading
from typing import TYPE_CHECKING

from llm_optimize.sandbox import exchange
from llm_optimize.sandbox.live import Ended, Wires
from llm_optimize.sandbox.watched import ONCE, Watched

if TYPE_CHECKING:
    from llm_optimize.sandbox.base import Program

__all__ = ["LiveInterpreter"]


class LiveInterpreter:
    """See :class:`llm_optimize.sandbox.live.Live`; a thread holds the tree against its limits while it lives."""

    def __init__(self, program: Program, layers: tuple[str, ...]) -> None:
        """Start it.

        Args:
            program: its inputs and limits; the source is asked for later.
            layers: names of what is in force.

        Raises:
            BadInput: an input is not data.
            SandboxError: the interpreter could not be started.
        """
        self.layers = layers
        self._cause = ""
        with contextlib.ExitStack() as stack:
            control, work = stack.enter_context(exchange.folders())
            exchange.write_inputs(program, control)
            self.wires, theirs = Wires.opened(program.limits.output_kb)
            stack.callback(self.wires.close)
            given = [theirs[name] for name in ("questions", "answers", "stdout", "stderr")]
            try:
                arguments = [str(control), str(theirs["questions"]), str(theirs["answers"])]
                self._watched = Watched(ONCE, arguments, program.limits, work, given)
            finally:
                for descriptor in given:
                    os.close(descriptor)
            self.alarm, self._ring = os.pipe()
            stack.callback(os.close, self.alarm)
            self._stack = stack.pop_all()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> Ended:
        """End its processes. See :class:`llm_optimize.sandbox.live.Live`."""
        self._watched.kill()
        self._thread.join()
        return Ended(self._watched.status, self._cause, self._watched.cpu_seconds, self._watched.peak_mb)

    def release(self) -> None:
        """Close the wires and remove the folders. See :class:`llm_optimize.sandbox.live.Live`."""
        self._stack.close()

    def _watch(self) -> None:
        try:
            self._cause = self._watched.wait(math.inf)
        finally:
            self._watched.end()
            os.close(self._ring)
