"""Scores by a reward model: one behind an HTTP endpoint of any JSON, or a local sequence classifier.

The raw value is kept in ``metrics``; the score is that value, or what a stated scaling makes of it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llm_optimize import llm
from llm_optimize.core.chat import Message, Reply, Request
from llm_optimize.core.types import Evaluation, Usage
from llm_optimize.errors import BadInput, BadReply
from llm_optimize.llm.calling import Caller, check_positive
from llm_optimize.llm.endpoint import check_url
from llm_optimize.llm.failures import one_line
from llm_optimize.llm.retrying import Retrying

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from llm_optimize.core.protocols import ChatModel

__all__ = ["HttpReward"]

_TEXT_SLOT = "{text}"
_ROLE = "judge"


@dataclass(frozen=True, slots=True)
class HttpReward:
    """Scores a text by what an endpoint answers about it; its calls are recorded and asked again like a chat's.

    They count as calls of the judge, and as 0 dollars: such endpoints have no price per token.

    Attributes:
        url: where to POST.
        body: the JSON to send; ``{text}`` anywhere in a text of it stands for the candidate.
        path: where the value stands in the answer, such as ``score`` or ``data.0.score``.
        scaling: from the raw value to the score; None for the raw value itself.
        api_key: sent as ``Authorization: Bearer``; none by default, the chat model's key is not sent here.
        headers: further headers.
        timeout: seconds for one answer.
        deadline: seconds for all attempts of one call and the waits between them.

    Raises:
        BadInput: see the message.

    Example:
        >>> HttpReward("http://127.0.0.1:8080/classify", {"inputs": "{text}"}, path="0.score").path
        '0.score'
    """

    url: str
    body: Mapping[str, Any] = field(default_factory=lambda: {"text": _TEXT_SLOT})
    path: str = "score"
    scaling: Callable[[float], float] | None = None
    api_key: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout: float = 60.0
    deadline: float = 300.0
    _model: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what could never bring a score."""
        check_url(self.url, "url")
        check_positive("timeout", self.timeout)
        check_positive("deadline", self.deadline)
        if _TEXT_SLOT not in json.dumps(self.body):
            msg = f"body has no slot {_TEXT_SLOT}: the model would never see the candidate; write it where it belongs"
            raise BadInput(msg)
        if not self.path.strip("."):
            msg = "path is empty: say where the value stands in the answer, such as 'score' or 'data.0.score'"
            raise BadInput(msg)
        call = _Call(self.url, dict(self.body), self.path, self.api_key, dict(self.headers), self.timeout)
        free = {call.name: (0.0, 0.0)}
        asked = llm.connect(Retrying(call, deadline=self.deadline), prices=free, role=_ROLE)
        object.__setattr__(self, "_model", asked)

    def __call__(self, text: str) -> Evaluation:
        """Ask for the value of ``text``.

        Raises:
            ModelError: the endpoint did not answer, or not with a number; says nothing about the text.
        """
        model: ChatModel = self._model
        reply = model.complete(Request((Message("user", text),)))
        raw = float(reply.text)
        return Evaluation(raw if self.scaling is None else self.scaling(raw), "", {"raw": raw}, usage=reply.usage)


@dataclass(frozen=True, slots=True)
class _Call:
    """One request, in the shape of a chat model's, so that the layers fit."""

    url: str
    body: Mapping[str, Any]
    path: str
    api_key: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    timeout: float

    @property
    def name(self) -> str:
        return self.url.partition("://")[2]

    def complete(self, request: Request) -> Reply:
        caller = Caller(self.url, self.api_key or "none", self.timeout, self.headers)
        answer, seconds = caller.post(_filled(self.body, request.messages[-1].content), self.name)
        value = _at(answer, self.path)
        fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not fits:
            msg = f"{self.url} answered without a number at {self.path!r}: {one_line(json.dumps(answer))}"
            raise BadReply(msg)
        return Reply(repr(float(value)), model=self.name, usage=Usage(1, seconds=seconds))


def _filled(value: Any, text: str) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return value.replace(_TEXT_SLOT, text)
    if isinstance(value, dict):
        return {name: _filled(one, text) for name, one in value.items()}
    return [_filled(one, text) for one in value] if isinstance(value, list | tuple) else value


def _at(answer: Any, path: str) -> Any:  # noqa: ANN401 - any JSON
    """Return what stands at a path, or None."""
    for part in path.strip(".").split("."):
        if isinstance(answer, dict):
            answer = answer.get(part)
        elif isinstance(answer, list) and part.lstrip("-").isdigit() and int(part) < len(answer):
            answer = answer[int(part)]
        else:
            return None
    return answer
