"""Typed candidates: a pydantic model's instance as the start of a search, instead of a text.

Its bounded numbers, literals and booleans are the numeric engine's to tune, its texts are the chat model's to write,
and the function that scores gets instances. In the history a candidate is JSON text as any other text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput
from llm_optimize.proposers.forms.typed_json import TypedJSON, canonical
from llm_optimize.text.domains import Tune
from llm_optimize.text.fields import tunable_fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

__all__ = ["Typed", "TypedScorer", "typed"]


@dataclass(frozen=True, slots=True)
class TypedScorer:
    """A scorer of texts made of a function that takes instances.

    A text that the class does not accept raises, as a text that a function cannot use does anywhere: it becomes a
    failure with the reason.

    Attributes:
        func: gets an instance; returns what a scorer may.
        model_class: of the instances.
    """

    func: Callable[[Any], Any]
    model_class: type[BaseModel]

    def __call__(self, text: str) -> Any:  # noqa: ANN401 - whatever the user's function returns
        """Score the instance that a text stands for."""
        return self.func(self.model_class.model_validate_json(text))


@dataclass(frozen=True, slots=True)
class Typed:
    """What follows from a typed start.

    Attributes:
        model_class: of the candidates.
        start: the text of the first one.
        tune: the fields that the numeric engine may set, None without any.
    """

    model_class: type[BaseModel]
    start: str
    tune: Tune | None

    @property
    def form(self) -> TypedJSON:
        """How the chat model answers."""
        return TypedJSON(self.model_class)

    def scorer(self, func: Callable[[Any], Any]) -> TypedScorer:
        """Return a scorer of texts that hands instances to ``func``."""
        return TypedScorer(func, self.model_class)


def typed(x0: object) -> Typed | None:
    """Return what follows from a start that is an instance of a pydantic model; None for any other.

    A number is tuned if it has both bounds (``Field(ge=0, le=1)``), on a logarithmic scale with
    ``json_schema_extra={"log": True}``; so is a ``Literal``, an enumeration and a ``bool``, also in a nested model.

    Raises:
        BadInput: the instance cannot be written as JSON and read again, or a class was given instead of an instance.
    """
    if isinstance(x0, type) and hasattr(x0, "model_json_schema"):
        msg = f"x0 is the class {x0.__name__}: give an instance, such as {x0.__name__}(...)"
        raise BadInput(msg)
    if not hasattr(x0, "model_dump_json") or not hasattr(type(x0), "model_json_schema"):
        return None
    value: BaseModel = x0  # type: ignore[assignment]  # it has what makes it one
    start, kind = _written(value), type(value)
    fields = tunable_fields(kind.model_json_schema())
    return Typed(kind, start, Tune(fields=fields) if fields else None)


def _written(value: BaseModel) -> str:
    import pydantic  # noqa: PLC0415 - heavy: loaded by those who give a model of it, who have it anyway

    name = type(value).__name__
    try:
        text = canonical(value)
        same = type(value).model_validate_json(text) == value
    except (pydantic.ValidationError, ValueError, TypeError) as error:
        msg = f"x0: the {name} cannot be written as JSON and read again: {' '.join(str(error).split())[:200]}"
        raise BadInput(msg) from None
    if not same:
        msg = f"x0: the {name} written as JSON and read again is another one: give fields that JSON can hold"
        raise BadInput(msg)
    return text
