"""The seam of the forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from llm_optimize.text.fences import Extracted

__all__ = ["Form"]


class Form(Protocol):
    """Says how to answer, and takes the candidate out of the answer."""

    @property
    def name(self) -> str:
        """A word for reports."""
        ...

    @property
    def needs_parent(self) -> bool:
        """Whether an answer can be read only beside the text that it changes: a first draft is asked for in full."""
        ...

    def rules(self, about: str) -> str:
        """Return how to answer, as lines of a list, the end of a prompt.

        Args:
            about: what the explanation is to be about, in words that fit behind "say what".
        """
        ...

    @property
    def reminder(self) -> str:
        """The same in one clause, for an answer that has to be asked for again."""
        ...

    def read(self, reply: str, parent: str | None) -> Extracted:
        """Take the candidate out of a reply.

        Args:
            reply: the model's text.
            parent: the text that was shown as the current x; None for a first draft.

        Raises:
            NoCandidate: there is none, or it cannot be told for sure; the message is a clause that tells the model what
                was wrong and what to do.
        """
        ...
