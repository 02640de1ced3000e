"""A task file: a Python module whose upper-case names say what to optimize and how; a typo is never ignored."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from llm_optimize.cli import loading
from llm_optimize.core.noise import Noise
from llm_optimize.errors import BadInput
from llm_optimize.parallel import SPECS, check_spec
from llm_optimize.proposers.constraints import as_constraints, check_start
from llm_optimize.scorers.formats import JsonSchema
from llm_optimize.text.domains import parse_tune
from llm_optimize.text.tunables import find

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic import BaseModel

__all__ = ["TaskFile", "load_task"]

_NEEDED = {
    "TASK": "a text that says the situation and the goal",
    "QUESTION": "a text that says what is asked of the model after each attempt",
    "score": "a function that takes a text and returns a number, higher is better, or (number, feedback)",
}
_SETTINGS: dict[str, str] = {
    "x0": "the text to begin with, or leave it out to let the model write it",
    "TUNE": "Box(low, high) or a dict of names to ranges",
    "MAX_STEPS": "an integer of 0 or more, or None for no limit",
    "STOP_SCORE": "a number",
    "MODEL": "a name, 'URL#name', or a ChatModel",
    "PARALLEL": "an integer of 1 or more",
    "EXECUTOR": f"the name of an executor, as a text: {SPECS}",
    "IDEAS": "an integer of 1 or more",
    "SEED": "an integer",
    "BUDGET": "a dict with numbers above 0 for evaluations, tokens, dollars, seconds",
    "EVAL_TIMEOUT": "seconds above 0",
    "NOISE": "'auto', a Noise(...), or None to score each candidate once",
    "FINAL": "a function that scores a text on sealed examples, called for x0 and for the winner alone",
    "SUSPICIOUS_ABOVE": "the highest score that can be honest, a number",
    "LAYOUT": "'window', or 'epochs' where the endpoint's prompt cache makes repeated prompts cheaper",
    "TOOLS": "a list of functions, or of tools of llm_optimize.toolbox",
    "CONSTRAINTS": "a list of names such as 'parses' or 'max_chars:500', and of functions of the text",
}
_KNOWN = (*_NEEDED, *_SETTINGS)


@dataclass(frozen=True, slots=True)
class TaskFile:
    """A checked task file.

    Attributes:
        where: its absolute path, or ``package.module[:name]``.
        stem: what its studies are named after.
        task: TASK.
        question: QUESTION.
        score: the scorer.
        x0: the start text, or None.
        settings: the values of the optional names that it sets, by name, ``x0`` aside.
    """

    where: str
    stem: str
    task: str
    question: str
    score: Callable[[str], Any]
    x0: str | None
    settings: Mapping[str, Any]


def load_task(where: str) -> TaskFile:
    """Load and check a task file.

    Args:
        where: the path of a Python file; or ``package.module``, or ``package.module:name`` of an object with the same
            attributes.

    Raises:
        BadInput: it cannot be loaded, a name is missing or unknown, or a value cannot work.
    """
    path = Path(where).expanduser()
    if not path.exists() and path.suffix != ".py" and "/" not in where:
        found = loading.load_named(where)
        return _checked(where, where.rpartition(":")[2].rpartition(".")[2], _attributes(where, found))
    path = path.absolute()
    source = loading.read_source(path)
    _refuse_unknown(path, _assigned(ast.parse(source)))
    return _checked(str(path), path.stem, vars(loading.load_file(path)))


def _attributes(where: str, found: object) -> Mapping[str, Any]:
    values = found if isinstance(found, dict) else {name: getattr(found, name) for name in dir(found)}
    origin = getattr(found, "__file__", None)
    if origin:
        _refuse_unknown(origin, _assigned(ast.parse(loading.read_source(Path(origin)))))
    else:
        _refuse_unknown(where, ((name, 0) for name in values))
    return values


def _refuse_unknown(where: object, assigned: Iterable[tuple[str, int]]) -> None:
    """Refuse upper-case names that are no setting; single letters (``X``, ``N``) cannot be a setting misspelt."""
    for name, line in assigned:
        if not name.isupper() or name in _KNOWN or name.startswith("_") or len(name) == 1:
            continue
        close = difflib.get_close_matches(name, [known.upper() for known in _KNOWN], 1, 0.5)
        meant = next((known for known in _KNOWN if close and known.upper() == close[0]), "")
        guess = f"did you mean {meant}?" if meant else f"settings are {', '.join(_KNOWN)};"
        place = f"{where}:{line}" if line else str(where)
        msg = f"{place}: {name} is not a setting; {guess} A file's own constants are lower-case or begin with _"
        raise BadInput(msg)


def _assigned(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield each name that is assigned at the top level of a module, with its line."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda | _COMPREHENSIONS):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        yield from _assigned(node)


_COMPREHENSIONS = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


def _checked(where: str, stem: str, values: Mapping[str, Any]) -> TaskFile:
    for name, what in _NEEDED.items():
        if name not in values:
            msg = f"{where}: {name} is missing: add {name}, {what}"
            raise BadInput(msg)
    settings = {name: values[name] for name in _KNOWN if name in values}
    _check_values(where, settings)
    task, question, score = (settings.pop(name) for name in _NEEDED)
    x0 = settings.pop("x0", None)
    _check_tunables(where, x0, settings.get("TUNE"))
    _check_constraints(where, x0, settings.get("CONSTRAINTS", ()))
    return TaskFile(where, stem, task, question, score, x0, settings)


def _check_tunables(where: str, x0: str | None, tune: object) -> None:
    try:
        if x0 is None:
            parse_tune(tune)
        else:
            find(x0, tune)
    except BadInput as error:
        said = str(error)
        msg = f"{where}: {'TUNE' + said[4:] if said.startswith('tune') else f'x0: {said}'}"
        raise BadInput(msg) from None


def _check_constraints(where: str, x0: str | None, constraints: object) -> None:
    try:
        check_start(as_constraints(constraints, JsonSchema), x0)
    except BadInput as error:
        said = str(error)
        msg = f"{where}: {'CONSTRAINTS' + said[11:] if said.startswith('constraints') else said}"
        raise BadInput(msg) from None


def _check_values(where: str, values: Mapping[str, Any]) -> None:
    """Check each value by a pydantic model of the file; the first that is wrong is told."""
    from pydantic import ValidationError  # noqa: PLC0415 - heavy; needed only where a task file is read

    try:
        _model()(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name, *inner = (str(part) for part in first["loc"])
        cap = next((part for part in inner if part not in _TYPE_TAGS), None) if name == "BUDGET" else None
        shown = name if cap is None else f"{name}[{cap!r}]"
        value = repr(first["input"])
        value = value if len(value) <= 60 else f"{value[:50]}..."  # noqa: PLR2004 - one line
        msg = f"{where}: {shown} is {value}: give {_NEEDED.get(name) or _SETTINGS[name]}"
        raise BadInput(msg) from None


@cache
def _model() -> type[BaseModel]:
    """Return the pydantic model of a task file; strict, so that "10" is not taken for 10."""
    from pydantic import AfterValidator, ConfigDict, Field, create_model  # noqa: PLC0415 - heavy; see _check_values

    strict = ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)
    text = Annotated[str, Field(pattern=r"\S")]
    positive = Annotated[int, Field(gt=0)] | None
    measure = Annotated[float, Field(gt=0)] | None
    budget = create_model(
        "Budget",
        __config__=strict,
        evaluations=(positive, None),
        tokens=(positive, None),
        dollars=(measure, None),
        seconds=(measure, None),
    )
    at_least_one = Annotated[int, Field(ge=1)]
    fields: dict[str, Any] = {
        "TASK": (text, ...),
        "QUESTION": (str, ...),
        "score": (Callable[..., Any], ...),
        "x0": (text | None, None),
        "TUNE": (Any, None),
        "MAX_STEPS": (Annotated[int, Field(ge=0)] | None, None),
        "STOP_SCORE": (float | None, None),
        "MODEL": (Any, None),
        "PARALLEL": (at_least_one | None, None),
        "EXECUTOR": (Annotated[str, AfterValidator(check_spec)] | None, None),
        "IDEAS": (at_least_one, 1),
        "SEED": (int, 0),
        "BUDGET": (budget | None, None),
        "EVAL_TIMEOUT": (measure, None),
        "NOISE": (Literal["auto"] | Noise | None, None),
        "FINAL": (Callable[..., Any] | None, None),
        "SUSPICIOUS_ABOVE": (float | None, None),
        "LAYOUT": (Literal["window", "epochs"], "window"),
        "TOOLS": (list[Any] | tuple[Any, ...], ()),
        "CONSTRAINTS": (list[Any] | tuple[Any, ...], ()),
    }
    return create_model("TaskFile", __config__=strict, **fields)


_TYPE_TAGS = frozenset({"Budget", "dict", "none", "int", "float"})
