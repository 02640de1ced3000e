"""The formats of training files: what a row of each says of an improvement, and how it is read back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from llm_optimize.errors import BadInput
from llm_optimize.export.inst import escaped, from_text, to_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llm_optimize.export.improvements import Improvement

__all__ = ["FORMATS", "Format", "Options", "Row", "pair_of", "rows"]

Format = Literal["chat", "prompt-completion", "conversational", "dpo", "dpo-conversational", "openai-dpo", "inst"]
"""The formats.

- ``chat``: ``messages`` of system, user and assistant: OpenAI's fine-tuning, and TRL's conversational language
  modelling.
- ``prompt-completion``: two texts, TRL's for SFT. The prompt ends with a line that says what follows, as TRL puts
  nothing between the two.
- ``conversational``: the same as messages: TRL's conversational prompt and completion.
- ``dpo``: ``prompt``, ``chosen``, ``rejected`` as texts, and the ``margin`` of their scores: TRL's for DPO.
- ``dpo-conversational``: the same as messages.
- ``openai-dpo``: ``input``, ``preferred_output``, ``non_preferred_output``: OpenAI's preference fine-tuning.
- ``inst``: one ``text`` in Llama 2's template, see :mod:`llm_optimize.export.inst`.
"""

FORMATS: tuple[Format, ...] = get_args(Format)
"""Every :data:`Format`."""

_CUE = "\n\n### Rewritten:\n"

Row = dict[str, Any]
"""One line of a training file, as JSON values."""


@dataclass(frozen=True, slots=True)
class Options:
    """How rows are made.

    Attributes:
        rejected: for preferences: ``worst``, one row with the version that scored lowest; ``all``, a row for each.
        least_margin: for preferences: the scores must differ by this or more.
        marks: for ``inst``: ``refuse`` texts that hold the template's marks, or ``escape`` them.

    Raises:
        BadInput: see the message.
    """

    rejected: Literal["worst", "all"] = "worst"
    least_margin: float = 0.0
    marks: Literal["refuse", "escape"] = "refuse"

    def __post_init__(self) -> None:
        """Refuse what is none of these."""
        for name, known in (("rejected", ("worst", "all")), ("marks", ("refuse", "escape"))):
            if getattr(self, name) not in known:
                msg = f"{name} is {getattr(self, name)!r}: give {' or '.join(known)}"
                raise BadInput(msg)


def rows(improvements: Sequence[Improvement], kind: Format, options: Options | None = None) -> list[Row]:
    """Return the rows of a file.

    Args:
        improvements: in the order of the file.
        kind: see :data:`Format`.
        options: None for the usual ones.

    Raises:
        BadInput: the format is unknown; a text holds the template's marks; preferences are wanted and nothing was
            scored below.

    Example:
        >>> from llm_optimize.export.improvements import Improvement
        >>> rows([Improvement("1", "2+2?", "What is 2 + 2?")], "inst")
        [{'text': '<s>[INST] 2+2? [/INST] What is 2 + 2? </s>'}]
    """
    if kind not in _MAKERS:
        msg = f"format is {kind!r}: give one of {', '.join(FORMATS)}"
        raise BadInput(msg)
    chosen = options or Options()
    made = []
    for one in improvements:
        try:
            made += _MAKERS[kind](one, chosen)
        except BadInput as error:
            msg = f"{one.id}: {error}"
            raise BadInput(msg) from None
    return made


def pair_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return (before, after) of a row of any of the formats, as they stand there.

    Raises:
        BadInput: it is a row of none.

    Example:
        >>> pair_of({"prompt": "a", "completion": "b"})
        ('a', 'b')
    """
    if isinstance(row.get("text"), str):
        return from_text(row["text"])
    try:
        if "messages" in row:
            return _last(row["messages"], "user"), _last(row["messages"], "assistant")
        if "preferred_output" in row:
            return _last(row["input"]["messages"], "user"), _last(row["preferred_output"], "assistant")
        after = row["completion"] if "completion" in row else row["chosen"]
        if isinstance(row["prompt"], list):
            return _last(row["prompt"], "user"), _last(after, "assistant")
        return str(row["prompt"]).removesuffix(_CUE), str(after)
    except (KeyError, TypeError, StopIteration):
        msg = f"a row with {', '.join(map(str, row)) or 'nothing'} is of none of the formats {', '.join(FORMATS)}"
        raise BadInput(msg) from None


def _chat(one: Improvement, _: Options) -> list[Row]:
    return [{"messages": [*_prompt(one), *_said(one.after)]}]


def _prompt_completion(one: Improvement, _: Options) -> list[Row]:
    return [{"prompt": f"{one.asked}{_CUE}", "completion": one.after}]


def _conversational(one: Improvement, _: Options) -> list[Row]:
    return [{"prompt": _prompt(one), "completion": _said(one.after)}]


def _dpo(one: Improvement, options: Options) -> list[Row]:
    prompt = f"{one.asked}{_CUE}"
    return [
        {"prompt": prompt, "chosen": one.after, "rejected": text, "margin": margin}
        for text, margin in _worse(one, options)
    ]


def _dpo_conversational(one: Improvement, options: Options) -> list[Row]:
    return [
        {"prompt": _prompt(one), "chosen": _said(one.after), "rejected": _said(text), "margin": margin}
        for text, margin in _worse(one, options)
    ]


def _openai_dpo(one: Improvement, options: Options) -> list[Row]:
    return [
        {
            "input": {"messages": _prompt(one)},
            "preferred_output": _said(one.after),
            "non_preferred_output": _said(text),
        }
        for text, _ in _worse(one, options)
    ]


def _inst(one: Improvement, options: Options) -> list[Row]:
    before, after = (escaped(text) if options.marks == "escape" else text for text in (one.asked, one.after))
    return [{"text": to_text(before, after)}]


_MAKERS: Mapping[str, Callable[[Improvement, Options], list[Row]]] = {
    "chat": _chat,
    "prompt-completion": _prompt_completion,
    "conversational": _conversational,
    "dpo": _dpo,
    "dpo-conversational": _dpo_conversational,
    "openai-dpo": _openai_dpo,
    "inst": _inst,
}


def _worse(one: Improvement, options: Options) -> list[tuple[str, float]]:
    """Return (text, margin) of the versions to be rejected, the widest margin first."""
    if one.after_score is None:
        msg = "nothing of it was scored, so there is no preference: choose a format for SFT"
        raise BadInput(msg)
    score = one.after_score
    margins = [(text, score - other) for text, other in one.others if text != one.after]
    fitting = sorted((pair for pair in margins if pair[1] >= options.least_margin), key=lambda pair: -pair[1])
    distinct = list(dict(reversed(fitting)).items())[::-1]
    return distinct[:1] if options.rejected == "worst" else distinct


def _prompt(one: Improvement) -> list[dict[str, str]]:
    system = [{"role": "system", "content": one.system}] if one.system.strip() else []
    return [*system, {"role": "user", "content": one.asked}]


def _said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def _last(messages: Sequence[Mapping[str, Any]], role: str) -> str:
    return str(next(one["content"] for one in reversed(messages) if one["role"] == role))
