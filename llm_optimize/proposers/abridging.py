"""Which of the attempts in a chat are shown as changes to another one in it, and what that spares.

Attempts of one line of descent repeat most of their text. One whose ancestor stands in the chat too is shown as a
unified diff against it, where that is much shorter. The ancestor is always one that is shown in full, so that no diff
has to be read through another; the current x stands in full in the last turn whatever its own turn says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from llm_optimize.core.types import Trial
    from llm_optimize.proposers.turns import Said, Turns, TurnWriter


__all__ = ["Abridging"]


class Abridging:
    """Plans for the attempts that one prompt may show; every diff and every count is worked out once."""

    def __init__(self, writer: TurnWriter, ranked: Sequence[Trial], said: Mapping[int, Said], limit: int) -> None:
        """Take the attempts, what is said of them, and the tokens that an idea may have."""
        self._writer = writer
        self._said = said
        self._limit = limit
        self._by_id = {trial.id: trial for trial in ranked}
        self._spared: dict[tuple[int, int], int] = {}
        self.possible = any(trial.candidate.parent in self._by_id for trial in ranked)
        """Whether any of them was built on another one: else there is nothing to plan."""

    def bases(self, chosen: Iterable[Trial], current: int) -> dict[int, int]:
        """Return by id which attempts are shown as changes, and to which; ``current`` is the id of the current x."""
        if not self.possible:
            return {}
        whole: set[int] = set()
        found: dict[int, int] = {}
        for number in sorted(trial.id for trial in chosen):  # an attempt's parent came before it
            base = self._base(number, whole, found)
            if base is not None:
                found[number] = base
            if base is None or number == current:
                whole.add(number)
        return found

    def turns(self, trial: Trial, base: int) -> Turns:
        """Return the turns that show a trial as changes to the attempt ``base``."""
        return self._writer.abridged(trial, self._by_id[base], self._said[trial.id], self._limit)

    def spared(self, chosen: Sequence[Trial], current: int) -> int:
        """Return how many tokens the plan for ``chosen`` spares."""
        return sum(self._spares(number, base) for number, base in self.bases(chosen, current).items())

    def _base(self, number: int, whole: set[int], found: Mapping[int, int]) -> int | None:
        parent = self._by_id[number].candidate.parent
        if parent is None:
            return None
        base = parent if parent in whole else found.get(parent)
        if base is None or not self._writer.differs_little(self._by_id[number], self._by_id[base]):
            return None
        return base

    def _spares(self, number: int, base: int) -> int:
        known = self._spared.get((number, base))
        if known is None:
            trial = self._by_id[number]
            whole = self._writer.earlier(trial, self._said[number], self._limit)
            count = self._writer.count
            known = count(whole.proposed.content) - count(self.turns(trial, base).proposed.content)
            self._spared[number, base] = known
        return known
