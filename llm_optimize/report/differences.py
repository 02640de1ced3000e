"""How two texts differ, for readers: by words in prose, by lines in code."""

from __future__ import annotations

import ast
import difflib
import json
import re

__all__ = ["differences", "kind_of"]

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
_MOST = 4000  # pieces of a text that are compared by words: the work may grow with their square
_CODE_LINE = re.compile(
    r"[{};]\s*$|^\s*(def|class|import|from|return|function|const|let|var|#include|public)\b|^\s{2,}\S"
)
_CODE_SHARE = 0.3

Segments = list[tuple[str, str]]


def kind_of(text: str) -> str:
    r"""Return ``code``, ``json`` or ``prose``, by the look of a text.

    Example:
        >>> kind_of("def f(x):\n    return x"), kind_of('{"a": 1}'), kind_of("Be brief.")
        ('code', 'json', 'prose')
    """
    stripped = text.strip()
    if stripped[:1] in {"{", "["}:
        try:
            json.loads(stripped)
        except ValueError:
            pass
        else:
            return "json"
    return "code" if _is_python(stripped) or _looks_like_code(stripped) else "prose"


def differences(old: str, new: str, *, by: str) -> Segments:
    """Return what two texts share and where they differ, in order.

    Args:
        old: the earlier text.
        new: the later text.
        by: ``word`` or ``line``; texts of very many words are compared by lines.

    Returns:
        Pairs of ``=`` (in both), ``-`` (only in the old) or ``+`` (only in the new) and the text; the ``=`` and ``+``
        parts together are the new text.

    Example:
        >>> differences("be kind", "be brief", by="word")
        [('=', 'be '), ('-', 'kind'), ('+', 'brief')]
    """
    cut = _WORDS.findall if by == "word" else _lines
    before, after = cut(old), cut(new)
    if by == "word" and max(len(before), len(after)) > _MOST:
        before, after = _lines(old), _lines(new)
    found: Segments = []
    for kind, i, j, k, m in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind == "equal":
            found.append(("=", "".join(before[i:j])))
            continue
        found += [(sign, "".join(part)) for sign, part in (("-", before[i:j]), ("+", after[k:m])) if part]
    return found


def _lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", text)  # splitlines would break at characters that are no line ends here


def _is_python(text: str) -> bool:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return any(not isinstance(node, ast.Expr) for node in tree.body)


def _looks_like_code(text: str) -> bool:
    lines = [line for line in text.split("\n") if line.strip()]
    return len(lines) > 1 and sum(bool(_CODE_LINE.search(line)) for line in lines) >= _CODE_SHARE * len(lines)
