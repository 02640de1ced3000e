"""What a candidate must keep of the text that the search began with: everything outside of marked blocks, and slots.

Blocks are marked as in AlphaEvolve, OpenEvolve and ShinkaEvolve, by two lines of any comment style::

    # EVOLVE-BLOCK-START
    only this may change
    # EVOLVE-BLOCK-END

Slots (placeholders) are ``{article}`` or ``{{article}}`` in a text that is no program: a template that a program fills
in. A lost one would never be filled in, and one that nobody knows makes ``str.format`` raise.
"""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from llm_optimize.errors import BadInput, NoCandidate

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["BLOCK_END", "BLOCK_START", "Frame", "frame_of", "language", "leaves", "slots"]

BLOCK_START = "EVOLVE-BLOCK-START"
"""Stands in the line before a block that may change,"""

BLOCK_END = "EVOLVE-BLOCK-END"
"""and in the one behind it."""

# In a comment, so that prose which speaks of the marks sets none.
_BLOCK_LINE = re.compile(rf"^[ \t]*[^\w\s]+[ \t]*({BLOCK_START}|{BLOCK_END})\b.*$", re.MULTILINE)
_SLOT = re.compile(r"\{\{[ \t]*([A-Za-z_]\w*)[ \t]*\}\}|(?<![{$^\\])\{([A-Za-z_]\w*)\}(?!\})")
_LATEX = re.compile(r"\\[A-Za-z]+\*?(?:\[[^\]]*\])?\{")
_CODE_LINE = re.compile(r"[;{}][ \t\r]*$", re.MULTILINE)
_CODE_START = re.compile(
    r"^[ \t]*(?:(?:async )?def \w+\(|class \w+[(:{]|import [\w.]+(?: as \w+)?[ \t\r;]*$|from [\w.]+ import |#include\b|"
    r"(?:export )?(?:function|func|fn) \w+|(?:const|let|var) \w+ *[:=])",
    re.MULTILINE,
)
_CODE_SHARE = 4  # a text of which 1/4 of the lines end as lines of C, Java or JavaScript do is a program
_STATEMENTS = (
    *(ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Assign, ast.AugAssign),
    *(ast.For, ast.While, ast.If, ast.With, ast.Try, ast.Return, ast.Call),
)


@dataclass(frozen=True, slots=True)
class Frame:
    """A text taken apart at its block lines; ``outside[0] + bodies[0] + outside[1] + ...`` is the text.

    Attributes:
        outside: what must stay, the block lines among it; one more than there are bodies.
        bodies: what may change.
    """

    outside: tuple[str, ...]
    bodies: tuple[str, ...]

    def restored(self, text: str) -> str:
        r"""Return this frame with the bodies of ``text``, whose own frame is dropped.

        Raises:
            NoCandidate: the block lines of ``text`` are not as many, or not in order, so that it is unclear which part
                of it belongs where.

        Example:
            >>> frame = frame_of("a\n# EVOLVE-BLOCK-START\nb\n# EVOLVE-BLOCK-END\nc")
            >>> frame.restored("X\n# EVOLVE-BLOCK-START\nB\n# EVOLVE-BLOCK-END")
            'a\n# EVOLVE-BLOCK-START\nB\n# EVOLVE-BLOCK-END\nc'
        """
        try:
            other = frame_of(text)
        except BadInput:
            other = None
        if other is None or len(other.bodies) != len(self.bodies):
            count = len(self.bodies)
            blocks = "the block" if count == 1 else f"the {count} blocks"
            msg = (
                f"{blocks} marked by {BLOCK_START} and {BLOCK_END} cannot be told in it: keep these lines as they are, "
                "and change only what stands between them"
            )
            raise NoCandidate(msg)
        crlf = self.outside[0].endswith("\r\n")
        pieces = [self.outside[0]]
        for body, outside in zip(other.bodies, self.outside[1:], strict=True):
            pieces += (body.replace("\r\n", "\n").replace("\n", "\r\n") if crlf else body, outside)
        return "".join(pieces)


@lru_cache(maxsize=64)
def frame_of(text: str) -> Frame | None:
    """Return the frame of a text, or None where it marks no blocks.

    Raises:
        BadInput: the marks do not go in pairs; names the line.
    """
    outside, bodies, done, start = [], [], 0, -1
    for mark in _BLOCK_LINE.finditer(text):
        if (mark[1] == BLOCK_START) != (start < 0):
            number = text.count("\n", 0, mark.start()) + 1
            wanted = BLOCK_END if start >= 0 else BLOCK_START
            msg = f"{mark[1]} in line {number} without {wanted} before it: mark each block by one line of each"
            raise BadInput(msg)
        if start < 0:
            start = min(mark.end() + 1, len(text))
            outside.append(text[done:start])
        else:
            bodies.append(text[start : mark.start()])
            done, start = mark.start(), -1
    if start >= 0:
        msg = f"{BLOCK_START} without {BLOCK_END} behind it: mark each block by one line of each"
        raise BadInput(msg)
    return Frame((*outside, text[done:]), tuple(bodies)) if bodies else None


def slots(text: str, *, known: frozenset[str] = frozenset()) -> frozenset[str]:
    """Return the slots of a template as they are written: ``{article}`` or ``{{article}}``.

    A program has none: its braces mean something else. Of JSON the strings are looked at, each for itself.

    Args:
        text: a text.
        known: slots of the text that this one descends from; with any, it is a template whatever it looks like, and
            braces of kinds that are not among them mean nothing.

    Example:
        >>> sorted(slots("Sum up {article} in {{ n }} words, as {'x': 1}."))
        ['{article}', '{{n}}']
    """
    found = (match for leaf in leaves(text) if known or not _is_program(leaf) for match in _SLOT.finditer(leaf))
    written = frozenset(f"{{{{{match[1]}}}}}" if match[1] else f"{{{match[2]}}}" for match in found)
    kinds = {slot.startswith("{{") for slot in known}
    return frozenset(slot for slot in written if not known or slot.startswith("{{") in kinds)


def leaves(text: str) -> list[str]:
    """Return the strings in a JSON object or array, or the text itself where it is neither."""
    value = _json(text)
    return [text] if value is None else list(_strings(value))


def language(text: str) -> str | None:
    """Return ``json`` (an object or array), ``python`` (with statements that do something) or None.

    Example:
        >>> language('{"a": 1}'), language("a = 1"), language("Be brief.")
        ('json', 'python', None)
    """
    if _json(text) is not None:
        return "json"
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return "python" if any(isinstance(node, _STATEMENTS) for node in ast.walk(tree)) else None


def _is_program(text: str) -> bool:
    if _CODE_START.search(text) or _LATEX.search(text) or language(text) == "python":
        return True
    lines = [line for line in text.split("\n") if line.strip()]
    # A slot alone on its line ends with a brace as well.
    ended = sum(bool(_CODE_LINE.search(_SLOT.sub("", line))) for line in lines)
    return ended * _CODE_SHARE > len(lines)


def _json(text: str) -> object | None:
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)
