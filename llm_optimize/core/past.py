"""What successive histories share: the told trials, and what later evaluations made of them."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, overload

from llm_optimize.core.standings import ranked
from llm_optimize.core.types import Trial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_optimize.core.shelf import Shelf
    from llm_optimize.core.standings import Standing
    from llm_optimize.core.types import Candidate

__all__ = ["Past", "Record", "digest"]


def digest(text: str) -> int:
    """Return 64 bits that stand for a text.

    Two different texts among a million share them with a probability of 3e-8; then the second is taken for the first.

    Example:
        >>> digest("a") == digest("a") != digest("b")
        True
    """
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


class Record:
    """A log of trials that only grows, so that many histories may each look at a first part of it.

    A candidate that is evaluated again gets a further version beside the first; each version carries the number of
    the re-test that made it, by which older histories know not to look at it.

    Of a long study the first trials may be on a shelf, in the store; the tables here then hold those behind them.
    """

    __slots__ = (
        "arm_by_id", "first_by_digest", "later", "overruled", "pooled", "position_by_id", "retold", "shelf", "shelved",
        "shelved_changes", "shelved_ids", "told_at", "trials", "version",
    )  # fmt: skip

    def __init__(self, shelf: Shelf | None = None, shelved: tuple[int, int, int] = (0, 0, 0)) -> None:
        """Begin with nothing, or with so many trials, the candidates below an id, and so many changes, of a shelf."""
        self.shelf = shelf
        self.shelved, self.shelved_ids, self.shelved_changes = shelved
        self.trials: list[Trial] = []
        self.first_by_digest: dict[int, int] = {}
        """By digest of its text: the first candidate that has it, those on the shelf too; in the order of their ids."""
        self.position_by_id: dict[int, int] = {}
        self.arm_by_id: dict[int, str] = {}
        """By candidate: the arm that proposed it, where one did."""
        self.later: dict[int, list[tuple[int, Trial]]] = {}
        """By position: (number of the re-test, the trial since), oldest first."""
        self.told_at: list[int] = []
        """By re-test: how many trials had been told when it came."""
        self.retold: list[int] = []
        """By re-test: the position of its trial."""
        self.overruled: list[int] = []
        """The numbers of those changes that were no re-tests: a person rejected the candidate."""
        self.pooled: list[tuple[int, float]] = [(0, 0.0)]
        """By number of re-tests: degrees of freedom and sum of squares of all repeated scores."""
        self.version = 0

    def copy(self, told: int, retests: int, next_id: int, version: int) -> Record:
        """Return a record of its own for a history that no longer shares this one."""
        shelved = min(told, self.shelved), min(next_id, self.shelved_ids), min(retests, self.shelved_changes)
        twin = Record(self.shelf, shelved)
        twin.trials = self.trials[: max(0, told - self.shelved)]
        twin.first_by_digest = {key: id_ for key, id_ in self.first_by_digest.items() if id_ < next_id}
        twin.position_by_id = {id_: position for id_, position in self.position_by_id.items() if position < told}
        twin.arm_by_id = {id_: arm for id_, arm in self.arm_by_id.items() if id_ < next_id}
        for position, versions in self.later.items():
            if kept := [row for row in versions if row[0] <= retests]:
                twin.later[position] = kept
        twin.retold = self.retold[:retests]
        twin.overruled = [number for number in self.overruled if number <= retests]
        twin.told_at, twin.pooled = self.told_at[:retests], self.pooled[: retests + 1]
        twin.version = version
        return twin

    def at(self, position: int, retests: int) -> Trial:
        """Return the trial at a position as it was after so many re-tests."""
        versions = self.later.get(position)
        known = bisect_right(versions, retests, key=lambda row: row[0]) if versions else 0
        if versions and known:
            return versions[known - 1][1]
        if position < self.shelved and self.shelf is not None:
            return self.shelf.at(position, min(retests, self.shelved_changes))
        return self.trials[position - self.shelved]

    def between(self, start: int, stop: int, retests: int) -> Iterator[Trial]:
        """Yield the trials of a stretch in order, as they were after so many re-tests."""
        if self.shelf is not None and start < self.shelved:
            stretch = self.shelf.between(start, min(stop, self.shelved), min(retests, self.shelved_changes))
            for position, trial in enumerate(stretch, start):
                yield self.at(position, retests) if position in self.later else trial
        for position in range(max(start, self.shelved), stop):
            yield self.at(position, retests)

    def standings(self, told: int, retests: int) -> Iterator[Standing]:
        """Yield what the first ``told`` trials with a score have reached after so many re-tests; none is fetched."""
        if self.shelf is not None:
            for row in self.shelf.standings(min(told, self.shelved), min(retests, self.shelved_changes)):
                if row[2] not in self.later:
                    yield row
        later = (at for at in self.later if at < min(told, self.shelved))
        for at in (*later, *range(self.shelved, told)):
            trial = self.at(at, retests)
            if trial.score is not None:
                yield trial.score, trial.n, at

    def position(self, candidate_id: int) -> int | None:
        """Return where the trial of a candidate is, or None; O(1)."""
        if self.shelf is not None and candidate_id < self.shelved_ids:
            place = self.shelf.place(candidate_id)
            if place is not None and place < self.shelved:
                return place
        return self.position_by_id.get(candidate_id)

    def first(self, text: str) -> int | None:
        """Return the id of the first candidate with this text, or None."""
        return self.first_by_digest.get(digest(text))

    def arm(self, candidate_id: int) -> str:
        """Return the arm that proposed a candidate, empty for none."""
        if self.shelf is not None and candidate_id < self.shelved_ids:
            return self.shelf.arm(candidate_id)
        return self.arm_by_id.get(candidate_id, "")

    def sigma(self, retests: int) -> float | None:
        """Return the standard deviation of one evaluation after so many re-tests, pooled; None below one repeat."""
        degrees, squares = self.pooled[retests]
        return math.sqrt(squares / degrees) if degrees else None

    def retested(self, position: int, trial: Trial, told: int, *, overruled: bool = False) -> None:
        """Add the version of a trial that one more re-test has made, or a person who rejected it."""
        degrees, squares = self.pooled[-1]
        before = self.at(position, len(self.told_at)).tally
        gained = trial.tally.n - max(before.n, 1)
        self.told_at.append(told)
        self.retold.append(position)
        self.pooled.append((degrees + max(gained, 0), squares + trial.tally.squares - before.squares))
        self.later.setdefault(position, []).append((len(self.told_at), trial))
        if overruled:
            self.overruled.append(len(self.told_at))


class Past(Sequence[Trial]):
    """The told trials in the order of their arrival; a read-only window on a shared list."""

    __slots__ = ("_length", "_record", "_retests")

    def __init__(self, record: Record, length: int, retests: int = 0) -> None:
        """Look at the first ``length`` items, as they were after so many re-tests."""
        self._record = record
        self._length = length
        self._retests = retests

    def __len__(self) -> int:
        """Return the number of told trials."""
        return self._length

    def holds(self, candidate: Candidate, position: int) -> bool:
        """Return whether the trial at a position is of this very candidate, and so the same past led to it.

        Candidates are never made twice, so that is the same object; one that was fetched from the store is a copy.
        """
        there = self[position].candidate
        return there is candidate or (position < self._record.shelved and there == candidate)

    def ranked(self, k: int, sigma: float | None) -> list[tuple[int, Trial]]:
        """Return the ``k`` best scored trials with their positions, best first, the earlier of equals first.

        Args:
            k: how many.
            sigma: the standard deviation of one evaluation, to rank by lower confidence bounds; None by scores.
        """
        places = ranked(self._record.standings(self._length, self._retests), k, sigma)
        return [(place, self._record.at(place, self._retests)) for place in places]

    def onward(self, start: int) -> Iterator[Trial]:
        """Yield the trials from a position on, oldest first, holding few of them in memory at a time."""
        return self._record.between(start, self._length, self._retests)

    def retold(self, since: int = 0) -> list[int]:
        """Return the positions of all changed trials but the first ``since``, in order; one may come twice."""
        return self._record.retold[since : self._retests]

    @property
    def overruled(self) -> tuple[int, ...]:
        """The positions of the trials that a person has rejected since they were told, in that order."""
        numbers = self._record.overruled
        return tuple(self._record.retold[number - 1] for number in numbers if number <= self._retests)

    @overload
    def __getitem__(self, index: int) -> Trial: ...
    @overload
    def __getitem__(self, index: slice) -> list[Trial]: ...
    def __getitem__(self, index: int | slice) -> Trial | list[Trial]:
        """Return one trial, or a list for a slice; cost in proportion to what is returned."""
        if isinstance(index, slice):
            start, stop, step = index.indices(self._length)
            if step == 1:
                return list(self._record.between(start, stop, self._retests))
            return [self._record.at(i, self._retests) for i in range(start, stop, step)]
        if not -self._length <= index < self._length:
            msg = f"trial {index} of {self._length}"
            raise IndexError(msg)
        return self._record.at(index % self._length, self._retests)

    def __iter__(self) -> Iterator[Trial]:
        """Yield the trials, oldest first."""
        return self._record.between(0, self._length, self._retests)
