"""Which part of a mixed proposer brought what: folded from the log, so that a choice between parts can learn from it.

A proposer made of several (:mod:`llm_optimize.proposers.portfolio`) names the one that it asked, its *arm*, in the
proposal; the word is that of the bandit literature. Arms of arms are written as a path, ``search/edits``. What an arm
brought is counted in a way that does not depend on the scale of the scores, and costs O(number of arms) per event.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llm_optimize.core.types import Failure, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.core.types import Outcome, Trial

__all__ = ["Arm", "after_proposed", "after_told", "gain", "joined"]

_REMEMBERED = 64
_AMONG = 16


@dataclass(frozen=True, slots=True)
class Arm:
    """What one arm has brought so far.

    Attributes:
        proposals: of it that the log shows.
        candidates: that came of them.
        told: how many of these have an outcome.
        failures: how many of those failed.
        improvements: how many were the best of the study when they were told.
        empty: proposals without a candidate.
        barren: how many of these in a row, up to now.
        gain: the sum of :func:`gain` over the told ones; each adds 0 to 1.
        best: the highest score when it was told, None without one.
        usage: what its proposals cost.
        scoring: what the model calls of the scorer cost for its candidates, repeated evaluations not included.
        flying: proposals under way that the log does not show; a history holds none, who looks ahead adds them.
        plays: (how many plays all arms beside it had had, itself included; the gain) of its latest plays, oldest
            first. A play is a told candidate or an empty proposal.
    """

    proposals: int = 0
    candidates: int = 0
    told: int = 0
    failures: int = 0
    improvements: int = 0
    empty: int = 0
    barren: int = 0
    gain: float = 0.0
    best: float | None = None
    usage: Usage = Usage()
    scoring: Usage = Usage()
    flying: int = 0
    plays: tuple[tuple[int, float], ...] = ()

    @property
    def asked(self) -> int:
        """Proposals, those under way included."""
        return self.proposals + self.flying

    @property
    def played(self) -> int:
        """Plays in all: told candidates and empty proposals."""
        return self.told + self.empty

    @property
    def cost(self) -> Usage:
        """What it has cost in all."""
        return self.usage + self.scoring

    def begun(self) -> Arm:
        """Return the arm with one more proposal under way."""
        return replace(self, flying=self.flying + 1)

    def proposed(self, usage: Usage, candidates: int, tick: int) -> Arm:
        """Return the arm after a proposal of so many candidates; ``tick`` counts the plays up to now."""
        after = replace(
            self,
            proposals=self.proposals + 1,
            candidates=self.candidates + candidates,
            usage=self.usage + usage,
            empty=self.empty + (not candidates),
            barren=0 if candidates else self.barren + 1,
        )
        return after if candidates else replace(after, plays=_latest(self.plays, (tick, 0.0)))

    def scored(self, outcome: Outcome, gained: float, tick: int, *, improved: bool) -> Arm:
        """Return the arm after the outcome of one of its candidates."""
        failed = isinstance(outcome, Failure)
        score = None if isinstance(outcome, Failure) else float(outcome.score)
        return replace(
            self,
            told=self.told + 1,
            failures=self.failures + failed,
            improvements=self.improvements + improved,
            gain=self.gain + gained,
            best=max((known for known in (self.best, score) if known is not None), default=None),
            scoring=self.scoring + outcome.usage,
            plays=_latest(self.plays, (tick, gained)),
        )


def gain(top: Sequence[Trial], outcome: Outcome) -> float:
    """Return what an outcome is worth beside the best trials before it, 0 to 1, whatever the scale of the scores.

    An improvement by d, where the best scores (16 at most) lie within s, counts d / (d + s): a half for a step as long
    as the leaders are apart, nearly 1 for a leap, little for a crumb. What is no improvement counts 0, the first score
    at all 1. Unlike the raw improvement it does not fade while a search closes in, since the leaders close in as well.

    Args:
        top: the best trials before it, best first.
        outcome: of the new one.

    Example:
        >>> from llm_optimize.core.types import Candidate, Evaluation, Trial
        >>> top = [Trial(Candidate(0, "a"), Evaluation(3.0)), Trial(Candidate(1, "b"), Evaluation(1.0))]
        >>> gain(top, Evaluation(5.0)), gain(top, Evaluation(2.0))
        (0.5, 0.0)
    """
    if isinstance(outcome, Failure):
        return 0.0
    scores = [trial.score for trial in top[:_AMONG] if trial.score is not None]
    if not scores:
        return 1.0
    # In parts of the larger one, so that neither difference can overflow.
    scale = max(abs(outcome.score), *map(abs, scores)) or 1.0
    step = outcome.score / scale - scores[0] / scale
    return step / (step + scores[0] / scale - min(scores) / scale) if step > 0 else 0.0


def after_proposed(arms: Mapping[str, Arm], name: str, usage: Usage, candidates: int) -> Mapping[str, Arm]:
    """Return the arms after a proposal of the arm ``name``, and so of those that it is an arm of."""
    changed = dict(arms)
    for path in _paths(name):
        changed[path] = arms.get(path, Arm()).proposed(usage, candidates, _tick(arms, path))
    return changed


def after_told(
    arms: Mapping[str, Arm], name: str, outcome: Outcome, gained: float, *, improved: bool
) -> Mapping[str, Arm]:
    """Return the arms after the outcome of a candidate of the arm ``name``."""
    changed = dict(arms)
    for path in _paths(name):
        changed[path] = arms.get(path, Arm()).scored(outcome, gained, _tick(arms, path), improved=improved)
    return changed


def joined(outer: str, inner: str) -> str:
    """Return the path of an arm within an arm.

    Example:
        >>> joined("search", "edits"), joined("search", "")
        ('search/edits', 'search')
    """
    return f"{outer}/{inner}" if inner else outer


def _paths(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[: i + 1]) for i in range(len(parts))] if name else []


def _tick(arms: Mapping[str, Arm], path: str) -> int:
    """Return the number of plays of the arms beside ``path``, and its own, this one included."""
    above, _, _ = path.rpartition("/")
    return 1 + sum(arm.played for other, arm in arms.items() if other.rpartition("/")[0] == above)


def _latest(plays: tuple[tuple[int, float], ...], play: tuple[int, float]) -> tuple[tuple[int, float], ...]:
    return (*plays[1 - _REMEMBERED :], play)
