"""A form behind which nothing protected is changed and no refusal is taken for a candidate, whatever the form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from llm_optimize.errors import BadInput, NoCandidate
from llm_optimize.text.refusals import is_refusal, speaks_of_refusing
from llm_optimize.text.regions import BLOCK_END, BLOCK_START, Frame, frame_of, leaves, slots

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.core.types import Problem
    from llm_optimize.proposers.forms.form import Form
    from llm_optimize.text.fences import Extracted

__all__ = ["Guarded", "Protect", "Protection", "check_protect", "protection_of"]

Protect = Literal["auto", False] | tuple[str, ...]
"""``auto``, False for nothing, or the texts that every candidate must hold (blocks are kept in any case then)."""

_REFUSED = "it declines to give a candidate instead of giving one: every text asked for here is only scored"
_ONLY_PROTECTED = f"it changes only what must stay as it is: change what stands between {BLOCK_START} and {BLOCK_END}"
_RESTORED = f"(What this changed outside of the {BLOCK_START} lines was put back.)"


@dataclass(frozen=True, slots=True)
class Protection:
    """What every candidate of a study must keep.

    Attributes:
        frame: the text around the blocks that may change, or None where any of it may.
        slots: placeholders of which none may be lost and to which none may be added; empty for no such rule.
        texts: further texts that must be there.
        refusals: whether a text that reads like a refusal is one; not where that is what the search is about.
    """

    frame: Frame | None = None
    slots: frozenset[str] = frozenset()
    texts: tuple[str, ...] = ()
    refusals: bool = True

    @property
    def note(self) -> str:
        """What the model is told of it, empty where nothing is protected."""
        said = []
        if self.frame is not None:
            said.append(
                f"Only the lines between {BLOCK_START} and {BLOCK_END} may change. Everything else of x, these two "
                "lines included, must stay exactly as it is."
            )
        if self.slots:
            named = ", ".join(sorted(self.slots))
            said.append(f"x is filled in by a program: keep each of {named} exactly as written, and add no others.")
        if self.texts:
            said.append(f"x must hold, exactly as written: {', '.join(map(repr, self.texts))}.")
        return "\n".join(said)

    def objection(self, text: str) -> str | None:
        """Return what a text has lost, or has too much, as a clause; its frame aside."""
        found = slots(text, known=self.slots) if self.slots else frozenset()
        if lost := sorted(self.slots - found):
            return f"it has lost {', '.join(lost)}, which a program fills in: keep each exactly as written"
        if added := sorted(found - self.slots):
            return f"it adds {', '.join(added)}, which nothing fills in: use only {', '.join(sorted(self.slots))}"
        missing = [one for one in self.texts if one not in text]
        return f"it has lost {', '.join(map(repr, missing))}: keep it exactly as written" if missing else None


@dataclass(frozen=True, slots=True)
class Guarded:
    """Reads as another form does, and lets nothing through that breaks a protection.

    * A text whose block lines are all there gets back what it changed around them: that costs nothing, and models
      often shorten what they were told not to change. An *edit* that reaches outside is refused, since what else it
      does may build on that.
    * A refusal is refused: as the whole text, as a block's body, as a string of JSON, or as that which took the place
      of most of the parent. Not where the parent already is one.

    Attributes:
        form: how a reply carries a candidate.
        protection: what must stay.
    """

    form: Form
    protection: Protection

    @property
    def name(self) -> str:
        """The form's name."""
        return self.form.name

    @property
    def needs_parent(self) -> bool:
        """As the form."""
        return self.form.needs_parent

    def rules(self, about: str) -> str:
        """Return how to answer."""
        return self.form.rules(about)

    @property
    def reminder(self) -> str:
        """How to answer, in one clause."""
        return self.form.reminder

    def settings(self, model: object) -> Mapping[str, Any]:
        """Return the fields of a request that make an endpoint keep to the form, where the form knows any."""
        known = getattr(self.form, "settings", None)
        return {} if known is None else known(model)

    def read(self, reply: str, parent: str | None) -> Extracted:
        """Take the candidate out of a reply, with what is protected as it was.

        Raises:
            NoCandidate: as the form, or the candidate has lost what it must keep, or is a refusal.
        """
        found = self.form.read(reply, parent)
        text = self._restored(found.text, parent)
        if self.protection.refusals and _declines(text, parent):
            raise NoCandidate(_REFUSED)
        objection = self.protection.objection(text)
        if objection is not None:
            raise NoCandidate(objection)
        explanation = found.explanation
        if self.protection.frame is not None and text.strip() != found.text.strip():
            explanation = f"{explanation}\n{_RESTORED}".strip()
        return replace(found, text=text, explanation=explanation)

    def _restored(self, text: str, parent: str | None) -> str:
        frame = self.protection.frame
        if frame is None:
            return text
        restored = frame.restored(text)
        if restored == text or parent is None:
            return restored
        if self.form.needs_parent and _stands(frame, parent):
            msg = f"it edits lines that must stay as they are: change only lines between {BLOCK_START} and {BLOCK_END}"
            raise NoCandidate(msg)
        if restored.strip() == parent.strip() != text.strip():
            raise NoCandidate(_ONLY_PROTECTED)
        return restored


@lru_cache(maxsize=32)
def protection_of(problem: Problem, protect: Protect) -> Protection:
    """Return what the candidates of a problem must keep.

    Blocks and slots are those of the start text; where the model writes the first text, nothing but the texts given.

    Raises:
        BadInput: the start marks blocks that do not go in pairs, or lacks a text that must be there.
    """
    start = problem.start
    about = (problem.task, problem.question)
    refusals = not any(map(speaks_of_refusing, about)) if start is None else not is_refusal(start)
    texts = protect if isinstance(protect, tuple) else ()
    if start is None or protect is False:
        return Protection(None, frozenset(), texts, refusals)
    missing = [text for text in texts if text not in start]
    if missing:
        msg = f"protect: {missing[0]!r} does not stand in x0: write it as x0 does"
        raise BadInput(msg)
    try:
        frame = frame_of(start)
    except BadInput as error:
        msg = f"x0: {error}, or set protect=False"
        raise BadInput(msg) from None
    return Protection(frame, slots(start) if protect == "auto" else frozenset(), texts, refusals)


def check_protect(protect: object) -> Protect:
    """Return the setting in its settled form.

    Raises:
        BadInput: it is none of ``auto``, False and texts.
    """
    if protect is False or protect == "auto":
        return protect
    if isinstance(protect, list | tuple) and all(isinstance(text, str) and text for text in protect):
        return tuple(protect)
    msg = f"protect is {protect!r}: give 'auto', False, or a list of texts that every candidate must hold"
    raise BadInput(msg)


def _stands(frame: Frame, parent: str) -> bool:
    """Return whether a text has the frame; one that a person put in need not."""
    try:
        return frame.restored(parent) == parent
    except NoCandidate:
        return False


def _declines(text: str, parent: str | None) -> bool:
    """Return whether a text is a refusal, or has one as a part that stands for itself, unless its parent had one."""
    if parent is None:
        return any(map(is_refusal, _parts(text)))
    if is_refusal(text) or any(map(is_refusal, _parts(parent))):
        return not is_refusal(parent) and is_refusal(text)
    return any(map(is_refusal, (*_parts(text), _change(text, parent))))


def _parts(text: str) -> Sequence[str]:
    try:
        frame = frame_of(text)
    except BadInput:
        frame = None
    return [text, *(frame.bodies if frame is not None else ()), *leaves(text)]


def _change(text: str, parent: str) -> str:
    """Return the lines of a text that took the place of most of the parent, or nothing."""
    new, old = text.split("\n"), parent.split("\n")
    head = next(
        (i for i, (one, other) in enumerate(zip(new, old, strict=False)) if one != other), min(len(new), len(old))
    )
    new, old = new[head:], old[head:]
    tail = next(
        (i for i, (one, other) in enumerate(zip(reversed(new), reversed(old), strict=False)) if one != other),
        min(len(new), len(old)),
    )
    gone = "\n".join(old[: len(old) - tail])
    return "\n".join(new[: len(new) - tail]) if 2 * len(gone) >= len(parent.strip()) else ""
