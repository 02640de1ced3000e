"""How a stand-in changes a formula: it adds, drops, wraps and replaces terms, and moves constants.

The law behind the points is a product under a sum: a cosine alone explains little, and its decay explains something
only once the frequency is about right, so that the way to it leads over formulas that are no better yet.
"""

from __future__ import annotations

import math
import re
from functools import partial
from typing import TYPE_CHECKING

from standins.skill import Skill
from tasks.formulas import read

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tasks.task import Task

__all__ = ["make"]

Lines = dict[str, str]

_LINE = re.compile(r"^\s*(\w+)\s*=\s*(.+?)\s*$")
_NUMBER = re.compile(r"^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$")
_TERMS = (
    "{a} * sin({b} * x)",
    "{a} * cos({b} * x)",
    "{a} * exp(-{b} * x)",
    "{a} * x",
    "{a} * x ** 2",
    "{a} * log(x + 1)",
    "{a} * tanh({b} * x)",
    "{a} * sqrt(x)",
)
_FACTORS = ("exp(-{b} * x)", "cos({b} * x + {c})", "sin({b} * x)", "(x + {c})", "x", "cos({b} * x)")
_WHOLES = (
    "{a} + {b} * cos({c} * x)",
    "{a} * exp(-{b} * x) + {c}",
    "{a} + {b} * x + {c} * x ** 2",
    "{a} * sin({b} * x) + {c} * x",
    "{a} * cos({b} * x + {c})",
    "{a} * exp(-{b} * x) * sin({c} * x)",
    "{a} + {b} * exp(-{c} * x) * cos({d} * x)",
)
_POINT = re.compile(r"\((-?[\d.e+-]+), (-?[\d.e+-]+)\)")
_LOOKS = 12
_BLIND = 0.3  # of the edits are made without a look at the points
_NAMES = "abcdefghijklmnopqrstuvw"


def make(worth: Callable[[str], float], task: Task) -> Skill:
    """Return the skill; ``worth`` scores a text, and the task shows the points, which it sees as any reader does."""
    eye = partial(_by_eye, points=_points(task.task))

    def edit(text: str, dice: Random) -> str:
        changed = _edit(text, dice)
        return changed if dice.random() < _BLIND else _fitted(changed, eye, dice)

    def leap(text: str, dice: Random) -> str:
        return _fitted(_leap(text, dice), eye, dice)

    return Skill(_knows, edit, leap, _mend, _repair, _combine, _spoil, worth)


def _points(text: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in _POINT.findall(text)]


def _by_eye(text: str, points: list[tuple[float, float]]) -> float:
    """How far a formula is from the points that the task shows."""
    try:
        formula = read(text)
        return sum((formula(x) - y) ** 2 for x, y in points)
    except (ValueError, OverflowError):
        return math.inf


def _fitted(text: str, eye: Callable[[str], float], dice: Random) -> str:
    """Look at the points and choose constants that fit better, as far as a look goes."""
    constants, y = _lines(text)
    best = _text(constants, y)
    for _ in range(_LOOKS):
        tried = dict(_lines(best)[0])
        if not tried:
            return best
        _move(tried, dice.choice(list(tried)), dice)
        best = min(best, _text(tried, y), key=eye)
    return best


def _knows(text: str) -> bool:
    return bool(re.search(r"^\s*y\s*=", text, re.MULTILINE)) and "def " not in text


def _lines(text: str) -> tuple[Lines, str]:
    """Return the constants as they are written, and the expression of y."""
    constants: Lines = {}
    y = "0.0"
    for line in text.split("\n"):
        match = _LINE.match(line.split("#")[0])
        if match and match[1] == "y":
            y = match[2]
        elif match and _NUMBER.match(match[2]):
            constants[match[1]] = match[2]
    return constants, y


def _text(constants: Lines, y: str) -> str:
    """Write a formula out; constants that nothing uses go."""
    used = [name for name in constants if re.search(rf"\b{name}\b", y)]
    lines = [f"{name} = {constants[name]}  # tune: {name}=-5..5" for name in used]
    return "\n".join([*lines, f"y = {y}"])


def _new(constants: Lines, form: str, dice: Random) -> str:
    """Fill a form's slots with names of new constants."""

    def name(_: re.Match[str]) -> str:
        free = next(one for one in _NAMES if one not in constants)
        constants[free] = f"{dice.choice([0.1, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0]):g}"
        return free

    return re.sub(r"\{\w\}", name, form)


def _edit(text: str, dice: Random) -> str:
    constants, y = _lines(text)
    if len(constants) > 12:  # names run out: simplify
        return _leap(text, dice)
    kind = dice.choices(("constant", "term", "factor", "drop", "several"), (35, 20, 20, 15, 10))[0]
    if kind == "constant" and constants:
        _move(constants, dice.choice(list(constants)), dice)
    elif kind == "several" and constants:
        for name in constants:
            _move(constants, name, dice)
    elif kind == "term":
        y = f"{y} + {_new(constants, dice.choice(_TERMS), dice)}"
    elif kind == "factor":
        terms = y.split(" + ")
        at = dice.randrange(len(terms))
        terms[at] = (
            f"{terms[at]} * {_new(constants, dice.choice(_FACTORS), dice)}"
            if "(" not in terms[at] or _whole(terms[at])
            else terms[at]
        )
        y = " + ".join(terms)
    elif kind == "drop":
        terms = y.split(" + ")
        if len(terms) > 1 and all(map(_whole, terms)):
            del terms[dice.randrange(len(terms))]
        y = " + ".join(terms)
    return _text(constants, y)


def _whole(term: str) -> bool:
    """Say whether brackets close within a term."""
    return term.count("(") == term.count(")")


def _move(constants: Lines, name: str, dice: Random) -> None:
    value = float(constants[name])
    new = dice.choice([value + dice.gauss(0, 0.3), value * dice.uniform(0.6, 1.6), -value, value + dice.gauss(0, 1)])
    constants[name] = f"{max(-5.0, min(5.0, new)):.4g}"


def _leap(_: str, dice: Random) -> str:
    constants: Lines = {}
    y = _new(constants, dice.choice(_WHOLES), dice)
    return _text(constants, y)


def _mend(text: str, feedback: str, dice: Random) -> str | None:
    """Where the largest error is said to be early, move the constant term towards it; else nothing is suggested."""
    return _repair(text) if "cannot be read" in feedback or "no finite" in feedback else None


def _repair(text: str) -> str:
    constants, y = _lines(text)
    y = y.rstrip(" *+") + ")" * max(0, y.count("(") - y.count(")"))
    return _text(constants, y)


def _combine(one: str, other: str, dice: Random) -> str:
    """Put a term of the other formula, with its constants, behind the first."""
    constants, y = _lines(one)
    others, term = _lines(other)
    terms = [part for part in term.split(" + ") if _whole(part)] or [term]
    chosen = dice.choice(terms)
    names = {}
    for name in others:
        if re.search(rf"\b{name}\b", chosen):
            free = next((letter for letter in _NAMES if letter not in constants), None)
            if free is None:
                return one
            constants[free] = others[name]
            names[name] = free
    chosen = re.sub(r"\b\w+\b", lambda match: names.get(match[0], match[0]), chosen)
    if dice.random() < 0.5:
        return _text(constants, f"{y} + {chosen}")
    return _text(constants, f"({y}) * {chosen}" if " + " in y else f"{y} * {chosen}")


def _spoil(text: str, dice: Random) -> str:
    return dice.choice([f"{text} *", f"{text} + cos(2 * x"])
