"""Which idea came from which: the candidates as a graph of chains, one lane for each, the best one's first."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from llm_optimize.core.standings import ranked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial

__all__ = ["ancestry", "lineage"]

_MOST = 240  # nodes that a drawing shows
_DEEPEST = 1000  # ancestors; a long study's are in the store, from where each is fetched


def ancestry(history: History, candidate_id: int, most: int = _DEEPEST) -> list[int]:
    """Return the ids from the first known ancestor down to the candidate itself; of very many the nearest."""
    return list(islice(_upwards(history, candidate_id), most))[::-1]


def _upwards(history: History, candidate_id: int) -> Iterator[int]:
    """Yield the candidate's id, its parent's, and so on."""
    passed: set[int] = set()
    trial = history.trial(candidate_id)
    while trial is not None and trial.id not in passed:
        passed.add(trial.id)
        yield trial.id
        parent = trial.candidate.parent
        trial = None if parent is None else history.trial(parent)


def lineage(history: History, trials: Iterable[Trial] | None = None, most: int = _MOST) -> dict[str, Any]:
    """Return the graph, or its most important part: the best candidates and all their ancestors.

    Args:
        history: the study's.
        trials: those to draw; all by default.
        most: nodes that are drawn.

    Returns:
        ``best``: the best one's ancestry, oldest first. ``nodes``: [id, place, lane, parent or None], ordered by id,
        places 0, 1, ...; a candidate continues its parent's lane if it leads on to the best of its descendants.
        ``of``: how many candidates there are in all. ``linked``: how many of them have a parent.
    """
    trials = sorted(history.trials if trials is None else trials, key=lambda trial: trial.id)
    linked = sum(trial.candidate.parent is not None for trial in trials)
    best = [] if history.best is None else ancestry(history, history.best.id)
    kept = {trial.id for trial in trials} if len(trials) <= most else _important(history, trials, best, most)
    shown = [trial for trial in trials if trial.id in kept]
    return {"best": best, "nodes": _placed(shown, best), "of": len(history.trials), "linked": linked}


def _important(history: History, trials: Sequence[Trial], best: Sequence[int], most: int) -> set[int]:
    kept = set(best[-most:])
    standings = ((one.score, one.tally.n or 1, at) for at, one in enumerate(trials) if one.score is not None)
    for trial in (trials[at] for at in ranked(standings, most, history.sigma)):
        if (room := most - len(kept)) <= 0:
            break
        # With a candidate all its ancestors are kept, so a line need be followed only up to one, or past the room.
        line: list[int] = []
        for one in _upwards(history, trial.id):
            if one in kept or len(line) > room:
                break
            line.append(one)
        if len(line) <= room:
            kept |= set(line)
    return kept


def _placed(trials: Sequence[Trial], best: Sequence[int]) -> list[list[int | None]]:
    place = {trial.id: number for number, trial in enumerate(trials)}
    parent = {one.id: one.candidate.parent if one.candidate.parent in place else None for one in trials}
    heirs, last = _heirs(trials, parent, set(best))
    ends: list[int] = []  # by lane: the place up to which it is taken
    lane: dict[int, int] = {}
    first = [one.id for one in trials if one.id in set(best)][:1]
    for one in [*first, *(trial.id for trial in trials if trial.id not in first)]:
        above = parent[one]
        if above is not None and heirs.get(above) == one and above in lane:
            lane[one] = lane[above]
            continue
        begins = place[one] if above is None else place[above]
        free = next((number for number, end in enumerate(ends) if end < begins), len(ends))
        ends[free : free + 1] = [last[one]]
        lane[one] = free
    return [[one.id, place[one.id], lane[one.id], parent[one.id]] for one in trials]


def _heirs(
    trials: Sequence[Trial], parent: dict[int, int | None], best: set[int]
) -> tuple[dict[int, int], dict[int, int]]:
    """Return, by id, the child that continues its lane, and the place at which the lane that it begins ends."""
    worth: dict[int, tuple[bool, float]] = {}
    heirs: dict[int, int] = {}
    last: dict[int, int] = {}
    for place, trial in reversed(list(enumerate(trials))):
        one, heir = trial.id, heirs.get(trial.id)
        own = (one in best, float("-inf") if trial.score is None else trial.score)
        worth[one] = own if heir is None else max(own, worth[heir])
        last[one] = place if heir is None else last[heir]
        above = parent[one]
        if above is not None and (above not in heirs or worth[one] >= worth[heirs[above]]):
            heirs[above] = one
    return heirs, last
