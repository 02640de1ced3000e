"""One rewrite of a prompt without feedback: the words are those of training files, so a tuned model knows them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from llm_optimize.core.chat import Message
from llm_optimize.text.fences import after_thinking

if TYPE_CHECKING:
    from llm_optimize.core.chat import Reply

__all__ = ["IMPROVE", "improving", "read_rewrite"]

IMPROVE = (
    "You rewrite prompts for language models. Rewrite the prompt that you are given so that a model that reads it "
    "answers it better, and ask for the same thing. Reply with the rewritten prompt alone."
)
"""The system prompt of one rewrite without any feedback: of training files and of :func:`improving`."""

_LONGEST = 20_000  # characters of a rewrite
_TAGGED = re.compile(r"<prompt>(.*?)</prompt>", re.DOTALL | re.IGNORECASE)


def improving(prompt: str) -> tuple[Message, ...]:
    """Return the messages that ask for one rewrite without feedback."""
    return Message("system", IMPROVE), Message("user", prompt)


def read_rewrite(reply: Reply) -> tuple[str, str]:
    """Return (the rewritten prompt, why there is none); one of the two is empty.

    A reply without the tags is taken whole, as tuned models write nothing else; one that was cut off, or in which the
    model declines, is none.
    """
    if reply.finish_reason in {"length", "content_filter"}:
        return "", "cut off" if reply.finish_reason == "length" else "refused"
    text = after_thinking(reply.text)
    tagged = _TAGGED.findall(text)
    found = (tagged[-1] if tagged else text).strip()
    if not found:
        return "", "refused" if reply.refusal else "empty"
    return (found, "") if len(found) <= _LONGEST else ("", f"longer than {_LONGEST:,} characters")
