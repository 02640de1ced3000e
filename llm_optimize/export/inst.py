r"""The ``text`` column of Llama 2's chat template: ``<s>[INST] bad [/INST] good </s>``.

A text that holds one of the template's own marks would end its part early, and a tokenizer takes ``<s>`` for the
beginning of a text wherever it stands. Such a text is refused, or its marks are broken by a backslash behind their
first character (``[\INST]``), one more where there are some already, so that reading the file gives back every text as
it was.
"""

from __future__ import annotations

import re

from llm_optimize.errors import BadInput

__all__ = ["escaped", "from_text", "holds_marks", "to_text", "unescaped"]

_MARK = re.compile(r"<s>|</s>|\[INST\]|\[/INST\]")
_BROKEN = re.compile(r"([<\[])(\\*)(/?s>|/?INST\])")
_OPEN, _MIDDLE, _CLOSE = "<s>[INST] ", " [/INST] ", " </s>"
_ROW = re.compile(r"<s>\[INST\] (?P<before>.*?) \[/INST\] (?P<after>.*?) </s>", re.DOTALL)


def to_text(before: str, after: str) -> str:
    """Return the row.

    Raises:
        BadInput: a text holds a mark of the template.

    Example:
        >>> to_text("2+2?", "What is 2 + 2?")
        '<s>[INST] 2+2? [/INST] What is 2 + 2? </s>'
    """
    for text in (before, after):
        found = _MARK.search(text)
        if found:
            msg = f"the text {_shown(text)!r} holds {found.group()}, a mark of the template: escape it or leave it out"
            raise BadInput(msg)
    return f"{_OPEN}{before}{_MIDDLE}{after}{_CLOSE}"


def from_text(text: str) -> tuple[str, str]:
    """Return (before, after) of a row, as they stand there.

    Raises:
        BadInput: it is no such row.

    Example:
        >>> from_text("<s>[INST] 2+2? [/INST] What is 2 + 2? </s>")
        ('2+2?', 'What is 2 + 2?')
    """
    found = _ROW.fullmatch(text)
    if not found or holds_marks(found["before"]) or holds_marks(found["after"]):
        msg = f"{_shown(text)!r} is no row of the template <s>[INST] ... [/INST] ... </s>"
        raise BadInput(msg)
    return found["before"], found["after"]


def holds_marks(text: str) -> bool:
    """Return whether a text holds a mark of the template."""
    return bool(_MARK.search(text))


def escaped(text: str) -> str:
    r"""Return a text without marks; :func:`unescaped` gives it back as it was.

    Example:
        >>> escaped("a </s> b [\\INST]")
        'a <\\/s> b [\\\\INST]'
    """
    return _BROKEN.sub(r"\1\\\2\3", text)


def unescaped(text: str) -> str:
    r"""Return the text that :func:`escaped` was given.

    Example:
        >>> unescaped(escaped("a </s> b [\\INST]")) == "a </s> b [\\INST]"
        True
    """
    return _BROKEN.sub(lambda mark: f"{mark[1]}{mark[2][1:]}{mark[3]}", text)


def _shown(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004 - within a line
