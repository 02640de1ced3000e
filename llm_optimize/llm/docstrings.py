"""What a docstring says about a function and its parameters: Google, numpy and reST style.

A tool's description is all that a model knows about it, and people have written it already, where it belongs.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Described", "describe"]

_GOOGLE = re.compile(
    r"(Args|Arguments|Parameters|Params|Returns?|Yields?|Raises|Examples?|Notes?|See Also|Attributes|Warnings?|Todo):$"
)
_GOOGLE_PARAMETERS = ("Args:", "Arguments:", "Parameters:", "Params:")
_GOOGLE_ENTRY = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
_NUMPY_RULE = re.compile(r"-{3,}$")
_NUMPY_PARAMETERS = ("Parameters", "Other Parameters")
_NUMPY_ENTRY = re.compile(r"(\w+(?:\s*,\s*\w+)*)\s*(?::.*)?$")
_REST_FIELD = re.compile(r":(\w+)\b([^:]*):\s*(.*)")
_REST_PARAMETERS = ("param", "parameter", "arg", "argument", "key", "keyword")


@dataclass(frozen=True, slots=True)
class Described:
    """A docstring taken apart.

    Attributes:
        summary: the text before the first section, paragraphs and all.
        parameters: what is said of each parameter, on one line, by name.
    """

    summary: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)


def describe(docstring: str | None) -> Described:
    r"""Take a docstring apart; one without sections is all summary.

    Example:
        >>> describe("Add.\n\nArgs:\n    a: the first\n        number.\n").parameters
        {'a': 'the first number.'}
    """
    lines = inspect.cleandoc(docstring or "").splitlines()
    summary: list[str] = []
    parameters: dict[str, str] = {}
    for name, body in _sections(lines):
        if not name:
            summary = body
        elif name in _GOOGLE_PARAMETERS:
            parameters |= _google(body)
        elif name in _NUMPY_PARAMETERS:
            parameters |= _numpy(body)
        elif name.startswith(":"):
            parameters |= _rest(name, body)
    return Described("\n".join(summary).strip(), parameters)


def _sections(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield (heading, lines below it); the heading of what comes first is empty, that of a reST field the field."""
    name, body = "", list[str]()
    skip = False
    for line, following in pairwise([*lines, ""]):
        heading = _heading(line, following)
        if skip:
            skip = False
        elif heading:
            yield name, body
            name, body = heading, []
            skip = not heading.endswith(":") and not heading.startswith(":")  # numpy's rule below the heading
        else:
            body.append(line)
    yield name, body


def _heading(line: str, following: str) -> str:
    if _GOOGLE.match(line) or _REST_FIELD.match(line):
        return line
    return line.strip() if line.strip() and not line.startswith(" ") and _NUMPY_RULE.match(following) else ""


def _google(body: Iterable[str]) -> dict[str, str]:
    lines = [line for line in body if line.strip()]
    entries = _entries(lines, min((_indent(line) for line in lines), default=0))
    found = ((_GOOGLE_ENTRY.match(head), more) for head, more in entries)
    return {match[1]: _joined([match[2], *more]) for match, more in found if match}


def _numpy(body: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for head, more in _entries([line for line in body if line.strip()], 0):
        match = _NUMPY_ENTRY.match(head.lstrip("*"))
        for name in re.findall(r"\w+", match[1]) if match else ():
            found[name] = _joined(more)
    return found


def _rest(field_line: str, body: Iterable[str]) -> dict[str, str]:
    match = _REST_FIELD.match(field_line)
    words = match[2].split() if match else []
    if match is None or match[1] not in _REST_PARAMETERS or not words:
        return {}
    return {words[-1].lstrip("*"): _joined([match[3], *body])}  # ":param int count: ...", the type before the name


def _entries(lines: Iterable[str], level: int) -> Iterator[tuple[str, list[str]]]:
    """Yield (a line at ``level``, the deeper ones behind it)."""
    head, more = "", list[str]()
    for line in lines:
        if _indent(line) > level:
            more.append(line)
            continue
        if head:
            yield head, more
        head, more = line.strip(), []
    if head:
        yield head, more


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _joined(parts: Iterable[str]) -> str:
    return " ".join(" ".join(parts).split())
