"""Which pair is tried next: the next of a grid, or what an engine makes of the results so far.

Both are functions of the history and of the proposal's slot alone. With the turns of :mod:`llm_optimize.sweep.turns`
a search with several requests in flight makes the same ones each time.
"""

from __future__ import annotations

import math
import random
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from llm_optimize.core.types import Draft, Evaluation, Proposal
from llm_optimize.proposers.engines import choose_engine, suggest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_optimize.core.history import History
    from llm_optimize.sweep.permutation import Permutation
    from llm_optimize.sweep.space import Space
    from llm_optimize.text.domains import Value

__all__ = ["GridWalk", "SettingsSearch", "measured_noise"]

_ATTEMPTS = 2
_RANDOM_ATTEMPTS = 256
_FAILED = 0.1  # how far below the worst similarity a failure counts, as a share of the range
_DONE = "every combination was tried"


@dataclass(frozen=True, slots=True)
class GridWalk:
    """Proposes the pairs of a grid, in order or in that of a permutation, one for each slot.

    Attributes:
        space: the pairs; each axis has steps.
        count: how many of them.
        order: which comes at a place; None for the grid's own order.
    """

    space: Space
    count: int
    order: Permutation | None = None

    def propose(self, history: History, n: int) -> Proposal:  # noqa: ARG002 - one for each slot
        """Return the pair of the history's slot, none beyond the last."""
        place = history.slot
        if place >= self.count:
            return Proposal((), note=_DONE)
        call = self.space.call(place if self.order is None else self.order(place))
        return Proposal((Draft(call.text, origin="grid" if self.order is None else "sample"),))


@dataclass(frozen=True, slots=True)
class SettingsSearch:
    """Proposes the pair that a numeric engine expects most of.

    The first ``init_points`` are a Latin hypercube (McKay et al., Technometrics 21, 1979). Whole numbers, steps and
    lists are the engine's as indices, so that what it is told is exactly what was sent. Pairs under evaluation are
    kept away from, and no pair is proposed twice.

    Attributes:
        space: the pairs.
        engine: one of :data:`~llm_optimize.proposers.engines.ENGINES`.
        init_points: how many pairs come before the engine is asked.
        failed: what a failed pair is to the engine: ``penalised``, a tenth of the range worse than the worst
            similarity so far, so that it turns away; or ``excluded``, nothing at all.
    """

    space: Space
    engine: str = "auto"
    init_points: int = 5
    failed: Literal["penalised", "excluded"] = "penalised"

    def propose(self, history: History, n: int) -> Proposal:  # noqa: ARG002 - one for each slot
        """Return one pair that is new, or none when there is none."""
        if self.space.size is not None and history.next_id >= self.space.size:
            return Proposal((), note=_DONE)
        for name, values in self._ideas(history):
            text = self.space.decode(values).text
            if history.seen(text) is None:
                return Proposal((Draft(text, origin=f"numeric:{name}"),))
        return Proposal((), note="the engine finds nothing that was not tried")

    def _ideas(self, history: History) -> Iterator[tuple[str, tuple[Value, ...]]]:
        domains, slot = self.space.domains, history.slot
        if slot < self.init_points:
            yield "start", self._hypercube(history.seed, slot)
        told = self._told(history)
        pending = [self.space.encode(one.text) for one in history.pending]
        engine = choose_engine(self.engine, domains, len(told))
        by_engine = [] if slot < self.init_points or not told else [engine] * _ATTEMPTS
        noise = measured_noise(history)
        for retry, name in enumerate([*by_engine, *["random"] * _RANDOM_ATTEMPTS]):
            yield name, suggest(name, domains, told, pending, (abs(history.seed), slot, retry), noise=noise)

    def _hypercube(self, seed: int, slot: int) -> tuple[Value, ...]:
        values = []
        for column, domain in enumerate(self.space.domains):
            dice = random.Random(f"{seed} start {column}")  # noqa: S311 - a search, not a secret
            strata = list(range(self.init_points))
            dice.shuffle(strata)
            jitter = [dice.random() for _ in strata]
            values.append(domain.at((strata[slot] + jitter[slot]) / self.init_points))
        return tuple(values)

    def _told(self, history: History) -> list[tuple[tuple[Value, ...], float]]:
        scores = [trial.score for trial in history.trials if trial.score is not None]
        if not scores:
            return []
        worst, best = float(min(scores)), float(max(scores))
        penalty = max(worst - _FAILED * ((best - worst) or 1.0), -sys.float_info.max)
        kept = (one for one in history.trials if one.score is not None or self.failed == "penalised")
        return [(self.space.encode(one.text), penalty if one.score is None else float(one.score)) for one in kept]


def measured_noise(history: History) -> float | None:
    """Return the standard error of one similarity as its repeats show it, pooled over all pairs; None without repeats.

    Repeats within an evaluation say it by the metric ``noise``; repeated evaluations, by the history's ``sigma``.
    """
    errors = [
        noise
        for trial in history.trials
        if isinstance(trial.outcome, Evaluation) and (noise := trial.outcome.metrics.get("noise")) is not None
    ]
    return math.sqrt(math.fsum(one * one for one in errors) / len(errors)) if errors else history.sigma
