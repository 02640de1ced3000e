"""How a stand-in changes a program that packs circles: it knows some recipes and their numbers.

A program is read as a recipe (rows, their place, how the centres settle, how the radii are chosen) and written anew.
What a change is worth is for the program itself to show: rows that fit one way of settling do not fit another, and
radii by a linear program may overlap by its rounding unless they are shrunk.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from standins.skill import Skill
from tasks.examples import example

from llm_optimize.core.types import Evaluation, Failure

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tasks.task import Task

__all__ = ["Recipe", "fast", "make", "recipe", "written"]

_ROWS = re.compile(r"rows = \[([\d, ]+)\]")
_COUNT = 26

_HEAD = """def pack():
    rows = {rows}
    edge = {edge}  # tune: edge=0.05..0.15
    shift = {shift}  # tune: shift=-0.05..0.05
    centres = []
    for i, n in enumerate(rows):
        y = edge + (1 - 2 * edge) * i / (len(rows) - 1)
        centres += [(edge + (1 - 2 * edge) * j / (n - 1) + shift * (-1) ** i, y) for j in range(n)]
"""
_SETTLE = """    import numpy as np
    reach = {reach}  # tune: reach=0.1..0.3
    force = {force}  # tune: force=0.01..0.5 log
    wall = {wall}  # tune: wall=0.03..0.15
    points = np.array(centres) + np.random.default_rng({luck}).normal(0, {spread}, (len(centres), 2))
    for _ in range({steps}):
        apart = points[:, None] - points[None]
        far = np.sqrt((apart**2).sum(-1)) + np.eye(len(points)) + 1e-9
        points += force * (apart * (np.maximum(0, reach - far) / far)[..., None]).sum(1)
        points = np.clip(points, wall, 1 - wall)
    centres = [tuple(point) for point in points.tolist()]
"""
_HALF = """    circles = []
    for x, y in centres:
        nearest = min(((x - u) ** 2 + (y - v) ** 2) ** 0.5 for u, v in centres if (u, v) != (x, y))
        circles.append((x, y, min(x, y, 1 - x, 1 - y, nearest / 2)))
    return circles
"""
_GROW = (
    _HALF.replace("    return circles\n", "")
    + """    for _ in range(3):
        for i, (x, y, r) in enumerate(circles):
            room = [((x - u) ** 2 + (y - v) ** 2) ** 0.5 - s for j, (u, v, s) in enumerate(circles) if j != i]
            circles[i] = (x, y, min(x, y, 1 - x, 1 - y, *room))
    return circles
"""
)
_LINEAR = """    from scipy.optimize import linprog
    rows, room = [], []
    for i, (x, y) in enumerate(centres):
        for j, (u, v) in enumerate(centres[:i]):
            rows.append([float(k in (i, j)) for k in range(len(centres))])
            room.append(((x - u) ** 2 + (y - v) ** 2) ** 0.5)
    bounds = [(1e-4, min(x, y, 1 - x, 1 - y)) for x, y in centres]
    radii = linprog([-1.0] * len(centres), A_ub=rows, b_ub=room, bounds=bounds).x
    return [(x, y, float(r){shrink}) for (x, y), r in zip(centres, radii)]
"""
_SHRINK = " - 1e-6"
_PARTS = (
    ("rows",), ("edge", "shift"), ("settles", "reach", "force", "wall", "luck", "spread", "steps"), ("radii", "shrink"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recipe:
    """A program's parts; numbers as they are written."""

    rows: tuple[int, ...] = (5, 6, 5, 5, 5)
    edge: str = "0.12"
    shift: str = "0.01"
    settles: bool = False
    reach: str = "0.2"
    force: str = "0.1"
    wall: str = "0.08"
    luck: str = "0"
    spread: str = "0.0"
    steps: str = "40"
    radii: str = "half"
    shrink: bool = False


def make(worth: Callable[[str], float], _: Task) -> Skill:
    """Return the skill; ``worth`` scores a text."""
    return Skill(_knows, _on(_edit), _on(_leap), _mend, _repair, _combine, _spoil, worth)


def recipe(text: str) -> Recipe:
    """Read a program; what is not found in it is as in the start."""
    rows = _ROWS.search(text)
    names = {"edge", "shift", "reach", "force", "wall"}
    found: dict[str, Any] = {name: match[1] for name in names if (match := re.search(rf"{name} = (-?[\d.e+-]+)", text))}
    patterns = {
        "luck": r"default_rng\((\d+)\)",
        "spread": r"normal\(0, ([\d.e-]+)",
        "steps": r"for _ in range\((\d+)\):\n        apart",
    }
    found |= {name: match[1] for name, pattern in patterns.items() if (match := re.search(pattern, text))}
    return Recipe(
        **found,
        rows=tuple(map(int, re.findall(r"\d+", rows[1]))) if rows else Recipe().rows,
        settles="apart = points" in text,
        radii="linear" if "linprog" in text else "grow" if "room = [((" in text else "half",
        shrink=_SHRINK in text,
    )


def written(one: Recipe) -> str:
    """Write a program out."""
    values = {field.name: getattr(one, field.name) for field in fields(one)}
    text = _HEAD.format(**values | {"rows": list(one.rows)})
    if one.settles:
        text += _SETTLE.format(**values)
    if one.radii == "linear":
        return (text + _LINEAR.format(shrink=_SHRINK if one.shrink else "")).rstrip("\n")
    return (text + (_GROW if one.radii == "grow" else _HALF)).rstrip("\n")


def fast(_: Task, text: str) -> Evaluation | Failure | None:
    """Score a program that is nothing but a recipe as the task does, without a process of its own; None for others.

    Such a program was written here, so it may run here; its circles are checked by the task's own exact check.
    """
    if written(recipe(text)) != text.strip("\n"):
        return None
    space: dict[str, Any] = {}
    packing = example("circle_packing")
    exec(_compiled(text), space)
    try:
        circles = [list(one) for one in space["pack"]()]
    except (ArithmeticError, TypeError, ValueError) as error:
        return Failure("raised", f"{type(error).__name__}: {error}")
    problem = packing.wrong(circles)
    return Failure("wrong", problem) if problem else Evaluation(float(sum(packing.Fraction(one[2]) for one in circles)))


@cache
def _compiled(text: str) -> Any:
    return compile(text, "recipe", "exec")


def _knows(text: str) -> bool:
    return "def pack" in text


def _on(change: Callable[[Recipe, Random], Recipe]) -> Callable[[str, Random], str]:
    return lambda text, dice: written(change(recipe(text), dice))


def _edit(one: Recipe, dice: Random) -> Recipe:
    """Change the rows, one number, or how the radii or the centres are made."""
    kinds = ("rows", "number", "radii", "settle", "luck")
    kind = dice.choices(kinds, (30, 30, 15, 15, 10))[0]
    if kind == "rows":
        return replace(one, rows=_rows(one.rows, dice))
    if kind == "radii":
        return replace(one, radii=dice.choice(["half", "grow", "linear"]), shrink=one.shrink or dice.random() < 0.5)
    if kind == "settle":
        return replace(
            one,
            settles=not one.settles if dice.random() < 0.7 else one.settles,
            steps=str(dice.choice([10, 20, 40, 80, 160])),
        )
    if kind == "luck" and one.settles:
        return replace(one, luck=str(dice.randrange(100)), spread=f"{dice.choice([0.003, 0.01, 0.03]):g}")
    name = dice.choice(["edge", "shift", "reach", "force", "wall"] if one.settles else ["edge", "shift"])
    moved: dict[str, Any] = {name: _moved(name, float(getattr(one, name)), dice)}
    return replace(one, **moved)


def _rows(rows: tuple[int, ...], dice: Random) -> tuple[int, ...]:
    """Move one circle from a row to another, or exchange two rows."""
    new = list(rows)
    first, second = dice.sample(range(len(new)), 2)
    if dice.random() < 0.5:
        new[first], new[second] = new[second], new[first]
    elif new[first] > 2:
        new[first], new[second] = new[first] - 1, new[second] + 1
    return tuple(new)


def _moved(name: str, value: float, dice: Random) -> str:
    step = {"edge": 0.02, "shift": 0.02, "reach": 0.03, "wall": 0.02}.get(name, 0.0)
    new = value + dice.gauss(0, step) if step else value * dice.choice([0.5, 0.7, 1.4, 2.0])
    return f"{new if name == 'shift' else max(new, 0.01):.4g}"


def _leap(one: Recipe, dice: Random) -> Recipe:
    """Begin with other rows: six of them, or rows that alternate as in a hexagonal packing."""
    rows = dice.choice([(4, 5, 4, 5, 4, 4), (5, 4, 5, 4, 5, 3), (4, 4, 5, 5, 4, 4), (5, 6, 5, 6, 4), (6, 5, 6, 5, 4)])
    return replace(one, rows=rows, edge=f"{dice.uniform(0.07, 0.12):.3f}", shift=f"{dice.uniform(0, 0.04):.3f}")


def _mend(text: str, feedback: str, _: Random) -> str | None:
    one = recipe(text)
    if "overlap" in feedback and one.radii == "linear" and not one.shrink:
        return written(replace(one, shrink=True))
    if "leaves the square" in feedback and abs(float(one.shift)) > 0:
        return written(replace(one, shift="0.0"))
    return None


def _repair(text: str) -> str:
    """Write the program out anew, with as many circles as there must be."""
    one = recipe(text)
    rows = list(one.rows)
    while sum(rows) != _COUNT and rows:
        at = rows.index(max(rows) if sum(rows) > _COUNT else min(rows))
        rows[at] += 1 if sum(rows) < _COUNT else -1
    return written(replace(one, rows=tuple(rows)))


def _combine(text: str, other: str, dice: Random) -> str:
    one, two = recipe(text), recipe(other)
    taken = {name for part in _PARTS if dice.random() < 0.5 for name in part}
    return written(replace(one, **{name: getattr(two, name) for name in taken}))


def _spoil(text: str, dice: Random) -> str:
    """Forget a bracket, or a row's circle."""
    if dice.random() < 0.5:
        return text.replace("enumerate(rows)", "enumerate(rows", 1)
    one = recipe(text)
    return written(replace(one, rows=(one.rows[0] + 1, *one.rows[1:])))
