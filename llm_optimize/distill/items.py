"""What is to be asked better: items of MMLU-, Alpaca- and HumanEval-style files, each with its scorer.

Only a part of what a model is asked may be rewritten: the question, the instruction, the problem. What must stay as it
is (options, an input, the form of the answer) is appended to every version alike, so that no rewrite can win by asking
for something else. The right answer is kept apart: it reaches the scorer, and nothing else unless the user says so.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

from llm_optimize.core.protocols import Scorer
from llm_optimize.errors import BadInput, NoCandidate
from llm_optimize.sandbox import Sandbox
from llm_optimize.scorers.choice import MultipleChoice
from llm_optimize.scorers.code_tests import from_humaneval
from llm_optimize.scorers.loaders import CHOICES, read_alpaca, read_humaneval, read_mmlu
from llm_optimize.scorers.parting import normalised
from llm_optimize.text.fences import after_thinking, extract

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from llm_optimize.core.types import Evaluation, Failure
    from llm_optimize.scorers.example import Example

__all__ = ["KINDS", "Item", "Kind", "OpenScorer", "distinct", "read_items"]

Kind = Literal["mmlu", "alpaca", "humaneval"]
"""The layouts that :func:`read_items` knows."""

KINDS: tuple[Kind, ...] = get_args(Kind)
"""Every :data:`Kind`."""

_PICK = "Reply with the letter of the right option alone."
_CODE = "Write the whole Python function `{name}`. Reply with one fenced code block."


@dataclass(frozen=True, slots=True)
class Item:
    r"""One thing that a model is asked.

    Attributes:
        id: unique within a run; letters, digits and ``-``.
        kind: where it comes from, such as ``mmlu``.
        prompt: what may be rewritten.
        rest: what every version of the prompt is followed by; may be empty.
        scorer: from a model's answer to a score, 0 worst to 1 best.
        answer: the right answer as a person would tell it; empty where there is none. Never shown unless asked for.
        right: an answer that scores this or more is right.
        secrets: what gives the answer away when a rewrite holds it and the prompt does not.

    Raises:
        BadInput: the prompt is blank.

    Example:
        >>> Item("one", "mmlu", "2 + 2?", "A) 3\nB) 4", float).asked("Add 2 and 2.")
        'Add 2 and 2.\n\nA) 3\nB) 4'
    """

    id: str
    kind: str
    prompt: str
    rest: str
    scorer: Scorer = field(repr=False)
    answer: str = field(default="", repr=False)
    right: float = 1.0
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be rewritten."""
        if not self.prompt.strip():
            msg = f"item {self.id!r}: the prompt is blank; leave the item out"
            raise BadInput(msg)

    def asked(self, prompt: str) -> str:
        """Return what a model is asked when ``prompt`` takes the place of the item's own."""
        return f"{prompt}\n\n{self.rest}" if self.rest else prompt

    def renamed(self, name: str) -> Item:
        """Return the item under another id, as where files that number alike are joined."""
        return replace(self, id=name)

    def gives_away(self, prompt: str) -> bool:
        r"""Return whether a rewrite holds the answer, which the item's own prompt does not.

        Example:
            >>> item = Item("one", "mmlu", "The capital of France?", "A) Rome\nB) Paris", float, secrets=("Paris",))
            >>> item.gives_away("Which city, Paris or another, is it?"), item.gives_away("Which city is it?")
            (True, False)
        """
        own, new = _words(self.prompt), _words(prompt)
        return any(words in new and words not in own for secret in self.secrets if (words := _words(secret)).strip())

    @property
    def digest(self) -> str:
        """Hash of what is asked, of the right answer and of the way to score: equal content, equal hash."""
        way = f"{type(self.scorer).__qualname__} {getattr(self.scorer, 'kind', '')} {self.right:g}"
        content = f"{self.kind}\0{self.prompt}\0{self.rest}\0{self.answer}\0{way}"
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:16]


OpenScorer = Callable[[str, str], Scorer]
"""Makes the scorer of an open-ended item out of its prompt (with its input) and its reference answer."""


def read_items(
    kind: Kind,
    path: str | os.PathLike[str],
    *,
    open_scorer: OpenScorer | None = None,
    right: float = 0.5,
    box: Sandbox | None = None,
) -> tuple[Item, ...]:
    """Read a file.

    Args:
        kind: its layout, one of :data:`KINDS`.
        path: of the file.
        open_scorer: for ``alpaca``: makes an item's scorer out of its prompt and its reference answer.
        right: for ``alpaca``: an answer that scores this or more counts as right.
        box: for ``humaneval``: where programs are tested; None for a sandbox of its own.

    Raises:
        BadInput: the file cannot be read, the kind is unknown, or ``alpaca`` has no scorer.
    """
    if kind == "mmlu":
        return tuple(_choice(number, one.inputs, str(one.expected)) for number, one in enumerate(read_mmlu(path)))
    if kind == "alpaca":
        if open_scorer is None:
            msg = "open_scorer is None: say how open answers are scored (a judge, a reward model, a likeness)"
            raise BadInput(msg)
        return tuple(_open(number, one, open_scorer, right) for number, one in enumerate(read_alpaca(path)))
    if kind == "humaneval":
        shared = box or Sandbox()
        return tuple(
            _program(number, one.key, {**one.inputs, **one.expected}, shared)
            for number, one in enumerate(read_humaneval(path))
        )
    msg = f"kind is {kind!r}: give one of {', '.join(KINDS)}"
    raise BadInput(msg)


def distinct(items: Iterable[Item]) -> tuple[tuple[Item, ...], int]:
    """Return the items of which no two ask the same, the first of each, and how many were left out.

    Raises:
        BadInput: two different items have one id.
    """
    kept: dict[str, Item] = {}
    ids: set[str] = set()
    count = 0
    for item in items:
        count += 1
        key = normalised(item.prompt) + "\0" + normalised(item.rest)
        if key in kept:
            continue
        if item.id in ids:
            msg = f"items: two have the id {item.id!r}; give each its own"
            raise BadInput(msg)
        ids.add(item.id)
        kept[key] = item
    return tuple(kept.values()), count - len(kept)


def _words(text: str) -> str:
    """Return the words alone, each between two spaces, so that one text's words can be looked for in another's."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = re.sub(r"[^\w]+", " ", folded).split()
    return f" {' '.join(words)} "


def _choice(number: int, fields: Mapping[str, object], answer: str) -> Item:
    options = [str(fields[letter]) for letter in CHOICES]
    listed = "\n".join(f"{letter}) {option}" for letter, option in zip(CHOICES, options, strict=True))
    told = f"{answer}) {options[CHOICES.index(answer)]}"
    question, scorer = str(fields["question"]).strip(), MultipleChoice(answer, options)
    secret = options[CHOICES.index(answer)]
    return Item(f"mmlu-{number}", "mmlu", question, f"{listed}\n\n{_PICK}", scorer, told, secrets=(secret,))


def _open(number: int, example: Example, scorer: OpenScorer, right: float) -> Item:
    instruction, given = str(example["instruction"]).strip(), str(example["input"])
    reference = str(example.expected)
    rest = f"Input:\n{given}" if given.strip() else ""
    whole = f"{instruction}\n\n{rest}" if rest else instruction
    name = f"alpaca-{number}"
    return Item(name, "alpaca", instruction, rest, scorer(whole, reference), reference, right, (reference,))


def _program(number: int, key: str, row: dict[str, str], box: Sandbox) -> Item:
    tests = from_humaneval(row, reveal=False, box=box)

    def scored(reply: str) -> Evaluation | Failure | float | tuple[float, str]:
        return tests(_code(reply))

    rest = _CODE.format(name=row["entry_point"])
    name = re.sub(r"[^0-9A-Za-z]+", "-", key).strip("-").lower() or str(number)
    solution = row["canonical_solution"]
    problem, told = row["prompt"].rstrip(), row["prompt"] + solution
    return Item(f"humaneval-{name}", "humaneval", problem, rest, scored, told, secrets=(solution,))


def _code(reply: str) -> str:
    """Return the program that a reply carries; a reply without a fence is taken for one."""
    answer = after_thinking(reply)
    if "```" not in answer and "~~~" not in answer:
        return answer
    try:
        return extract(answer).text.strip("\n")
    except NoCandidate:
        return answer
