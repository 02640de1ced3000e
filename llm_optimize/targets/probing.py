"""Which fields of a request have an effect at an endpoint, found out with a handful of tiny requests.

Servers differ in the fields that they know: OpenAI refuses ``top_k``, Ollama's compatible endpoint passes over it in
silence. A search over a field without an effect wastes its calls. For each field:

1. A request with a plausible value that is refused: the field is not supported.
2. A request with a value that makes no sense (an object) that is refused: the server reads the field, it has an effect.
3. Where nonsense is accepted, answers decide: the same request twice, then with the field at either end of its range,
   all with one seed. Two equal answers and no difference between the ends: no effect. A difference: an effect. Answers
   that differ by themselves: unclear, and the field stays in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from llm_optimize.core.chat import Message, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_optimize.llm.openai import OpenAIChat

__all__ = ["Finding", "probe", "probes"]

_NONSENSE = {"no": "such value"}
_LENGTH = 32  # tokens of the answers that are compared: enough for a penalty on repetition to show
_CAPS = ("max_tokens", "max_completion_tokens")
_QUESTION = "List ten animals, then ten more."
_SHOWN = 160


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found out about a field.

    Attributes:
        field: of the request body.
        effect: ``effect``, ``refused`` (the endpoint does not support it), ``ignored`` or ``unclear``.
        why: in a few words.
    """

    field: str
    effect: Literal["effect", "refused", "ignored", "unclear"]
    why: str

    @property
    def works(self) -> bool:
        """Whether the field is worth a search."""
        return self.effect in {"effect", "unclear"}


def probe(chat: OpenAIChat, ends: Mapping[str, tuple[Any, Any]]) -> list[Finding]:
    """Return what each field does.

    Args:
        chat: the endpoint, without retries.
        ends: field -> two values that may be sent, as far apart as possible. Limits on tokens are left out: under
            which name an endpoint wants them is found out with the first call.

    Raises:
        ModelError: the endpoint cannot be reached, or refuses the key.
    """
    ends = {name: pair for name, pair in ends.items() if name not in _CAPS}
    plain = _tiny({name: low for name, (low, _) in ends.items()})
    all_taken = chat.objection(plain) is None
    answers = _Answers(chat)
    return [_judged(chat, answers, name, *pair, taken=all_taken) for name, pair in ends.items()]


def probes(fields: int) -> int:
    """Return how many requests a probe of that many fields makes at most."""
    return 1 + 2 * fields + 2 + 2 * fields


def _judged(chat: OpenAIChat, answers: _Answers, name: str, low: object, high: object, *, taken: bool) -> Finding:  # noqa: PLR0913 - a field with its two values
    said = None if taken else chat.objection(_tiny({name: low}))
    if said is not None:
        return Finding(name, "refused", f"the endpoint refuses it: {' '.join(said.split())[:_SHOWN]}")
    if chat.objection(_tiny({name: _NONSENSE})) is not None:
        return Finding(name, "effect", "the endpoint checks its value")
    if not answers.repeat:
        return Finding(name, "unclear", "the endpoint accepts nonsense, and its answers differ by themselves")
    if answers.at({name: low}) == answers.at({name: high}):
        return Finding(name, "ignored", f"the endpoint accepts nonsense, and answers alike at {low!r} and {high!r}")
    return Finding(name, "effect", "answers differ with it")


class _Answers:
    """Short answers to one question with one seed; whether they repeat is looked at once."""

    def __init__(self, chat: OpenAIChat) -> None:
        self._chat = chat
        self._repeat: bool | None = None

    @property
    def repeat(self) -> bool:
        """Whether the same request brings the same answer."""
        if self._repeat is None:
            self._repeat = self.at({}) == self.at({})
        return self._repeat

    def at(self, fields: Mapping[str, Any]) -> str:
        settings = {"temperature": 1.0, "seed": 1, "max_tokens": _LENGTH, **fields}
        return self._chat.complete(Request((Message("user", _QUESTION),), settings)).text


def _tiny(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields with a limit of one token, unless they set one themselves."""
    return dict(fields) if any(cap in fields for cap in _CAPS) else {"max_tokens": 1, **fields}
