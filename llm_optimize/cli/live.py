"""The live view of a run in a terminal: where it stands, what is left, what the model said last and is saying now."""

from __future__ import annotations

import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.cli.lines import sentence
from llm_optimize.cli.speech import Speech
from llm_optimize.cli.terminal import FRAME_S, Screen
from llm_optimize.cli.wording import amount, clean, columns, dollars, duration, score_text, trim
from llm_optimize.core.events import Guided, Opened, Proposed, Retold, Told
from llm_optimize.core.types import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from llm_optimize.core.budget import Budget
    from llm_optimize.core.chat import Piece
    from llm_optimize.core.events import Event
    from llm_optimize.core.history import History
    from llm_optimize.core.study import Study

__all__ = ["LiveView", "Standing", "frame", "sparkline"]

_BARS, _PLAIN_BARS = "▁▂▃▄▅▆▇█", "_.-=+*#@"
_TICK_S = 1.0  # clocks move without events
_WIDEST_CURVE = 60
_GOOD, _FAINT = "1;32", "2"
_STYLES = (_GOOD, "", "", _FAINT)
_BY_TIME = "seconds"
_BY_MONEY = "dollars"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a frame shows besides the history.

    Attributes:
        budget: the caps.
        max_steps: the last step, or None.
        curve: the best score after each evaluation that had one.
        failed: how many evaluations failed.
        said: the latest explanation, or who made the latest candidate.
    """

    budget: Budget
    max_steps: int | None
    curve: Sequence[float] = ()
    failed: int = 0
    said: str = ""


class LiveView:
    """Redraws a few lines on stderr as events come; what stays (a new best, notes) is printed above them."""

    def __init__(self, budget: Budget, max_steps: int | None) -> None:
        """Draw nothing yet."""
        self._budget = budget
        self._max_steps = max_steps
        self._study: Study | None = None
        self._curve: list[float] = []
        self._failed = 0
        self._said = ""
        self._speech = Speech()
        self._wake, self._ended = threading.Event(), threading.Event()
        self._screen: Screen | None = None

    @contextmanager
    def following(self, study: Study) -> Iterator[None]:
        """Show the study inside the block; leave the terminal clean behind it."""
        self._study = study
        screen = self._screen = Screen(sys.stderr, self._wake)
        thread = threading.Thread(target=self._redraw, args=(screen,), daemon=True, name="live-view")
        with screen.printing():
            thread.start()
            try:
                yield
            finally:
                self._ended.set()
                self._wake.set()
                thread.join()
                screen.draw(())

    def __call__(self, event: Event) -> None:
        """Take the event in; the drawing is the thread's."""
        history = self._study.last if self._study else None
        if history is None:
            return
        match event:
            case Opened():
                self._begin(history)
                self._stay(sentence(event, history))
            case Proposed():
                self._proposed(event, history)
            case Told():
                self._told(event, history)
            case Retold():
                self._said = sentence(event, history)
            case Guided():
                self._stay(sentence(event, history))
        self._wake.set()

    def hear(self, piece: Piece) -> None:
        """Take in a part of a reply; the next frame shows it."""
        self._speech.hear(piece)
        self._wake.set()

    def _begin(self, history: History) -> None:
        scores = [trial.score for trial in history.trials if trial.score is not None]
        self._failed = len(history.trials) - len(scores)
        self._curve = [scores[0]] if scores else []
        for score in scores[1:]:
            self._curve.append(max(self._curve[-1], score))

    def _proposed(self, event: Proposed, history: History) -> None:
        self._stay(sentence(event, history))
        for candidate in event.candidates:
            if candidate.idea.strip():
                self._said = f"idea: {candidate.idea}"
            elif not self._said.startswith("idea"):
                self._said = f"latest: #{candidate.id} {candidate.origin}"

    def _told(self, event: Told, history: History) -> None:
        best = history.best
        if isinstance(event.outcome, Failure):
            self._failed += 1
        elif best is not None and best.score is not None:
            self._curve.append(best.score)
            if best.id == event.candidate_id:
                self._stay(sentence(event, history))

    def _stay(self, line: str) -> None:
        if line and self._screen is not None:
            self._screen.leave(line)

    def _redraw(self, screen: Screen) -> None:
        bars = _BARS if screen.can_show(_BARS) else _PLAIN_BARS
        while not self._ended.is_set():
            self._wake.wait(_TICK_S)
            self._wake.clear()
            if self._study is None or self._ended.is_set():
                return
            standing = Standing(self._budget, self._max_steps, tuple(self._curve), self._failed, self._said)
            width = screen.size[0] - 1
            lines = frame(self._study.last, standing, width, bars)
            styled = [screen.styled(line, style) for line, style in zip(lines, _STYLES, strict=False)]
            thinking, speech = self._speech.lines(width)
            screen.draw([*styled, *(screen.styled(line, _FAINT if thinking else "") for line in speech)])
            self._ended.wait(FRAME_S)


def frame(history: History, standing: Standing, width: int, bars: str = _BARS) -> list[str]:
    """Return the lines of a frame, none of them wider than ``width`` columns.

    Args:
        history: the study's past.
        standing: what is shown besides.
        width: columns that may be used.
        bars: the characters of the curve, lowest first.
    """
    best = history.best
    head = f"best {score_text(best.score)} (#{best.id})" if best else "best: none yet"
    room = min(_WIDEST_CURVE, width - columns(head) - 2)
    lines = [
        f"{head}  {sparkline(standing.curve, room, bars)}".rstrip(),
        _progress(history, standing),
        _left(history, standing),
        clean(standing.said, max(width, 1)),
    ]
    return [trim(line, width) for line in lines if line]


def sparkline(values: Sequence[float], width: int, bars: str = _BARS) -> str:
    """Return ``values`` as at most ``width`` bars; of more values every so many-th is shown, the last one always.

    Example:
        >>> sparkline([0, 0, 5, 7], 10)
        '▁▁▆█'
    """
    if width < 1 or not values:
        return ""
    count = min(width, len(values))
    shown = [values[(i + 1) * len(values) // count - 1] for i in range(count)]
    low, high = min(shown), max(shown)
    if not high > low:
        return bars[0] * count
    return "".join(bars[round((value / 2 - low / 2) / (high / 2 - low / 2) * (len(bars) - 1))] for value in shown)


def _progress(history: History, standing: Standing) -> str:
    of = "" if standing.max_steps is None else f"/{standing.max_steps}"
    usage = history.usage
    parts = [
        f"step {history.steps}{of}",
        f"{len(history.pending)} pending" if history.pending else "",
        f"{history.evaluations} evaluations" + (f" ({standing.failed} failed)" if standing.failed else ""),
        f"{amount(usage.tokens)} tokens" if usage.calls else "",
        (dollars(usage.dollars) if usage.dollars else "no price known") if usage.calls else "",
        duration(history.active_seconds(time.time())),
    ]
    return " | ".join(part for part in parts if part)


def _left(history: History, standing: Standing) -> str:
    parts = [] if standing.max_steps is None else [f"{max(0, standing.max_steps - history.steps)} steps"]
    for name, (used, cap) in standing.budget.used(history, time.time()).items():
        show = {_BY_TIME: duration, _BY_MONEY: dollars}.get(name, amount)
        unit = "" if name in (_BY_TIME, _BY_MONEY) else f" {name}"
        parts.append(f"{show(max(0, cap - used))} of {show(cap)}{unit}")
    return f"left: {' | '.join(parts)}" if parts else ""
