"""The rules that a chat file must pass before OpenAI's fine-tuning takes it, checked here.

The client library carries no checks for them. These are written from what is published: the format checks of the
cookbook's "Data preparation and analysis for chat model fine-tuning" under their own names (``data_type``,
``missing_messages_list``, ``message_missing_key``, ``message_unrecognized_key``, ``unrecognized_role``,
``missing_content``, ``example_missing_assistant_message``), and of the fine-tuning guide that the last message is the
assistant's, that a weight is 0 or 1, that a file needs 10 examples, and that an example beyond the model's training
context is cut off there.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.core.chat import Message
from llm_optimize.core.checks import check_whole
from llm_optimize.llm.tokens import TokenCounter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Checked", "check_chat"]

_KEYS = frozenset({"role", "content", "name", "function_call", "tool_calls", "tool_call_id", "refusal", "weight"})
_ROLES = frozenset({"system", "developer", "user", "assistant", "function", "tool"})
_FEWEST = 10
_CONTEXT = 65_536


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of the checks.

    Attributes:
        rows: examples.
        tokens: of all examples together, as they are charged for each epoch.
        longest: tokens of the longest example.
        counts_by: what counted them: ``tiktoken:...`` or ``estimate``.
        problems: (row from 0, name of the rule); with any the file is refused.
        warnings: lines for people; the file is taken, or the model's training context decides.
    """

    rows: int
    tokens: int
    longest: int
    counts_by: str
    problems: tuple[tuple[int, str], ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no rule is broken."""
        return not self.problems

    def __str__(self) -> str:
        """Return the lines."""
        broken = Counter(rule for _, rule in self.problems)
        first = {rule: row for row, rule in reversed(self.problems)}
        lines = [f"{rule}: {count} rows, the first is {first[rule]}" for rule, count in broken.items()]
        counted = f"{self.rows} rows, {self.tokens:,} tokens ({self.counts_by}), the longest {self.longest:,}"
        return "\n".join([counted, *lines, *self.warnings])


def check_chat(rows: Sequence[Any], *, model: str = "gpt-4.1-mini", context: int = _CONTEXT) -> Checked:
    """Check the rows of a chat file.

    Args:
        rows: parsed lines.
        model: which one is to be tuned; decides how tokens are counted.
        context: tokens of an example that the model is trained on; more are cut off.

    Raises:
        BadInput: ``context`` is no number of tokens.

    Example:
        >>> check_chat([{"messages": [{"role": "user", "content": "hi"}]}]).problems
        ((0, 'example_missing_assistant_message'),)
    """
    check_whole("context", context, 1)
    counter = TokenCounter(model)
    problems = [(number, rule) for number, row in enumerate(rows) for rule in dict.fromkeys(_broken(row))]
    faulty = {number for number, _ in problems}
    sizes = [_tokens(counter, row) for number, row in enumerate(rows) if number not in faulty]
    warnings = []
    if len(rows) < _FEWEST:
        warnings.append(f"only {len(rows)} rows: fine-tuning takes {_FEWEST} or more")
    long = sum(size > context for size in sizes)
    if long:
        warnings.append(f"{long} rows are longer than {context:,} tokens: their ends are cut off")
    return Checked(len(rows), sum(sizes), max(sizes, default=0), counter.source, tuple(problems), tuple(warnings))


def _broken(row: object) -> Iterator[str]:
    if not isinstance(row, dict):
        yield "data_type"
        return
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        yield "missing_messages_list"
        return
    for message in messages:
        yield from _broken_message(message)
    roles = [one.get("role") if isinstance(one, dict) else None for one in messages]
    if "assistant" not in roles:
        yield "example_missing_assistant_message"
    elif roles[-1] != "assistant":
        yield "last_message_not_assistant"


def _broken_message(message: object) -> Iterator[str]:
    if not isinstance(message, dict):
        yield "data_type"
        return
    calls = "function_call" in message or "tool_calls" in message
    if "role" not in message or ("content" not in message and not calls):
        yield "message_missing_key"
    if not message.keys() <= _KEYS:
        yield "message_unrecognized_key"
    if message.get("role") not in _ROLES:
        yield "unrecognized_role"
    content = message.get("content")
    if not (isinstance(content, str) and content) and not calls:
        yield "missing_content"
    if "weight" in message and message["weight"] not in (0, 1):
        yield "weight_not_0_or_1"


def _tokens(counter: TokenCounter, row: dict[str, Any]) -> int:
    return counter.plain_messages([Message(one["role"], one.get("content") or "") for one in row["messages"]])
