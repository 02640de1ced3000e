"""A few lines that are redrawn in place at the bottom of a terminal, while others print as ever.

Between two frames the cursor rests on an empty line above the block. So nothing need be known of how a resized
terminal has broken the lines: what is below the cursor is erased and drawn anew. And what a child process prints lands
on that empty line and is kept. What this process prints to stdout and stderr passes through :meth:`Screen.printing`,
line by line. The cursor is never hidden, so there is nothing to restore, however the process ends.
"""

from __future__ import annotations

import io
import os
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["FRAME_S", "Screen", "is_terminal"]

FRAME_S = 0.1
"""Seconds between two frames at least."""

_ERASE_BELOW = "\r\x1b[J"
_FALLBACK = (80, 24)


def is_terminal(stream: TextIO) -> bool:
    """Return whether lines can be redrawn on ``stream``."""
    return stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class Screen:
    """The block of lines; safe to use from many threads."""

    def __init__(self, stream: TextIO, wake: threading.Event) -> None:
        """Draw on ``stream``, a terminal, when told to; set ``wake`` when the block is to be drawn again."""
        self._stream = stream
        self._wake = wake
        self._above: list[str] = []
        self._drawn = 0.0
        self._lock = threading.RLock()  # a print while drawing comes from the same thread when a signal handler prints
        self._lines: Sequence[str] = ()
        self.colours = not os.environ.get("NO_COLOR")

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of the terminal now."""
        try:
            width, height = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return _FALLBACK
        return width or _FALLBACK[0], height or _FALLBACK[1]

    def can_show(self, text: str) -> bool:
        """Return whether the terminal's encoding has these characters."""
        try:
            text.encode(self._stream.encoding or "ascii")
        except UnicodeEncodeError:
            return False
        return True

    def styled(self, text: str, code: str) -> str:
        """Return ``text`` in a style such as ``"1"`` (bold), where colours are wanted."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.colours and text and code else text

    def leave(self, line: str) -> None:
        """Print a line that stays above the block, with the next frame or print."""
        with self._lock:
            self._above.append(line)
        self._wake.set()

    def draw(self, lines: Sequence[str]) -> None:
        """Replace the block by these lines, each narrower than the terminal; by none to end."""
        with self._lock:
            self._lines = lines[: max(1, self.size[1] - 2)]
            self._write(_ERASE_BELOW + self._left() + self._block())
            self._drawn = time.monotonic()

    def print_to(self, stream: TextIO, text: str) -> None:
        """Print whole lines above the block, to a stream of the same terminal.

        Of many prints in a row few draw the block again; the next frame does.
        """
        with self._lock:
            self._write(_ERASE_BELOW + self._left())
            stream.write(text)
            stream.flush()
            if time.monotonic() - self._drawn > FRAME_S:
                self._write(self._block())
                self._drawn = time.monotonic()
            else:
                self._wake.set()

    @contextmanager
    def printing(self) -> Iterator[None]:
        """Let everybody's prints to stdout and stderr appear above the block."""
        with ExitStack() as stack:
            errors = _Through(sys.stderr, self)
            stack.callback(errors.finish)
            stack.enter_context(redirect_stderr(errors))
            if sys.stdout.isatty():
                output = _Through(sys.stdout, self)
                stack.callback(output.finish)
                stack.enter_context(redirect_stdout(output))
            yield

    def _left(self) -> str:
        left, self._above = self._above, []
        return "".join(f"{line}\n" for line in left)

    def _block(self) -> str:
        if not self._lines:
            return ""
        return "\n" + "\n".join(self._lines) + f"\x1b[{len(self._lines)}A\r"

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class _Through(io.TextIOBase):
    """Stands in for a stream: passes whole lines on through the screen, and keeps the part of a line that is begun."""

    def __init__(self, stream: TextIO, screen: Screen) -> None:
        self._inner = stream
        self._screen = screen
        self._rest = ""
        self._turn = threading.Lock()

    def write(self, text: str) -> int:
        with self._turn:
            whole, newline, self._rest = (self._rest + text).rpartition("\n")
            if newline:
                self._screen.print_to(self._inner, whole + newline)
        return len(text)

    def finish(self) -> None:
        """Print what is left of a line."""
        with self._turn:
            if self._rest:
                self._screen.print_to(self._inner, self._rest + "\n")
            self._rest = ""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream has
        return getattr(self._inner, name)

    def isatty(self) -> bool:
        return self._inner.isatty()

    def fileno(self) -> int:
        return self._inner.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # the base class has a plain attribute
        return self._inner.encoding

    def writable(self) -> bool:
        return True
