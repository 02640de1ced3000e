"""What a process prints, read by threads, on platforms and in back ends where nothing better is to be had."""

from __future__ import annotations

import os
import threading
from typing import IO, TYPE_CHECKING

from llm_optimize.sandbox.live import output_pipe

if TYPE_CHECKING:
    from llm_optimize.sandbox.base import Limits

__all__ = ["Stream"]


class Stream:
    """Reads one stream to its end in a thread, keeping the first bytes."""

    def __init__(self, pipe: IO[bytes], limits: Limits) -> None:
        """Begin to read; ``data`` holds what is kept."""
        self._pipe = pipe
        caps = output_pipe(limits.output_kb)
        self._keep, self._stop_at = caps.keep, caps.stop_at
        self._seen = 0
        self.data = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def too_much(self) -> bool:
        """Whether so much was printed that the program is to be ended."""
        return self._seen > self._stop_at

    def finish(self) -> None:
        """Wait for the last bytes; a process that nobody found may hold the stream open, so not for long."""
        self._thread.join(1)
        if not self._thread.is_alive():
            self._pipe.close()

    def _read(self) -> None:
        while part := os.read(self._pipe.fileno(), 1 << 16):
            self._seen += len(part)
            self.data += part[: max(0, self._keep - len(self.data))]
