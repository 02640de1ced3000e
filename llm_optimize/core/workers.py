"""The two executors that the loop brings along; any other with the standard library's ``submit`` fits as well.

One that knows what an evaluation is offers :class:`Evaluators` besides.
"""

from __future__ import annotations

import pickle  # only its error is of interest
import queue
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import TYPE_CHECKING, ParamSpec, Protocol, TypeVar, runtime_checkable

from llm_optimize.core.clock import SYSTEM, Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from llm_optimize.core.metering import Scope
    from llm_optimize.core.protocols import Scorer
    from llm_optimize.core.types import Outcome

__all__ = ["DaemonThreads", "Evaluators", "Inline", "cannot_travel", "repeating"]

P = ParamSpec("P")
T = TypeVar("T")


class Inline(Executor):
    """Runs the function at once in the calling thread; Ctrl-C interrupts it there."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run ``fn`` and return its finished future; KeyboardInterrupt and SystemExit pass through."""
        future: Future[T] = Future()
        try:
            result = fn(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - not handled here: it is handed on as the future's exception
            future.set_exception(error)
        else:
            future.set_result(result)
        return future


class DaemonThreads(Executor):
    """One daemon thread per call: a scorer that hangs holds up neither the others nor the end of the program.

    The standard pool joins its threads when the interpreter exits, so one hung call would keep the process alive.
    A thread costs 0.05 ms to start, nothing beside a model call.
    """

    def __init__(self, clock: Clock = SYSTEM) -> None:
        """Start none; ``clock`` will."""
        self._clock = clock

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start ``fn`` in a thread of its own."""
        future: Future[T] = Future()

        def work() -> None:
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - handed on; swallowed here, the owner would wait for ever
                future.set_exception(error)
            else:
                future.set_result(result)

        self._clock.start(work)
        return future


def cannot_travel(error: BaseException) -> bool:
    """Say whether a function, or what it returned, could not be pickled; CPython has three types for that."""
    return isinstance(error, (pickle.PicklingError, AttributeError, TypeError)) and "pickle" in str(error)


@contextmanager
def repeating(function: Callable[[], None], seconds: float, clock: Clock = SYSTEM) -> Iterator[None]:
    """Call ``function`` from a thread every so many seconds while the block runs."""
    over = clock.queue()

    def repeat() -> None:
        while True:
            try:
                over.get(timeout=seconds)
            except queue.Empty:
                function()
            else:
                return

    clock.start(repeat)
    try:
        yield
    finally:
        over.put(None)


@runtime_checkable
class Evaluators(Protocol):
    """An executor that knows what an evaluation is, so that costs, replies and caps reach other processes."""

    def evaluate(self, scorer: Scorer, text: str, scope: Scope) -> Future[tuple[Outcome, float]]:
        """Start the evaluation that ``scope`` names.

        Returns:
            A future of (outcome, seconds). It is done once what the evaluation has cost stands in ``scope`` and what
            is to be kept of it in ``scope.replies``; cancelling it ends the evaluation where the engine can do that.

        Raises:
            BadInput: the scorer cannot be sent.
        """
        ...
