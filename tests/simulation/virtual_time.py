"""Time that jumps from event to event: the clock of a simulation, by which the real loop, ledger and retries wait.

Blocking code needs a thread to stand in, so each thread of the program that runs by this clock is one here too. But
only one of them runs at any time: whoever waits takes the next event from the heap, and hands the baton to whom it
belongs. So the order of all that happens is that of the heap, the same for the same seed, on any machine.
"""

from __future__ import annotations

import heapq
import queue
import threading
import time
from collections import deque
from contextvars import Context
from itertools import count

from llm_optimize.core.clock import Clock

__all__ = ["Nobody", "VirtualTime"]

_BORN = 1_800_000_000.0  # seconds since the epoch when a simulation begins
_INSTANT = 1e-6  # seconds that a wait takes at least, as no real one takes less; a rounding error cannot stop the time


class Nobody(Exception):
    """Nothing is left that could happen, or the time has come at which all should have ended: somebody hangs."""


class _Over(BaseException):
    """Ends a thread whose simulation is over."""


class _Thread:
    """A thread of the program; it runs while it holds the baton."""

    def __init__(self, thread=None):
        self.thread = thread
        self.work = None
        self.baton = threading.Lock()
        self.baton.acquire()


class _Sleep:
    """A wait of a thread, or a call that is due; over once it was woken or called off."""

    __slots__ = ("call", "over", "thread", "woken")

    def __init__(self, thread=None, call=None):
        self.thread = thread
        self.call = call
        self.over = False
        self.woken = False


class VirtualTime(Clock):
    """A clock whose owner is the thread that makes it.

    Attributes:
        seconds: that have passed since it was made.
        ahead: of the wall clock, seconds: set it to make the wall clock jump.
        events: how many have happened.
        own_cpu: CPU seconds of the owner's thread that went into the simulation itself.
    """

    def __init__(self, most=1e9):
        """Begin at nought; a simulation that comes to ``most`` seconds hangs, and ends with :class:`Nobody`."""
        self.seconds = 0.0
        self.ahead = 0.0
        self.events = 0
        self.own_cpu = 0.0
        self._most = most
        self._order = count()
        self._heap = []
        self._owner = self._now = _Thread()  # who holds the baton
        self._threads = []
        self._idle = []  # those without work, to be used again
        self._failed = None  # what the owner has to know
        self._ended = False

    # --- what a clock is asked for --------------------------------------------------------------------------------

    def time(self):
        return _BORN + self.seconds + self.ahead

    def monotonic(self):
        return self.seconds

    def uptime(self):
        return self.seconds

    def queue(self):
        return _Queue(self)

    def condition(self, lock=None):
        return _Condition(self, lock)

    def start(self, work):
        self.at(0.0, lambda: self._run_in_thread(work))

    # --- what a simulation is made of -----------------------------------------------------------------------------

    def at(self, delay, call):
        """Have ``call`` made in ``delay`` seconds; returns what :meth:`call_off` takes."""
        return self._push(delay, _Sleep(call=call))

    def call_off(self, sleep):
        """Forget a call that is due."""
        sleep.over = True

    def sleep(self, seconds):
        """Let ``seconds`` pass in this thread."""
        self.wait(self.sleeper(), seconds)

    def sleeper(self):
        """Return a wait of the running thread, for :meth:`wait` and :meth:`wake`."""
        return _Sleep(thread=self._now)

    def wait(self, sleep, timeout):
        """Wait until somebody wakes, or ``timeout`` seconds pass (None: for ever); return whether somebody did."""
        if timeout is not None:
            self._push(max(timeout, _INSTANT), sleep)
        self._let_others_run(sleep.thread)
        sleep.over = True
        return sleep.woken

    def wake(self, sleep):
        """End a wait, as the next thing that happens now."""
        if not sleep.over and not sleep.woken:
            sleep.woken = True
            self._push(0.0, sleep)

    def end(self):
        """End the threads that are left, one by one; the owner calls it last."""
        self._ended = True
        for thread in self._threads:
            thread.baton.release()
            thread.thread.join()

    # --- who runs -------------------------------------------------------------------------------------------------

    def _push(self, delay, sleep):
        heapq.heappush(self._heap, (self.seconds + delay, next(self._order), sleep))
        return sleep

    def _next(self):
        """Let the time jump to the next event and return it."""
        while self._heap:
            at, _, sleep = heapq.heappop(self._heap)
            if sleep.over:
                continue
            sleep.over = True
            self.seconds = max(self.seconds, at)
            self.events += 1
            if self.seconds > self._most:
                break
            return sleep
        raise Nobody(f"after {self.seconds:.0f} s and {self.events} events nothing is left that could happen in time")

    def _turn(self):
        """Make the calls that are due, up to the event that is a thread's, and return the thread."""
        try:
            while True:
                sleep = self._next()
                # In a context of its own: what it is called from may be inside a unit of work that is not its own.
                thread = sleep.thread if sleep.call is None else Context().run(sleep.call)
                if thread is not None:
                    return thread
        except Exception as error:  # noqa: BLE001 - not handled here: the owner gets it
            self._failed = error
            return self._owner

    def _let_others_run(self, me):
        """Hand the baton on, until it is this thread's turn again."""
        if self._ended:
            raise _Over
        began = time.thread_time()
        self._now = self._turn()
        self.own_cpu += (time.thread_time() - began) * (me is self._owner)
        if self._now is not me:
            self._now.baton.release()
            self._take_baton(me)
        self._report(me)

    def _take_baton(self, me):
        me.baton.acquire()
        if self._ended:
            raise _Over

    def _report(self, me):
        if self._failed is not None and me is self._owner:
            failed, self._failed = self._failed, None
            raise failed

    def _run_in_thread(self, work):
        """Return the thread that will do ``work`` once it is handed the baton."""
        if not self._idle:
            fresh = _Thread()
            fresh.thread = threading.Thread(target=self._live, args=(fresh,), daemon=True)
            fresh.thread.start()
            self._threads.append(fresh)
            self._idle.append(fresh)
        thread = self._idle.pop()
        thread.work = work
        return thread

    def _live(self, me):
        try:
            while True:
                self._take_baton(me)
                Context().run(self._do, me)
                self._idle.append(me)
                self._now = self._turn()
                self._now.baton.release()
        except _Over:
            pass

    def _do(self, me):
        try:
            me.work()
        except Exception as error:  # noqa: BLE001 - as above
            self._failed = error
        if self._ended:
            raise _Over


class _Queue:
    """A queue with one reader."""

    def __init__(self, time):
        self._time = time
        self._items = deque()
        self._reader = None

    def put(self, item):
        self._items.append(item)
        if self._reader is not None:
            self._time.wake(self._reader)

    def get(self, *, timeout):
        if not self._items:  # also for a timeout of nought, or a rounding error could stop the time
            self._reader = self._time.sleeper()
            self._time.wait(self._reader, timeout)
            self._reader = None
        if not self._items:
            raise queue.Empty
        return self._items.popleft()


class _Condition:
    """A condition; only one thread runs at a time, so a lock of its own is not needed."""

    def __init__(self, time, lock):
        self._time = time
        self._lock = lock
        self._waiting = deque()

    def __enter__(self):
        return self._lock is None or self._lock.acquire()

    def __exit__(self, *error):
        if self._lock is not None:
            self._lock.release()

    def wait(self, timeout=None):
        sleep = self._time.sleeper()
        self._waiting.append(sleep)
        if self._lock is not None:
            self._lock.release()
        try:
            return self._time.wait(sleep, timeout)
        finally:
            if sleep in self._waiting:
                self._waiting.remove(sleep)
            if self._lock is not None:
                self._lock.acquire()

    def notify(self, n=1):
        for _ in range(min(n, len(self._waiting))):
            self._time.wake(self._waiting.popleft())

    def notify_all(self):
        self.notify(len(self._waiting))
