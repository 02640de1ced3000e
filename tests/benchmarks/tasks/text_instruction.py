"""An instruction for a labelled text task: which prompt makes a stand-in sort the 60 mails of a shop best?

The mails are those of ``examples/prompt_dataset.csv``. The stand-in target gets a mail right by a chance that depends
on the mail (some are hard) and on :data:`FEATURES` of the prompt, whatever words say them; its luck with a mail is
fixed by the seed, so a better prompt never loses a mail that a worse one got right. It looks at the instruction alone:
mails or labels copied into the prompt teach it nothing. The seed also draws which 40 mails are scored on. The real
gain, over all 60, is :func:`truth`, which no search sees. ``task.score`` has ``examples`` and ``on(examples)``.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from tasks.examples import FOLDER
from tasks.task import Task

from llm_optimize import ScriptedModel
from llm_optimize.scorers.example import Example, Fields
from llm_optimize.scorers.loaders import read_csv
from llm_optimize.scorers.prompt_task import Prompt, PromptTask

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_optimize.core.chat import Request

__all__ = ["FEATURES", "LABELS", "Feature", "chance", "make", "truth"]

LABELS = ("refund", "delivery", "product", "praise")
_START = "Sort this mail: {{text}}"
_SCORED = 40
_LONGEST = 1200

_TASK = """x is the prompt with which a small chat model sorts a shop's mail; {{{{text}}}} is where a mail is filled in.
f(x) is the share of {count} mails for which it answers with the right label and nothing else."""


@dataclass(frozen=True, slots=True)
class Feature:
    """Something that an instruction may say.

    Attributes:
        says: what it is, as a person would put it.
        found: patterns, without regard to case, every one of which must occur in the instruction.
        effect: on the chance to get a mail right.
    """

    says: str
    found: tuple[str, ...]
    effect: float


_ONE_WORD = r"\b(one|single) word\b|\b(label|word) (alone|only)\b|\bonly the label\b|\bnothing else\b"
_BEFORE = r"\b(before|prior to)\b.{0,40}\b(buy|bought|buying|purchase|order)"
_MONEY = r"\bmoney\b.{0,20}\bback\b|\breturn(ed)?\b.{0,30}\b(payment|money|article)\b"

FEATURES = (
    Feature("names the four labels", tuple(rf"\b{label}\b" for label in LABELS), 0.15),
    Feature("asks for one word or the label alone", (_ONE_WORD,), 0.10),
    Feature("says what a question before a purchase is", (_BEFORE,), 0.10),
    Feature("says what money back is", (_MONEY,), 0.05),
    Feature("gives the model its place", (r"\byou (sort|work|are|read)\b",), 0.05),
    Feature("asks to think aloud", (r"\bthink(ing)? aloud\b|\bstep by step\b|\bexplain\b",), -0.15),
    Feature("asks for politeness", (r"\bpolite(ly)?\b|\bplease\b",), 0.0),
)
"""What the stand-in heeds; the last one is there to be found useless."""


def chance(prompt: str, mail: Example) -> float:
    """Return how likely the stand-in is to sort the mail right when it is prompted so; from 0.02 to 0.98.

    An instruction of more than 1,200 characters loses it: then no feature counts.
    """
    instruction = prompt.replace(str(mail["text"]), " ")
    hard = random.Random(str(mail["text"])).uniform(-0.25, 0.25)
    if len(instruction) > _LONGEST:
        return min(max(0.3 + hard, 0.02), 0.98)
    heard = [one for one in FEATURES if all(re.search(p, instruction, re.IGNORECASE | re.DOTALL) for p in one.found)]
    return min(max(0.45 + hard + sum(one.effect for one in heard), 0.02), 0.98)


def truth(text: str) -> float:
    """Return the chance to sort a mail right with the candidate ``text``, averaged over all 60 mails: the real gain."""
    prompt = Prompt.of(text)
    return fmean(chance(f"{prompt.system}\n{prompt.user}", mail) for mail in _mails())


def _mails() -> tuple[Example, ...]:
    return read_csv(FOLDER / "prompt_dataset.csv", Fields("label"))


def _target(seed: int, mails: tuple[Example, ...]) -> Callable[[Request], str]:
    """Return the stand-in: it reads the last mail of its prompt, and gives that mail's label or another."""

    def answer(request: Request) -> str:
        prompt = "\n".join(str(message.content) for message in request.messages)
        mail = max(mails, key=lambda one: prompt.rfind(str(one["text"])))
        if str(mail["text"]) not in prompt:
            return "There is no mail."
        label = str(mail.expected)
        drawn = random.Random(f"{seed} {mail['text']}").random()
        return label if drawn < chance(prompt, mail) else f"It is not {label}."

    return answer


def make(seed: int) -> Task:
    """Return the task; the seed draws the 40 mails and the stand-in's luck with each."""
    mails = _mails()
    scored = random.Random(f"text instruction {seed}").sample(mails, _SCORED)
    target = ScriptedModel(_target(seed, mails), name="stand-in target")
    task = PromptTask(_START, target, scored, lambda said, mail: float(said == mail.expected), parallel=1)
    words = f"{_TASK.format(count=_SCORED)}\n{task.description}"
    question = "Which prompt should be tried next, so that more mails are sorted right?"
    return Task("text instruction", words, question, _START, task)
