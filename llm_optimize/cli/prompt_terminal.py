"""A terminal taken over for a while: its other screen, single keys, and everything as it was afterwards.

The terminal's own mode (echo, line by line) and its screen come back on every exit that Python sees: the end of the
block, an error, Ctrl-C, SIGTERM and SIGHUP, which the commands turn into the same. Ctrl-C stays a signal; Ctrl-Z is
off meanwhile, since a shell would find the terminal in our mode. POSIX only (``termios``).
"""

from __future__ import annotations

import base64
import os
import re
import select
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from llm_optimize.cli.terminal import is_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Stage", "can_take_over", "copy"]

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[2J"
_LEAVE = "\x1b[0m\x1b[?25h\x1b[?1049l"
_ESCAPE_S = 0.05  # a key that sends more than Esc sends it at once
_FALLBACK = (80, 24)
_TYPED = 1024
_ONE = re.compile(rb"\x1b(?:\[[0-9;?]*[@-~]|O.)|.", re.DOTALL)  # a key: a control sequence, or a byte
_BEGUN = re.compile(rb"\x1b(?:\[[0-9;?]*|O)?")
_KEYS = {
    **dict.fromkeys((b"\x1b[A", b"\x1bOA", b"k"), "up"),
    **dict.fromkeys((b"\x1b[B", b"\x1bOB", b"j"), "down"),
    **dict.fromkeys((b"\x1b[5~",), "page up"),
    **dict.fromkeys((b"\x1b[6~", b" "), "page down"),
    **dict.fromkeys((b"\x1b[H", b"\x1bOH", b"\x1b[1~", b"g"), "home"),
    **dict.fromkeys((b"\x1b[F", b"\x1bOF", b"\x1b[4~", b"G"), "end"),
    **dict.fromkeys((b"\x1b", b"q", b"Q"), "quit"),
    **dict.fromkeys((b"c", b"C"), "copy"),
    **dict.fromkeys((b"d", b"D"), "diff"),
}
_PROGRAMS = (
    ("WAYLAND_DISPLAY", ("wl-copy",)),
    ("DISPLAY", ("xclip", "-selection", "clipboard")),
    ("DISPLAY", ("xsel", "--clipboard", "--input")),
    ("", ("pbcopy",)),
    ("WSL_DISTRO_NAME", ("clip.exe",)),
)
_COPY_S = 2.0


def can_take_over() -> bool:
    """Return whether keys can be read from stdin, and the screen drawn on stderr."""
    try:
        import termios  # noqa: F401, PLC0415 - not on Windows, where there is no such terminal
    except ImportError:
        return False
    return sys.stdin is not None and sys.stdin.isatty() and is_terminal(sys.stderr)


class Stage:
    """The terminal's other screen, and its keys."""

    def __init__(self, keyboard: TextIO, screen: TextIO) -> None:
        """Take both; nothing changes before :meth:`taken`."""
        self._keyboard = keyboard.fileno()
        self._typed = b""  # and not looked at yet: keys that were pressed quickly come together
        self._screen = screen

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows of the terminal now."""
        try:
            width, height = os.get_terminal_size(self._screen.fileno())
        except (OSError, ValueError):
            return _FALLBACK
        return width or _FALLBACK[0], height or _FALLBACK[1]

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Use the terminal inside the block; it is as it was behind it."""
        import termios  # noqa: PLC0415 - see can_take_over()

        before = termios.tcgetattr(self._keyboard)
        changed = termios.tcgetattr(self._keyboard)
        changed[3] &= ~(termios.ICANON | termios.ECHO)
        changed[6] = [*changed[6]]
        changed[6][termios.VSUSP] = b"\x00"
        changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
        try:
            termios.tcsetattr(self._keyboard, termios.TCSANOW, changed)
            self._write(_ENTER)
            yield
        finally:
            try:
                self._write(_LEAVE)
            finally:
                termios.tcsetattr(self._keyboard, termios.TCSAFLUSH, before)

    def draw(self, lines: Sequence[str]) -> None:
        """Fill the screen with these lines, each narrower than it; they are fewer than it has rows."""
        self._write("\x1b[H" + "\r\n".join(f"{line}\x1b[K" for line in lines) + "\x1b[J")

    def send(self, code: str) -> None:
        """Send a control sequence."""
        self._write(code)

    def key(self, seconds: float) -> str:
        """Return the name of the key that is pressed within so many seconds; empty for none, and for other keys.

        The names: up, down, page up, page down, home, end, copy, diff, quit. A terminal that is gone is a quit.
        """
        if not self._typed:
            if not self._waits(seconds):
                return ""
            self._typed = self._read(_TYPED)
            if not self._typed:
                return "quit"
        while _BEGUN.fullmatch(self._typed) and self._waits(_ESCAPE_S):
            more = self._read(_TYPED)
            if not more:
                break
            self._typed += more
        found = _ONE.match(self._typed)
        one = found[0] if found else self._typed
        self._typed = self._typed[len(one) :]
        return _KEYS.get(one, "")

    def _waits(self, seconds: float) -> bool:
        return bool(select.select([self._keyboard], [], [], seconds)[0])

    def _read(self, most: int) -> bytes:
        try:
            return os.read(self._keyboard, most)
        except OSError:  # the terminal was closed
            return b""

    def _write(self, text: str) -> None:
        try:
            self._screen.write(text)
            self._screen.flush()
        except OSError:  # the terminal was closed: the run goes on until its signal comes
            return


def copy(text: str, stage: Stage) -> str:
    """Copy a text, by the terminal (OSC 52) and by a clipboard program where there is one; return how, for people."""
    stage.send(f"\x1b]52;c;{base64.b64encode(text.encode()).decode()}\x07")
    for variable, command in _PROGRAMS:
        if (not variable or os.environ.get(variable)) and shutil.which(command[0]) and _piped(command, text):
            return f"copied by the terminal and by {command[0]}"
    return "copied by the terminal, if it takes OSC 52"


def _piped(command: Sequence[str], text: str) -> bool:
    try:
        done = subprocess.run(  # noqa: S603 - one of the programs above
            command, input=text.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_COPY_S,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
