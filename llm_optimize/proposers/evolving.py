"""An instruction for making prompts that evolves with the prompts: a meta-prompt, written anew for each generation.

The model is shown the instructions so far with what the children made by each scored, and writes a better one (as OPRO
does with solutions, arXiv 2309.03409; Promptbreeder evolves its mutation-prompts). They are kept in the study's log as
what it has learned, so a resumed study goes on with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from llm_optimize.core.chat import Message
from llm_optimize.core.types import Learned, Usage
from llm_optimize.errors import BadReply
from llm_optimize.llm.structured import ask
from llm_optimize.proposers.parents.population import generation_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import ChatModel
    from llm_optimize.llm.structured import Structured

__all__ = ["FIRST", "Evolved", "evolved", "messages"]

FIRST = "Take over from the prompts shown what their marks speak for, and mend the aspects with the lowest marks."
"""The instruction of the first generation of children."""

_SYSTEM = """\
A chat model makes prompts better, generation by generation: it is shown prompts with their scores from 0 to 1 and an \
instruction for how to make a better one of them. Your task is the instruction: write one whose prompts score higher. \
It must be of use for any prompt of this task, so do not write a prompt itself.

The task of the prompts:
{task}"""
_ASKED = """\
The instructions so far, and what the prompts made by each scored:

{rows}

Write a better instruction, in at most three sentences."""
_LONGEST = 1000


@dataclass(frozen=True, slots=True)
class Evolved:
    """What came of it.

    Attributes:
        learned: the instructions of all generations of children up to the next one, oldest first.
        usage: what it cost.
        note: why the last one stays, where no better one came; empty else.
    """

    learned: Learned
    usage: Usage = Usage()
    note: str = ""

    @property
    def instruction(self) -> str:
        """The one for the next generation."""
        return self.learned.texts[-1]


def evolved(past: History, generation: int, model: ChatModel) -> Evolved:
    """Return the instruction for a generation of children; the first one, and one already settled, cost nothing.

    Raises:
        ModelError: the model did not answer.
        BudgetExceeded: the call would pass a cap.
    """
    known = past.lessons.texts or (FIRST,)
    upto = len(past.trials)
    if len(known) >= generation:
        return Evolved(Learned(upto, known[:generation]))
    try:
        reply: Structured[Any] = ask(model, messages(past, known), _wanted(), key="instruction")
    except BadReply as error:
        return Evolved(Learned(upto, (*known, known[-1])), note=f"the instruction stays: {error}")
    text = " ".join(reply.value.instruction.split())[:_LONGEST]
    return Evolved(Learned(upto, (*known, text or known[-1])), reply.reply.usage)


def messages(past: History, known: Sequence[str]) -> tuple[Message, ...]:
    """Return what the model is shown: the instructions of generations 1, 2, ... with the scores of their children."""
    rows = [f"{number}. {text}\n   {_scores(past, number)}" for number, text in enumerate(known, start=1)]
    asked = _ASKED.format(rows="\n".join(rows))
    return Message("system", _SYSTEM.format(task=past.problem.task)), Message("user", asked)


def _scores(past: History, generation: int) -> str:
    children = [trial for trial in past.trials if generation_of(past, trial.id) == generation]
    scores = [trial.score for trial in children if trial.score is not None]
    if not scores:
        return "no child has a score"
    parents = [
        parent.score
        for trial in children
        if trial.candidate.parent is not None
        and (parent := past.trial(trial.candidate.parent)) is not None
        and parent.score is not None
    ]
    before = f", their parents had {fmean(parents):.3g} on average" if parents else ""
    return f"{len(scores)} prompts: best {max(scores):.3g}, mean {fmean(scores):.3g}{before}"


def _wanted() -> Any:  # noqa: ANN401 - a class that is made here
    import pydantic  # noqa: PLC0415 - heavy: loaded by those who ask for typed replies

    return pydantic.create_model("Instruction", instruction=(str, ...))
