"""How a stand-in changes an instruction for a model that sorts mail: it adds, drops, moves and rewords sentences.

It knows many sentences that one might think of; it does not know which of them this target heeds. Some hide what
another one says, some do harm, most do nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from standins.skill import Skill

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tasks.task import Task

__all__ = ["make"]

_SENTENCES = (
    "Answer with one of: refund, delivery, product, praise.",
    "The labels are refund, delivery and product.",
    "The classes are refund, delivery, product and praise; there are no others.",
    "Answer with one word.",
    "Give the label alone.",
    "Write nothing else.",
    "Keep the answer short.",
    "A question asked before somebody buys something belongs to product.",
    "Questions about stock belong to product.",
    "When a customer wants the money back, it is refund.",
    "A mail about a returned article and its payment is refund.",
    "Complaints belong to refund.",
    "You sort the mail of a shop.",
    "You are a careful assistant.",
    "You work in the customer service of a shop.",
    "Think step by step before you answer.",
    "Explain your answer in a sentence.",
    "Please be polite.",
    "This is very important.",
    "Mails that thank us are praise.",
    "A parcel that is late or lost is delivery.",
    "If you are not sure, choose the likeliest.",
    "Do not guess.",
    "Read the whole mail first.",
    "Ignore greetings and signatures.",
    "Take the main wish of the customer, not the tone.",
    "Use capital letters for the label.",
    "Take a deep breath.",
)
_SLOT = "{{text}}"
_LOST = "[mail]"
_ENDS = (f"Mail: {_SLOT}", f"Sort this mail: {_SLOT}", f"The mail:\n{_SLOT}")


def make(worth: Callable[[str], float], _: Task) -> Skill:
    """Return the skill; ``worth`` scores a text."""
    return Skill(_knows, _edit, _leap, _mend, _repair, _combine, _spoil, worth)


def _knows(text: str) -> bool:
    about = re.search(r"\b(?:mail|text)\b", text, re.IGNORECASE) is not None
    return about and (_SLOT in text or _LOST in text)


def _parts(text: str) -> tuple[list[str], str]:
    """Return the sentences, and the line or lines that hold the mail."""
    lines = [line for line in text.strip().split("\n") if line.strip()]
    at = next((number for number, line in enumerate(lines) if _SLOT in line), None)
    if at is None:
        return lines, ""
    begin = at - 1 if lines[at].strip() == _SLOT and at else at
    return lines[:begin] + lines[at + 1 :], "\n".join(lines[begin : at + 1])


def _text(sentences: list[str], end: str) -> str:
    return "\n".join([*sentences, end])


def _edit(text: str, dice: Random) -> str:
    sentences, end = _parts(text)
    kind = dice.choices(("add", "drop", "replace", "move", "end"), (40, 20, 25, 10, 5))[0]
    fresh = [one for one in _SENTENCES if one not in sentences]
    if kind == "add" or not sentences:
        sentences.insert(dice.randrange(len(sentences) + 1), dice.choice(fresh or _SENTENCES))
    elif kind == "drop":
        del sentences[dice.randrange(len(sentences))]
    elif kind == "replace":
        sentences[dice.randrange(len(sentences))] = dice.choice(fresh or _SENTENCES)
    elif kind == "move":
        dice.shuffle(sentences)
    else:
        end = dice.choice(_ENDS)
    return _text(sentences, end)


def _leap(_: str, dice: Random) -> str:
    return _text(dice.sample(_SENTENCES, dice.randrange(2, 6)), dice.choice(_ENDS))


def _mend(text: str, feedback: str, dice: Random) -> str | None:
    """Where answers are shown that were not the label, say what the labels are, or that nothing else is wanted."""
    if _SLOT not in text:
        return _repair(text)
    if not re.search(r"It is not (refund|delivery|product|praise)", feedback):
        return None
    label = dice.choice(re.findall(r"It is not (refund|delivery|product|praise)", feedback))
    wanted = [one for one in _SENTENCES if re.search(rf"\b{label}\b", one) and one not in text]
    if not wanted:
        return None
    sentences, end = _parts(text)
    return _text([*sentences, dice.choice(wanted)], end)


def _repair(text: str) -> str:
    sentences, end = _parts(text.replace(_LOST, _SLOT))
    return _text(sentences, end or _ENDS[0])


def _combine(one: str, other: str, dice: Random) -> str:
    sentences, end = _parts(one)
    more, _ = _parts(other)
    both = list(dict.fromkeys(sentences + more))
    return _text([sentence for sentence in both if dice.random() < 0.7], end)


def _spoil(text: str, _: Random) -> str:
    return text.replace(_SLOT, _LOST)
