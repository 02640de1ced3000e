"""One line about a study, for listings."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["StudyInfo"]


@dataclass(frozen=True, slots=True)
class StudyInfo:
    """What a listing shows of one study.

    Attributes:
        name: the study's name in its store.
        trials: evaluations told, failures included.
        best_score: of the candidate to trust, or None while nothing has a score. It is the highest score; where
            candidates were evaluated again, what a result reports, see :func:`~..core.verdict.best_score`.
        last_reason: why the last session ended; None while one is open, and after one that was killed.
        opened_at: the earliest time among its events, in seconds since the epoch.
        updated_at: the latest time among its events, in seconds since the epoch.
        owner_pid: the process that runs it now (on whatever host), or None.
    """

    name: str
    trials: int
    best_score: float | None
    last_reason: str | None
    opened_at: float
    updated_at: float
    owner_pid: int | None = None
