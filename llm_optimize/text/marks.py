"""Comments that mark numbers to tune: ``C = 1.0  # tune: C=0.01..100 log``.

The grammar, in one place::

    comment:  opener tune: item {"," item}          opener is one of  #  //  --  %  ;
    item:     [name "="] low ".." high {word}       word is one of  log  int  float
           |  [name "="] option "|" option {...}

A range whose bounds are both written without a point is one of whole numbers when the number on the line is
written without a point too; the words ``int`` and ``float`` say otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.errors import BadInput
from llm_optimize.text.domains import Choice, Domain, Integer, Real

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Mark", "MarkedLine", "marked_lines", "parse_item"]

_COMMENT = re.compile(r"(?:#+|//+|--+|%+|;+)[ \t]*tune:(?P<items>.*?)(?:-->|\*/)?[ \t\r]*$")
_ITEM = re.compile(r"""(?:[^,;"']|"[^"]*"|'[^']*'|["'])+""")
_NAMED = re.compile(r"""\s*(?:(?P<quote>["']?)(?P<name>[^\W\d][\w.\-\[\]]*)(?P=quote)\s*=\s*)?(?P<body>.*?)\s*$""")
_BOUND = r"[-+]?(?:\d+(?:_\d+)*(?:\.(?!\.)\d*)?|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"(?P<low>{_BOUND})\s*\.\.\s*(?P<high>{_BOUND})(?P<words>(?:\s+\w+)*)$")
_WHOLE = re.compile(r"[-+]?\d+(?:_\d+)*$")
_WORDS = frozenset({"log", "int", "float"})


@dataclass(frozen=True, slots=True)
class Mark:
    """One item of a tune comment.

    Attributes:
        name: what it tunes; empty for the only number on the line.
        low: the lower bound as written; empty for a choice.
        high: the upper bound as written; empty for a choice.
        words: the words behind the range.
        options: the options of a choice, else empty.
    """

    name: str
    low: str = ""
    high: str = ""
    words: frozenset[str] = frozenset()
    options: tuple[str, ...] = ()

    def domain(self, written: str) -> Domain:
        """Return the range, given how the current value is written.

        Raises:
            BadInput: the range holds nothing.
        """
        if self.options:
            return Choice(self.options)
        whole = all(_WHOLE.match(number) for number in (self.low, self.high, written))
        log = "log" in self.words
        if "int" in self.words or (whole and "float" not in self.words):
            low, high = float(self.low), float(self.high)
            return Integer(_whole(low), _whole(high), log)
        return Real(float(self.low), float(self.high), log)


@dataclass(frozen=True, slots=True)
class MarkedLine:
    """A line with a tune comment.

    Attributes:
        number: 1 for the first line of the text.
        start: where the line begins in the text.
        comment: where its tune comment begins.
        end: where the line ends.
        items: the comment's items as written, each to be read by :func:`parse_item`.
    """

    number: int
    start: int
    comment: int
    end: int
    items: tuple[str, ...]


def marked_lines(text: str) -> Iterator[MarkedLine]:
    """Yield the lines that carry a tune comment, in order."""
    start = 0
    for number, line in enumerate(text.split("\n"), start=1):
        found = _COMMENT.search(line) if "tune:" in line else None
        if found:
            items = tuple(item for item in _ITEM.findall(found["items"]) if item.strip()) or ("",)
            yield MarkedLine(number, start, start + found.start(), start + len(line), items)
        start += len(line) + 1


def parse_item(item: str) -> Mark:
    """Read one item of a tune comment.

    Raises:
        BadInput: it is neither a range nor a choice.

    Example:
        >>> parse_item("k=1..20").low
        '1'
    """
    found = _NAMED.match(item)
    name, body = (found["name"] or "", found["body"]) if found else ("", item)
    numbers = _RANGE.match(body)
    if numbers:
        words = numbers["words"].split()
        if set(words) <= _WORDS and len(set(words)) == len(words) and not {"int", "float"} <= set(words):
            return Mark(name, numbers["low"], numbers["high"], frozenset(words))
    elif "|" in body:
        return Mark(name, options=tuple(option.strip() for option in body.split("|")))
    shown = name or "name"
    msg = f"{item.strip()!r} is no range: write {shown}=0.01..100, with log or int behind it, or {shown}=a|b"
    raise BadInput(msg)


def _whole(bound: float) -> int:
    if bound != int(bound):
        msg = f"{bound:g}: the bounds of an integer range must be whole numbers"
        raise BadInput(msg)
    return int(bound)
