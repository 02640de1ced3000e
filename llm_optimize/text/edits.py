"""Reply -> new text: SEARCH/REPLACE blocks, applied to the text that they change.

The blocks are those that aider made common and OpenEvolve, ShinkaEvolve and others use::

    | <<<<<<< SEARCH
    | lines as they stand in the text
    | =======
    | the lines to put there
    | >>>>>>> REPLACE

They are matched line by line, each against the text as it was shown: exactly, else without white space at the ends of
lines, else with one indentation more or less on all of them. Nothing is guessed beyond that; a block that stands
nowhere, or in two places, is refused with the reason, and then no block is applied.
"""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from llm_optimize.errors import NoCandidate
from llm_optimize.text.fences import after_thinking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["DIVIDER", "REPLACE", "SEARCH", "Edit", "apply_edits", "edits_in"]

SEARCH = "<<<<<<< SEARCH"
"""The line before the lines that are looked for,"""

DIVIDER = "======="
"""that between them and those that take their place,"""

REPLACE = ">>>>>>> REPLACE"
"""and that behind these."""

_NEARLY = re.compile(r"[ \t]*(?:<{4,}[ \t]*SEARCH\b|>{4,}[ \t]*REPLACE\b)")
_FENCE = re.compile(r"[ \t]*(?:`{3,}|~{3,})[\w+#.-]*[ \t]*\r?$")
_QUOTED = 100  # characters of a line that are shown back to the model
_COMPARED = 2000  # lines among which the nearest one is looked for


@dataclass(frozen=True, slots=True)
class Edit:
    """One block.

    Attributes:
        number: its ordinal in the reply, from 1.
        search: the lines that are looked for, without line ends.
        replace: the lines that take their place; none for a deletion.
    """

    number: int
    search: tuple[str, ...]
    replace: tuple[str, ...]


def edits_in(reply: str) -> tuple[tuple[Edit, ...], str]:
    r"""Take the blocks out of a reply.

    A block that is indented as a whole, in a list say, loses that indentation. Lines of code fences outside of the
    blocks are dropped.

    Returns:
        The blocks in order, none where the reply holds no such line, and the rest of the reply, trimmed.

    Raises:
        NoCandidate: a block is not complete, or it cannot be told where its halves begin and end: a line that reads
            like a mark stands within one.

    Example:
        >>> edits, why = edits_in("Faster.\n<<<<<<< SEARCH\na = 1\n=======\na = 2\n>>>>>>> REPLACE")
        >>> edits, why
        ((Edit(number=1, search=('a = 1',), replace=('a = 2',)),), 'Faster.')
    """
    reader = _Reader()
    for line in after_thinking(reply).split("\n"):
        reader.take(line)
    return reader.done()


def apply_edits(text: str, edits: Sequence[Edit]) -> str:
    r"""Return ``text`` with all blocks applied.

    Every line that no block names stays byte for byte; new lines end as those that they replace do.

    Raises:
        NoCandidate: a block matches nowhere or in several places, changes nothing, or meets another one; or nothing
            is left of the text. The message is a clause that says which block, and what stands there instead.

    Example:
        >>> apply_edits("def f():\n    return 1\n", [Edit(1, ("return 1",), ("return 2",))])
        'def f():\n    return 2\n'
    """
    lines = text.split("\n")
    found = sorted((_located(lines, edit) for edit in edits), key=lambda hunk: (hunk.start, hunk.end))
    for earlier, later in pairwise(found):
        if later.start < earlier.end:
            msg = (
                f"blocks {earlier.number} and {later.number} change the same lines: join them into one; each is "
                "matched against the current x as it was shown"
            )
            raise NoCandidate(msg)
    for hunk in reversed(found):
        lines[hunk.start : hunk.end] = hunk.lines
    changed = "\n".join(lines)
    if not changed.strip():
        msg = "the blocks delete all of the current x: leave something of it"
        raise NoCandidate(msg)
    return changed


# --- reading ------------------------------------------------------------------------------------------------------


class _Reader:
    """Goes through a reply line by line: outside, in a block's first half, in its second half."""

    def __init__(self) -> None:
        self._outside: list[str] = []
        self._edits: list[Edit] = []
        self._halves: list[list[str]] = []
        self._indent = ""
        self._crlf = False

    def take(self, line: str) -> None:
        mark = line.strip()
        if mark == SEARCH and not self._halves:
            self._indent, self._crlf = line[: line.index("<")], line.endswith("\r")
            self._halves = [[]]
        elif mark == DIVIDER and len(self._halves) == 1:
            self._halves.append([])
        elif mark == REPLACE and len(self._halves) == 2:  # noqa: PLR2004 - both halves are there
            self._close()
        elif mark in {SEARCH, REPLACE} or (mark == DIVIDER and self._halves) or _NEARLY.match(line):
            raise NoCandidate(self._misplaced(mark))
        elif self._halves:
            self._halves[-1].append(line.removesuffix("\r") if self._crlf else line)
        elif not _FENCE.match(line):
            self._outside.append(line)

    def done(self) -> tuple[tuple[Edit, ...], str]:
        if self._halves:
            raise NoCandidate(self._misplaced("the end of the reply"))
        return tuple(self._edits), "\n".join(self._outside).strip()

    def _close(self) -> None:
        search, replace = self._halves
        indent = self._indent
        if indent and all(line.startswith(indent) for line in (*search, *replace) if line.strip()):
            search, replace = ([line.removeprefix(indent) for line in half] for half in (search, replace))
        self._edits.append(Edit(len(self._edits) + 1, tuple(search), tuple(replace)))
        self._halves = []

    def _misplaced(self, mark: str) -> str:
        number = len(self._edits) + 1
        if mark == DIVIDER:
            return (
                f"block {number} holds more than one line {DIVIDER}, so it is unclear where its halves part: leave the "
                "other such lines out of it"
            )
        expected = (SEARCH, DIVIDER, REPLACE)[len(self._halves)]
        return (
            f"block {number} is not complete or its marks are unclear: {mark[:_QUOTED]!r} comes where {expected} "
            f"should; each block needs the lines {SEARCH}, {DIVIDER} and {REPLACE}, in this order and written so"
        )


# --- matching -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Hunk:
    """Lines start to end (not included) of the text, and what takes their place."""

    number: int
    start: int
    end: int
    lines: list[str]


def _located(lines: Sequence[str], edit: Edit) -> _Hunk:
    """Find the one place of a block, by the strictest of the ways to compare that finds any."""
    if not any(line.strip() for line in edit.search):
        msg = (
            f"the SEARCH part of block {edit.number} is empty: repeat there the lines that the new ones are to replace "
            "or to stand beside"
        )
        raise NoCandidate(msg)
    for matches in (_exactly, _but_for_line_ends, _but_for_indentation):
        places = list(_places(lines, edit.search, matches))
        if len(places) > 1:
            named = ", ".join(str(_number(lines, start)) for start, _ in places[:5])
            msg = (
                f"the SEARCH part of block {edit.number} stands in {len(places)} places of the current x (lines "
                f"{named}): add lines around it until there is only one"
            )
            raise NoCandidate(msg)
        if places:
            return _hunk(lines, edit, *places[0])
    raise NoCandidate(_no_place(lines, edit))


def _places(
    lines: Sequence[str], search: Sequence[str], matches: Callable[[Sequence[str], Sequence[str]], _Shift | None]
) -> Iterator[tuple[int, _Shift]]:
    count = len(search)
    first = next(number for number, line in enumerate(search) if line.strip())
    wanted = search[first].strip()
    for start in range(len(lines) - count + 1):
        if lines[start + first].strip() != wanted:
            continue  # so that a long text is not compared as a whole at every line
        shift = matches(lines[start : start + count], search)
        if shift is not None:
            yield start, shift


@dataclass(frozen=True, slots=True)
class _Shift:
    """The indentation that the text has more than the block, or less."""

    more: str = ""
    less: str = ""

    def apply(self, line: str) -> str | None:
        """Return a line of the block as the text would have it; None where it has too little indentation."""
        if not line.strip():
            return line
        return self.more + line.removeprefix(self.less) if line.startswith(self.less) else None


def _exactly(there: Sequence[str], search: Sequence[str]) -> _Shift | None:
    return _Shift() if all(map(_same, there, search)) else None


def _same(there: str, line: str) -> bool:
    return there in {line, f"{line}\r"}


def _but_for_line_ends(there: Sequence[str], search: Sequence[str]) -> _Shift | None:
    return _Shift() if all(one.rstrip() == other.rstrip() for one, other in zip(there, search, strict=True)) else None


def _but_for_indentation(there: Sequence[str], search: Sequence[str]) -> _Shift | None:
    if any(one.strip() != other.strip() for one, other in zip(there, search, strict=True)):
        return None
    shifts = {_shift(_indent(one), _indent(other)) for one, other in zip(there, search, strict=True) if other.strip()}
    return shifts.pop() if len(shifts) == 1 else None


def _shift(there: str, here: str) -> _Shift | None:
    if there.endswith(here):
        return _Shift(more=there.removesuffix(here))
    return _Shift(less=here.removesuffix(there)) if here.endswith(there) else None


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _hunk(lines: Sequence[str], edit: Edit, start: int, shift: _Shift) -> _Hunk:
    end = start + len(edit.search)
    there = lines[start:end]
    shifted = [shift.apply(line) for line in edit.replace]
    new = [line for line in shifted if line is not None]
    if len(new) < len(shifted):
        msg = (
            f"the SEARCH part of block {edit.number} is indented more than the current x, and its REPLACE part is not "
            "indented as much: repeat the lines exactly as they stand there"
        )
        raise NoCandidate(msg)
    if there[0].endswith("\r"):
        new = [f"{line.removesuffix(chr(13))}\r" for line in new]
        if new and end == len(lines) and not there[-1].endswith("\r"):
            new[-1] = new[-1].removesuffix("\r")  # the last line of a text has no end
    if new == there:
        msg = f"block {edit.number} changes nothing: leave it out, or put what is new into its REPLACE part"
        raise NoCandidate(msg)
    return _Hunk(edit.number, start, end, new)


# --- saying why not -----------------------------------------------------------------------------------------------


def _no_place(lines: Sequence[str], edit: Edit) -> str:
    """Say of a block that stands nowhere where it nearly does, and what is different there."""
    head = f"the SEARCH part of block {edit.number} does not stand in the current x"
    tail = "repeat the lines exactly as they stand there"
    start = _nearest(lines, edit.search)
    if start is None:
        return f"{head}, and no line there is like {_quoted(_first(edit.search))}: {tail}"
    for number, line in enumerate(edit.search, start=1):
        place = start + number - 1
        there = lines[place] if 0 <= place < len(lines) else None
        if there is None:
            return f"{head}: it goes on beyond the text, with {_quoted(line)}: {tail}"
        if there.strip() != line.strip():
            return (
                f"{head}: its line {number} is {_quoted(line)}, but line {_number(lines, place)} of the nearest "
                f"place is {_quoted(there)}: {tail}"
            )
    return f"{head}: near line {_number(lines, start)} the lines are the same, but indented unevenly: {tail}"


def _nearest(lines: Sequence[str], search: Sequence[str]) -> int | None:
    """Return the line number, from 0, at which most lines of a block stand as they should, or the first one nearly."""
    places: dict[str, list[int]] = {}
    for number, line in enumerate(lines[:_COMPARED]):
        places.setdefault(line.strip(), []).append(number)
    votes = Counter(
        place - number
        for number, line in enumerate(search[:_COMPARED])
        if line.strip()
        for place in places.get(line.strip(), ())[:8]
    )
    if votes:
        return max(votes, key=lambda start: (votes[start], -start))
    number = next(number for number, line in enumerate(search) if line.strip())
    close = difflib.get_close_matches(search[number].strip()[:_QUOTED], [line[:_QUOTED] for line in places], 1)
    shown = next((line for line in places if close and line[:_QUOTED] == close[0]), None)
    return None if shown is None else places[shown][0] - number


def _number(lines: Sequence[str], index: int) -> int:
    """Return the number of a line as the model counts, who is shown the text without empty lines before it."""
    leading = next((number for number, line in enumerate(lines) if line), 0)
    return index + 1 - leading


def _first(lines: Sequence[str]) -> str:
    return next(line for line in lines if line.strip())


def _quoted(line: str) -> str:
    """Quote a line so that its indentation can be seen."""
    shown = line if len(line) <= _QUOTED else f"{line[:_QUOTED]}..."
    return json.dumps(shown.removesuffix("\r"), ensure_ascii=False)
