"""A prompt as the candidate: a text with slots, a system and a user part, and few-shot examples chosen in it.

The whole prompt is one text, so that any proposer can rewrite it. Lines that stand alone mark its parts::

    [system]
    You sort mail for a shop.
    [shots] refund-3, praise-1
    [user]
    Mail: {{text}}
    Label:

What stands before the first mark, or a text without marks, is the user part. ``[shots]`` names few-shot examples of a
pool by their keys; each becomes a turn of the user (the user part, filled in) and one of the assistant (its expected
answer). A slot ``{{text}}`` is filled with the example's input of that name, in one pass: a value that looks like a
slot stays as it is.

A candidate that has lost a slot of the template, names a slot that the examples do not have, or an unknown shot, is a
Failure that names it, and no call is made for it.
"""

from __future__ import annotations

import re
from dataclasses import KW_ONLY, dataclass, field
from typing import TYPE_CHECKING, Any

from llm_optimize import llm
from llm_optimize.core.chat import Message, Request
from llm_optimize.core.types import Failure
from llm_optimize.errors import BadInput, ContextTooLong
from llm_optimize.scorers.dataset import DatasetScorer
from llm_optimize.scorers.example import check_examples

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llm_optimize.core.protocols import ChatModel
    from llm_optimize.core.types import Evaluation, Outcome
    from llm_optimize.scorers.example import Example
    from llm_optimize.scorers.racing import Rule

__all__ = ["Prompt", "PromptTask", "fill", "slots_of"]

_SLOT = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_SHOWN = 120  # characters of each value of a shot, in the list that a proposer chooses from
_MARK = re.compile(r"^\[(system|user|shots)\][ \t]*(.*)$", re.MULTILINE)


def slots_of(text: str) -> tuple[str, ...]:
    """Return the names of the slots in a text, each once, in the order of their first appearance.

    Example:
        >>> slots_of("{{ text }} and {{label}} and {{text}}, not {this}")
        ('text', 'label')
    """
    return tuple(dict.fromkeys(_SLOT.findall(text)))


@dataclass(frozen=True, slots=True)
class Prompt:
    r"""A prompt's parts.

    Attributes:
        system: the system part; empty for none.
        user: the user part, never empty.
        shots: keys of the few-shot examples, in the order in which they are shown.

    Example:
        >>> Prompt.of("[system]\nBe brief.\n[user]\n{{question}}").user
        '{{question}}'
    """

    system: str
    user: str
    shots: tuple[str, ...] = ()

    @classmethod
    def of(cls, text: str) -> Prompt:
        """Read a prompt from a candidate's text.

        Raises:
            BadInput: a mark stands there twice, or there is no user part; says which.
        """
        pieces = _MARK.split(text)
        parts = {"user": pieces[0].strip()} if pieces[0].strip() else {}
        for name, rest, body in zip(pieces[1::3], pieces[2::3], pieces[3::3], strict=True):
            if name in parts:
                msg = f"the part [{name}] stands there twice: write it once"
                raise BadInput(msg)
            parts[name] = f"{rest}{body}".strip()
        if not parts.get("user"):
            msg = "there is no user part: write the line [user] and below it what the model is asked"
            raise BadInput(msg)
        shots = tuple(dict.fromkeys(key.strip() for key in re.split(r"[,\n]", parts.get("shots", "")) if key.strip()))
        return cls(parts.get("system", ""), parts["user"], shots)

    def messages(self, inputs: Mapping[str, Any], shots: Sequence[Example]) -> tuple[Message, ...]:
        """Return the chat for an example's inputs.

        Raises:
            KeyError: a slot has no input.
        """
        turns = [Message("system", fill(self.system, inputs))] if self.system else []
        for shot in shots:
            turns += [Message("user", fill(self.user, shot.inputs)), Message("assistant", str(shot.expected))]
        return (*turns, Message("user", fill(self.user, inputs)))


def fill(text: str, inputs: Mapping[str, Any]) -> str:
    """Return the text with each slot replaced by the input of its name.

    Raises:
        KeyError: a slot has no input.
    """
    return _SLOT.sub(lambda found: str(inputs[found[1]]), text)


class _Target:
    """The model that is prompted, connected on first use; a copy in another process connects anew."""

    def __init__(self, model: object) -> None:
        self._model = model
        self._connected: ChatModel | None = None

    def __call__(self) -> ChatModel:
        if self._connected is None:
            self._connected = llm.connect(self._model, role="target")
        return self._connected

    def __reduce__(self) -> tuple[Any, ...]:
        return _Target, (self._model,)


@dataclass(frozen=True, slots=True)
class PromptTask:
    """Scores prompts by what a model answers to them on labelled examples; a scorer, and the texts of a task.

    Attributes:
        template: the first candidate; every later one must keep its slots.
        model: that is prompted, as for :func:`llm_optimize.llm.connect`; its cost is booked under ``target``.
        examples: inputs by slot name, and what is expected.
        metric: ``metric(answer, example)`` returns a number (higher is better), (number, feedback) or an Evaluation.
        shots: a pool of few-shot examples, each with a key; none of them may be among ``examples``.
        most_shots: how many of them a candidate may choose.
        settings: of the request, such as ``{"temperature": 0}``.
        racing: see :class:`~llm_optimize.scorers.dataset.DatasetScorer`.
        worst: see there.
        show_expected: see there.
        parallel: see there.

    Raises:
        BadInput: a slot is not an input of every example, a shot has no key or is an example, or a value makes no
            sense.

    Example:
        >>> from llm_optimize import ScriptedModel
        >>> from llm_optimize.scorers.example import Example
        >>> echo = ScriptedModel(lambda request: request.messages[-1].content.upper())
        >>> task = PromptTask("{{word}}", echo, [Example({"word": "a"}, "A")], lambda said, one: said == one.expected)
        >>> task("{{word}}").score, task("no slot").message
        (1.0, 'the slot {{word}} is lost: keep every slot of the template')
    """

    template: str
    model: Any
    examples: Sequence[Example] = field(repr=False)
    metric: Callable[[Any, Example], Evaluation | Failure | float | tuple[float, str]]
    _: KW_ONLY
    shots: Sequence[Example] = field(default=(), repr=False)
    most_shots: int = 5
    settings: Mapping[str, Any] = field(default_factory=dict)
    racing: Rule | None = None
    worst: int = 3
    show_expected: bool = False
    parallel: int = 8
    scorer: DatasetScorer = field(init=False, repr=False, compare=False)
    _target: _Target = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the template against the examples, before a call is made."""
        object.__setattr__(self, "examples", check_examples(self.examples))
        object.__setattr__(self, "shots", check_examples(self.shots, "shots") if self.shots else ())
        object.__setattr__(self, "_target", _Target(self.model))
        how = {"worst": self.worst, "show_expected": self.show_expected, "parallel": self.parallel}
        scorer = DatasetScorer(self.run, self.examples, self.metric, racing=self.racing, **how)  # type: ignore[arg-type]
        object.__setattr__(self, "scorer", scorer)
        _check_shots(self.shots, self.examples)
        _check_slots(slots_of(self.template), self.examples, self.shots)
        wrong = self.refusal(self.template)
        if wrong is not None:
            msg = f"template: {wrong.message}"
            raise BadInput(msg)

    @property
    def start(self) -> str:
        """The first candidate: ``x0`` of a run."""
        return self.template

    @property
    def description(self) -> str:
        """What a candidate is and must keep: for the task description of a run, after the words on what it is for."""
        slots = ", ".join(f"{{{{{name}}}}}" for name in slots_of(self.template))
        lines = [
            "x is a prompt for a chat model; f(x) is the mean score of the model's answers over labelled examples.",
            "The line [system] begins its system part, the line [user] its user part; without them all is user part.",
            f"x must keep every slot, which is filled in for each example: {slots}.",
        ]
        if self.shots:
            lines.append(
                f"The line [shots] followed by up to {self.most_shots} keys of the list below, separated by commas, "
                "shows the model these solved examples first."
            )
            lines += [f"- {shot.key}: {_shown(shot)}" for shot in self.shots]
        return "\n".join(lines)

    def __call__(self, text: str) -> Outcome:
        """Score a prompt.

        Returns:
            As :class:`~llm_optimize.scorers.dataset.DatasetScorer`; a Failure of the kind ``prompt``, without a call,
            for a text that is no prompt for these examples.

        Raises:
            ModelError: the model could not answer.
            BudgetExceeded: the next call would pass a cap.
        """
        return self.refusal(text) or self.scorer(text)

    def run(self, text: str, example: Example) -> str:
        """Return what the model answers to the prompt for one example.

        Raises:
            ValueError: the prompt is longer than the model's context, which is the candidate's doing.
            ModelError: the model could not answer.
        """
        prompt = Prompt.of(text)
        pool = {shot.key: shot for shot in self.shots}
        messages = prompt.messages(example.inputs, [pool[key] for key in prompt.shots])
        try:
            reply = self._target().complete(Request(messages, self.settings))
        except ContextTooLong as error:
            msg = f"the prompt does not fit into the model's context: {error}"
            raise ValueError(msg) from error
        return reply.text or reply.refusal

    def on(self, examples: Sequence[Example]) -> DatasetScorer:
        """Return the scorer of prompts on other examples, such as sealed ones, without racing."""
        return self.scorer.on(examples)

    def refusal(self, text: str) -> Failure | None:
        """Return why a text is no prompt for these examples, or None."""
        try:
            prompt = Prompt.of(text)
        except BadInput as error:
            return Failure("prompt", str(error))
        wanted, has = slots_of(self.template), slots_of(f"{prompt.system}\n{prompt.user}")
        for slot in wanted:
            if slot not in has:
                return Failure("prompt", f"the slot {{{{{slot}}}}} is lost: keep every slot of the template")
        for slot in has:
            if any(slot not in one.inputs for one in (*self.examples, *self.shots)):
                known = ", ".join(f"{{{{{name}}}}}" for name in self.examples[0].inputs)
                return Failure("prompt", f"the slot {{{{{slot}}}}} is unknown: there are {known}")
        return self._refused_shots(prompt.shots)

    def _refused_shots(self, keys: Sequence[str]) -> Failure | None:
        known = {shot.key for shot in self.shots}
        unknown = next((key for key in keys if key not in known), None)
        if unknown is not None:
            return Failure("prompt", f"the shot {unknown!r} is unknown: there are {', '.join(sorted(known)) or 'none'}")
        if len(keys) > self.most_shots:
            return Failure("prompt", f"{len(keys)} shots are chosen: choose at most {self.most_shots}")
        return None


def _shown(shot: Example) -> str:
    parts = (" ".join(str(value).split()) for value in (*shot.inputs.values(), shot.expected))
    *given, answer = (part if len(part) <= _SHOWN else f"{part[:_SHOWN]}..." for part in parts)
    return f"{' | '.join(given)} => {answer}"


def _check_slots(slots: Sequence[str], examples: Sequence[Example], shots: Sequence[Example]) -> None:
    if not slots:
        first = next(iter(examples[0].inputs), "input")
        msg = f"template has no slot, so every example would be asked the same: write {{{{{first}}}}} in it"
        raise BadInput(msg)
    for number, example in enumerate((*examples, *shots)):
        missing = next((slot for slot in slots if slot not in example.inputs), None)
        if missing is not None:
            where = f"examples[{number}]" if number < len(examples) else f"shot {example.key!r}"
            has = ", ".join(map(str, example.inputs))
            msg = f"template: the slot {{{{{missing}}}}} is no input of {where}, which has {has}"
            raise BadInput(msg)


def _check_shots(shots: Sequence[Example], examples: Sequence[Example]) -> None:
    scored = {example.digest(whole=False) for example in examples}
    keys = set()
    for number, shot in enumerate(shots):
        if not shot.key or shot.key in keys or re.search(r"[,\n]", shot.key) or shot.key != shot.key.strip():
            msg = f"shots[{number}].key is {shot.key!r}: give each shot a key of its own without commas"
            raise BadInput(msg)
        if shot.digest(whole=False) in scored:
            msg = f"shot {shot.key!r} is also among the examples, so its answer would be given away: take it out"
            raise BadInput(msg)
        keys.add(shot.key)
