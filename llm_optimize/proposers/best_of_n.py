"""Independent sampling: the honest baseline of every search, since papers find it hard to beat at equal budget.

See arXiv 2602.16805 (2026), where plain sampling matches or exceeds elaborate pipelines in three domains.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from llm_optimize.proposers import prompts
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.window import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import ChatModel
    from llm_optimize.core.types import Proposal
    from llm_optimize.proposers.layout import Prompt
    from llm_optimize.proposers.measuring import TextCounter

__all__ = ["BestOfN"]


@dataclass(frozen=True)
class BestOfN:
    """Asks the model for one answer after the other, always with the prompt of the first step.

    That prompt shows the start with its score, or asks for the first text where there is no start; nothing of what was
    found since is in it, but for instructions of the person who runs the study. So the answers differ by the model's
    own chance alone: a model that is asked at temperature 0 gives one. An answer that was there before is asked for
    again, then given up, as in any search; its score is not told.

    Attributes:
        model: answers the requests.
        system_prompt: with the slot ``{task_description}``.
        human_prompt: with the slots ``{x}`` (needed), ``{fx}`` and ``{task_question}``.
        settings: fields of each request, such as ``temperature``.
        constraints: as those of :class:`~llm_optimize.proposers.chat.ChatProposer`.
        allowance: likewise, tokens of the prompt at most.
        reasks: likewise.
        counter: likewise.

    Raises:
        BadInput: see :class:`~llm_optimize.proposers.chat.ChatProposer`.

    Example:
        >>> from llm_optimize.llm.fake import ScriptedModel
        >>> BestOfN(ScriptedModel([]), settings={"temperature": 1.0}).chat.window
        Window(best=1, recent=0, failed=0)
    """

    model: ChatModel
    _: KW_ONLY
    system_prompt: str = prompts.SYSTEM_PROMPT
    human_prompt: str = prompts.HUMAN_OPTIMIZATION_PROMPT
    settings: Mapping[str, Any] = field(default_factory=dict)
    constraints: Sequence[Callable[[str], str | None]] = ()
    allowance: int = 12_000
    reasks: int = 1
    counter: TextCounter | None = None
    _chat: ChatProposer = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the settings; nothing has been asked yet."""
        chat = ChatProposer(
            self.model,
            system_prompt=self.system_prompt,
            human_prompt=self.human_prompt,
            settings=self.settings,
            constraints=self.constraints,
            allowance=self.allowance,
            reasks=self.reasks,
            counter=self.counter,
            window=Window(best=1, recent=0, failed=0),
            repair=None,
            novelty=None,
        )
        object.__setattr__(self, "_chat", chat)

    @property
    def chat(self) -> ChatProposer:
        """Who asks, for a forecast of the cost."""
        return self._chat

    def describe(self, history: History) -> Prompt:
        """Return the prompt that :meth:`propose` sends, without sending it."""
        return self._chat.describe(_first_step(history))

    def propose(self, history: History, n: int) -> Proposal:
        """Return ``n`` further samples.

        Raises:
            ModelError: as :meth:`ChatProposer.propose <llm_optimize.proposers.chat.ChatProposer.propose>`.
            BudgetExceeded: likewise.
            BadInput: likewise.
        """
        proposal = self._chat.propose(_first_step(history), n)
        drafts = (replace(draft, origin=f"{draft.origin}/best_of_n") for draft in proposal.drafts)
        return replace(proposal, drafts=tuple(drafts))


def _first_step(history: History) -> History:
    """Return the past as it was before the first proposal, all that people have said since included.

    Texts that were proposed since are still known, so none of them is evaluated again.
    """
    start = history.problem.start is not None and len(history.trials) > 0
    return replace(history.as_of(int(start)), guidance=history.guidance, guided=history.guided)
