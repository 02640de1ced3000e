"""The trials of a study by structure: texts that differ in their tunable values only belong together.

A cache, not state: everything here follows from the history alone, and is rebuilt when another history comes. It
exists because a step's cost must not grow with the number of trials; each trial is looked at once.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from llm_optimize.text.domains import Choice, Tune
from llm_optimize.text.tunables import find, skeleton

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Candidate, Trial
    from llm_optimize.text.domains import Value
    from llm_optimize.text.tunables import Holes

__all__ = ["NUMERIC", "Group", "StructureIndex", "is_numeric"]

NUMERIC = "numeric:"
"""What the origin of a candidate that a numeric engine made begins with."""

_BEST_KEPT = 200
_LATEST_KEPT = 800
_BLOCK = 200
_TOP = 32
_LATEST_IDEAS = 16


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


@dataclass(slots=True)
class _Structure:
    """The trials of one structure, in order of arrival; ``positions`` and ``told`` run in parallel.

    ``tuned_before[i]`` counts those of the first i that a numeric engine made; ``ranking`` holds (-score, i), sorted.
    """

    holes: int
    positions: list[int] = field(default_factory=list)
    told: list[tuple[tuple[Value, ...] | None, float | None]] = field(default_factory=list)
    tuned_ids: list[int] = field(default_factory=list)
    tuned_before: list[int] = field(default_factory=lambda: [0])
    ranking: list[tuple[float, int]] = field(default_factory=list)

    def known(self, told: int) -> int:
        """Return how many of them a history with that many told trials knows."""
        return bisect_left(self.positions, told)

    def tuned(self, told: int) -> int:
        """Return how many of those a numeric engine made."""
        return self.tuned_before[self.known(told)]

    def best(self, told: int) -> float:
        """Return the best of their scores, minus infinity without one."""
        known = self.known(told)
        return next((-score for score, i in self.ranking if i < known), float("-inf"))


class StructureIndex:
    """Sorts the trials of a history by structure. Safe to use from many threads."""

    def __init__(self, tune: Tune) -> None:
        """Look for what ``tune`` and the comments in a text say."""
        self._tune = tune
        self._lock = threading.Lock()
        self._forget()

    def best(self, history: History) -> Group | None:
        """Return the structure of the best trial that has something to tune, or None.

        While no such trial has a score, it is the structure of the earliest trial with something to tune.
        """
        with self._lock:
            self._follow(history)
            told = len(history.trials)
            for trial in history.top(_TOP):
                structure = self._structure_of(trial.text)
                if structure.holes:
                    return self._group(history, structure)
            tunable = (one for one in self._structures.values() if one.holes and one.positions[0] < told)
            ranked = ((one.best(told), -one.positions[0], i, one) for i, one in enumerate(tunable))
            found = max(ranked, default=None, key=lambda row: row[:3])
            return self._group(history, found[3]) if found else None

    def latest_ideas(self, history: History, share: Callable[[int], int]) -> list[Group]:
        """Return the structures of the latest scored trials that no numeric engine made, the newest first.

        Only those that have had fewer numeric candidates than ``share`` of their number of holes.
        """
        with self._lock:
            self._follow(history)
            known = bisect_left(self._ideas, len(history.trials))
            latest = [history.trials[i] for i in reversed(self._ideas[max(0, known - _LATEST_IDEAS) : known])]
            keys = dict.fromkeys(self._key(trial.text) for trial in latest if trial.score is not None)
            found = (self._structures[key] for key in keys)
            short = (one for one in found if one.holes and one.tuned(len(history.trials)) < share(one.holes))
            groups = [self._group(history, structure) for structure in short]
            return [group for group in groups if group.tuned_count < share(len(group.holes))]

    def matches(self, key: str, text: str) -> bool:
        """Return whether ``text`` has the structure ``key``."""
        return self._key(text) == key

    # --- following a history; the lock is held ------------------------------------------------------------------

    def _forget(self) -> None:
        self._trials: list[Trial] = []
        self._structures: dict[str, _Structure] = {}
        self._ideas: list[int] = []

    def _follow(self, history: History) -> None:
        trials = history.trials
        common = min(len(trials), len(self._trials))
        # Trials are never made twice, so the same object at the same place means the same past before it.
        if common and self._trials[common - 1].candidate is not trials[common - 1].candidate:
            self._forget()
        for position in range(len(self._trials), len(trials)):
            self._take(trials[position], position)

    def _take(self, trial: Trial, position: int) -> None:
        holes = find(trial.text, self._tune, strict=False)
        structure = self._structures.setdefault(skeleton(trial.text, holes), _Structure(len(holes)))
        if trial.score is not None:
            insort(structure.ranking, (-trial.score, len(structure.positions)))
        structure.positions.append(position)
        structure.told.append((_values(holes), trial.score))
        numeric = is_numeric(trial.candidate)
        if numeric:
            structure.tuned_ids.append(trial.id)
        structure.tuned_before.append(structure.tuned_before[-1] + numeric)
        self._trials.append(trial)
        if not numeric:
            self._ideas.append(position)

    def _key(self, text: str) -> str:
        return skeleton(text, find(text, self._tune, strict=False))

    def _structure_of(self, text: str) -> _Structure:
        return self._structures[self._key(text)]

    def _group(self, history: History, structure: _Structure) -> Group:
        """Return what ``history`` knows; the index may have seen more, from a later history of the same study."""
        known = structure.known(len(history.trials))
        ranked = list(islice((i for _, i in structure.ranking if i < known), _BEST_KEPT))
        trials = history.trials
        # The index ranks by first scores; those of candidates that were tested again have changed since.
        first = max(ranked, key=lambda i: (trials[structure.positions[i]].score, -i), default=0)
        base = trials[structure.positions[first]]
        holes = find(base.text, self._tune, strict=False)
        key = skeleton(base.text, holes)
        # In blocks, so that an engine which replays its data sees the same beginning for a while.
        start = max(0, known - known % _BLOCK - _LATEST_KEPT)
        kept = [*sorted(i for i in ranked if i < start), *range(start, known)]
        seen = ((structure.told[i][0], trials[structure.positions[i]].score) for i in kept)
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
