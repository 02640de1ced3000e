"""The reviewer before evaluation: what a candidate must be like to be worth one, by name or as a function.

A candidate that breaks a constraint costs no evaluation: the model is told the reason and asked again, and a numeric
proposal is passed over. Names: ``parses``, ``placeholders``, ``max_chars:500``, ``max_tokens:200``,
``imports:numpy,math``, ``schema:FILE.json``. Anything else is a function, a JSON schema as a mapping, or a pydantic
model.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.core.types import Evaluation, Failure
from llm_optimize.errors import BadInput
from llm_optimize.llm.schemas import problems
from llm_optimize.llm.tokens import TokenCounter
from llm_optimize.text.regions import language, slots

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Constraint", "Rule", "SchemaCheck", "as_constraints", "check_start", "first_objection"]

_NAMES = "parses, placeholders, max_chars:N, max_tokens:N, imports:NAME,NAME, schema:FILE"
_LOADERS = frozenset({"__import__", "import_module"})
_SHOWN = 200  # characters of a reason that a function gave

Rule = Callable[[str, str | None], str | None]
"""Text and start text in; the reason why the text breaks it out, or None."""

SchemaCheck = Callable[[Mapping[str, Any]], Callable[[str], object]]
"""A JSON schema in; a function of a text out that says whether it fits."""


@dataclass(frozen=True, slots=True)
class Constraint:
    """One thing that every candidate must be.

    Attributes:
        name: what it is called, in messages.
        rule: ``rule(text, start)`` returns why the text breaks it, as a clause, or None.
    """

    name: str
    rule: Rule

    def objection(self, text: str, start: str | None) -> str | None:
        """Return why a text breaks it, as a clause that tells the model, or None.

        Args:
            text: a candidate.
            start: the text that the search began with, None where the model wrote the first.
        """
        return self.rule(text, start)


def as_constraints(given: object, schema: SchemaCheck | None = None) -> tuple[Constraint, ...]:
    """Return the constraints that a user gave.

    Args:
        given: a sequence of names (see the top of the module), functions, JSON schemas as mappings, pydantic models,
            or constraints. A function takes a text and returns None or True if all is well, else False or the reason;
            a scorer may be given as well, an Evaluation below 1 or a Failure breaks it. One that raises is broken.
        schema: makes a function of a JSON schema; without it none can be given. See
            :class:`llm_optimize.scorers.formats.JsonSchema`.

    Raises:
        BadInput: one of them is unknown or cannot work; the message lists the names.

    Example:
        >>> limit, = as_constraints(["max_chars:5"])
        >>> limit.objection("too long", None)
        'it is 8 characters long, and at most 5 are allowed'
    """
    if isinstance(given, str | Mapping) or not hasattr(given, "__iter__"):
        msg = f"constraints is {given!r}: give a list, such as ['parses', 'max_chars:500']"
        raise BadInput(msg)
    return tuple(_one(one, schema) for one in given)


def check_start(constraints: Sequence[Constraint], start: str | None) -> None:
    """Make sure that the start text keeps all constraints, before anything is spent.

    Raises:
        BadInput: it breaks one; or one needs a start text of another kind, or raises on it.
    """
    if start is None:
        return
    broken = next(_broken(constraints, start, start), None)
    if broken is not None:
        name, reason = broken
        msg = f"x0 breaks the constraint {name!r}: {reason}; change x0 or the constraint"
        raise BadInput(msg)


def first_objection(constraints: Sequence[Constraint], text: str, start: str | None) -> str | None:
    """Return why a text is not worth an evaluation, as a clause that tells the model, or None."""
    return next((reason for _, reason in _broken(constraints, text, start)), None)


def _broken(constraints: Sequence[Constraint], text: str, start: str | None) -> Iterator[tuple[str, str]]:
    for constraint in constraints:
        reason = constraint.objection(text, start)
        if reason is not None:
            yield constraint.name, reason


# --- what users give ----------------------------------------------------------------------------------------------


def _one(given: object, schema: SchemaCheck | None) -> Constraint:
    if isinstance(given, Constraint):
        return given
    if isinstance(given, str):
        return _named(given, schema)
    if isinstance(given, Mapping):
        return _by_schema("schema", given, schema)
    if isinstance(given, type) and hasattr(given, "model_validate_json"):
        return Constraint(given.__name__, _Typed(given))
    if callable(given):
        return Constraint(getattr(given, "__name__", type(given).__name__), _Function(given))
    msg = f"constraints has {given!r}: give a function of a text, or one of {_NAMES}"
    raise BadInput(msg)


def _named(given: str, schema: SchemaCheck | None) -> Constraint:
    name, colon, value = (part.strip() for part in given.partition(":"))
    if name in {"parses", "placeholders"} and not colon:
        return Constraint(name, _parses if name == "parses" else _placeholders)
    if name in {"max_chars", "max_tokens"} and value.isdecimal() and int(value):
        return Constraint(given, _AtMost(int(value)) if name == "max_chars" else _AtMost(int(value), TokenCounter("")))
    if name == "imports" and colon:
        return Constraint(given, _Imports(frozenset(part.strip() for part in value.split(",") if part.strip())))
    if name == "schema" and value:
        return _by_schema(given, _schema_in(Path(value)), schema)
    msg = f"constraints has {given!r}: give a function of a text, or one of {_NAMES}"
    raise BadInput(msg)


def _schema_in(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.expanduser().read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"constraints: schema:{path} cannot be read ({error}): give a file with a JSON schema"
        raise BadInput(msg) from None
    if not isinstance(found, dict):
        msg = f"constraints: schema:{path} holds no object: give a file with a JSON schema"
        raise BadInput(msg)
    return found


def _by_schema(name: str, given: Mapping[str, Any], schema: SchemaCheck | None) -> Constraint:
    if schema is None:
        msg = f"constraints: a schema is for optimize.run(): give llm_optimize.scorers.JsonSchema({dict(given)!r}) here"
        raise BadInput(msg)
    return Constraint(name, _Function(schema(given)))


# --- rules --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Function:
    """A user's function, whatever it returns."""

    function: Callable[[str], object]

    def __call__(self, text: str, _start: str | None) -> str | None:
        name = getattr(self.function, "__name__", type(self.function).__name__)
        try:
            said = self.function(text)
        except Exception as error:  # noqa: BLE001 - a user's function may raise anything; the text that did it is refused
            return f"{name} raised {type(error).__name__}: {_short(str(error))}"
        return _reason(name, said)


def _reason(name: str, said: object) -> str | None:
    if said is None or said is True:
        return None
    if isinstance(said, Failure):
        return _short(said.message)
    if isinstance(said, Evaluation):
        return None if said.score >= 1 else _short(said.feedback) or f"it breaks {name}"
    if isinstance(said, str) and said.strip():
        return _short(said)
    if said is False or said == "":
        return f"it breaks {name}"
    msg = f"constraints: {name} returned {said!r}: return None or True if all is well, else False or the reason"
    raise BadInput(msg)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."


def _parses(text: str, start: str | None) -> str | None:
    kind = language(text if start is None else start)
    if kind == "json":
        return _parse(json.loads, text, "JSON")
    if kind == "python" or start is None:
        return _parse(ast.parse, text, "Python")
    return "'parses' needs an x0 in Python or JSON, and this is neither"


def _parse(parse: Callable[[str], object], text: str, kind: str) -> str | None:
    try:
        parse(text)
    except SyntaxError as error:
        return f"it is not valid {kind}: line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"it is not valid {kind}: {_short(str(error)) or type(error).__name__}"
    return None


def _placeholders(text: str, start: str | None) -> str | None:
    if start is None:
        return None
    wanted = slots(start)
    found = slots(text, known=wanted) if wanted else frozenset()
    lost, added = sorted(wanted - found), sorted(found - wanted)
    said = [*([f"it has lost {', '.join(lost)}"] if lost else []), *([f"it adds {', '.join(added)}"] if added else [])]
    return f"{' and '.join(said)}: keep the placeholders exactly as written" if said else None


@dataclass(frozen=True, slots=True)
class _AtMost:
    """A length: characters (white space at both ends aside), or tokens by a counter."""

    most: int
    counter: TokenCounter | None = None

    def __call__(self, text: str, _start: str | None) -> str | None:
        length = len(text.strip()) if self.counter is None else self.counter.count(text.strip())
        unit = "characters" if self.counter is None else "tokens"
        return f"it is {length} {unit} long, and at most {self.most} are allowed" if length > self.most else None


@dataclass(frozen=True, slots=True)
class _Imports:
    """Which top-level packages a Python program may import; no sandbox, but a word to an honest model.

    Imports by name of a string are seen, others by a function are refused, since nobody can tell what they import.
    """

    allowed: frozenset[str]

    def __call__(self, text: str, _start: str | None) -> str | None:
        broken = _parse(ast.parse, text, "Python")
        if broken is not None:
            return broken
        names = {name for node in ast.walk(ast.parse(text)) for name in _imported(node)}
        wrong = sorted(name for name in names if name.partition(".")[0] not in self.allowed)
        allowed = f"only {', '.join(sorted(self.allowed))}" if self.allowed else "no import"
        return f"it imports {', '.join(wrong)}, and {allowed} is allowed" if wrong else None


def _imported(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import():
            yield from (alias.name for alias in node.names)
        case ast.ImportFrom():
            yield node.module or "." * node.level if not node.level else "a module relative to itself"
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in _LOADERS:
            literal = node.args[0] if node.args else None
            known = isinstance(literal, ast.Constant) and isinstance(literal.value, str)
            yield literal.value if known else f"whatever {name}() is given"  # type: ignore[union-attr]  # known


@dataclass(frozen=True, slots=True)
class _Typed:
    """The JSON of a pydantic model."""

    model_class: Any

    def __call__(self, text: str, _start: str | None) -> str | None:
        import pydantic  # noqa: PLC0415 - heavy: loaded by those who give a model of it, who have it anyway

        try:
            self.model_class.model_validate_json(text)
        except pydantic.ValidationError as error:
            found = " ".join(problems(error).split("\n"))
            return f"it is no {self.model_class.__name__}: {_short(found.removeprefix('- '))}"
        return None
