"""The size of a program without what a reader needs: comments, docstrings and blank space.

A normaliser of our own, built on ``ast`` and ``tokenize``: it removes comments, docstrings,
blank lines and the spaces that no token needs, and indents by one space. It renames nothing and folds nothing, so a
program cannot be made "smaller" by layout, and what remains to be gained is in the program itself.
"""

from __future__ import annotations

import ast
import io
import tokenize

__all__ = ["minified"]

_BLANK = frozenset({tokenize.COMMENT, tokenize.NL, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER})


def minified(source: str) -> str:
    r"""Return the program without comments, docstrings and needless blank space.

    Args:
        source: Python source.

    Returns:
        Source with the same syntax tree but for the docstrings; the source itself, stripped, where it is no Python of
        this interpreter.

    Example:
        >>> minified('def f( x ):  # doubles\n    "Twice x."\n    return x  *  2\n')
        'def f(x):\n return x*2'
    """
    try:
        tree = _without_docstrings(ast.parse(source))
        plain = ast.unparse(tree)
    except (SyntaxError, ValueError, RecursionError):
        return source.strip()
    small = _squeezed(plain)
    return small if _same(small, tree) else plain


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            rest = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
            node.body = rest or ([] if isinstance(node, ast.Module) else [ast.Expr(ast.Constant(0))])
    return ast.fix_missing_locations(tree)


def _squeezed(plain: str) -> str:
    """Take the spaces away that stand between tokens of unparsed source; every gap keeps what it must."""
    lines = plain.splitlines(keepends=True)
    out: list[str] = []
    depth, end = 0, (1, 0)
    for token in tokenize.generate_tokens(io.StringIO(plain).readline):
        depth += (token.type == tokenize.INDENT) - (token.type == tokenize.DEDENT)
        if token.type in _BLANK:
            continue
        if token.type == tokenize.NEWLINE:
            out.append("\n")
            continue
        if not out or out[-1] == "\n":
            out.append(" " * depth)
        elif token.start > end and _would_join(out[-1], token.string):
            out.append(" ")
        out.append(_text(lines, token.start, token.end))
        end = token.end
    return "".join(out).strip()


def _would_join(left: str, right: str) -> bool:
    """Whether two tokens side by side would be read as one: words and numbers, or a word before a quotation mark."""
    before, after = left[-1:], right[:1]
    word = before.isalnum() or before == "_"
    return word and (after.isalnum() or after in {"_", '"', "'", "."} or not after.isascii())


def _text(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """Return what stands between two places of the source, as it stands there."""
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]]
    return "".join([lines[start[0] - 1][start[1] :], *lines[start[0] : end[0] - 1], lines[end[0] - 1][: end[1]]])


def _same(small: str, tree: ast.Module) -> bool:
    try:
        return ast.dump(ast.parse(small)) == ast.dump(tree)
    except (SyntaxError, ValueError):
        return False
