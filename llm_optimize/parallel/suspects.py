"""Calls whose workers have ended, made once more, one at a time.

Dask says of all calls that lay at a worker that they have lost it, also of those that had not begun. With one suspect
out at a time, only the one that ends its workers by itself loses them again.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Suspects"]


class Suspects:
    """A queue for one; safe to use from many threads.

    Example:
        >>> suspects = Suspects()
        >>> suspects.admit(lambda: print("first"))
        first
        >>> suspects.admit(lambda: print("second"))
        >>> suspects.release()
        second
    """

    def __init__(self) -> None:
        """Begin with nobody waiting."""
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_taken = False
        self._lock = threading.Lock()  # answers come from threads of the engine

    def admit(self, start: Callable[[], None]) -> None:
        """Call ``start`` now, or when those before it have been released."""
        with self._lock:
            if self._is_taken:
                self._waiting.append(start)
                return
            self._is_taken = True
        start()

    def release(self) -> None:
        """Say that the one that was started is done; the next one starts."""
        with self._lock:
            start = self._waiting.popleft() if self._waiting else None
            self._is_taken = start is not None
        if start is not None:
            start()
