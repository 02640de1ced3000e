"""What the live view of ``llm-optimize prompt`` shows, as lines: a function of the past and of what was pressed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from llm_optimize.cli.wording import amount, clean, columns, dollars, duration, safe, score_text, trim
from llm_optimize.core.arms import Arm
from llm_optimize.proposers.parents.population import GENERATION, generation_of
from llm_optimize.text.words import word_changes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from llm_optimize.core.history import History

__all__ = ["Looks", "Shown", "Sizes", "frame", "scrolled"]

_ROWS_OF_BARS = 6
_WIDEST_BAR = 30
_LEAST_BODY = 3
_HEAD, _FOOT = 3, 3  # lines above the prompt, and below it beside the bars
_DONE, _OPEN = ("█", "░"), ("#", ".")
_LABEL = 14  # columns of a generation's name
_MARKS = {"same": ("", ""), "gone": ("[-", "-]"), "new": ("{+", "+}")}
_STYLES = {"same": "", "gone": "31;9", "new": "32"}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large the search is to be.

    Attributes:
        study: its name.
        generations: after the first one.
        first: prompts of the first one, the initial prompt included.
        later: of each later one.
    """

    study: str
    generations: int
    first: int
    later: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What a person has chosen to see.

    Attributes:
        diff: the changes against the initial prompt instead of the best prompt alone.
        top: the first line of it that is shown.
        said: what was done last, or printed last.
        over: why the search has ended; empty while it goes on.
    """

    diff: bool = False
    top: int = 0
    said: str = ""
    over: str = ""


@dataclass(frozen=True, slots=True)
class Looks:
    """What the terminal can do.

    Attributes:
        width: columns that may be used.
        height: rows.
        colours: whether styles are wanted.
        plain: whether only ASCII can be shown.
    """

    width: int
    height: int
    colours: bool = True
    plain: bool = False

    def styled(self, text: str, code: str) -> str:
        """Return the text in a style, such as ``"1"`` for bold."""
        return f"\x1b[{code}m{text}\x1b[0m" if self.colours and code and text else text


def frame(history: History, sizes: Sizes, shown: Shown, looks: Looks, seconds: float) -> list[str]:
    """Return the lines of the screen, as many as it has rows or fewer, each no wider than it.

    Args:
        history: the past.
        sizes: of the search.
        shown: what is to be seen.
        looks: of the terminal.
        seconds: that the study has been running.
    """
    bars, room = _layout(history, sizes, looks)
    text = _body(history, looks, diff=shown.diff)
    top = min(shown.top, max(len(text) - room, 0))
    rule = ("-" if looks.plain else "─") * looks.width
    below = len(text) - top - room
    more = f" {below} more line{'s' * (below != 1)} below, press down " if below > 0 else ""
    seen = text[top : top + room]
    lines = [
        *_head(history, sizes, shown, looks),
        rule,
        *seen,
        *[""] * (room - len(seen)),
        more.center(looks.width, rule[:1])[: looks.width] if more else rule,
        *bars,
        trim(_cost(history, seconds), looks.width),
        _foot(shown, looks),
    ]
    return lines[: looks.height]


def scrolled(history: History, sizes: Sizes, shown: Shown, looks: Looks, by: int) -> Shown:
    """Return what is shown after so many lines down, or up where ``by`` is below 0, within the prompt."""
    _, room = _layout(history, sizes, looks)
    last = max(len(_body(history, looks, diff=shown.diff)) - room, 0)
    return replace(shown, top=min(max(min(shown.top, last) + by, 0), last))


def _layout(history: History, sizes: Sizes, looks: Looks) -> tuple[list[str], int]:
    """Return the bars, and how many lines are left for the prompt."""
    bars = _bars(history, sizes, looks)
    room = looks.height - _HEAD - _FOOT - len(bars)
    return (bars, room) if room >= _LEAST_BODY else (bars[-1:], max(looks.height - _HEAD - _FOOT - 1, 0))


def _body(history: History, looks: Looks, *, diff: bool) -> Sequence[str]:
    """Return the best prompt, or the initial one while nothing has a score, as lines that fit the width."""
    best, start = history.best, history.problem.start or ""
    text = start if best is None else best.text
    return _wrapped(start.strip("\n") if diff else None, text.strip("\n"), looks)


def _head(history: History, sizes: Sizes, shown: Shown, looks: Looks) -> list[str]:
    best, first = history.best, history.trial(0)
    what = "changes against the initial prompt" if shown.diff else "best prompt so far"
    title = f"{sizes.study}: {clean(shown.over, looks.width)}; {what}" if shown.over else f"{sizes.study}: {what}"
    if best is None:
        return [looks.styled(trim(title, looks.width), "1"), "no score yet"]
    origin = best.candidate.origin.rpartition("/")[2] or "start"
    made = (
        "the initial prompt" if best.id == 0 else f"generation {generation_of(history, best.id)}, {clean(origin, 30)}"
    )
    gained = ""
    if first is not None and first.score is not None and best.score is not None and best.id:
        gained = f"  initial {score_text(first.score)}  gain {best.score - first.score:+.3g}"
    score = f"score {score_text(best.score)}  (#{best.id}, {made}){gained}"
    return [looks.styled(trim(title, looks.width), "1"), looks.styled(trim(score, looks.width), "1;32")]


def _bars(history: History, sizes: Sizes, looks: Looks) -> list[str]:
    arms = history.arms
    rows = [_bar(number, _counted(number, arms, history, sizes), looks) for number in range(sizes.generations + 1)]
    current = max((number for number in range(len(rows)) if history.knows_slot(number)), default=-1) + 1
    first = min(max(0, current + 1 - _ROWS_OF_BARS // 2), max(0, len(rows) - _ROWS_OF_BARS))
    return rows[first : first + _ROWS_OF_BARS]


def _counted(number: int, arms: Mapping[str, Arm], history: History, sizes: Sizes) -> tuple[int, int, Arm, bool]:
    """Return how many of a generation are judged, of how many, its arm, and whether it has been asked for."""
    arm = arms.get(f"{GENERATION}{number}", Arm())
    start = int(number == 0 and history.problem.start is not None)
    asked = history.knows_slot(number)
    judged = arm.told + (start if history.trial(0) is not None else 0)
    wanted = sizes.first if number == 0 else sizes.later
    return judged, arm.candidates + start if asked else wanted, arm, asked


def _bar(number: int, counted: tuple[int, int, Arm, bool], looks: Looks) -> str:
    judged, of, arm, asked = counted
    done, left = _OPEN if looks.plain else _DONE
    width = max(min(_WIDEST_BAR, looks.width - _LABEL - 26), 1)
    filled = width * judged // of if of else width
    best = f"best {arm.best:.4g}" if arm.best is not None else ""
    failed = f"{arm.failures} failed" if arm.failures else ""
    what = "  ".join(part for part in (f"{judged}/{of}", best, failed, "" if asked else "to come") if part)
    label = f"generation {number}".ljust(_LABEL)
    return trim(f"{label}{done * filled}{left * (width - filled)} {what}", looks.width)


def _cost(history: History, seconds: float) -> str:
    usage = history.usage
    price = dollars(usage.dollars) if usage.dollars else "no price known"
    told = len(history.trials)
    judged = f"{told} prompt{'s' * (told != 1)} judged"
    spent = f"{amount(usage.tokens_in)} tokens in, {amount(usage.tokens_out)} out | {usage.calls} calls | {price}"
    return f"{judged} | {spent if usage.calls else 'no model calls'} | {duration(seconds)}"


def _foot(shown: Shown, looks: Looks) -> str:
    keys = "c copy  d diff  arrows scroll  q quit"
    said = "  |  ".join(part for part in (keys, clean(shown.said, looks.width)) if part)
    return looks.styled(trim(said, looks.width), "7")


# --- the prompt -----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _wrapped(old: str | None, new: str, looks: Looks) -> Sequence[str]:
    parts = [("same", new)] if old is None else word_changes(old, new)
    rows: list[str] = [""]
    used = 0
    for kind, text in parts:
        opening, closing = _MARKS[kind]
        for piece in _pieces(f"{opening}{safe(text)}{closing}", looks.width):
            breaks = piece == "\n" or (used > 0 and used + columns(piece) > looks.width)
            if breaks:
                rows.append("")
                used = 0
            shown = piece.strip(" \n") if breaks else piece
            rows[-1] += looks.styled(shown, _STYLES[kind])
            used += columns(shown)
    return tuple(rows)


def _pieces(text: str, width: int) -> Iterator[str]:
    """Yield words with the blanks before them, line ends alone, and words that are wider than a row in parts."""
    word = ""
    for character in text.expandtabs(4):
        if character == "\n" or (character == " " and word.strip()) or columns(word + character) > max(width, 1):
            if word:
                yield word
            word = ""
        if character == "\n":
            yield "\n"
        else:
            word += character
    if word:
        yield word
