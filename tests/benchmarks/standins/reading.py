"""What a stand-in for a chat model reads in a prompt: the candidates shown, what was said of each, what is asked.

It knows no system's format. It reads as a person would: a fenced block that looks like a candidate is one; the words
just before it or just behind it say how it did; the one that stands under the word "current" is the one to improve.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Asked", "Shown", "inner", "read", "rewrapped"]

_FENCE = re.compile(r"[ \t]*(`{3,})([^`]*)")
_NUMBER = r"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)"
_SCORE = re.compile(r"\b(?:score|fitness)\b[^\n\d-]{0,30}" + _NUMBER, re.IGNORECASE)
_CURRENT = re.compile(r"\bcurrent\b", re.IGNORECASE)
_MARKER = re.compile(r"\W*EVOLVE-BLOCK-(?:START|END)\b")
_BEHIND = 1500  # characters behind a candidate that may speak of it
_FIRST_WORDS = 300  # of what is said of a candidate; a failure is named there
_BEFORE = 3  # lines before it that may name it
_OF_ANOTHER = re.compile(r"[^.\n]*\b(?:best|top) so far\b[^\n]*", re.IGNORECASE)  # a sentence about another candidate
_FAILED = re.compile(r"\bfailed(?: \(\w+\))?:")
_ON_BEST = re.compile(r"build on the best|improve the best", re.IGNORECASE)
_AFRESH = re.compile(
    r"(?:radically|completely|entirely|fundamentally|very|quite) (?:different|new)|start (?:over|anew|from scratch)"
    r"|different approach|new approach|something bold|unlike (?:all|any|those)",
    re.IGNORECASE,
)
_COMBINE = re.compile(r"\b(?:combine|merge|cross|crossover|recombine)\b[^.\n]*", re.IGNORECASE)
_BEST = re.compile(r"best so far is [a-z]+ #?(\d+)", re.IGNORECASE)
_LABEL = re.compile(r"\b(?:attempt|program|candidate) #?(\d+)\b", re.IGNORECASE)
_LABELLED = 60  # characters behind a candidate that may call it by a number


@dataclass(frozen=True, slots=True)
class Shown:
    """A candidate in a prompt.

    Attributes:
        text: as it stands in its block.
        score: the number that is said of it; None where none is, or where it failed.
        said: the words behind it, up to the next candidate.
        current: whether it stands under the word "current".
        failed: whether what is said first of it is that it failed.
        number: what it is called by, as in "attempt #7", if it is.
    """

    text: str
    score: float | None
    said: str
    current: bool
    failed: bool
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A prompt, read.

    Attributes:
        shown: every candidate in it, in order.
        base: the one that is to be improved; None where no candidate is shown.
        feedback: what is said about the base.
        failed: whether the base is said to have failed, behind it or before all candidates.
        edits: whether the reply must be SEARCH/REPLACE blocks.
        on_best: whether it is told to build on the best.
        afresh: whether something quite different is asked for.
        combine: whether a combination of several is asked for.
        called_best: the number of the one that is called the best so far.
        partners: the numbers of those that are to be combined with the base, where they are named.
    """

    shown: tuple[Shown, ...]
    base: Shown | None
    feedback: str
    failed: bool
    edits: bool
    on_best: bool
    afresh: bool
    combine: bool
    partners: tuple[int, ...] = ()
    called_best: int | None = None

    @property
    def best(self) -> Shown | None:
        """The one that is called the best so far, else the one with the highest number, the earlier of equals."""
        named = [one for one in self.shown if one.number is not None and one.number == self.called_best]
        if named:
            return named[-1]
        scored = [one for one in self.shown if one.score is not None]
        return max(scored, key=lambda one: one.score or 0.0, default=None)


def read(messages: Sequence[tuple[str, str]], is_candidate: Callable[[str], bool]) -> Asked:
    """Read a chat, as (role, text) turns.

    Args:
        messages: the chat, oldest first.
        is_candidate: whether a text looks like a candidate of the task.
    """
    text = "\n\n".join(said for _, said in messages)
    last = messages[-1][1] if messages else ""
    shown, preamble = _shown(text.split("\n"), is_candidate)
    marked = [one for one in shown if one.current]
    base = marked[-1] if marked else (shown[-1] if shown else None)
    if base is not None and base.score is None and not base.failed:  # said before all candidates
        base = replace(base, score=_score([], preamble))
    feedback = base.said if base is not None else ""
    edits = "<<<<<<< SEARCH" in last
    asks = _without_blocks(last)
    return Asked(
        shown,
        base,
        f"{feedback}\n{preamble}",
        bool(base and base.failed) or "failed:" in preamble,
        edits,
        bool(_ON_BEST.search(text)),
        bool(_AFRESH.search(asks)),
        bool(told := _COMBINE.findall(asks)),
        tuple(int(number) for words in told for number in re.findall(r"#(\d+)", words)),
        int(best[1]) if (best := _BEST.search(asks)) else None,
    )


def inner(text: str) -> str:
    """Return a candidate without marker lines of a region that may be edited, and without blank lines at its ends."""
    return "\n".join(line for line in text.split("\n") if not _MARKER.match(line)).strip("\n")


def rewrapped(old: str, new: str) -> str:
    """Return a new candidate between the marker lines that the old one stands in, if there are any."""
    lines = old.strip("\n").split("\n")
    head = [line for line in lines[:1] if _MARKER.match(line)]
    tail = [line for line in lines[-1:] if _MARKER.match(line)] if len(lines) > 1 else []
    return "\n".join([*head, new, *tail])


def _shown(lines: list[str], is_candidate: Callable[[str], bool]) -> tuple[tuple[Shown, ...], str]:
    blocks = [block for block in _blocks(lines) if is_candidate(inner("\n".join(lines[block[0] + 1 : block[1]])))]
    found = []
    for index, (first, last) in enumerate(blocks):
        begin = blocks[index - 1][1] + 1 if index else 0
        end = blocks[index + 1][0] if index + 1 < len(blocks) else len(lines)
        named = [line for line in lines[begin:first] if line.strip()][-_BEFORE:]
        said = _OF_ANOTHER.sub("", "\n".join(lines[last + 1 : end]))[:_BEHIND]
        current = any(_CURRENT.search(line) for line in named)
        failed = bool(_FAILED.search(said[:_FIRST_WORDS]))
        score = None if failed else _score(named, said)
        label = _LABEL.search(named[-1] if named else "") or _LABEL.search(said[:_LABELLED])
        number = int(label[1]) if label and not current else None
        found.append(Shown("\n".join(lines[first + 1 : last]), score, said, current, failed, number))
    return tuple(found), "\n".join(lines[: blocks[0][0]]) if blocks else "\n".join(lines)


def _blocks(lines: list[str]) -> list[tuple[int, int]]:
    """Return the lines of the fences of each block; a block that is never closed is none."""
    found, opened, fence = [], None, ""
    for number, line in enumerate(lines):
        match = _FENCE.fullmatch(line)
        if match is None:
            continue
        if opened is None:
            opened, fence = number, match[1]
        elif not match[2].strip() and len(match[1]) >= len(fence):
            found.append((opened, number))
            opened = None
    return found


def _score(named: list[str], said: str) -> float | None:
    match = (_SCORE.search(named[-1]) if named else None) or _SCORE.search(said)
    return float(match[1]) if match else None


def _without_blocks(text: str) -> str:
    """Leave out what stands in fences: a candidate's own words ask for nothing."""
    lines = text.split("\n")
    inside = {number for first, last in _blocks(lines) for number in range(first, last + 1)}
    return "\n".join(line for number, line in enumerate(lines) if number not in inside)
