"""A Python function as a model may call it: the JSON schema of its parameters, and a check of what the model sent."""

from __future__ import annotations

import inspect
import typing
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput
from llm_optimize.llm.docstrings import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["BadArguments", "Signature"]

_WORDS = {
    "missing_keyword_only_argument": "it is required",
    "unexpected_keyword_argument": "there is no such parameter",
}
_TOLD = 5  # errors of one call that are told; a model mends the rest when it sees them


class BadArguments(ValueError):
    """A model called a function with arguments that do not fit; the message is for the model."""


class Signature:
    """What a function takes; the types are checked and converted by pydantic.

    Attributes:
        parameters: JSON schema, an object.
    """

    def __init__(self, function: Callable[..., Any], label: str) -> None:
        """Read annotations, defaults and docstring.

        Args:
            function: each parameter can be given by name and has an annotation.
            label: how messages call it, such as ``tools: 'search'``.

        Raises:
            BadInput: it cannot be called by name with JSON values.
        """
        self._given = (function, label)
        signature = _signed(function, label)
        hints = _hints(function, label)
        for parameter in signature.parameters.values():
            _check(parameter, hints, label)
        said = describe(inspect.getdoc(function)).parameters
        self._adapter = _adapter(signature, hints, label)
        self.parameters = _schema(
            self._adapter, label, {name: said[name] for name in hints if name in said} | _notes(hints)
        )

    def __reduce__(self) -> tuple[type[Signature], tuple[Callable[..., Any], str]]:
        """Pickle the function; what pydantic made of it cannot travel."""
        return Signature, self._given

    def check(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments as the function's types, defaults filled in.

        Raises:
            BadArguments: they do not fit.
        """
        from pydantic import ValidationError  # noqa: PLC0415 - heavy; loaded by those who have tools

        try:
            checked: dict[str, Any] = self._adapter.validate_python(dict(arguments))
        except ValidationError as error:
            problems = error.errors(include_url=False, include_context=False, include_input=False)
            raise BadArguments("; ".join(map(_told, problems[:_TOLD]))) from None
        return checked


def _told(problem: Mapping[str, Any]) -> str:
    place = ".".join(map(str, problem["loc"])) or "arguments"
    return f"{place}: {_WORDS.get(problem['type'], problem['msg'])}"


def _signed(function: Callable[..., Any], label: str) -> inspect.Signature:
    if isinstance(function, type):
        msg = f"{label} is a class: give a function"
        raise BadInput(msg)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        msg = f"{label} is asynchronous: give a plain function, one that calls asyncio.run(...) for example"
        raise BadInput(msg)
    if inspect.isgeneratorfunction(function):
        msg = f"{label} is a generator: give a function that returns its result, a list for example"
        raise BadInput(msg)
    try:
        return inspect.signature(function)
    except (TypeError, ValueError) as error:
        msg = f"{label} tells nothing about its parameters ({error}): wrap it in a function with annotations"
        raise BadInput(msg) from error


def _hints(function: Callable[..., Any], label: str) -> dict[str, Any]:
    plain = inspect.unwrap(getattr(function, "func", function))  # functools.partial and wraps
    if not inspect.isroutine(plain):
        plain = type(plain).__call__
    try:
        return {
            name: hint for name, hint in typing.get_type_hints(plain, include_extras=True).items() if name != "return"
        }
    except (NameError, TypeError, AttributeError, SyntaxError) as error:
        msg = f"{label} has an annotation that cannot be read ({error}): import or define its types at the module's top"
        raise BadInput(msg) from error


def _check(parameter: inspect.Parameter, hints: Mapping[str, Any], label: str) -> None:
    name = parameter.name
    if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
        stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
        msg = f"{label} takes {stars}{name}, which a model cannot fill: give it named parameters"
        raise BadInput(msg)
    if parameter.kind is parameter.POSITIONAL_ONLY:
        msg = f"{label} takes {name!r} by position only, but a model gives names: leave the '/' out"
        raise BadInput(msg)
    if name not in hints:
        msg = (
            f"{label} has no annotation for {name!r}, so the model would have to guess: write '{name}: int' or the like"
        )
        raise BadInput(msg)


def _adapter(signature: inspect.Signature, hints: Mapping[str, Any], label: str) -> Any:  # noqa: ANN401 - pydantic is loaded on use
    """Return what checks arguments; it does not call the function, whose own errors are not about them."""
    from pydantic import PydanticUserError, TypeAdapter  # noqa: PLC0415 - heavy; loaded by those who have tools

    def collect(*values: Any, **named: Any) -> dict[str, Any]:  # noqa: ANN401 - any function's arguments
        return dict(signature.bind(*values, **named).arguments)

    by_name = [one.replace(kind=one.KEYWORD_ONLY, annotation=hints[one.name]) for one in signature.parameters.values()]
    collect.__signature__ = signature.replace(parameters=by_name)  # type: ignore[attr-defined]  # PEP 362 reads it
    collect.__annotations__ = dict(hints)
    try:
        return TypeAdapter(collect)  # type: ignore[arg-type]  # pydantic reads functions too
    except PydanticUserError as error:  # what it has no schema for
        msg = f"{label} has a parameter of a type that no JSON stands for ({_first_line(error)}): use plain types"
        raise BadInput(msg) from error


def _schema(adapter: Any, label: str, said: Mapping[str, str]) -> dict[str, Any]:  # noqa: ANN401 - as _adapter
    from pydantic import PydanticUserError  # noqa: PLC0415 - as _adapter
    from pydantic.json_schema import GenerateJsonSchema  # noqa: PLC0415 - as _adapter

    class Quiet(GenerateJsonSchema):
        ignored_warning_kinds = frozenset({"skipped-choice", "non-serializable-default"})  # type: ignore[assignment]

    try:
        schema: dict[str, Any] = adapter.json_schema(schema_generator=Quiet)
    except PydanticUserError as error:
        msg = f"{label} has a parameter of a type that no JSON stands for ({_first_line(error)}): use plain types"
        raise BadInput(msg) from error
    for name, shown in schema.setdefault("properties", {}).items():
        shown.pop("title", None)  # the name once more
        if name in said:
            shown.setdefault("description", said[name])
    return schema


def _notes(hints: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts of ``Annotated[int, "how many"]``; pydantic reads ``Field(description=...)`` itself."""
    texts = {
        name: [one for one in getattr(hint, "__metadata__", ()) if isinstance(one, str)] for name, hint in hints.items()
    }
    return {name: " ".join(found) for name, found in texts.items() if found}


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].partition(". ")[0]
