"""Work over many items in threads that belong to the unit of work of the caller.

Each thread runs in a copy of the caller's context, so a study's scope sees every model call that is made in it: the
budget holds, replies are recorded, costs are booked.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import wait
from contextvars import copy_context
from typing import TYPE_CHECKING, TypeVar

from llm_optimize.core.workers import DaemonThreads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["spread"]

T = TypeVar("T")


def spread(work: Callable[[T], bool], items: Iterable[T], threads: int) -> None:
    """Call ``work`` for each item, up to ``threads`` at a time; begin no further one after one that says stop.

    Args:
        work: returns whether to go on; what it finds out it keeps itself.
        items: begun in this order.
        threads: 1 works in the calling thread. An interrupt (Ctrl-C) does not wait for calls under way; everything
            else does, as they may be paid for.

    Raises:
        BaseException: what ``work`` raised, the first in the order of the threads; nothing is begun after it.
    """
    waiting = deque(items)

    def go_on() -> None:
        while waiting:
            try:
                item = waiting.popleft()
            except IndexError:
                return  # another thread took the last one
            may_go_on = False
            try:
                may_go_on = work(item)
            finally:
                if not may_go_on:
                    waiting.clear()

    if threads == 1 or len(waiting) == 1:
        go_on()
        return
    executor = DaemonThreads()
    futures = [executor.submit(copy_context().run, go_on) for _ in range(min(threads, len(waiting)))]
    try:
        wait(futures)
    finally:
        waiting.clear()
    for future in futures:
        future.result()
