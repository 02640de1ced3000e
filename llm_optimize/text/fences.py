"""Reply -> candidate: find the fenced block that a chat model's reply carries, and never take anything else for it.

The rules follow CommonMark (sections 4.5 "Fenced code blocks" and 6.1 "Code spans") with one addition, because models
often write a candidate that holds fences itself into a fence of the same length: inside a block, a fence *with* a tag
opens a nested block and the next bare fence closes that one. Whenever a reply can be read in two ways it is refused
(:class:`~llm_optimize.errors.NoCandidate`): asking again costs one call, a mangled candidate costs an evaluation and
misleads the search.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from llm_optimize.errors import NoCandidate

__all__ = ["Extracted", "after_thinking", "extract", "fence"]

_NO_BLOCK = "the reply holds no fenced code block with the new value"
_NOT_CLOSED = (
    "the code fence is not closed: end it with a line that holds nothing but the fence, and when the value itself "
    "holds code fences, enclose it in a longer one"
)
_AMBIGUOUS = "the value holds code fences of its own, so its end is unclear: enclose it in a longer fence (````)"

# A fence line: what indents it (white space, or the marker of a list item), the fence, what follows the fence.
_FENCE_LINE = re.compile(r"([ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?)(`{3,}|~{3,})(.*)", re.DOTALL)
_TAG = re.compile(r"[A-Za-z][\w+#.-]*")
_RUN = re.compile(r"`{3,}")
_PROSE_TAGS = frozenset({"md", "markdown", "mdx"})
_CLOSER_INDENT = 3  # CommonMark: four columns more than the opening fence are content, not a closing fence
_DEEPEST = 16  # keeps the work on a hostile reply linear


@dataclass(frozen=True, slots=True)
class Extracted:
    """A reply taken apart.

    Attributes:
        text: the candidate, not blank. A block's text begins with the newline behind the opening fence and ends with
            the one before the closing fence, as in the predecessor, whose candidates carry both.
        explanation: the rest of the reply, trimmed: what the model said about why.
    """

    text: str
    explanation: str


@dataclass(frozen=True, slots=True)
class _Fence:
    """A line that is a fence: ``size`` times ``mark``, indented by ``indent`` (a list item's mark, if ``listed``)."""

    indent: str
    mark: str
    size: int
    info: str
    listed: bool
    crlf: bool

    def closes(self, opening: _Fence) -> bool:
        return (
            not self.info
            and not self.listed
            and self.mark == opening.mark
            and self.size >= opening.size
            and len(self.indent) <= len(opening.indent) + _CLOSER_INDENT
        )

    def nests_in(self, opening: _Fence) -> bool:
        return self.mark == opening.mark and self.size >= opening.size and _TAG.match(self.info) is not None


@dataclass(frozen=True, slots=True)
class _Block:
    """A complete block: its opening fence, and the numbers of its two fence lines."""

    opening: _Fence
    first: int
    last: int


def fence(text: str) -> str:
    r"""Enclose a text in a fence longer than any run of backticks in it, so that :func:`extract` finds it again.

    Newlines at both ends are dropped first: those of :func:`extract` would otherwise pile up each time a candidate is
    shown.

    Example:
        >>> fence("x = 1")
        '```\nx = 1\n```'
    """
    body = text.strip("\n")
    longest = max(map(len, _RUN.findall(body)), default=2) if "```" in body else 2
    bar = "`" * (longest + 1)
    return f"{bar}\n{body}\n{bar}"


def extract(reply: str) -> Extracted:
    r"""Take the candidate out of a reply.

    * The last fenced block of the reply counts: three or more backticks or tildes, closed by a line with nothing but a
      fence at least as long. What follows the opening fence (``python``, ``c++``, ``python title=x``) is dropped.
    * Without a block, inline code in three or more backticks counts, whole: the last one in the reply.
    * Indentation is kept. A fence that is indented itself (in a list) takes that much off all its lines, unless one of
      them has less.
    * Carriage returns go where the reply uses them to end lines. A leading ``<think>`` section is skipped.

    Args:
        reply: the text of a chat model's answer, of any length; the time needed grows with its length only.

    Returns:
        The candidate and the explanation around it.

    Raises:
        NoCandidate: no fenced block; a fence that is not closed, even with complete blocks before it; an empty block;
            a Markdown block with bare fences inside, whose end is unclear.

    Example:
        >>> extract("Smaller is better.\n```text\nX2\n```")
        Extracted(text='\nX2\n', explanation='Smaller is better.')
    """
    answer = after_thinking(reply)
    lines = answer.split("\n")
    blocks = _blocks(lines)
    if not blocks:
        return _inline(answer)
    if _is_unclear(blocks):
        raise NoCandidate(_AMBIGUOUS)
    block = blocks[-1]
    text = _content(block, lines)
    explanation = "\n".join(lines[: block.first] + lines[block.last + 1 :])
    return _checked(text, explanation)


def after_thinking(reply: str) -> str:
    """Skip the visible thinking that some local models put before the answer; a fence in it is no answer.

    Raises:
        NoCandidate: the reply ends within it.
    """
    if not reply.lstrip().startswith("<think>"):
        return reply
    _, end, answer = reply.partition("</think>")
    if not end:
        msg = "the reply ends before the thinking does"
        raise NoCandidate(msg)
    return answer


def _blocks(lines: list[str]) -> list[_Block]:
    found: list[_Block] = []
    stack: list[_Fence] = []
    first = 0
    for number, line in enumerate(lines):
        mark = _fence_of(line)
        if mark is None:
            continue
        if not stack:
            stack, first = [mark], number
        elif mark.nests_in(stack[-1]):
            stack.append(mark)
        else:
            opening = stack[0]
            _close(mark, stack)
            if not stack:
                found.append(_Block(opening, first, number))
        if len(stack) > _DEEPEST:
            raise NoCandidate(_AMBIGUOUS)
    if stack:
        raise NoCandidate(_NOT_CLOSED)
    return found


def _close(mark: _Fence, stack: list[_Fence]) -> None:
    """Take the fence that ``mark`` closes off the stack, with those nested in it, or leave the stack alone.

    A nested fence indented deeper than the mark was never closed (it stands in a string, say), so the mark is not its.
    """
    for depth in range(len(stack) - 1, -1, -1):
        if not mark.closes(stack[depth]):
            return
        if depth == 0 or len(mark.indent) >= len(stack[depth].indent):
            del stack[depth:]
            return


def _fence_of(line: str) -> _Fence | None:
    match = _FENCE_LINE.match(line)
    if match is None:
        return None
    indent, run, info = match.groups()
    if run[0] == "`" and "`" in info:
        return None
    listed = bool(indent.strip())
    return _Fence(" " * len(indent) if listed else indent, run[0], len(run), info.strip(), listed, line.endswith("\r"))


def _is_unclear(blocks: list[_Block]) -> bool:
    """Say whether a Markdown block is followed by a block without a tag.

    The bare fence that seems to end the first may open a block within it.
    """
    tags = [block.opening.info.split()[:1] for block in blocks]
    prose = [index for index, tag in enumerate(tags) if tag and tag[0].lower() in _PROSE_TAGS]
    return bool(prose) and any(not tag for tag in tags[prose[0] + 1 :])


def _content(block: _Block, lines: list[str]) -> str:
    body = lines[block.first + 1 : block.last]
    if block.opening.crlf:
        body = [line.removesuffix("\r") for line in body]
    indent = block.opening.indent
    for line in body:
        if line.strip():
            indent = _shared(indent, line)
    return "\n".join(["", *(line.removeprefix(indent) for line in body), ""])


def _shared(indent: str, line: str) -> str:
    for index, (one, other) in enumerate(zip(indent, line, strict=False)):
        if one != other:
            return indent[:index]
    return indent[: len(line)]


def _inline(answer: str) -> Extracted:
    start, end = 0, 0
    for begin, stop in _spans(answer):
        start, end = begin, stop
    if not end:
        raise NoCandidate(_NO_BLOCK if answer.strip() else "the reply is empty")
    text = answer[start:end].strip("`")
    if text.strip() and text[0] == text[-1] == " ":
        text = text[1:-1]
    return _checked(text, answer[:start] + answer[end:])


def _spans(answer: str) -> list[tuple[int, int]]:
    """Return (start, end) of each inline code in three or more backticks that begins and ends on one line."""
    found: list[tuple[int, int]] = []
    offset = 0
    for line in answer.split("\n"):
        runs = list(_RUN.finditer(line))
        following: dict[int, int] = {}
        partner = [0] * len(runs)
        for index in range(len(runs) - 1, -1, -1):
            size = len(runs[index].group())
            partner[index] = following.get(size, 0)
            following[size] = index
        index = 0
        while index < len(runs):
            if partner[index]:
                found.append((offset + runs[index].start(), offset + runs[partner[index]].end()))
                index = partner[index]
            index += 1
        offset += len(line) + 1
    return found


def _checked(text: str, explanation: str) -> Extracted:
    if not text.strip():
        msg = "the code fence is empty"
        raise NoCandidate(msg)
    return Extracted(text, explanation.strip())
