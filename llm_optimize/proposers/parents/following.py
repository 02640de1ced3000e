"""An index that follows a history: a cache for policies that need more than the best and the latest trials.

What a policy needs to know of the past is a small immutable value, advanced by one trial at a time. Each trial is
looked at once; after that a prompt costs one step, whatever the number of trials. The value depends on the trials and
their order alone, so it is not state: a fresh index that is given the same history arrives at the same value.

Steps see a trial with the outcome of its *first* evaluation, which never changes but for a candidate that a person
rejects: then all is followed once more. Scores that later evaluations changed
belong to the history; policies look them up there when they choose.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from array import array
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from llm_optimize.core.past import digest

if TYPE_CHECKING:
    from llm_optimize.core.history import History
    from llm_optimize.core.past import Past
    from llm_optimize.core.types import Candidate, Trial

__all__ = ["Following", "first_score"]

_State = TypeVar("_State")

_REMEMBERED = 4096  # candidates seen that are held; of those before a digest is
_LATEST = 64
_MARKS = 32


class Following(ABC, Generic[_State]):
    """Folds the trials of a history into a value, and remembers how far it has come. Safe to use from many threads.

    A history that is shorter than what the index has seen, as another thread may still hold, is answered as if the
    later trials were unknown: at once if at most 64 trials behind, else by going on from one of 32 marks. A history of
    another study, or one that has grown apart, makes it begin anew.
    """

    def __init__(self, *settings: object) -> None:
        """Take what the steps depend on; subclasses give their own names to it, pickles make the index anew from it."""
        self._settings = settings
        self._lock = threading.Lock()
        self._forget()

    def __reduce__(self) -> tuple[object, ...]:
        """Make a pickle of the settings alone: what has been seen can be seen again."""
        return type(self), self._settings

    @abstractmethod
    def begin(self) -> _State:
        """Return the value before the first trial; called again whenever all is to be forgotten."""

    @abstractmethod
    def step(self, state: _State, trial: Trial, position: int) -> _State:
        """Return the value after one more trial, without changing ``state``.

        Args:
            state: the value before.
            trial: as it was told; look at ``trial.outcome``, not at a score that may have changed since.
            position: how many trials came before it.
        """

    def at(self, history: History) -> _State:
        """Return the value for a history."""
        with self._lock:
            trials = history.trials
            told, common = len(trials), min(len(trials), len(self._digests))
            if common and not self._knows(trials, common - 1):
                self._forget()
            if trials.overruled != self._overruled:  # rare: what was rejected is seen as a failure
                self._forget(trials.overruled)
            position, state = self._nearest(told)
            for place, trial in enumerate(trials.onward(position), position):
                state = self.step(state, trial, place)
                if place == len(self._digests):
                    self._digests.append(_digest(trial))
                    self._seen.append(trial.candidate)
                    self._keep(place + 1, state)
            return state

    def _forget(self, overruled: tuple[int, ...] = ()) -> None:
        self._digests = array("Q")
        self._seen: deque[Candidate] = deque(maxlen=_REMEMBERED)
        self._overruled = overruled
        self._latest: dict[int, _State] = {0: self.begin()}
        self._marks: dict[int, _State] = dict(self._latest)
        self._spacing = _LATEST

    def _knows(self, trials: Past, place: int) -> bool:
        """Return whether the trial at a place is the one that was seen there, and so the same past led to it."""
        first = len(self._digests) - len(self._seen)
        if place >= first:
            return trials.holds(self._seen[place - first], place)
        return _digest(trials[place]) == self._digests[place]

    def _nearest(self, told: int) -> tuple[int, _State]:
        """Return the longest remembered beginning of the first ``told`` trials, and its value."""
        length = next((length for length in reversed(self._latest) if length <= told), None)
        if length is not None:
            return length, self._latest[length]
        mark = max(length for length in self._marks if length <= told)
        return mark, self._marks[mark]

    def _keep(self, length: int, state: _State) -> None:
        """Remember the value of the newest beginning; thin out the marks, so that they stay few."""
        self._latest[length] = state
        if len(self._latest) > _LATEST:
            del self._latest[next(iter(self._latest))]
        if length % self._spacing == 0:
            self._marks[length] = state
            if len(self._marks) > _MARKS:
                self._spacing *= 2
                self._marks = {length: kept for length, kept in self._marks.items() if length % self._spacing == 0}


def _digest(trial: Trial) -> int:
    return digest(f"{trial.id} {first_score(trial)} {trial.text}")


def first_score(trial: Trial) -> float | None:
    """Return the score of the first evaluation, None for a failure: it never changes, unlike ``trial.score``."""
    return getattr(trial.outcome, "score", None)
