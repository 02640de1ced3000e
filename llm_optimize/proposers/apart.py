"""The past as it would be had one arm of a portfolio been alone: what a fair comparison of arms needs.

A cache, not state: everything here follows from the history alone, and is rebuilt when another history comes.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from dataclasses import replace
from typing import TYPE_CHECKING

from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Evaluation

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_optimize.core.types import Candidate, Outcome, Trial

__all__ = ["OwnPast"]

_KEPT = 64  # pasts that are kept for proposals which began a little earlier; an older one is folded anew


class OwnPast:
    """Folds the trials of one arm, and those that no arm made, into a history. Safe to use from many threads.

    Each trial is looked at once, but for studies that evaluate candidates again: then the past is folded anew after
    each repeated evaluation, as it is after each candidate that a person rejects.
    """

    def __init__(self, arm: str) -> None:
        """Follow the arm of this name."""
        self._arm = arm
        self._lock = threading.Lock()
        self._forget()

    def __reduce__(self) -> tuple[Callable[..., OwnPast], tuple[str]]:
        """Pickle without what is remembered."""
        return OwnPast, (self._arm,)

    def of(self, history: History) -> History:
        """Return the history without what other arms made: ids, seed, slot, guidance and cost are as they were.

        Its ``seen`` knows the texts of all arms, since the study evaluates none of them twice: an arm that comes to the
        text of another is asked for a different one, and does not learn the score.
        """
        with self._lock:
            self._follow(history)
            own = self._at(history)
        mine = tuple(one for one in history.pending if self._is_mine(history, one.id))
        heard = tuple(bisect_left(self._mine, told) for told in history.guided)
        return replace(
            own, problem=history.problem, seed=history.seed, slot=history.slot, pending=mine, guidance=history.guidance,
            guided=heard, usage=history.usage, next_id=history.next_id, fruitless=history.fruitless,
            account=history.account, born=history.born, arms=history.arms, hand=history.hand, _slots=history._slots,  # noqa: SLF001 - a history made of another one
        )  # fmt: skip

    def _forget(self) -> None:
        self._candidates: list[Candidate] = []
        self._revisions = 0
        self._mine: list[int] = []
        self._pasts: dict[int, History] = {0: History.empty()}

    def _is_mine(self, history: History, candidate_id: int) -> bool:
        path = history.arm(candidate_id)
        return not path or self._arm in path.split("/")

    def _follow(self, history: History) -> None:
        trials = history.trials
        common = min(len(trials), len(self._candidates))
        # Candidates are never made twice, so the same object at the same place means the same past before it.
        other = common and self._candidates[common - 1] is not trials[common - 1].candidate
        if other or history.revisions != self._revisions:
            self._forget()
            self._revisions = history.revisions
        for position in range(len(self._candidates), len(trials)):
            self._candidates.append(trials[position].candidate)
            known = len(self._mine)
            if not self._is_mine(history, trials[position].id):
                self._pasts[known] = _knowing(self._pasts[known], self._candidates[-1])
            else:
                self._pasts[known + 1] = _with(self._pasts[known], trials[position], history)
                self._pasts.pop(known + 1 - _KEPT, None)
                self._mine.append(position)

    def _at(self, history: History) -> History:
        """Return the past that the arm had when the history was as long as it is."""
        known = bisect_left(self._mine, len(history.trials))
        if known in self._pasts:
            return self._pasts[known]
        past = History.empty()
        for position in self._mine[:known]:
            past = _with(past, history.trials[position], history)
        return past


def _with(past: History, trial: Trial, history: History) -> History:
    past = past if past.trials else past.after(Opened(history.problem, history.seed))
    proposed = Proposed((trial.candidate,), arm=history.arm(trial.id))
    return past.after(proposed).after(Told(trial.id, _outcome(trial), trial.seconds))


def _knowing(past: History, candidate: Candidate) -> History:
    """Return the past with a text that another arm proposed: known, without an outcome, and waited for by nobody."""
    return replace(past.after(Proposed((candidate,))), pending=())


def _outcome(trial: Trial) -> Outcome:
    """Return the outcome, with the mean of all scores of a candidate that was evaluated again."""
    outcome, score = trial.outcome, trial.score
    return replace(outcome, score=score) if isinstance(outcome, Evaluation) and score is not None else outcome
