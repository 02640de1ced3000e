"""Which of the attempts in a chat are shown as changes to another one in it, and what that spares.

Attempts of one line of descent repeat most of their text. One whose parent stands in the chat too is shown as a unified
diff against it, where that is much shorter: what was tried, and what came of it, as in the log of a repository. The
oldest of a line is shown in full, and the current x, which the next text is built on, always in the last turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.core.types import Trial
    from llm_optimize.proposers.turns import Said, Turns, TurnWriter

__all__ = ["Abridging"]


class Abridging:
    """Knows for the attempts that one prompt may show how each looks beside its parent, and what that spares."""

    def __init__(self, writer: TurnWriter, ranked: Sequence[Trial], said: Mapping[int, Said], limit: int) -> None:
        """Take the attempts, what is said of them, and the tokens that an idea may have."""
        by_id = {trial.id: trial for trial in ranked}
        pairs = [(trial, by_id[parent]) for trial in ranked if (parent := trial.candidate.parent) in by_id]
        self._turns: dict[int, tuple[int, int, Turns]] = {}
        for trial, base in pairs:
            if writer.differs_little(trial, base):
                whole = writer.earlier(trial, said[trial.id], limit).proposed.content
                turns = writer.abridged(trial, base, said[trial.id], limit)
                spared = writer.count(whole) - writer.count(turns.proposed.content)
                self._turns[trial.id] = base.id, spared, turns

    def turns(self, shown: Sequence[Trial]) -> dict[int, Turns]:
        """Return by id the turns of those in ``shown`` that are shown as changes."""
        ids = {trial.id for trial in shown}
        return {number: turns for number, (base, _, turns) in self._turns.items() if ids >= {number, base}}

    def spared(self, shown: Sequence[Trial]) -> int:
        """Return how many tokens that spares."""
        if not self._turns:
            return 0
        ids = {trial.id for trial in shown}
        return sum(spared for number, (base, spared, _) in self._turns.items() if number in ids and base in ids)
