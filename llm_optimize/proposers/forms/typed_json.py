"""A candidate of a given type: the JSON of a pydantic model, checked field by field before it is evaluated."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import NoCandidate
from llm_optimize.llm.quirks import facts_of
from llm_optimize.llm.schemas import check_type, json_values, problems, response_format
from llm_optimize.text.fences import Extracted, after_thinking, extract

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import BaseModel

__all__ = ["TypedJSON", "canonical"]

_RULES = """\
- Be brief: in one to three sentences, say what {about} and what you change.
- Then give the complete new x as one JSON object in exactly one fenced code block, with every field of the current x, \
also those that stay as they are. It must fit this JSON schema:

{schema}

- Where you can answer with JSON alone, give an object with the fields explanation and x instead, and nothing else."""
_PARTS = {"explanation", "x"}
_NEEDED = {"json_schema", "response_format"}
_FENCE = re.compile(r"^[ \t]*(?:[-*+][ \t]+|\d+[.)][ \t]+)?(?:```|~~~)", re.MULTILINE)
_NO_JSON = "the reply holds no JSON object"
_SEVERAL = "the reply holds several JSON objects that differ: give one, the new x"


@dataclass(frozen=True, slots=True)
class TypedJSON:
    """A few words, then a JSON object that a pydantic model accepts, in a fenced block or bare.

    The candidate's text is the object as :func:`canonical` writes it, so that the same values are the same candidate.
    Where the endpoint is believed to enforce a schema (``response_format``), it is asked to; what it gives then is an
    object with the explanation and the candidate. An endpoint that ignores or refuses this costs nothing more: the
    reply is read as any other.

    A field that is missing is not filled with its default, since the model would not know what it proposed; one that
    the class does not have is refused likewise, unless the class allows extra fields.

    Attributes:
        model_class: a subclass of ``pydantic.BaseModel``.

    Raises:
        BadInput: it is something else.
    """

    model_class: type[BaseModel]

    def __post_init__(self) -> None:
        """Refuse what is no model."""
        check_type(self.model_class)

    @property
    def name(self) -> str:
        """The form's name."""
        return "json"

    @property
    def needs_parent(self) -> bool:
        """An object stands alone."""
        return False

    def rules(self, about: str) -> str:
        """Return how to answer."""
        schema = json.dumps(self.model_class.model_json_schema(), ensure_ascii=False)
        return _RULES.replace("{about}", about).replace("{schema}", schema).strip()

    @property
    def reminder(self) -> str:
        """How to answer, in one clause."""
        return "a few words, then the complete new x as one JSON object that fits the schema, in one fenced code block"

    def settings(self, model: object) -> Mapping[str, Any]:
        """Return the fields of a request that make the endpoint of ``model`` keep to the form, as far as it can."""
        facts = facts_of(model)
        if facts is None or _NEEDED & facts.refused:
            return {}
        return {"response_format": response_format(_answer(self.model_class))}

    def read(self, reply: str, parent: str | None) -> Extracted:  # noqa: ARG002 - an object stands alone
        """Take the object out of a reply.

        Raises:
            NoCandidate: there is none, there are several, or it does not fit the model; says which fields and why.
        """
        answer = after_thinking(reply)
        # Backticks within a string of bare JSON open no block: it has no line breaks.
        found = extract(answer) if _FENCE.search(answer) else Extracted(answer, "")
        values = list(dict.fromkeys(one for one in json_values(found.text) if one.startswith("{")))
        if not values:
            raise NoCandidate(_NO_JSON)
        if len(values) > 1:
            raise NoCandidate(_SEVERAL)
        why, inner = self._unwrapped(values[0])
        said = (found.explanation, found.text.replace(values[0], " ", 1), why)
        return Extracted(self._checked(inner), "\n".join(one.strip() for one in said if one.strip()))

    def _unwrapped(self, text: str) -> tuple[str, str]:
        """Return (explanation, object): those of an answer that holds both, unless the class has such fields itself."""
        value = json.loads(text)
        if value.keys() != _PARTS or self.model_class.model_fields.keys() >= _PARTS:
            return "", text
        return str(value["explanation"]), json.dumps(value["x"], ensure_ascii=False)

    def _checked(self, text: str) -> str:
        import pydantic  # noqa: PLC0415 - heavy: loaded by those who give a model of it, who have it anyway

        try:
            value = self.model_class.model_validate_json(text)
        except pydantic.ValidationError as error:
            wrong = [line.removeprefix("- ") for line in problems(error).split("\n")]
            raise NoCandidate(_wrong("; ".join(wrong))) from None
        written = canonical(value)
        if differing := list(_differing(json.loads(text), json.loads(written), "")):
            raise NoCandidate(_wrong("; ".join(differing)))
        return written


def canonical(value: BaseModel) -> str:
    """Return an instance as the text of a candidate: JSON, indented, in the order of the class's fields.

    Example:
        >>> from pydantic import BaseModel
        >>> class Point(BaseModel):
        ...     x: int
        >>> print(canonical(Point(x=1)))
        {
          "x": 1
        }
    """
    computed = set(type(value).model_computed_fields) or None  # they follow from the others
    return json.dumps(value.model_dump(mode="json", by_alias=True, exclude=computed), indent=2, ensure_ascii=False)


@lru_cache(maxsize=32)
def _answer(model_class: type[BaseModel]) -> type[BaseModel]:
    """Return the type of a reply that is JSON alone: why, then what."""
    from pydantic import create_model  # noqa: PLC0415 - heavy: loaded by those who give a model, who have it anyway

    return create_model("Answer", explanation=(str, ...), x=(model_class, ...))


def _wrong(what: str) -> str:
    return f"the JSON object does not fit the schema: {what}"


def _differing(given: Any, read: Any, place: str) -> Iterator[str]:  # noqa: ANN401 - JSON values
    """Yield the fields that an object lacks, or has too much, beside the one that was read from it."""
    if isinstance(given, dict) and isinstance(read, dict):
        yield from (f"{place}{name}: this field is missing" for name in read.keys() - given.keys())
        yield from (f"{place}{name}: there is no such field" for name in given.keys() - read.keys())
        for name in given.keys() & read.keys():
            yield from _differing(given[name], read[name], f"{place}{name}.")
    elif isinstance(given, list) and isinstance(read, list):
        for number, (one, other) in enumerate(zip(given, read, strict=False)):
            yield from _differing(one, other, f"{place}{number}.")
