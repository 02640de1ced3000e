"""Formulas in x as text, evaluated by a walk over their syntax tree: nothing of a candidate is ever executed.

A candidate is a few lines ``name = expression`` of which the last one defines ``y``. An expression knows numbers,
``x``, names defined above it, ``pi``, ``+ - * / **``, parentheses and the functions of :data:`FUNCTIONS`. Everything
else is refused before anything is evaluated: attributes, indices, calls of anything else, comparisons, texts.
"""

from __future__ import annotations

import ast
import math
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FUNCTIONS", "MOST", "Formula", "read"]

FUNCTIONS: dict[str, Callable[[float], float]] = {
    "abs": abs, "cos": math.cos, "cosh": math.cosh, "exp": math.exp, "log": math.log, "sin": math.sin,
    "sinh": math.sinh, "sqrt": math.sqrt, "tan": math.tan, "tanh": math.tanh,
}  # fmt: skip
"""Functions of one number that a formula may use."""

MOST = 60
"""Numbers, names, signs and operators that a formula may have in all: too few to write the points down in it."""

_LONGEST = 3000
_LARGEST = 1e15
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}  # fmt: skip
_SIGNS: dict[type[ast.unaryop], Callable[[float], float]] = {ast.UAdd: operator.pos, ast.USub: operator.neg}


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula that was read and found to hold nothing but arithmetic.

    Attributes:
        lines: name and expression, in order; the last name is ``y``.
        size: numbers, names, signs and operators.
    """

    lines: tuple[tuple[str, ast.expr], ...]
    size: int

    def __call__(self, x: float) -> float:
        """Return y at x.

        Raises:
            ValueError: y is not a finite real number there.
        """
        known = {"x": x, "pi": math.pi}
        try:
            for name, expression in self.lines:
                known[name] = _value(expression, known)
        except (ArithmeticError, ValueError, TypeError):  # TypeError: a power of a negative number is complex
            known["y"] = math.nan
        y = known["y"]
        if not isinstance(y, float) or not math.isfinite(y):
            msg = f"y is not a finite real number at x = {x:.4g}"
            raise ValueError(msg)
        return y


def read(text: str) -> Formula:
    r"""Return the formula of a text.

    Raises:
        ValueError: it holds something else; the message says what, in one line.

    Example:
        >>> read("a = 2\\ny = a * x ** 2 + sin(x)")(0.0)
        0.0
    """
    if len(text) > _LONGEST:
        msg = f"the formula is {len(text)} characters long: write at most {_LONGEST}"
        raise ValueError(msg)
    try:
        body = ast.parse(text.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        msg = "the formula cannot be read: write lines name = expression"
        raise ValueError(msg) from None
    known = {"x", "pi"}
    lines = []
    for statement in body:
        name, expression = _assigned(statement)
        called = {id(node.func) for node in ast.walk(expression) if isinstance(node, ast.Call)}
        for node in ast.walk(expression):
            if id(node) not in called:
                _check(node, known)
        known.add(name)
        lines.append((name, expression))
    size = sum(_counts(node) for _, expression in lines for node in ast.walk(expression))  # bounds the depth, too
    if not lines or lines[-1][0] != "y":
        msg = "the last line does not define y: write y = expression"
        raise ValueError(msg)
    if size > MOST:
        msg = f"the formula has {size} parts: write at most {MOST} numbers, names, signs and operators"
        raise ValueError(msg)
    return Formula(tuple(lines), size)


def _assigned(statement: ast.stmt) -> tuple[str, ast.expr]:
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        if isinstance(target, ast.Name) and target.id not in {"x", "pi", *FUNCTIONS}:
            return target.id, statement.value
    msg = f"{ast.unparse(statement)[:40]!r} is no line name = expression, or defines x, pi or a function anew"
    raise ValueError(msg)


def _check(node: ast.AST, known: set[str]) -> None:
    if isinstance(node, ast.BinOp):
        fine = type(node.op) in _OPERATORS
    elif isinstance(node, ast.UnaryOp):
        fine = type(node.op) in _SIGNS
    elif isinstance(node, ast.Constant):
        number = node.value
        fine = isinstance(number, int | float) and not isinstance(number, bool) and abs(number) < _LARGEST
    elif isinstance(node, ast.Name):
        fine = node.id in known
    elif isinstance(node, ast.Call):
        fine = isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS
        fine = fine and len(node.args) == 1 and not node.keywords
    else:
        fine = isinstance(node, ast.operator | ast.unaryop | ast.expr_context)
    if not fine:
        shown = ast.unparse(node)[:40] if isinstance(node, ast.expr) else type(node).__name__
        msg = f"{shown!r} may not stand in a formula: numbers, x, names above, + - * / ** and {', '.join(FUNCTIONS)}"
        raise ValueError(msg)


def _counts(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp | ast.UnaryOp | ast.Constant | ast.Name)  # a call is its function's name


def _value(node: ast.expr, known: dict[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return known[name]
        case ast.UnaryOp(op=sign, operand=operand):
            return _SIGNS[type(sign)](_value(operand, known))
        case ast.BinOp(left=left, op=by, right=right):
            return _OPERATORS[type(by)](_value(left, known), _value(right, known))
        case ast.Call(func=ast.Name(id=name), args=[argument]):
            return FUNCTIONS[name](_value(argument, known))
    msg = f"{type(node).__name__} was not refused"
    raise TypeError(msg)
