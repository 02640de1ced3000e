"""What every judge by a chat model does: ask for a reply of a type that carries the fence's code, and tell whose fault.

A judge that answers, but not with marks, says something about the text (it declined to read it) or about itself;
that is a :class:`~llm_optimize.core.types.Failure` of the candidate. A model that does not answer says nothing about
the text, so its error passes through.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize import llm
from llm_optimize.core.types import Failure, Usage
from llm_optimize.errors import BadInput, BadReply
from llm_optimize.llm.structured import ask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import BaseModel

    from llm_optimize.core.chat import Message, Reply, Request
    from llm_optimize.core.protocols import ChatModel

__all__ = ["CODE_FIELD", "LONGEST", "Judgement", "check_count", "consult", "judge_model", "reply_type", "too_long"]

CODE_FIELD = "fence_code"
LONGEST = 200_000
_ROLE = "judge"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge said, sample by sample.

    Attributes:
        values: the checked replies, as many as were usable.
        usage: what all samples cost.
        trouble: why a reply was not usable, for the last that was not; empty if all were.
    """

    values: tuple[Any, ...]
    usage: Usage
    trouble: str = ""

    def failure(self, samples: int) -> Failure | None:
        """Return what to report when no more than half of the samples are usable."""
        if 2 * len(self.values) > samples:
            return None
        return Failure("unjudged", f"the judge gave no usable marks: {self.trouble}", self.usage)


def judge_model(model: object) -> ChatModel:
    """Return the model that judges, its calls booked as the judge's.

    Raises:
        BadInput: it is nothing that can be asked.
    """
    return llm.connect(model, role=_ROLE)


def check_count(name: str, count: object) -> None:
    """Make sure that ``count`` is a whole number, at least 1.

    Raises:
        BadInput: it is not.
    """
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        msg = f"{name} is {count!r}: give a whole number, at least 1"
        raise BadInput(msg)


def too_long(text: str, longest: int) -> Failure | None:
    """Return a failure for a text that would flood the judge."""
    if len(text) <= longest:
        return None
    return Failure("too_long", f"the text has {len(text)} characters; the judge reads at most {longest}: shorten it")


def reply_type(name: str, fields: Mapping[str, Any], code: str) -> type[BaseModel]:
    """Return a reply type with ``fields`` in which :data:`CODE_FIELD` must hold ``code``.

    The schema is the same for every code, so that endpoints which compile schemas do so once.

    Args:
        name: the type's name.
        fields: as for ``pydantic.create_model``.
        code: of the fence.
    """
    import pydantic  # noqa: PLC0415 - heavy: loaded by those who ask for typed replies

    def carried(value: str) -> str:
        if value.strip().lower() != code:
            msg = f"must be the code of the fence, {code}"
            raise ValueError(msg)
        return code

    described = pydantic.Field(description="The code that stands in both lines of the fence.")
    bound: Any = (str, described)
    check: Any = pydantic.field_validator(CODE_FIELD)(carried)
    made: type[BaseModel] = pydantic.create_model(
        name, __validators__={"carried": check}, **{CODE_FIELD: bound, **fields}
    )
    return made


def consult(
    model: ChatModel,
    messages: Sequence[Message],
    wanted: type[BaseModel],
    *,
    samples: int = 1,
    settings: Mapping[str, Any] | None = None,
) -> Judgement:
    """Ask for ``samples`` judgements of the same.

    Raises:
        ModelError: the model did not answer.
        BadInput: no model is configured, or the endpoint cannot work.
    """
    values: list[Any] = []
    usage, trouble = Usage(), ""
    for _ in range(samples):
        heard = _Heard(model)
        try:
            values.append(ask(heard, messages, wanted, settings=settings).value)
        except BadReply as error:
            if not heard.answered:
                raise
            trouble = str(error)
        usage += heard.usage
    return Judgement(tuple(values), usage, trouble)


class _Heard:
    """A model that notes whether its last call was answered, and what its calls cost."""

    def __init__(self, inner: ChatModel) -> None:
        self.inner = inner
        self.answered = False
        self.usage = Usage()

    def complete(self, request: Request) -> Reply:
        self.answered = False
        reply = self.inner.complete(request)
        self.answered = True
        self.usage += reply.usage
        return reply
