"""Trials that stay in the store and are fetched when somebody looks at them: the greater part of a long study.

Of each of them a few numbers are kept in memory: where its events are in the log, its id, and a 64-bit digest of its
text, by which a text that comes again is known. Two different texts among a million share one with a probability of
3e-8; then the second is taken for the first.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from hashlib import blake2b
from threading import Lock
from typing import TYPE_CHECKING, Any

from llm_optimize.core.events import Proposed, Told
from llm_optimize.core.hand import REJECTED
from llm_optimize.core.types import Failure, Tally, Trial
from llm_optimize.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from llm_optimize.core.events import Event

__all__ = ["Columns", "Run", "Shelf", "Version", "digest", "merged"]

_PAGE = 256  # trials fetched at a time by who looks at one after another
_CACHED = 2048  # trials looked at singly that are kept

Version = tuple[int, Tally, str | None]
"""What a trial has become: number of the change that made it, its tally, and why it was rejected if it was."""


def digest(text: str) -> int:
    """Return 64 bits that stand for a text.

    Example:
        >>> digest("a") == digest("a") != digest("b")
        True
    """
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


@dataclass(frozen=True, slots=True)
class Run:
    """Digests in ascending order, and beside each the id of the first candidate with that text."""

    digests: array[int]
    ids: array[int]

    @classmethod
    def of(cls, first_by_digest: Mapping[int, int]) -> Run:
        """Return the run of a table."""
        keys = sorted(first_by_digest)
        return cls(array("Q", keys), array("q", map(first_by_digest.__getitem__, keys)))

    def find(self, wanted: int) -> int | None:
        """Return the id beside a digest, or None; O(log n)."""
        at = bisect_left(self.digests, wanted)
        return self.ids[at] if at < len(self.digests) and self.digests[at] == wanted else None


def merged(runs: Sequence[Run]) -> tuple[Run, ...]:
    """Return the same digests in few runs: each at least twice as long as the next, so that a look-up is short."""
    stack: list[Run] = []
    for run in runs:
        stack.append(run)
        while len(stack) > 1 and len(stack[-2].digests) < 2 * len(stack[-1].digests):
            last, before = stack.pop(), stack.pop()
            digests, ids = before.digests + last.digests, before.ids + last.ids
            order = sorted(range(len(digests)), key=digests.__getitem__)
            stack.append(Run(array("Q", map(digests.__getitem__, order)), array("q", map(ids.__getitem__, order))))
    return tuple(stack)


@dataclass(frozen=True, slots=True)
class Columns:
    """A few numbers of each trial.

    Attributes:
        told: by position: the sequence number of its outcome in the log.
        made: by position: that of its proposal.
        ids: by position.
        places: by id: the position, -1 for none.
        arms: by id: index into ``names``, -1 for none; empty where no candidate is of an arm.
        names: of the arms.
        runs: the texts of all candidates, those without an outcome too.
        versions: by position: what a trial has become, oldest first.
    """

    told: array[int] = field(default_factory=lambda: array("q"))
    made: array[int] = field(default_factory=lambda: array("q"))
    ids: array[int] = field(default_factory=lambda: array("q"))
    places: array[int] = field(default_factory=lambda: array("q"))
    arms: array[int] = field(default_factory=lambda: array("h"))
    names: tuple[str, ...] = ()
    runs: tuple[Run, ...] = ()
    versions: Mapping[int, list[Version]] = field(default_factory=dict)


class Shelf:
    """Trials by position, fetched from the log; safe to use from several threads."""

    __slots__ = ("_cache", "_lock", "columns", "fetch")

    def __init__(self, fetch: Callable[[Sequence[int]], Mapping[int, Event]], columns: Columns) -> None:
        """Fetch nothing yet.

        Args:
            fetch: returns the events with these sequence numbers; raises StoreError for those that cannot be read.
            columns: what is known of the trials.
        """
        self.fetch = fetch
        self.columns = columns
        self._cache: dict[int, Trial] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        """Return the number of trials."""
        return len(self.columns.told)

    def at(self, position: int, changes: int) -> Trial:
        """Return the trial at a position as it was after so many changes.

        Raises:
            StoreError: its events cannot be read.
        """
        with self._lock:
            trial = self._cache.get(position)
        if trial is None:
            [trial] = self._fetched(position, position + 1)
            with self._lock:
                if len(self._cache) >= _CACHED:
                    del self._cache[next(iter(self._cache))]
                self._cache[position] = trial
        return self._changed(position, trial, changes)

    def between(self, start: int, stop: int, changes: int) -> Iterator[Trial]:
        """Yield the trials of a stretch in order, some hundreds fetched at a time; none is kept."""
        for first in range(start, stop, _PAGE):
            page = self._fetched(first, min(first + _PAGE, stop))
            for position, trial in enumerate(page, first):
                yield self._changed(position, trial, changes)

    def place(self, candidate_id: int) -> int | None:
        """Return the position of the trial with this id, or None; O(1)."""
        places = self.columns.places
        place = places[candidate_id] if 0 <= candidate_id < len(places) else -1
        return None if place < 0 else place

    def first(self, text: str) -> int | None:
        """Return the id of the first candidate with this text, or None."""
        wanted = digest(text)
        return next((found for run in self.columns.runs if (found := run.find(wanted)) is not None), None)

    def arm(self, candidate_id: int) -> str:
        """Return which part of a mixed proposer a candidate is of, empty for none; O(1)."""
        arms = self.columns.arms
        index = arms[candidate_id] if 0 <= candidate_id < len(arms) else -1
        return self.columns.names[index] if index >= 0 else ""

    def __reduce__(self) -> tuple[Any, ...]:
        """Let the columns travel, not the trials looked at."""
        return Shelf, (self.fetch, self.columns)

    def _changed(self, position: int, trial: Trial, changes: int) -> Trial:
        versions = self.columns.versions.get(position)
        known = bisect_right(versions, changes, key=lambda row: row[0]) if versions else 0
        if not versions or not known:
            return trial
        _, tally, why = versions[known - 1]
        outcome = trial.outcome if why is None else Failure(REJECTED, why, trial.outcome.usage)
        return Trial(trial.candidate, outcome, trial.seconds, tally)

    def _fetched(self, start: int, stop: int) -> list[Trial]:
        told, made = self.columns.told[start:stop], self.columns.made[start:stop]
        events = self.fetch([*told, *made])
        return [_trial(events, *where) for where in zip(told, made, self.columns.ids[start:stop], strict=True)]


def _trial(events: Mapping[int, Event], told: int, made: int, candidate_id: int) -> Trial:
    outcome, proposal = events.get(told), events.get(made)
    if isinstance(outcome, Told) and isinstance(proposal, Proposed) and outcome.candidate_id == candidate_id:
        for candidate in proposal.candidates:
            if candidate.id == candidate_id:
                return Trial(candidate, outcome.outcome, outcome.seconds)
    msg = f"candidate {candidate_id} is not in events {made} and {told} of the log, where it was: restore the file"
    raise StoreError(msg)
