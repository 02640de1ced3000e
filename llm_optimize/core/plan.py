"""What a session is given and what it comes to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_optimize.core.clock import SYSTEM, Clock
from llm_optimize.core.order import Order
from llm_optimize.core.protocols import Roomy
from llm_optimize.core.retesting import Retesting

if TYPE_CHECKING:
    from llm_optimize.core.budget import Budget
    from llm_optimize.core.consulting import Consult
    from llm_optimize.core.ledger import Ledger
    from llm_optimize.core.protocols import Executor, Proposer, Scorer, Stopper
    from llm_optimize.errors import LLMOptimizeError

__all__ = ["Ending", "Plan"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a session ended.

    Attributes:
        reason: why, in a line; also in the log.
        error: what went wrong, if something did; the study can be resumed once it is mended.
        interrupted: whether Ctrl-C ended it.
    """

    reason: str
    error: LLMOptimizeError | None = None
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What a loop needs besides its journal.

    Attributes:
        proposer: has the ideas.
        scorer: judges them.
        stop: rules, or None for no end but the budget's.
        budget: caps.
        ledger: where spends are reserved.
        executor: runs the scorer; None for the loop's own.
        parallel: chains in flight, at least 1; None for as many as the executor has room for.
        ideas: drafts per proposal, at least 1.
        eval_timeout: seconds after which a candidate counts as failed; None for no limit.
        notice_after: seconds after which a candidate that is still in the scorer is named in a warning, once.
        order: of an earlier run that this one repeats.
        retesting: which candidates are evaluated more than once.
        consult: when a person is asked, or None.
        clock: what the time is, and what waits for it.
    """

    proposer: Proposer
    scorer: Scorer
    stop: Stopper | None
    budget: Budget
    ledger: Ledger
    executor: Executor | None = None
    parallel: int | None = 1
    ideas: int = 1
    eval_timeout: float | None = None
    notice_after: float = 30.0
    order: Order = field(default_factory=Order)
    retesting: Retesting = field(default_factory=Retesting)
    consult: Consult | None = None
    clock: Clock = SYSTEM

    def room(self) -> int:
        """Return how many chains are to be in flight now."""
        if self.parallel is not None:
            return self.parallel
        return self.executor.room() if isinstance(self.executor, Roomy) else 1
