"""Which of the attempts in a chat are shown as changes to another one in it, and what that spares.

Attempts of one line of descent repeat most of their text. One whose parent stands in the chat too, or else a nearer
ancestor, is shown as a unified diff against it, where that is much shorter: what was tried, and what came of it, as in
the log of a repository. The oldest of a line is shown in full, and the current x, which the next text is built on,
always in the last turn.

What it spares, on 40 steps that each change one of 40 lines (150 lines) of the best attempt so far: 63 % (80 %) of the
tokens of a prompt with all of the default window, so that 12,000 tokens hold 15 attempts of 150 lines instead of 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial
    from llm_optimize.proposers.turns import Said, Turns, TurnWriter

__all__ = ["Abridging"]

_GENERATIONS = 16  # within which an ancestor is looked for


class Abridging:
    """Knows for the attempts that one prompt may show how each looks beside its parent, and what that spares."""

    def __init__(self, writer: TurnWriter, history: History, said: Mapping[int, Said], limit: int) -> None:
        """Take what is said of the attempts, by id, and the tokens that an idea may have."""
        trials = {number: trial for number in said if (trial := history.trial(number)) is not None}
        self._turns: dict[int, tuple[int, int, Turns]] = {}
        for trial in trials.values():
            base = trials.get(_ancestor(history, trial, trials))
            if base is not None and writer.differs_little(trial, base):
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


def _ancestor(history: History, trial: Trial, among: Mapping[int, Trial]) -> int:
    """Return the id of the nearest ancestor that is one of those, or -1."""
    for _ in range(_GENERATIONS):
        parent = trial.candidate.parent
        older = None if parent is None else history.trial(parent)
        if older is None:
            break
        if older.id in among:
            return older.id
        trial = older
    return -1
