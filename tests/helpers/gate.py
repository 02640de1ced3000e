"""A model that answers when it is let: tests do something between two of its replies."""

from __future__ import annotations

import threading

__all__ = ["Gate"]


class Gate:
    """Lets a scripted server answer as often as it was told to, and keeps count."""

    def __init__(self, say):
        self._say = say
        self._open = threading.Semaphore(0)

    def let(self, count):
        for _ in range(count):
            self._open.release()

    def __call__(self, body, index):
        assert self._open.acquire(timeout=60)
        return self._say(index)
