"""A chat request with its sampling settings, as a candidate: one prompt, one system prompt, the fields of the body.

As the text of a candidate it is one canonical JSON object, so that equal requests are equal texts::

    {
      "prompt": "Summarize: {{article}}",
      "settings": {
        "temperature": 0.3
      },
      "system_prompt": ""
    }
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from llm_optimize.core.chat import Message, Request
from llm_optimize.errors import BadInput
from llm_optimize.scorers.prompt_task import fill, slots_of
from llm_optimize.targets.fields import check_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ChatCall", "check_slots", "curl"]

_PARTS = {"prompt", "settings", "system_prompt"}


@dataclass(frozen=True, slots=True)
class ChatCall:
    """One request, without its model and with slots for its inputs.

    Attributes:
        prompt: the user's message; ``{{name}}`` is a slot.
        system_prompt: the system's message, which may have slots too; empty for none.
        settings: field of the request body -> value.

    Raises:
        BadInput: a setting is outside of what endpoints accept.

    Example:
        >>> call = ChatCall("Sum up: {{text}}", settings={"temperature": 0.3})
        >>> ChatCall.of(call.text) == call, call.request({"text": "..."}).messages[0].content
        (True, 'Sum up: ...')
    """

    prompt: str
    system_prompt: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be sent."""
        check_settings(self.settings)

    @classmethod
    def of(cls, text: str) -> Self:
        """Read the text of a candidate.

        Raises:
            BadInput: it is no JSON object with a prompt, a system prompt and settings, or one that cannot be sent.
        """
        try:
            content = json.loads(text)
        except ValueError:
            content = None
        if not isinstance(content, dict) or content.keys() != _PARTS or not isinstance(content["settings"], dict):
            msg = "the candidate is no request: give a JSON object with prompt, settings and system_prompt"
            raise BadInput(msg)
        return cls(str(content["prompt"]), str(content["system_prompt"]), content["settings"])

    @property
    def text(self) -> str:
        """The text of a candidate: JSON with sorted names, two spaces of indentation, letters as they are."""
        content = {"prompt": self.prompt, "settings": dict(self.settings), "system_prompt": self.system_prompt}
        return json.dumps(content, sort_keys=True, indent=2, ensure_ascii=False)

    @property
    def slots(self) -> tuple[str, ...]:
        """The names of the slots in both prompts."""
        return slots_of(f"{self.system_prompt}\n{self.prompt}")

    def messages(self, inputs: Mapping[str, Any]) -> tuple[Message, ...]:
        """Return the messages with the slots filled in, in one pass: a value that looks like a slot stays.

        Raises:
            BadInput: a slot has no value.
        """
        try:
            system = [Message("system", fill(self.system_prompt, inputs))] if self.system_prompt else []
            return (*system, Message("user", fill(self.prompt, inputs)))
        except KeyError as error:
            msg = f"slot {{{{{error.args[0]}}}}} has no value: give inputs={{{error.args[0]!r}: ...}}"
            raise BadInput(msg) from None

    def request(self, inputs: Mapping[str, Any], key: str = "") -> Request:
        """Return the request for one set of inputs; ``key`` as in :class:`~llm_optimize.core.chat.Request`."""
        return Request(self.messages(inputs), dict(self.settings), key)

    def body(self, model: str, inputs: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the ready request body; without ``inputs`` the slots stay in it."""
        said = self.messages(inputs) if inputs is not None else self._unfilled()
        return {
            "model": model,
            "messages": [{"role": one.role, "content": one.content} for one in said],
            **self.settings,
        }

    def _unfilled(self) -> Sequence[Message]:
        system = [Message("system", self.system_prompt)] if self.system_prompt else []
        return (*system, Message("user", self.prompt))


def curl(url: str, body: Mapping[str, Any], *, with_key: bool = False) -> str:
    r"""Return the command line that sends ``body`` to the endpoint at the base URL ``url``.

    Args:
        url: ends with ``/v1`` or whatever stands before ``/chat/completions``.
        body: of the request.
        with_key: whether the endpoint wants a key; it is read from ``OPENAI_API_KEY``, never written.

    Example:
        >>> curl("http://localhost:11434/v1", {"model": "m"})
        'curl http://localhost:11434/v1/chat/completions -H \'Content-Type: application/json\' -d \'{"model": "m"}\''
    """
    key = ' -H "Authorization: Bearer $OPENAI_API_KEY"' if with_key else ""
    shown = shlex.quote(json.dumps(body, ensure_ascii=False))
    return (
        f"curl {shlex.quote(url.rstrip('/') + '/chat/completions')} -H 'Content-Type: application/json'{key} -d {shown}"
    )


def check_slots(texts: Sequence[tuple[str, str]], inputs: Sequence[Mapping[str, Any]]) -> None:
    """Refuse slots without a value, before any call.

    Args:
        texts: (what it is called, the prompt).
        inputs: each set of values by slot.

    Raises:
        BadInput: names the prompt, the slot and the set of inputs.
    """
    for name, text in texts:
        for slot in slots_of(text):
            for number, values in enumerate(inputs):
                if slot not in values:
                    has = ", ".join(map(str, values)) or "no value at all"
                    msg = f"{name} has the slot {{{{{slot}}}}}, and inputs[{number}] has {has}: give it a value"
                    raise BadInput(msg)
