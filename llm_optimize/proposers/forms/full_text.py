"""The whole new text in one fenced block: the form that every model knows."""

from __future__ import annotations

from dataclasses import dataclass

from llm_optimize.text.fences import Extracted, extract

__all__ = ["FULL_TEXT_RULES", "FullText"]

FULL_TEXT_RULES = """\
- Begin with one line "Hypothesis: ...": why the new x should score higher, so that its score can tell whether you \
are right. Then be brief: in one or two sentences, say what {about} and what you change.
- Then give the complete new x, not only the part that changes, in exactly one fenced code block. Its last line holds \
nothing but the closing fence. If x itself holds code fences, enclose it in a longer one (````).
- Use triple backticks for nothing else."""
"""How to answer, with the slot ``{about}``."""


@dataclass(frozen=True, slots=True)
class FullText:
    """A few words, then the complete candidate in a fenced block."""

    @property
    def name(self) -> str:
        """The form's name."""
        return "full"

    @property
    def needs_parent(self) -> bool:
        """A full text stands alone."""
        return False

    def rules(self, about: str) -> str:
        """Return how to answer."""
        return FULL_TEXT_RULES.replace("{about}", about)

    @property
    def reminder(self) -> str:
        """How to answer, in one clause."""
        return "a few words, then the complete new x in one fenced code block"

    def read(self, reply: str, parent: str | None) -> Extracted:  # noqa: ARG002 - a full text needs no parent
        """Take the last fenced block of the reply; see :func:`~llm_optimize.text.fences.extract`.

        Raises:
            NoCandidate: see there.
        """
        return extract(reply)
