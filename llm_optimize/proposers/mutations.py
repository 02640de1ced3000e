"""The nine mutation operators of Promptbreeder (arXiv 2309.16797, section 3.2), each as an angle of a chat proposal.

There a unit is a prompt with a mutation-prompt beside it; here the prompt is the candidate, and a mutation-prompt is an
instruction: drawn from :data:`MUTATION_PROMPTS`, or the one that evolves (:mod:`llm_optimize.proposers.evolving`). The
hyper-mutations, which change the mutation-prompt, have the model write the new one in its explanation and apply it in
the same reply. As in the paper an operator is applied to the winner of a tournament, never to the loser.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.proposers.brief import Angle
from llm_optimize.text.fences import fence
from llm_optimize.text.sketches import distance, sketch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from llm_optimize.core.types import Trial

__all__ = ["CROSSOVER", "MUTATION_PROMPTS", "OPERATORS", "THINKING_STYLES", "Operator", "Situation"]

MUTATION_PROMPTS = (
    "Say the same in other words, so that even a hurried reader does the right thing.",
    "Make it more precise: replace each vague word by what is meant.",
    "Make it shorter by a third without losing anything that matters.",
    "Write it as an expert would who has seen beginners fail at exactly this.",
    "Turn it into numbered steps, the check of the result included.",
    "Add what a reader who knows nothing of the situation would have to ask.",
    "Drop everything that does not change the answer, then say the rest with more force.",
    "Say what a bad answer looks like, and how to avoid it.",
)
"""What a prompt is changed by where no instruction has evolved."""

THINKING_STYLES = (
    "What would make this problem easier?",
    "Which assumptions stand behind it, and which of them are wrong?",
    "How would somebody who is paid by the result go about it?",
    "Which parts can be solved one after the other?",
    "What has gone wrong with things like this before?",
    "What does the reader of the answer really need?",
)
"""What an instruction may begin from."""

_LISTED = 8  # prompts in a list,
_LONGEST = 4000  # of which so many characters are shown at most
_ALIKE = 0.05  # share of a text in which two are different below which one of them is left out of a list


@dataclass(frozen=True, slots=True)
class Situation:
    """What an operator is applied in.

    Attributes:
        pool: the population, the best first; at least one.
        records: the attempts that were the best when they came, oldest first.
        instruction: the one that has evolved, empty without one.
        dice: the only source of random numbers.
        focus: an aspect, another one for each draft of a generation; so two children of the same parents are not
            asked for in the same words.
    """

    pool: Sequence[Trial]
    records: Sequence[Trial]
    instruction: str
    dice: Random
    focus: str = ""

    @property
    def mutation_prompt(self) -> str:
        """What the prompt is to be changed by."""
        return self.instruction or self.dice.choice(MUTATION_PROMPTS)


@dataclass(frozen=True, slots=True)
class Operator:
    """A way to make a new prompt.

    Attributes:
        name: a word for reports; part of a draft's origin.
        said: what the model is told, in a situation.
        parents: 2 for one that combines two, else 1.
    """

    name: str
    said: Callable[[Situation], str]
    parents: int = 1

    def angle(self, situation: Situation) -> Angle:
        """Return what one draft is asked for."""
        return Angle(self.name, self.said(situation))


def _zero_order(_: Situation) -> str:
    return (
        "Leave the wording of x behind. Think of a list of 100 hints for its task, given what its owner wishes, and "
        "write a new x out of the first of them."
    )


def _first_order(now: Situation) -> str:
    return f"Change x by this instruction: {now.mutation_prompt}"


def _distribution(now: Situation) -> str:
    return f"Here is a list of prompts for this task, in no order:\n\n{_list(now.dice.sample(*_some(now)))}\n\n{_NEXT}"


def _ranked_distribution(now: Situation) -> str:
    best_last = _different(now.pool)[:_LISTED][::-1]
    number = len(best_last) + 1
    told = f"Prompt {number} is the best of the list, and is more like prompt {number - 1} than like prompt 1."
    head = "Here is a list of prompts for this task, each better than the one before:"
    return f"{head}\n\n{_list(best_last)}\n\n{told} Write prompt {number} as the new x."


def _lineage(now: Situation) -> str:
    line = list(now.records)[-_LISTED:]
    return (
        f"Here are the prompts that were the best in turn, each better than the one before:\n\n{_list(line)}\n\n{_NEXT}"
    )


def _zero_order_hyper(now: Situation) -> str:
    style = now.dice.choice(THINKING_STYLES)
    return (
        f'First write, in your explanation, one instruction for how to change a prompt, beginning from this: "{style}" '
        "Then apply that instruction to x."
    )


def _first_order_hyper(now: Situation) -> str:
    return (
        f'This is an instruction for how to change a prompt: "{now.mutation_prompt}" First write, in your explanation, '
        "a better instruction. Then apply that one to x."
    )


def _working_out(_: Situation) -> str:
    return (
        "Make up one typical input for the task of x and work out, for yourself, an answer that could not be better. "
        "Then write the prompt that would have led to exactly this working out, as the new x."
    )


def _shuffling(_: Situation) -> str:
    return (
        "Shuffle the context of x: bring its examples and details into another order, replace the weakest of them by "
        "better ones, and add one where there is none. Leave its instructions as they are."
    )


def _crossover(now: Situation) -> str:
    told = now.instruction or "Take over from each of the two what its marks speak for, and mend what both are weak in."
    return f"{told} Look at its {now.focus} most." if now.focus else told


_NEXT = "Write the prompt that continues this list best, and is like none of it, as the new x."

CROSSOVER = Operator("crossover", _crossover, parents=2)
"""The one that is used where no others are switched on."""

OPERATORS = (
    Operator("zero-order", _zero_order),
    Operator("first-order", _first_order),
    Operator("distribution", _distribution),
    Operator("ranked-distribution", _ranked_distribution),
    Operator("lineage", _lineage),
    Operator("zero-order-hyper", _zero_order_hyper),
    Operator("first-order-hyper", _first_order_hyper),
    Operator("working-out", _working_out),
    Operator("context-shuffling", _shuffling),
    CROSSOVER,
)
"""All nine; the ninth, crossover and context shuffling, is two here."""


def _some(now: Situation) -> tuple[Sequence[Trial], int]:
    different = _different(now.pool)
    return different, min(len(different), _LISTED)


def _different(pool: Sequence[Trial]) -> list[Trial]:
    """Return the population without those that hardly differ from a better one."""
    kept: list[Trial] = []
    for trial in pool:
        if all(distance(sketch(trial.text), sketch(other.text)) >= _ALIKE for other in kept):
            kept.append(trial)
    return kept


def _list(trials: Sequence[Trial]) -> str:
    shown = [
        text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..." for text in (one.text.strip("\n") for one in trials)
    ]
    return "\n".join(f"{number}.\n{fence(text)}" for number, text in enumerate(shown, start=1))
