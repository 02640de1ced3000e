"""OPRO as a proposer (Yang et al., 2023): the best candidates in one prompt, worst first, and a call for each draft.

It is written here, and not in the package, because it is what others did: a benchmark of the paper's own procedure,
whichever model or engine stands in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_optimize.core.chat import Message, Request
from llm_optimize.core.types import Draft, Proposal, Usage
from llm_optimize.errors import BudgetExceeded, ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import ChatModel, Proposer
    from llm_optimize.core.types import Trial

__all__ = ["Begun", "Opro"]

_NO_CANDIDATE = "a reply held no candidate"


@dataclass(frozen=True)
class Begun:
    """Has further starts evaluated before anybody is asked.

    Attributes:
        starts: texts; the first is the problem's own start.
        then: proposes from then on.
    """

    starts: tuple[str, ...]
    then: Proposer

    def propose(self, history: History, n: int) -> Proposal:
        """Return the starts that the history does not know, else what ``then`` proposes."""
        missing = [start for start in self.starts if history.seen(start) is None]
        if missing:
            return Proposal(tuple(Draft(start, origin="start") for start in missing))
        return self.then.propose(history, n)


@dataclass(frozen=True)
class Opro:
    """Shows a model the best candidates and asks for better ones.

    Attributes:
        model: answers.
        prompt: makes the prompt of the best trials, best first.
        read: takes the candidate out of a reply, as it is to be written; None where there is none.
        shown: how many trials a prompt shows at most.
        settings: of each request; the paper's are temperature 1 and 1,024 tokens.
    """

    model: ChatModel
    prompt: Callable[[Sequence[Trial]], str]
    read: Callable[[str], str | None]
    shown: int
    settings: Mapping[str, object] = field(default_factory=lambda: {"temperature": 1.0, "max_tokens": 1024})

    def propose(self, history: History, n: int) -> Proposal:
        """Ask ``n`` times with the same prompt; a reply without a candidate is noted, and not asked for again.

        Raises:
            ModelError: the first reply could not be had.
            BudgetExceeded: likewise.
        """
        messages = (Message("user", self.prompt(history.top(self.shown))),)
        drafts, usage, notes = [], Usage(), []
        origin = f"chat:{getattr(self.model, 'name', type(self.model).__name__)}"
        for index in range(n):
            try:
                reply = self.model.complete(Request(messages, self.settings, f"opro-{index}"))
            except (ModelError, BudgetExceeded):
                if not index:
                    raise
                break
            usage += reply.usage
            text = None if reply.refusal else self.read(reply.text)
            if text is None:
                notes.append(_NO_CANDIDATE)
            else:
                drafts.append(Draft(text, origin=origin))
        return Proposal(tuple(drafts), usage, "; ".join(notes))
