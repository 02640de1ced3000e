"""What every judge by a chat model does: ask for a reply of a type that carries the fence's code, and tell whose fault.

A judge that answers, but not with marks, says something about the text (it declined to read it) or about itself;
that is a :class:`~llm_optimize.core.types.Failure` of the candidate. A model that does not answer says nothing about
the text, so its error passes through.

Samples are asked for at once, and which of two calls of the same content comes first is up to chance. So nothing that
is made of them depends on their order: a study that is replayed comes to the same scores.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_optimize import llm
from llm_optimize.core.checks import check_whole
from llm_optimize.core.types import Failure, Usage
from llm_optimize.errors import BadReply
from llm_optimize.llm.structured import ask
from llm_optimize.scorers.spreading import spread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pydantic import BaseModel

    from llm_optimize.core.chat import Message, Reply, Request
    from llm_optimize.core.protocols import ChatModel

__all__ = ["CODE_FIELD", "LONGEST", "Judge", "Judgement", "consult", "judge_model", "reply_type"]

CODE_FIELD = "fence_code"
LONGEST = 200_000
_ROLE = "judge"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a judge said, sample by sample.

    Attributes:
        values: the checked replies, as many as were usable, in an order that does not depend on which came first.
        usage: what all samples cost.
        trouble: why a reply was not usable, for one that was not; empty if all were.
    """

    values: tuple[Any, ...]
    usage: Usage
    trouble: str = ""

    def failure(self, samples: int) -> Failure | None:
        """Return what to report when no more than half of the samples are usable."""
        if 2 * len(self.values) > samples:
            return None
        return Failure("unjudged", f"the judge gave no usable marks: {self.trouble}", self.usage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What every judge has: a model, and how it is asked.

    Attributes:
        model: the judge, as for :func:`llm_optimize.llm.connect`; None is the default model. Better not the one that
            proposes: models prefer their own writing (Panickssery et al. 2024).
        samples: how often to ask the same, all at once.
        settings: fields of the request body, such as ``temperature``.
        longest: characters; a longer text is a failure and costs nothing.
    """

    model: Any = None
    samples: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)
    longest: int = LONGEST
    _connected: Any = field(init=False, repr=False, compare=False)

    def connect(self) -> None:
        """Check the numbers and find the model; subclasses call it when their own fields are in order.

        Raises:
            BadInput: see the message.
        """
        check_whole("samples", self.samples, 1)
        check_whole("longest", self.longest, 1)
        object.__setattr__(self, "_connected", judge_model(self.model))

    @property
    def judge(self) -> ChatModel:
        """The model that judges."""
        connected: ChatModel = self._connected
        return connected

    def asked(self, messages: Sequence[Message], wanted: type[BaseModel]) -> Judgement:
        """Ask for as many judgements as there are to be samples.

        Raises:
            ModelError: the model did not answer.
        """
        return consult(self.judge, messages, wanted, samples=self.samples, settings=self.settings)

    def too_long(self, text: str) -> Failure | None:
        """Return a failure for a text that would flood the judge."""
        if len(text) <= self.longest:
            return None
        told = f"the text has {len(text)} characters; the judge reads at most {self.longest}: shorten it"
        return Failure("too_long", told)


def judge_model(model: object) -> ChatModel:
    """Return the model that judges, its calls booked as the judge's.

    Raises:
        BadInput: it is nothing that can be asked.
    """
    return llm.connect(model, role=_ROLE)


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
    """Ask for ``samples`` judgements of the same, all at once.

    Raises:
        ModelError: the model did not answer.
        BadInput: no model is configured, or the endpoint cannot work.
    """
    values: list[BaseModel] = []
    troubles: list[str] = []
    heard = [_Heard(model) for _ in range(samples)]

    def sample(one: _Heard) -> bool:
        try:
            values.append(ask(one, messages, wanted, settings=settings).value)
        except BadReply as error:
            if not one.answered:
                raise
            troubles.append(str(error))
        return True

    spread(sample, heard, samples)
    values.sort(key=lambda value: value.model_dump_json())
    return Judgement(tuple(values), sum((one.usage for one in heard), Usage()), max(troubles, default=""))


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
