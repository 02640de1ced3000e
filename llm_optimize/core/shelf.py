"""Trials that stay in the store and are fetched when somebody looks at them: the greater part of a long study.

Of each of them a few numbers are kept in memory: where its events are in the log, its id and its score.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING, Any

from llm_optimize.core.events import Proposed, Told
from llm_optimize.core.hand import REJECTED
from llm_optimize.core.types import Failure, Tally, Trial
from llm_optimize.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from llm_optimize.core.events import Event
    from llm_optimize.core.standings import Standing

__all__ = ["Columns", "Shelf", "Version"]

_PAGE = 256  # trials fetched at a time by who looks at one after another
_CACHED = 4096  # trials looked at singly, or in short stretches, that are kept
_SHORT = 128

Version = tuple[int, Tally, str | None]
"""What a trial has become: number of the change that made it, its tally, and why it was rejected if it was."""


@dataclass(frozen=True, slots=True)
class Columns:
    """A few numbers of each trial.

    Attributes:
        told: by position: the sequence number of its outcome in the log.
        made: by position: that of its proposal.
        ids: by position.
        scores: by position: the score of its first evaluation, minus infinity for a failure.
        places: by id: the position, -1 for none.
        arms: by id: index into ``names``, -1 for none.
        names: of the arms.
        versions: by position: what a trial has become, oldest first.
    """

    told: array[int] = field(default_factory=lambda: array("q"))
    made: array[int] = field(default_factory=lambda: array("q"))
    ids: array[int] = field(default_factory=lambda: array("q"))
    scores: array[float] = field(default_factory=lambda: array("d"))
    places: array[int] = field(default_factory=lambda: array("q"))
    arms: array[int] = field(default_factory=lambda: array("h"))
    names: tuple[str, ...] = ()
    versions: dict[int, list[Version]] = field(default_factory=dict)


class Shelf:
    """Trials by position, fetched from the log; safe to use from several threads."""

    __slots__ = ("_cache", "_lock", "columns", "fetch")

    def __init__(
        self,
        fetch: Callable[[Sequence[int]], Mapping[int, Event]],
        columns: Columns,
        known: Mapping[int, Trial] | None = None,
    ) -> None:
        """Fetch nothing yet.

        Args:
            fetch: returns the events with these sequence numbers; raises StoreError for those that cannot be read.
            columns: what is known of the trials.
            known: by position: trials as they were told, which need not be fetched.
        """
        self.fetch = fetch
        self.columns = columns
        self._cache: dict[int, Trial] = dict(known or {})
        self._lock = Lock()

    def __len__(self) -> int:
        """Return the number of trials."""
        return len(self.columns.told)

    def at(self, position: int, changes: int) -> Trial:
        """Return the trial at a position as it was after so many changes.

        Raises:
            StoreError: its events cannot be read.
        """
        [trial] = self._near(position, position + 1)
        return self._changed(position, trial, changes)

    def between(self, start: int, stop: int, changes: int) -> Iterator[Trial]:
        """Yield the trials of a stretch in order, some hundreds fetched at a time; those of a long one are not kept."""
        look = self._near if stop - start <= _SHORT else self._fetched
        for first in range(start, stop, _PAGE):
            page = look(first, min(first + _PAGE, stop))
            for position, trial in enumerate(page, first):
                yield self._changed(position, trial, changes)

    def latest(self, more: Sequence[Trial]) -> dict[int, Trial]:
        """Return what a shelf with these further trials may begin with: the latest of those, and of those known here.

        Args:
            more: the trials that come behind, as they were told.
        """
        with self._lock:
            known = list(self._cache.items())
        few, end = more[-_CACHED // 2 :], len(self) + len(more)
        return dict(known[-_CACHED // 2 :]) | dict(enumerate(few, end - len(few)))

    def standings(self, told: int, changes: int) -> Iterator[Standing]:
        """Yield what the first ``told`` trials with a score have reached after so many changes; none is fetched."""
        versions = self.columns.versions
        for position, score in enumerate(islice(self.columns.scores, told)):
            if score == -math.inf:
                continue
            rows = versions.get(position)
            known = bisect_right(rows, changes, key=lambda row: row[0]) if rows else 0
            if not rows or not known:
                yield score, 1, position
                continue
            _, tally, why = rows[known - 1]
            if why is None:
                yield (tally.mean if tally.squares else score), tally.n or 1, position

    def place(self, candidate_id: int) -> int | None:
        """Return the position of the trial with this id, or None; O(1)."""
        places = self.columns.places
        place = places[candidate_id] if 0 <= candidate_id < len(places) else -1
        return None if place < 0 else place

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

    def _near(self, start: int, stop: int) -> list[Trial]:
        """Return the trials of a short stretch, and keep them at hand."""
        cache = self._cache
        with self._lock:
            found = [cache.get(position) for position in range(start, stop)]
        if all(found):
            return [trial for trial in found if trial is not None]
        fetched = self._fetched(start, stop)
        with self._lock:
            cache.update(enumerate(fetched, start))
            while len(cache) > _CACHED:
                del cache[next(iter(cache))]
        return fetched

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
