"""The trials of a study by structure: texts that differ in their tunable values only belong together.

A cache, not state: everything here follows from the history alone, and is rebuilt when another history comes. It
exists because a step's cost must not grow with the number of trials; each trial is looked at once.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from llm_optimize.proposers.rankings import Ranking
from llm_optimize.text.domains import Choice, Tune
from llm_optimize.text.tunables import find, skeleton

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Candidate, Trial
    from llm_optimize.text.domains import Value
    from llm_optimize.text.tunables import Holes

__all__ = ["NUMERIC", "Group", "Standing", "StructureIndex", "is_numeric"]

NUMERIC = "numeric:"
"""What the origin of a candidate that a numeric engine made begins with."""

_BEST_KEPT = 200
_LATEST_KEPT = 800
_BLOCK = 200
_TOP = 32
_LATEST_IDEAS = 16
_IDLE = 3


@dataclass(frozen=True, slots=True)
class Group:
    """What a history knows of one structure.

    Attributes:
        key: the skeleton that its texts share.
        base: its best trial, the earliest of equals; the first one while none has a score.
        holes: the holes of the base's text.
        told: (values, score) in order of arrival, score None for a failure; the best and the latest of a long list.
        tuned: ids of its candidates that a numeric engine made, pending ones included; the latest of a long list.
        tuned_count: how many of these there are in all.
        pending: values under evaluation.
    """

    key: str
    base: Trial
    holes: Holes
    told: tuple[tuple[tuple[Value, ...], float | None], ...]
    tuned: tuple[int, ...]
    tuned_count: int
    pending: tuple[tuple[Value, ...], ...]


def is_numeric(candidate: Candidate) -> bool:
    """Return whether a numeric engine made the candidate."""
    return candidate.origin.startswith(NUMERIC)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a structure stands among those that were written lately; cheap to make, unlike its :class:`Group`.

    Attributes:
        key: the skeleton that its texts share.
        holes: how many values may be tuned.
        best: its best score as it is now.
        tuned: how many candidates of it a numeric engine made that have an outcome.
        under_way: how many more are being evaluated.
    """

    key: str
    holes: int
    best: float
    tuned: int
    under_way: int


@dataclass(slots=True)
class _Structure:
    """The trials of one structure, in order of arrival; ``positions`` and ``values`` run in parallel.

    ``tuned_before[i]`` counts those of the first i that a numeric engine made.
    """

    holes: int
    positions: list[int] = field(default_factory=list)
    values: list[tuple[Value, ...] | None] = field(default_factory=list)
    tuned_ids: list[int] = field(default_factory=list)
    tuned_before: list[int] = field(default_factory=lambda: [0])
    ranking: Ranking = field(default_factory=Ranking)

    def known(self, told: int) -> int:
        """Return how many of them a history with that many told trials knows."""
        return bisect_left(self.positions, told)


class StructureIndex:
    """Sorts the trials of a history by structure. Safe to use from many threads."""

    def __init__(self, tune: Tune) -> None:
        """Look for what ``tune`` and the comments in a text say."""
        self._tune = tune
        self._lock = threading.Lock()
        self._forget()

    def best(self, history: History) -> Group | None:
        """Return the structure of the best trial that has something to tune, or None.

        While no such trial has a score, it is the structure of the earliest trial with something to tune; while one is
        pinned by hand, it is that one's.
        """
        with self._lock:
            self._follow(history)
            pinned = None if history.hand.pinned is None else history.trial(history.hand.pinned)
            if pinned is not None:
                structure = self._structure_of(pinned.text)
                return self._group(history, structure) if structure.holes else None
            for trial in history.top(_TOP):
                structure = self._structure_of(trial.text)
                if structure.holes:
                    return self._group(history, structure)
            ranked = self._tunable.positions(history, self._changed_since(history))
            position = next(ranked, next(iter(self._first_tunable), None))
            if position is None or position >= len(history.trials):
                return None
            return self._group(history, self._structure_of(history.trials[position].text))

    def group(self, history: History, key: str) -> Group:
        """Return what ``history`` knows of the structure ``key``, which one of its trials has."""
        with self._lock:
            self._follow(history)
            return self._group(history, self._structures[key])

    def latest(self, history: History) -> list[Standing]:
        """Return where the structures of the latest scored trials stand that no numeric engine made, newest first.

        Those with something to tune, of the latest 16 such trials.
        """
        with self._lock:
            self._follow(history)
            known = bisect_left(self._ideas, len(history.trials))
            latest = [history.trials[i] for i in reversed(self._ideas[max(0, known - _LATEST_IDEAS) : known])]
            keys = dict.fromkeys(self._key(trial.text) for trial in latest if trial.score is not None)
            waiting = Counter(self._key(one.text) for one in history.pending if is_numeric(one))
            found = ((key, self._structures[key]) for key in keys)
            return [self._standing(history, key, one, waiting[key]) for key, one in found if one.holes]

    def idle(self, history: History) -> int:
        """Return how many of the latest candidates that no numeric engine made, up to 3 in a row, brought nothing.

        Neither a new structure nor the best values of a known one: that is work for an engine.
        """
        with self._lock:
            self._follow(history)
            known = bisect_left(self._ideas, len(history.trials))
            latest = reversed(self._ideas[max(0, known - _IDLE) : known])
            return sum(1 for _ in takewhile(lambda position: self._brought_nothing(history, position), latest))

    def _brought_nothing(self, history: History, position: int) -> bool:
        structure = self._structures[self._keys[position]]
        return structure.positions[0] < position and next(self._ranked(history, structure), None) != position

    def matches(self, key: str, text: str) -> bool:
        """Return whether ``text`` has the structure ``key``."""
        return self._key(text) == key

    # --- following a history; the lock is held ------------------------------------------------------------------

    def _forget(self, overruled: tuple[int, ...] = ()) -> None:
        self._trials: list[Trial] = []
        self._keys: list[str] = []
        self._scores: dict[int, float] = {}
        self._retold: list[int] = []
        self._overruled = overruled
        self._structures: dict[str, _Structure] = {}
        self._ideas: list[int] = []
        self._tunable = Ranking()
        self._first_tunable: list[int] = []

    def _follow(self, history: History) -> None:
        trials = history.trials
        common = min(len(trials), len(self._trials))
        # Trials are never made twice, so the same object at the same place means the same past before it.
        if common and self._trials[common - 1].candidate is not trials[common - 1].candidate:
            self._forget()
        # A rejected trial loses its place in every ranking; that is rare, so all is followed once more.
        if trials.overruled != self._overruled:
            self._forget(trials.overruled)
        again = min(history.revisions, len(self._retold))
        if again and trials.retold(again - 1)[:1] != self._retold[again - 1 : again]:
            self._forget()
        for position in range(len(self._trials), len(trials)):
            self._take(trials[position], position)
        for position in trials.retold(len(self._retold)):
            self._retold.append(position)
            self._rerank(position, trials[position].score)

    def _take(self, trial: Trial, position: int) -> None:
        holes = find(trial.text, self._tune, strict=False)
        key = skeleton(trial.text, holes)
        structure = self._structures.setdefault(key, _Structure(len(holes)))
        structure.positions.append(position)
        structure.values.append(_values(holes))
        numeric = is_numeric(trial.candidate)
        if numeric:
            structure.tuned_ids.append(trial.id)
        structure.tuned_before.append(structure.tuned_before[-1] + numeric)
        self._trials.append(trial)
        self._keys.append(key)
        if not numeric:
            self._ideas.append(position)
        if holes and not self._first_tunable:
            self._first_tunable.append(position)
        if trial.score is not None:
            self._scores[position] = trial.score
            for ranking in self._rankings(structure):
                ranking.add(position, trial.score)

    def _rerank(self, position: int, score: float | None) -> None:
        before = self._scores.get(position)
        if before is None or score is None:
            return  # it failed, or was rejected: then it was in no ranking when it was taken
        self._scores[position] = score
        for ranking in self._rankings(self._structures[self._keys[position]]):
            ranking.move(position, before, score)

    def _rankings(self, structure: _Structure) -> tuple[Ranking, ...]:
        return (structure.ranking, self._tunable) if structure.holes else (structure.ranking,)

    def _changed_since(self, history: History) -> frozenset[int]:
        """Return the positions whose scores were changed by what ``history`` does not know."""
        return frozenset(self._retold[history.revisions :])

    def _key(self, text: str) -> str:
        return skeleton(text, find(text, self._tune, strict=False))

    def _structure_of(self, text: str) -> _Structure:
        return self._structures[self._key(text)]

    def _ranked(self, history: History, structure: _Structure) -> Iterator[int]:
        return structure.ranking.positions(history, self._changed_since(history))

    def _standing(self, history: History, key: str, structure: _Structure, under_way: int) -> Standing:
        first = next(self._ranked(history, structure), None)
        score = None if first is None else history.trials[first].score
        tuned = structure.tuned_before[structure.known(len(history.trials))]
        return Standing(key, structure.holes, -math.inf if score is None else score, tuned, under_way)

    def _group(self, history: History, structure: _Structure) -> Group:
        """Return what ``history`` knows; the index may have seen more, from a later history of the same study."""
        trials = history.trials
        known = structure.known(len(trials))
        ranked = list(islice(self._ranked(history, structure), _BEST_KEPT))
        base = trials[ranked[0] if ranked else structure.positions[0]]
        holes = find(base.text, self._tune, strict=False)
        key = skeleton(base.text, holes)
        # In blocks, so that an engine which replays its data sees the same beginning for a while.
        start = max(0, known - known % _BLOCK - _LATEST_KEPT)
        earlier = (bisect_left(structure.positions, position) for position in ranked)
        kept = [*sorted(i for i in earlier if i < start), *range(start, known)]
        seen = ((structure.values[i], trials[structure.positions[i]].score) for i in kept)
        told = tuple((values, score) for values, score in seen if values is not None)
        waiting = [candidate for candidate in history.pending if self._key(candidate.text) == key]
        pending = [_values(find(candidate.text, self._tune, strict=False)) for candidate in waiting]
        count = structure.tuned_before[known]
        underway = [candidate.id for candidate in waiting if is_numeric(candidate)]
        tuned = (*structure.tuned_ids[max(0, count - _LATEST_KEPT) : count], *underway)
        values = tuple(one for one in pending if one is not None)
        return Group(key, base, holes, told, tuned, count + len(underway), values)


def _values(holes: Holes) -> tuple[Value, ...] | None:
    """Return the values inside their domains; None when an option is none of those on offer: it says nothing."""
    if any(isinstance(hole.domain, Choice) and hole.current not in hole.domain.options for hole in holes):
        return None
    return tuple(hole.domain.clip(hole.current) for hole in holes)
