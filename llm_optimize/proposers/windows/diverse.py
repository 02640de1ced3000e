"""The best, the latest, the last failed, and good attempts that are far from all of these."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from llm_optimize.core.checks import check_number, check_whole
from llm_optimize.text.sketches import distance, sketch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import EmbeddingModel
    from llm_optimize.core.types import Trial

    Apart = Callable[[Trial, Trial], float]

__all__ = ["Diverse"]

_AMONG = 24  # of the best, and as many of the latest: what is chosen among, which bounds the cost
_FAILURES_AMONG = 50
_MOST = 48  # a history keeps 64 sorted, of which a chat that only grows looks back beyond the latest 16
_VECTORS = 256


@dataclass(frozen=True)
class Diverse:
    """Show what a plain window shows, in smaller numbers, and attempts that differ from it.

    A search that has settled shows a model a dozen variations of one idea; here some places are kept for others. They
    are chosen one after another by maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): the rank of the
    score against the distance to the nearest attempt that is chosen already; with ``quality=0`` it is the
    farthest-first traversal of Gonzalez (1985). Chosen among the 24 best and the 24 latest, so a prompt costs the same
    at any step: at most 1,000 comparisons, each of two integers (:mod:`llm_optimize.text.sketches`).

    Attributes:
        best: how many of the highest scores, 1 to 48.
        recent: how many of the latest.
        failed: how many failures that are not among the latest anyway.
        far: how many attempts that are far from these and from each other.
        quality: weight of the score's rank against the distance, from 0 to 1.
        embedding: measures distance as 1 - cosine between vectors instead of by words; each text is sent once per
            process, on the study's account, and a failing endpoint fails the proposal.

    Raises:
        BadInput: one of these cannot be.

    Example:
        >>> Diverse(best=3, recent=3, failed=0, far=4).rule
        'the 3 best, the 3 latest and 4 that differ most from these'
    """

    best: int = 4
    recent: int = 8
    failed: int = 3
    far: int = 6
    quality: float = 0.3
    embedding: EmbeddingModel | None = None
    _vectors: _Vectors = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be counted."""
        check_whole("window: best", self.best, 1, _MOST)
        for name in ("recent", "failed", "far"):
            check_whole(f"window: {name}", getattr(self, name), 0)
        check_number("window: quality", self.quality, 0, 1)
        object.__setattr__(self, "_vectors", _Vectors())

    @property
    def rule(self) -> str:
        """How the trials are chosen, in words."""
        named = ((self.best, "best"), (self.recent, "latest"), (self.failed, "last failed"))
        words = [f"the {count} {name}" for count, name in named if count]
        words += [f"{self.far} that differ most from these"] if self.far else []
        return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]

    def ranked(self, history: History) -> Sequence[Trial]:
        """Return the trials to show, the most important first.

        Raises:
            ModelError: the embedding model did not answer.
            BudgetExceeded: its call would pass a cap.
        """
        best = history.top(max(self.best, _AMONG))
        tail = history.recent(max(self.recent + self.failed, _FAILURES_AMONG))[::-1]
        recent = tail[: self.recent]
        failed = [trial for trial in tail[len(recent) :] if trial.score is None][: self.failed]
        plain = _once(best[:1], recent[:1], best[1 : self.best], recent, failed) or tail[:1]
        pool = [trial for trial in _once(best[:_AMONG], tail[:_AMONG]) if trial.score is not None]
        return [*plain, *self._far(plain, pool)]

    def _far(self, chosen: Sequence[Trial], pool: Sequence[Trial]) -> list[Trial]:
        """Choose the trials of ``pool`` that are good and far from those chosen, one after another."""
        known = {trial.id for trial in chosen}
        waiting = [trial for trial in pool if trial.id not in known]
        if not self.far or not waiting:
            return []
        apart = self._apart([*chosen, *waiting])
        nearest = {trial.id: min(apart(trial, other) for other in chosen) for trial in waiting}
        ranks = _ranks(pool)
        found: list[Trial] = []
        while waiting and len(found) < self.far:
            pick = max(waiting, key=partial(self._worth, nearest, ranks))
            found.append(pick)
            waiting.remove(pick)
            for trial in waiting:
                nearest[trial.id] = min(nearest[trial.id], apart(trial, pick))
        return found

    def _worth(self, nearest: dict[int, float], ranks: dict[int, float], trial: Trial) -> tuple[float, int]:
        worth = self.quality * ranks[trial.id] + (1 - self.quality) * nearest[trial.id]
        return worth, trial.id  # of equals the latest

    def _apart(self, trials: Sequence[Trial]) -> Apart:
        if self.embedding is None:
            marks = {trial.id: sketch(trial.text) for trial in trials}
            return lambda one, other: distance(marks[one.id], marks[other.id])
        return self._vectors.of(self.embedding, trials)


class _Vectors:
    """Vectors by text: a cache, so that a text is sent once; a pickled one is empty."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def __reduce__(self) -> tuple[type[_Vectors], tuple[()]]:
        return _Vectors, ()

    def of(self, model: EmbeddingModel, trials: Sequence[Trial]) -> Apart:
        """Return the distance between any two of ``trials``, 0 to 1."""
        texts = dict.fromkeys(trial.text for trial in trials)
        known = {text: vector for text, vector in self._known.items() if text in texts}
        missing = [text for text in texts if text not in known]
        if missing:
            known |= zip(missing, map(_unit, model.embed(missing)), strict=True)
            others = [row for row in self._known.items() if row[0] not in texts]
            self._known = dict([*others, *known.items()][-_VECTORS:])

        def apart(one: Trial, other: Trial) -> float:
            return float(1.0 - known[one.text] @ known[other.text]) / 2

        return apart


def _unit(row: Any) -> Any:  # noqa: ANN401 - a row of whatever array type the model returns
    return row / (float(row @ row) ** 0.5 or 1.0)


def _ranks(pool: Sequence[Trial]) -> dict[int, float]:
    """Return each trial's place by score, from 0 for the lowest to 1 for the highest; equal scores share one."""
    scores = sorted({trial.score for trial in pool if trial.score is not None})
    place = {score: number / max(len(scores) - 1, 1) for number, score in enumerate(scores)}
    return {trial.id: place[trial.score] for trial in pool if trial.score is not None}


def _once(*groups: Sequence[Trial]) -> list[Trial]:
    return list({trial.id: trial for trial in chain(*groups)}.values())
