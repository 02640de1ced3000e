"""Changes to the current x as SEARCH/REPLACE blocks: short replies for long candidates."""

from __future__ import annotations

from dataclasses import dataclass

from llm_optimize.errors import NoCandidate
from llm_optimize.text.edits import DIVIDER, REPLACE, SEARCH, apply_edits, edits_in
from llm_optimize.text.fences import Extracted, extract

__all__ = ["Edits"]

_RULES = f"""\
- Be brief: in one to three sentences, say what {{about}} and what you change.
- Then give only the changes to the current x, each as a block of this form:

{SEARCH}
lines of the current x, complete and exactly as they stand there
{DIVIDER}
the lines to put in their place
{REPLACE}

- As many lines in a SEARCH part as are needed for it to stand in only one place of x. Nothing between {DIVIDER} and \
{REPLACE} deletes them. To add lines, repeat a line beside which they go.
- Every block is matched against the current x as shown above, whatever the other blocks do."""

_NO_BLOCK = f"the reply holds no block with the lines {SEARCH}, {DIVIDER} and {REPLACE}"
_WHOLE = (
    f"{_NO_BLOCK}, but a code block, of which nobody can tell whether it is all of x: give the changes as such blocks"
)


@dataclass(frozen=True, slots=True)
class Edits:
    r"""A few words, then SEARCH/REPLACE blocks, which are applied to the parent: all of them or none.

    A reply with a code block instead is refused, since nobody can tell a complete x from a piece of it; so is every
    block that could mean two things. See :mod:`llm_optimize.text.edits` for how blocks are matched. A first draft is
    asked for in full.

    Costs nothing beside the prompt's 130 tokens; a reply is as long as the change, not as the candidate. Strong models
    do better with edits and weak ones with full texts (OpenEvolve's README); aider's benchmarks say the same.

    Example:
        >>> reply = "Colder.\n<<<<<<< SEARCH\nt = 1\n=======\nt = 0\n>>>>>>> REPLACE"
        >>> Edits().read(reply, "t = 1").text
        't = 0'
    """

    @property
    def name(self) -> str:
        """The form's name."""
        return "edits"

    @property
    def needs_parent(self) -> bool:
        """Blocks change a text."""
        return True

    def rules(self, about: str) -> str:
        """Return how to answer."""
        return _RULES.replace("{about}", about)

    @property
    def reminder(self) -> str:
        """How to answer, in one clause."""
        return f"a few words, then blocks of {SEARCH}, {DIVIDER} and {REPLACE} with lines exactly as they stand in x"

    def read(self, reply: str, parent: str | None) -> Extracted:
        """Apply the reply's blocks to ``parent``; without one, take the full text that a first draft is asked for in.

        Raises:
            NoCandidate: there is no block, or one cannot be applied.
        """
        if parent is None or not parent.strip():
            return extract(reply)
        edits, explanation = edits_in(reply)
        if not edits:
            raise NoCandidate(_WHOLE if _has_block(reply) else _NO_BLOCK)
        return Extracted(apply_edits(parent, edits), explanation)


def _has_block(reply: str) -> bool:
    try:
        extract(reply)
    except NoCandidate:
        return False
    return True
