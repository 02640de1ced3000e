"""Results taken in turn, so that a search with several requests in flight asks the same ones each time.

An engine's next suggestion depends on what it has been told. Answers come in any order; here each is taken in when its
turn has come: at first one proposal for each worker, then an outcome and the proposal that it leads to, oldest first.
Nobody waits for a round to end; a worker waits for an older request than its own at most.
"""

from __future__ import annotations

from dataclasses import dataclass

from llm_optimize.core.order import Order

__all__ = ["Turns"]


@dataclass(frozen=True, slots=True)
class Turns(Order):
    """The order of a study in which each proposal is one candidate.

    Attributes:
        workers: chains in flight.
        start: whether there is a start text, which is evaluated alone before the first proposal.

    Example:
        >>> turns = Turns(workers=2)
        >>> [turns.unit_at(i) for i in range(4)]
        [('proposal', 0), ('proposal', 1), ('evaluation', 0), ('proposal', 2)]
    """

    workers: int = 1
    start: bool = False

    def unit_at(self, position: int) -> tuple[str, int] | None:
        """Return whose turn it is; one that is not on its way keeps nobody waiting."""
        if self.start and position == 0:
            return "evaluation", 0
        place = position - self.start
        if place < self.workers:
            return "proposal", place
        number, is_proposal = divmod(place - self.workers, 2)
        return ("proposal", self.workers + number) if is_proposal else ("evaluation", number + self.start)
