"""Where values stand in a text: numbers, options, and assignments of either to a name, in any language."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Area", "Place", "assignments", "numbers", "option_of", "options_in"]

_WHOLE = r"[0-9]+(?:_[0-9]+)*(?:\.[0-9]+(?:_[0-9]+)*)?"
_EXPONENT = r"(?:[eE][-+]?[0-9]+)?"
_DIGITS = rf"(?:{_WHOLE}|\.[0-9]+){_EXPONENT}"
_NUMBER = re.compile(rf"(?:(?<!\w)(?<!\w\.){_WHOLE}|(?<![\w.])\.[0-9]+){_EXPONENT}(?!\w|\.[0-9])")
# Behind a name it is clear that a number is meant, so a unit or a suffix may follow: 10px, 1.5f, 30s.
_ASSIGNED_NUMBER = re.compile(rf"[-+]?{_DIGITS}(?=(?:[A-Za-z]{{1,3}})?(?!\w|\.[0-9]))")
_QUOTED = re.compile(r"""(?P<quote>["'`])(?P<inner>[^"'`\n]*)(?P=quote)""")
_ASSIGN = r"""["'`]?[ \t]*(?::[ \t]*[A-Za-z_][\w.\[\], |]*=(?!=)|:=|=>|=(?![=~])|:(?![:=]))[ \t]*"""
_ASSIGN_OR_SPACE = rf"(?:{_ASSIGN}|[ \t]+)"
_WORD_AND_SPACE = re.compile(r"(?:(?P<word>[\w.]+)|[)\]])[ \t]+$")


@dataclass(frozen=True, slots=True)
class Area:
    """A part of a text, without some parts of it.

    Attributes:
        text: the whole text.
        start: where the part begins.
        end: where it ends.
        taken: (start, end) spans in which no value is looked for.
    """

    text: str
    start: int
    end: int
    taken: tuple[tuple[int, int], ...] = ()

    def free(self, start: int, end: int) -> bool:
        """Return whether a value may stand there."""
        inside = self.start <= start and end <= self.end
        return inside and all(end <= low or high <= start for low, high in self.taken)


@dataclass(frozen=True, slots=True)
class Place:
    """A value as it stands in a text.

    Attributes:
        start: where it begins, its sign included.
        end: where it ends.
        written: the text between the two.
        plus: whether the sign also separates the value from what precedes it, so that a positive one needs a ``+``.
    """

    start: int
    end: int
    written: str
    plus: bool = False


def numbers(area: Area) -> list[Place]:
    """Return every number; digits in identifiers, hexadecimal digits and version numbers are none.

    A sign belongs to the number when nothing but a separator or an operator stands right before it: in ``a - 3`` and
    ``5-3`` it does not, in ``[8, -3]`` and ``8 -3`` it does.
    """
    found = (_signed(area, match.start(), match.end()) for match in _NUMBER.finditer(area.text, area.start, area.end))
    return [place for place in found if area.free(place.start, place.end)]


def assignments(area: Area, name: str, options: Sequence[str] = (), *, spaced: bool = False) -> list[Place]:
    """Return where ``name`` is given a number (or, with ``options``, one of them or any quoted text).

    Args:
        area: where to look.
        name: as it is written before the sign of assignment; quotes around it do not matter.
        options: the options of a choice; empty for a number.
        spaced: whether a space alone assigns, as in ``--lr 0.1``.

    Returns:
        The first place, and those others that hold an equal value.
    """
    sign = _ASSIGN_OR_SPACE if spaced else _ASSIGN
    ends = (found.end() for found in re.finditer(rf"(?<!\w){re.escape(name)}{sign}", area.text[: area.end]))
    places = (_option_at(area, end, options) if options else _number_at(area, end) for end in ends if end >= area.start)
    kept = [place for place in places if place is not None and area.free(place.start, place.end)]
    return [place for place in kept if _same(place, kept[0], options)]


def options_in(area: Area, options: Sequence[str]) -> list[Place]:
    """Return every place where one of the options stands as a word of its own."""
    longest_first = "|".join(re.escape(option) for option in sorted(options, key=len, reverse=True))
    found = re.finditer(rf"(?<!\w)(?:{longest_first})(?!\w)", area.text[: area.end])
    places = (Place(match.start(), match.end(), match[0]) for match in found)
    return [place for place in places if area.free(place.start, place.end)]


def option_of(options: Sequence[str], written: str) -> str | None:
    """Return the option that ``written`` stands for, or None; the kind of quotes does not matter."""
    same = (
        option
        for option in options
        if option == written or (_unquoted(option) and _unquoted(option) == _unquoted(written))
    )
    return next(same, None)


def _signed(area: Area, start: int, end: int) -> Place:
    text = area.text
    end = _with_point(area, start, end)
    sign = start - 1
    if sign < area.start or text[sign] not in "+-":
        return Place(start, end, text[start:end])
    before = text[sign - 1] if sign > 0 else ""
    if before.isalnum() or (before and before in "_)]}."):
        return Place(start, end, text[start:end])
    return Place(sign, end, text[sign:end], _separates(text[:sign].rpartition("\n")[2]))


def _separates(line: str) -> bool:
    before = _WORD_AND_SPACE.search(line)
    return before is not None and not (before["word"] and _NUMBER.fullmatch(before["word"]))


def _with_point(area: Area, start: int, end: int) -> int:
    # "3." is a number in "[3., 4.]" and in "x = 3.", and the end of a sentence in "take 3."
    text = area.text
    if text[end : end + 1] != "." or not text[start:end].isdigit():
        return end
    rest = text[end + 1 : area.end].partition("\n")[0].lstrip(" \t\r")
    before = text[:start].rstrip(" \t+-")[-1:]
    ends_line = not rest and before in ("=", "(", "[", "{", "")
    return end + 1 if ends_line or rest.startswith((",", ")", "]", "}", ";", "*", "/", "+", "-", "#")) else end


def _number_at(area: Area, at: int) -> Place | None:
    quote = area.text[at] if area.text[at : at + 1] in ("'", '"', "`") else ""
    found = _ASSIGNED_NUMBER.match(area.text, at + len(quote), area.end)
    if found is None or (quote and area.text[found.end() : found.end() + 1] != quote):
        return None
    end = _with_point(area, found.start(), found.end())
    return Place(found.start(), end, area.text[found.start() : end])


def _option_at(area: Area, at: int, options: Sequence[str]) -> Place | None:
    text = area.text
    quoted = _QUOTED.match(text, at, area.end)
    if quoted:
        # Options with quotes of their own are written as they are, so the quotes in the text belong to the value.
        group = 0 if any(_unquoted(option) for option in options) else "inner"
        return Place(quoted.start(group), quoted.end(group), quoted[group])
    return next(_words_at(text, at, options), None)


def _words_at(text: str, at: int, options: Sequence[str]) -> Iterator[Place]:
    for option in sorted(options, key=len, reverse=True):
        end = at + len(option)
        written = text[at:end]
        boolean = option.lower() in ("true", "false") and written.lower() == option.lower()
        if (written == option or boolean) and not text[end : end + 1].isalnum() and text[end : end + 1] != "_":
            yield Place(at, end, written)


def _same(place: Place, other: Place, options: Sequence[str]) -> bool:
    if options:
        return place.written == other.written
    return float(place.written) == float(other.written)


def _unquoted(option: str) -> str:
    quoted = _QUOTED.fullmatch(option)
    return quoted["inner"] if quoted else ""
