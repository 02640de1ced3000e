"""The live view of ``llm-optimize prompt``: the best prompt, how far the search is, and keys to look at it."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from typing import TYPE_CHECKING

from llm_optimize.cli.prompt_frame import Looks, Shown, Sizes, frame, scrolled
from llm_optimize.cli.prompt_terminal import Stage, copy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_optimize.core.events import Event
    from llm_optimize.core.history import History
    from llm_optimize.core.study import Study

__all__ = ["PromptView"]

_GLANCE_S = 0.1  # between two looks at the keyboard, the events and the terminal's size
_TICK_S = 1.0  # the clock moves without events
_LINES = 200  # of what was printed meanwhile are kept
_STEPS = {"up": -1, "down": 1, "page up": -10, "page down": 10, "home": -(10**6), "end": 10**6}


class PromptView:
    """Shows a search on the terminal's other screen, until it ends and a key is pressed, or a key ends it.

    Attributes:
        quit: whether a key has ended the search.
    """

    def __init__(self, sizes: Sizes) -> None:
        """Draw nothing yet."""
        self.quit = False
        self._sizes = sizes
        self._study: Study | None = None
        self._shown = Shown()
        self._printed = _Printed()
        self._dirty, self._over, self._left = threading.Event(), threading.Event(), threading.Event()

    @contextmanager
    def following(self, study: Study) -> Iterator[None]:
        """Show the study inside the block, and its end until a key is pressed; then what was printed meanwhile."""
        self._study = study
        stage = Stage(sys.stdin, sys.stderr)
        stderr = sys.stderr
        thread = threading.Thread(target=self._watch, args=(stage,), daemon=True, name="prompt-view")
        try:
            with stage.taken(), redirect_stderr(self._printed), redirect_stdout(self._printed):
                thread.start()
                try:
                    yield
                    self._wait_for_a_key()
                finally:
                    self._left.set()
                    thread.join()
        finally:
            stderr.write(self._printed.getvalue())

    def __call__(self, event: Event) -> None:  # noqa: ARG002 - the view looks at what all events came to
        """See that something happened; the drawing is the thread's."""
        self._dirty.set()

    def _wait_for_a_key(self) -> None:
        try:
            reason = self._past.reason or ""
            if self.quit or reason.startswith("interrupted"):
                return
            self._shown = replace(self._shown, over=reason)
            self._over.set()
            self._dirty.set()
            self._left.wait()
        except KeyboardInterrupt:  # the search has ended by itself: Ctrl-C only leaves the view
            return

    @property
    def _past(self) -> History:
        if self._study is None:
            msg = "the view follows no study"
            raise RuntimeError(msg)
        return self._study.last

    def _watch(self, stage: Stage) -> None:
        drawn, size = 0.0, (0, 0)
        while not self._left.is_set():
            now = time.monotonic()
            if self._dirty.is_set() or size != stage.size or now - drawn > _TICK_S:
                self._dirty.clear()
                drawn, size = now, stage.size
                stage.draw(self._frame(stage, size))
            key = stage.key(_GLANCE_S)
            if key:
                self._press(key, stage)

    def _looks(self, size: tuple[int, int]) -> Looks:
        plain = not _can_show(sys.__stderr__)
        return Looks(max(size[0] - 1, 1), max(size[1], 1), not os.environ.get("NO_COLOR"), plain)

    def _frame(self, stage: Stage, size: tuple[int, int]) -> list[str]:
        looks = self._looks(size)
        said = self._printed.last or self._shown.said
        seconds = self._past.active_seconds(None if self._over.is_set() else time.time())
        lines = frame(self._past, self._sizes, replace(self._shown, said=said), looks, seconds)
        return lines[: max(stage.size[1], 1)]

    def _press(self, key: str, stage: Stage) -> None:
        self._dirty.set()
        shown, best = self._shown, self._past.best
        if key == "quit":
            self._end()
        elif key == "diff":
            self._shown = replace(shown, diff=not shown.diff, top=0)
        elif key == "copy":
            text = (best.text if best else self._past.problem.start or "").strip("\n")
            self._printed.last = ""
            self._shown = replace(shown, said=copy(text, stage))
        else:
            self._shown = scrolled(self._past, self._sizes, shown, self._looks(stage.size), _STEPS[key])

    def _end(self) -> None:
        """Leave the view, or end the search: as Ctrl-C does, so that nothing is waited for."""
        if not self._over.is_set():
            self.quit = True
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        self._left.set()


class _Printed(io.StringIO):
    """What was printed while the view was there; its last line is shown, all of it comes behind the view."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""

    def write(self, text: str) -> int:
        lines = text.strip().splitlines()
        self.last = lines[-1] if lines else self.last
        return super().write(text)


def _can_show(stream: object) -> bool:
    try:
        "█░─".encode(getattr(stream, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return False
    return True
