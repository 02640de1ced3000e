"""Cuts documents into chunks that know where they come from: by size, or by a structure that the text has.

A chunk is a slice of its document's text, never a changed copy, so that ``document.text[start:end] == chunk.text``
holds and a link can lead to the place.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from llm_optimize.core.checks import check_whole
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["By", "Chunk", "Chunking", "Document"]

By = Literal["size", "paragraphs", "headings", "code"]
"""What chunks end at: see :class:`Chunking`."""

_LEAST = 20
_FENCE = re.compile(r"^ {0,3}(```+|~~~+)[^\n]*$", re.MULTILINE)
_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)
_BLANK = re.compile(r"\n[ \t]*\n\s*")
_DEFINITION = re.compile(r"(?<=\n)(?=(?:[ \t]*\n)*[^\s#})\]])")  # a line that begins at the margin
_LINE = re.compile(r"\n")
_SENTENCE = re.compile(r"(?<=[.!?;:])\s+|(?<=[\u3002\uff01\uff1f])")
_SPACE = re.compile(r"\s+")
_FRACTION = 4  # a chunk ends at a structure's border if that leaves it at least a quarter full


@dataclass(frozen=True, slots=True)
class Document:
    """A text that can be looked up.

    Attributes:
        name: unique in a store, such as a path.
        text: may be empty; then it has no chunks.
        link: where a person finds it, such as a URL; empty: its name.
    """

    name: str
    text: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A slice of a document.

    Attributes:
        document: its name.
        start: offset of the first character in the document's text.
        end: offset behind the last one.
        text: the slice itself, without white space at its ends, never empty.
        link: leads to the document; of a part under a heading, to that heading (``guide.md#install``).
        heading: the headings above it, outermost first, joined by " > "; empty without any.
    """

    document: str
    start: int
    end: int
    text: str
    link: str
    heading: str = ""


@dataclass(frozen=True, slots=True)
class Chunking:
    r"""How documents are cut.

    Attributes:
        size: the most characters in a chunk, at least 20. 500 to 1,000 are 100 to 250 tokens of English.
        overlap: how many characters of a chunk the next one begins with at most, below ``size``; it begins at a word.
        by: what a chunk preferably ends at. A border is taken if it leaves the chunk a quarter full; else the next
            weaker one: paragraph, line, sentence, white space, character.

            - ``size``: white space.
            - ``paragraphs``: blank lines; neighbours are put together while they fit.
            - ``headings``: as ``paragraphs``, and no chunk crosses a Markdown heading (those in code fences are none).
            - ``code``: lines that begin at the margin, such as those of definitions, then blank lines, then lines.

    Raises:
        BadInput: a value makes no sense.

    Example:
        >>> text = "# Cats\nCats sleep.\n\n# Dogs\nDogs bark."
        >>> [(one.heading, one.start, one.link) for one in Chunking(by="headings").cut(Document("a.md", text))]
        [('Cats', 0, 'a.md#cats'), ('Dogs', 20, 'a.md#dogs')]
    """

    size: int = 800
    overlap: int = 100
    by: By = "headings"

    def __post_init__(self) -> None:
        """Refuse what cannot be cut."""
        check_whole("size", self.size, _LEAST)
        check_whole("overlap", self.overlap, 0, self.size - 1)
        if self.by not in get_args(By):
            msg = f"by is {self.by!r}: give one of {', '.join(get_args(By))}"
            raise BadInput(msg)

    def cut(self, document: Document) -> tuple[Chunk, ...]:
        """Return the chunks of a document in order; together they hold every character but white space."""
        text, link = document.text, document.link or document.name
        borders = _borders(text, self.by)
        found = []
        for section in _sections(text) if self.by == "headings" else [_Section(0, len(text))]:
            for start, end in self._spans(text, section, borders):
                trimmed = _trimmed(text, start, end)
                if trimmed is not None:
                    first, last = trimmed
                    to = f"{link}#{section.anchor}" if section.anchor else link
                    found.append(Chunk(document.name, first, last, text[first:last], to, section.path))
        return tuple(found)

    def _spans(self, text: str, section: _Section, borders: Sequence[Sequence[int]]) -> Iterator[tuple[int, int]]:
        start = section.start
        while start < section.end:
            while start < section.end and text[start].isspace():
                start += 1
            end = section.end if section.end - start <= self.size else self._end(start, borders)
            yield start, end
            if end >= section.end:
                return
            start = self._next(text, start, end)

    def _end(self, start: int, borders: Sequence[Sequence[int]]) -> int:
        """Return the last border of the strongest kind that leaves the chunk full enough."""
        most = start + self.size
        for places in borders:
            at = bisect_right(places, most) - 1
            if at >= 0 and places[at] >= start + self.size // _FRACTION:
                return places[at]
        return most

    def _next(self, text: str, start: int, end: int) -> int:
        """Return where the next chunk begins: at the first word within the overlap, always further on."""
        back = max(end - self.overlap, start + 1)
        if back >= end:
            return end
        if text[back - 1].isspace():
            return back
        word = _SPACE.search(text, back, end)
        return word.end() if word is not None and word.end() < end else end


@dataclass(frozen=True, slots=True)
class _Section:
    start: int
    end: int
    path: str = ""
    anchor: str = ""


def _borders(text: str, by: By) -> list[list[int]]:
    """Return the places where a chunk may end, strongest kind first, each sorted."""
    kinds = {"size": [_SPACE], "code": [_DEFINITION, _BLANK, _LINE, _SPACE]}
    return [
        sorted({found.end() for found in pattern.finditer(text)})
        for pattern in kinds.get(by, [_BLANK, _LINE, _SENTENCE, _SPACE])
    ]


def _sections(text: str) -> list[_Section]:
    """Return the parts between Markdown headings, each with the headings above it."""
    fenced = _fenced(text)
    found: list[_Section] = []
    path: list[tuple[int, str]] = []
    start, anchor, taken = 0, "", dict[str, int]()
    for heading in _HEADING.finditer(text):
        if any(low <= heading.start() < high for low, high in fenced):
            continue
        found.append(_Section(start, heading.start(), _joined(path), anchor))
        level, title = len(heading[1]), heading[2]
        path = [*[one for one in path if one[0] < level], (level, title)]
        start, anchor = heading.start(), _anchor(title, taken)
    found.append(_Section(start, len(text), _joined(path), anchor))
    return [one for one in found if one.end > one.start]


def _fenced(text: str) -> list[tuple[int, int]]:
    """Return where code fences open and close; one that is not closed reaches to the end."""
    found: list[tuple[int, int]] = []
    opened: tuple[int, str] | None = None
    for fence in _FENCE.finditer(text):
        if opened is None:
            opened = fence.start(), fence[1]
        elif fence[1].startswith(opened[1]) and fence[0].strip() == fence[1]:
            found.append((opened[0], fence.end()))
            opened = None
    return [*found, (opened[0], len(text))] if opened else found


def _joined(path: Sequence[tuple[int, str]]) -> str:
    return " > ".join(title for _, title in path)


def _anchor(title: str, taken: dict[str, int]) -> str:
    """Return a heading's anchor as GitHub makes it: lower case, dashes for blanks, a number for one that is taken."""
    plain = unicodedata.normalize("NFC", title).lower()
    slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
    number = taken[slug] = taken.get(slug, -1) + 1
    return f"{slug}-{number}" if number else slug


def _trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    piece = text[start:end]
    first = start + len(piece) - len(piece.lstrip())
    last = start + len(piece.rstrip())
    return (first, last) if last > first else None
