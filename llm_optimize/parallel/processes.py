"""A process pool that survives its workers: a lost one is replaced, and its call is made again.

The standard pool is dead for good once a worker dies, and fails all calls that wait for one. Here each worker has its
own pipe and one call at a time, so a death concerns that call alone; the others still wait here, where nothing
happens to them. A call that loses its worker again and again is the cause of it, and fails.

A worker is a fresh interpreter: nothing is forked from threads, and the user's script does not run a second time.
"""

from __future__ import annotations

import logging
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import weakref
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from llm_optimize.core.checks import check_whole
from llm_optimize.parallel.child import PROGRAM
from llm_optimize.parallel.frames import read_frame, write_frame

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CallLost", "ProcessWorkers"]

P = ParamSpec("P")
T = TypeVar("T")

_LOG = logging.getLogger("llm_optimize")
_FAREWELL_S = 2.0  # for a worker to close what its scorer holds, such as a sandbox, before it is ended


class CallLost(BrokenExecutor):
    """A call has ended its worker, again and again, or was called off; the pool itself is whole."""


class ProcessWorkers(Executor):
    """An executor over worker processes on this machine; they start when there is work for them.

    What is called must be picklable by name, as everywhere in the standard library;
    :func:`~llm_optimize.parallel.open_executor` adds what makes any scorer travel. Workers have this process's
    environment and search path, print to its stderr, do not get its Ctrl-C, and end with it however it ends.

    Example:
        >>> with ProcessWorkers(1) as pool:
        ...     pool.submit(sum, (20, 22)).result()
        42
    """

    def __init__(self, workers: int | None = None, *, retries: int = 3) -> None:
        """Start nothing yet.

        Args:
            workers: processes at most, at least 1; None for one per processor.
            retries: how often a call is made again after its worker was lost.

        Raises:
            BadInput: one of them makes no sense.
        """
        self.workers = (os.cpu_count() or 1) if workers is None else workers
        check_whole("workers", self.workers, 1)
        check_whole("retries", retries, 0)
        self._retries = retries
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._lanes: list[_Lane] = []
        self._idle = threading.Semaphore(0)
        self._changing = threading.Lock()  # submit and shutdown may come from several threads
        self._is_shut = False

    @property
    def pids(self) -> tuple[int, ...]:
        """The worker processes that are alive."""
        return tuple(pid for lane in list(self._lanes) if (pid := lane.pid) is not None)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a worker call ``fn``; cancelling the future ends a call that has begun, with its worker.

        Raises:
            RuntimeError: the pool is shut.
        """
        with self._changing:
            if self._is_shut:
                msg = "cannot schedule new futures after shutdown"
                raise RuntimeError(msg)
            call = _Call(_Ended(), fn, args, kwargs)
            self._calls.put(call)
            if not self._idle.acquire(blocking=False) and len(self._lanes) < self.workers:
                self._lanes.append(_Lane(self._calls, self._idle, self._retries))
        return call.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - the standard library's
        """End the workers: after the calls that wait, or with ``cancel_futures`` after those that have begun."""
        with self._changing:
            self._is_shut = True
        if cancel_futures:
            _cancel(self._calls)
        for _ in self._lanes:
            self._calls.put(None)
        for lane in self._lanes if wait else ():
            lane.thread.join()

    def end(self) -> None:
        """End the workers now, and wait for that; calls that have begun fail, those that wait are cancelled."""
        with self._changing:
            self._is_shut = True
        _cancel(self._calls)
        for lane in self._lanes:
            lane.call_off()
        self.shutdown(wait=False)
        for lane in self._lanes:
            lane.thread.join(2 * _FAREWELL_S)


class _Ended(Future[Any]):
    """A future whose cancelling ends the worker that is at it."""

    lane: _Lane | None = None
    workers_lost = 0  # at this call

    def cancel(self) -> bool:
        """Cancel; a call that has begun fails, since its worker is ended."""
        if super().cancel():
            return True
        if self.lane is not None:
            self.lane.call_off(self)
        return False


@dataclass(slots=True)
class _Call:
    future: _Ended
    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class _Lane:
    """One worker, and the thread here that waits for it; a worker that ends is replaced."""

    def __init__(self, calls: queue.SimpleQueue[_Call | None], idle: threading.Semaphore, retries: int) -> None:
        self._calls = calls
        self._idle = idle
        self._retries = retries
        self._worker: _Worker | None = None
        self._current: _Ended | None = None
        self._called_off: _Ended | None = None
        self._ending = threading.Lock()  # between the thread and whoever cancels
        self.thread = threading.Thread(target=self._work, daemon=True, name="llm-optimize-worker")
        self.thread.start()

    @property
    def pid(self) -> int | None:
        worker = self._worker
        return worker.pid if worker is not None and worker.is_alive else None

    def call_off(self, future: _Ended | None = None) -> None:
        """End the worker if it is at this call, or at any."""
        with self._ending:
            if self._current is not None and future in (None, self._current):
                self._called_off = self._current
                if self._worker is not None:
                    self._worker.kill()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            if call.future.set_running_or_notify_cancel():
                call.future.lane = self
                self._carry_out(call)
            self._idle.release()
        if self._worker is not None:
            self._worker.close()

    def _carry_out(self, call: _Call) -> None:
        try:
            order = pickle.dumps((call.function, call.args, call.kwargs))
        except (pickle.PicklingError, AttributeError, TypeError) as unfit:
            call.future.set_exception(unfit)
            return
        answer = None
        while answer is None:
            try:
                answer = self._asked(call.future, order)
            except (EOFError, OSError):
                answer = self._bereaved(call)
        result, error = answer
        if error is None:
            call.future.set_result(result)
        else:
            call.future.set_exception(error)

    def _bereaved(self, call: _Call) -> tuple[None, BaseException] | None:
        """Take leave of a worker that ended within a call; return the call's error, or None to make it again."""
        worker, self._worker = self._worker, None
        status = "no status" if worker is None else worker.bury()
        call.future.workers_lost += 1
        if self._called_off is call.future:
            return None, CallLost("called off")
        _LOG.warning("a worker process ended with %s within a call; another takes its place", status)
        if call.future.workers_lost <= self._retries:
            return None
        return None, CallLost(f"{call.future.workers_lost} worker processes in a row, the last ended with {status}")

    def _asked(self, future: _Ended, order: bytes) -> tuple[Any, BaseException | None]:
        with self._ending:
            if self._called_off is future:
                raise EOFError
            if self._worker is None or not self._worker.is_alive:
                self._worker = _Worker()
            self._current = future
        try:
            answer: tuple[Any, BaseException | None] = self._worker.ask(order)
        finally:
            with self._ending:
                self._current = None
        return answer


class _Worker:
    """A worker process; ends when this object or this process does."""

    def __init__(self) -> None:
        program = [sys.executable, "-c", PROGRAM.format(path=sys.path)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(program, stdin=pipe, stdout=pipe, start_new_session=True)  # noqa: S603 - our own
        self._end = weakref.finalize(self, _end, self._process)
        self._greeted = False

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, order: bytes) -> Any:  # noqa: ANN401 - whatever the call returned
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise EOFError
        if not self._greeted:
            read_frame(stdout)
            self._greeted = True
        write_frame(stdin, order)
        return pickle.loads(read_frame(stdout))  # noqa: S301 - sent by our own child

    def kill(self) -> None:
        _kill(self._process)

    def bury(self) -> str:
        self._end()
        code = self._process.returncode
        return f"signal {-code}" if code is not None and code < 0 else f"status {code}"

    def close(self) -> None:
        """Let the worker close what it holds, then end it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(_FAREWELL_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._end()


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a worker, where its system has groups with all that it has started, and not with us."""
    if not hasattr(os, "killpg"):
        process.kill()
        return
    with suppress(ProcessLookupError, PermissionError):  # nobody is left in its group
        os.killpg(process.pid, signal.SIGKILL)


def _end(process: subprocess.Popen[bytes]) -> None:
    _kill(process)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            try:
                stream.close()
            except OSError:
                continue  # what was still to be written has nobody to read it


def _cancel(calls: queue.SimpleQueue[_Call | None]) -> None:
    while True:
        try:
            call = calls.get_nowait()
        except queue.Empty:
            return
        if call is not None and call.future.cancel():
            call.future.set_running_or_notify_cancel()
