"""A stand-in for a chat model: reads the prompt, changes the candidate it is to improve, and sometimes fails.

What it says is a function of the prompt, its seed and the number of the call: nothing is remembered but that number. It
is the same for every system that asks; it cannot tell them apart.

What it cannot do limits what a comparison with it says: of earlier attempts it uses that it does not repeat those
that it is shown, and that it may combine with a better one; it draws no lesson from a list of failures, as a model
might. It does not write JSON for typed candidates, which no task here has.
"""

from __future__ import annotations

import difflib
import threading
import zlib
from dataclasses import dataclass, fields
from random import Random
from typing import TYPE_CHECKING

from standins.reading import Asked, inner, read, rewrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from standins.skill import Skill

__all__ = ["RATES", "Rates", "Said", "StandIn"]

_REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "I cannot assist with this request.",
    "As an AI model, I am not able to do this.",
)
_PROSE = (
    "One could try a smaller change next, and keep what works so far. It seems best to look at the weakest part first.",
    "The current value is good already; I would look at how its parts interact before changing anything.",
)
_REASONS = (
    "The last result suggests that one part is weak; I change that part and keep the rest.",
    "A smaller change is safer here: one hypothesis at a time.",
    "What is still missing is balance between the parts; this moves one of them.",
)
_DRAWS = 24  # a text that is shown already is drawn again so many times, in the second half by a bolder change


@dataclass(frozen=True, slots=True)
class Rates:
    """How often the stand-in does what; the first five exclude one another, the rest hold for the other replies.

    Attributes:
        refusal: it declines.
        prose: it talks about the candidate and gives none.
        cut: its reply ends within the candidate.
        invalid: the candidate has a fault that keeps it from being scored.
        repeat: it gives a candidate that is shown already.
        misquote: a SEARCH block does not match, of the replies in that form.
        combine: it takes parts of another shown candidate that did at least as well, where there is one.
        asked: it does as it is told, where it is told to combine or to do something quite different.
        leap: it builds something quite different unasked.
        mend: it heeds the feedback, where that says what is wrong.
        repair: it takes the fault out first that keeps the base from being scored.
        insight: it thinks its edit through: the best of ``thoughts`` edits; else it takes the first that comes to mind.
        thoughts: see ``insight``.
        on_best: it builds on the best shown where the prompt says so, and not on the current one.
    """

    refusal: float = 0.05
    prose: float = 0.03
    cut: float = 0.02
    invalid: float = 0.05
    repeat: float = 0.05
    misquote: float = 0.03
    combine: float = 0.10
    asked: float = 0.80
    leap: float = 0.05
    mend: float = 0.50
    repair: float = 0.80
    insight: float = 0.25
    thoughts: int = 5
    on_best: float = 0.80

    def __str__(self) -> str:
        """Name them all."""
        return ", ".join(f"{field.name} {getattr(self, field.name):g}" for field in fields(self))


RATES = Rates()


@dataclass(frozen=True, slots=True)
class Said:
    """A reply, and whether it was cut off by the limit on its length."""

    text: str
    cut: bool = False


class StandIn:
    """The model for one task and seed; safe for several threads.

    Attributes:
        calls: how often it was asked.
    """

    def __init__(self, skill: Skill, seed: int, rates: Rates = RATES) -> None:
        """Begin with call 0."""
        self.calls = 0
        self._skill = skill
        self._seed = seed
        self._rates = rates
        self._lock = threading.Lock()

    def __call__(self, messages: Sequence[tuple[str, str]]) -> Said:
        """Answer a chat of (role, text) turns."""
        with self._lock:
            number, self.calls = self.calls, self.calls + 1
        prompt = "\n".join(text for _, text in messages)
        dice = Random(f"{self._seed} {number} {zlib.crc32(prompt.encode())}")
        return self._answer(read(messages, self._skill.knows), dice)

    def _answer(self, asked: Asked, dice: Random) -> Said:
        rates, drawn = self._rates, dice.random()
        for rate, words in ((rates.refusal, _REFUSALS), (rates.prose, _PROSE)):
            if drawn < rate:
                return Said(dice.choice(words))
            drawn -= rate
        base = self._base(asked, dice)
        if base is None:
            return Said(dice.choice(_PROSE))
        cut, invalid, repeat = drawn < rates.cut, 0 <= drawn - rates.cut < rates.invalid, False
        repeat = 0 <= drawn - rates.cut - rates.invalid < rates.repeat
        if repeat:
            new = inner(dice.choice(asked.shown).text)
        else:
            new = self._better(asked, self._sound(asked, inner(base), dice), dice)
        if invalid:
            new = self._skill.spoil(new, dice)
        said = self._said(asked, base, new, dice)
        return Said(said[: len(said) * 3 // 5], cut=True) if cut else Said(said)

    def _base(self, asked: Asked, dice: Random) -> str | None:
        """Choose what to build on: what stands under "current", or the best where the prompt says so."""
        if asked.base is None:
            return None
        best = asked.best
        if asked.on_best and best is not None and not asked.edits and dice.random() < self._rates.on_best:
            return best.text
        return asked.base.text

    def _sound(self, asked: Asked, base: str, dice: Random) -> str:
        """Take the fault out of a base of which is said that it failed."""
        failed = any(one.failed for one in asked.shown if inner(one.text) == base) or asked.failed
        if not failed or dice.random() >= self._rates.repair:
            return base
        return self._skill.mend(base, asked.feedback, dice) or self._skill.repair(base)

    def _better(self, asked: Asked, base: str, dice: Random) -> str:
        """Change a candidate into one that is not shown, if one comes to mind."""
        seen = {inner(one.text) for one in asked.shown} | {base}
        new = base
        for draw in range(_DRAWS):
            new = self._changed(asked, base, dice) if draw < _DRAWS // 2 else self._bolder(new, dice)
            if new not in seen:
                break
        return new

    def _changed(self, asked: Asked, base: str, dice: Random) -> str:
        rates, skill = self._rates, self._skill
        if dice.random() < (rates.asked if asked.combine else rates.combine):
            partner = self._partner(asked, base, dice)
            if partner is not None:
                return skill.combine(base, partner, dice)
        if dice.random() < (rates.asked if asked.afresh else rates.leap):
            return skill.leap(base, dice)
        if dice.random() < rates.mend:
            mended = skill.mend(base, asked.feedback, dice)
            if mended is not None:
                return mended
        if dice.random() < rates.insight:
            return max((skill.edit(base, dice) for _ in range(rates.thoughts)), key=skill.worth)
        return skill.edit(base, dice)

    def _bolder(self, text: str, dice: Random) -> str:
        """Change once more what has come to mind, or begin with something quite different."""
        return self._skill.leap(text, dice) if dice.random() < self._rates.leap else self._skill.edit(text, dice)

    def _partner(self, asked: Asked, base: str, dice: Random) -> str | None:
        named = [inner(one.text) for one in asked.shown if one.number in asked.partners and inner(one.text) != base]
        if named:
            return dice.choice(named)
        mine = [one for one in (*asked.shown, asked.base) if one is not None and inner(one.text) == base]
        known = next((one.score for one in mine if one.score is not None), None)
        others = [
            inner(one.text)
            for one in asked.shown
            if inner(one.text) != base and one.score is not None and (known is None or one.score >= known)
        ]
        if asked.combine and not others:
            others = [inner(one.text) for one in asked.shown if inner(one.text) != base]
        return dice.choice(others) if others else None

    def _said(self, asked: Asked, base: str, new: str, dice: Random) -> str:
        reason = dice.choice(_REASONS)
        if not asked.edits:
            return f"{reason}\n\n```\n{new}\n```"
        search, replace = _hunk(base.strip("\n"), rewrapped(base, new))
        if dice.random() < self._rates.misquote:
            search = search.replace(" ", "  ", 1) if " " in search else f"{search}."
        return f"{reason}\n\n<<<<<<< SEARCH\n{search}\n=======\n{replace}\n>>>>>>> REPLACE\n"


def _hunk(old: str, new: str) -> tuple[str, str]:
    """Return the lines that differ, with as many lines around them as make them unique in the old text."""
    before, after = old.split("\n"), new.split("\n")
    codes = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    changes = [code for code in codes if code[0] != "equal"]
    if not changes:
        return old, new
    first, last = changes[0][1], changes[-1][2]
    ahead, behind = changes[0][3], len(after) - changes[-1][4]
    while first > 0 and not _is_unique(before, first, last):
        first, ahead = first - 1, ahead - 1
    while last < len(before) and not _is_unique(before, first, last):
        last, behind = last + 1, behind - 1
    return "\n".join(before[first:last]), "\n".join(after[ahead : len(after) - behind])


def _is_unique(lines: list[str], first: int, last: int) -> bool:
    """Say whether these lines, which must not be blank at their end, stand nowhere else."""
    wanted = lines[first:last]
    if not wanted or not wanted[-1].strip():
        return False
    size = len(wanted)
    return sum(lines[at : at + size] == wanted for at in range(len(lines) - size + 1)) == 1
