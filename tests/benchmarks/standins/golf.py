"""How a stand-in shortens a program: it renames, squeezes, joins and rewrites, or begins with another idea.

Another idea is longer at first than a program that is squeezed already, and shorter once it is squeezed as well.
"""

from __future__ import annotations

import ast
import io
import re
import string
import tokenize
from typing import TYPE_CHECKING

from standins.golf_ideas import IDEAS
from standins.skill import Skill
from tasks.golf_functions import GOLF

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tasks.task import Task

__all__ = ["make"]

_IDEAS = 0.08  # of the edits begin with another idea
_WORD = re.compile(r"\w")
_SIMPLE = re.compile(r"^\s*(?!def |for |while |if |elif |else|return |import |from |@)\S")
_HEADER = re.compile(r"^\s*(?:def|for|while|if|elif|else)\b.*:$")
_AUGMENTED = re.compile(r"\b(\w+) ?= ?\1 ?(//|[-+*%]) ?(\w+)$", re.MULTILINE)
_LAMBDA = re.compile(r"^def f\((.*?)\):\s*return (.*)$", re.DOTALL)


def make(worth: Callable[[str], float], task: Task) -> Skill:
    """Return the skill; ``worth`` scores a text, the task says which function it is."""
    ideas = next(IDEAS[at] for at, golf in enumerate(GOLF) if golf.does in task.task)

    def idea(_text: str, dice: Random) -> str:
        """Write another idea down, squeezed already here and there."""
        text = dice.choice(ideas)
        for _ in range(dice.randrange(4)):
            text = dice.choice((_renamed, _squeezed, _narrow, _joined))(text, dice)
        return text

    def edit(text: str, dice: Random) -> str:
        if dice.random() < _IDEAS:
            return idea(text, dice)
        return dice.choices(_EDITS, _WEIGHTS)[0](text, dice)

    def combine(_: str, other: str, dice: Random) -> str:
        return _squeezed(other, dice) if dice.random() < 0.5 else _renamed(other, dice)

    def repair(text: str) -> str:
        return text.replace("retrun", "return").replace("f((", "f(")

    def mend(text: str, _: str, dice: Random) -> str | None:
        try:
            ast.parse(text)
        except SyntaxError:
            return repair(text)
        return None

    return Skill(_knows, edit, idea, mend, repair, combine, _spoil, worth)


def _knows(text: str) -> bool:
    return re.search(r"^(?:def f\(|f ?= ?lambda)", text, re.MULTILINE) is not None


def _tokens(text: str) -> list[tokenize.TokenInfo]:
    try:
        return list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        return []


def _renamed(text: str, dice: Random) -> str:
    """Give one name of its own a single letter."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return text
    stored = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    stored |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    long = sorted(name for name in stored if len(name) > 1)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} | stored
    free = [letter for letter in string.ascii_letters if letter not in used and letter != "f"]
    if not long or not free:
        return text
    return re.sub(rf"(?<![.\"'\w]){dice.choice(long)}\b", dice.choice(free[:8]), text)


def _squeezed(text: str, dice: Random) -> str:
    """Take the blanks out of one line, or of all."""
    lines = text.split("\n")
    chosen = range(len(lines)) if dice.random() < 0.4 else [dice.randrange(len(lines))]
    for at in chosen:
        indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
        lines[at] = indent + _tight(lines[at].strip())
    return "\n".join(lines)


def _tight(line: str) -> str:
    tokens = [one for one in _tokens(line) if one.string.strip() and one.type != tokenize.COMMENT]
    if not tokens:
        return line
    out, before = "", ""
    for one in tokens:
        words = before and _WORD.match(before[-1]) and (_WORD.match(one.string[0]) or one.string[0] in "\"'")
        out += f" {one.string}" if words else one.string
        before = one.string
    return out


def _narrow(text: str, _: Random) -> str:
    """Indent by one blank."""
    lines = text.split("\n")
    depths = [len(line) - len(line.lstrip(" ")) for line in lines if line.strip()]
    unit = min((depth for depth in depths if depth), default=1)
    return "\n".join(" " * ((len(line) - len(line.lstrip(" "))) // unit) + line.lstrip(" ") for line in lines)


def _joined(text: str, dice: Random) -> str:
    """Put two simple statements on one line, or a body on its header's."""
    lines = [line for line in text.split("\n") if line.strip()]
    places = [at for at in range(len(lines) - 1) if _joins(lines, at)]
    if not places:
        return text
    at = dice.choice(places)
    joint = "" if _HEADER.match(lines[at]) else ";"
    lines[at : at + 2] = [f"{lines[at]}{joint}{lines[at + 1].strip()}"]
    return "\n".join(lines)


def _joins(lines: list[str], at: int) -> bool:
    one, two = lines[at], lines[at + 1]
    if _HEADER.match(one):
        after = lines[at + 2] if at + 2 < len(lines) else ""
        single = _indent(after) < _indent(two) or not after
        return _indent(two) > _indent(one) and single and not _HEADER.match(two)
    return _indent(one) == _indent(two) and bool(_SIMPLE.match(one)) and bool(_SIMPLE.match(two) or "return" in two)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _augmented(text: str, _: Random) -> str:
    return _AUGMENTED.sub(r"\1 \2= \3", text)


def _as_lambda(text: str, _: Random) -> str:
    match = _LAMBDA.match(text.strip())
    return f"f=lambda {match[1]}:{match[2]}" if match else text


def _compared(text: str, dice: Random) -> str:
    """Try a shorter comparison; it is right where the value cannot be negative."""
    return dice.choice([text.replace(" == 0", " < 1", 1), text.replace("==0", "<1", 1), text.replace("!= 1", "> 1", 1)])


def _dropped(text: str, dice: Random) -> str:
    """Leave a line out: it looks good, and nearly never is."""
    lines = text.split("\n")
    del lines[dice.randrange(len(lines))]
    return "\n".join(lines) or text


def _shaved(text: str, dice: Random) -> str:
    """Leave a word or a sign out, or put another number: seldom right, and never the same."""
    places = [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]
    begin, end = dice.choice(places)
    new = str(dice.randrange(10)) if text[begin:end].isdigit() else ""
    return text[:begin] + new + text[end:]


_EDITS = (_renamed, _squeezed, _narrow, _joined, _augmented, _as_lambda, _compared, _dropped, _shaved)
_WEIGHTS = (25, 18, 7, 18, 8, 7, 7, 5, 10)


def _spoil(text: str, dice: Random) -> str:
    return text.replace("return", "retrun", 1) if dice.random() < 0.5 else text.replace("f(", "f((", 1)
