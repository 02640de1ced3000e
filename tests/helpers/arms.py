"""What the tests of portfolios share: an arm that proposes at once, and a history in which arms have been asked."""

from __future__ import annotations

from dataclasses import dataclass, field

from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Draft, Evaluation, Problem, Proposal, Usage

__all__ = ["Stub", "begin", "played"]


@dataclass
class Stub:
    """Proposes one new text each time; or none, at no price or at a call's."""

    empty: bool = False
    price: Usage = Usage()
    seen: list[History] = field(default_factory=list)

    def propose(self, history, n):
        self.seen.append(history)
        drafts = () if self.empty else (Draft(f"text {history.slot}", origin="stub"),)
        return Proposal(drafts, self.price, "nothing new" if self.empty else "")


def begin(seed=0):
    """Return the history of a study whose start has a score."""
    history = History.empty().after(Opened(Problem("task", start="x"), seed))
    return history.after(Proposed((Candidate(0, "x", origin="start"),))).after(Told(0, Evaluation(0.0)))


def played(history, arm, score=None, usage=Usage()):
    """Return the history after one more proposal of an arm, and its outcome if it has one."""
    slot = history.free_slots(1)[0]
    history = history.after(Proposed((Candidate(history.next_id, f"text {slot}"),), usage, slot, arm=arm))
    return history if score is None else history.after(Told(history.next_id - 1, Evaluation(score)))
