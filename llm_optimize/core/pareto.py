"""Several objectives at once: the candidates that no other one beats in every respect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_optimize.core.types import Evaluation
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.types import Trial

__all__ = ["front"]

_FEWEST = 2
_SCORE = "score"


def front(trials: Sequence[Trial], names: Sequence[str]) -> list[Trial]:
    """Return the non-dominated trials in the order of their ids; of equals in everything the earliest.

    Args:
        trials: failures, and those without one of the metrics or with NaN in it, are left out.
        names: metrics to maximize; a leading ``-`` minimizes one; ``score`` stands for the score.

    Raises:
        BadInput: fewer than two names, or one that no trial has.

    The cost is O(n m) for n trials and m on the front.
    """
    if len(names) < _FEWEST:
        msg = f"pareto: {len(names)} names: give two or more metrics; for one alone, history.top(k) has the best"
        raise BadInput(msg)
    rows = [(tuple(_value(trial, name) for name in names), trial) for trial in sorted(trials, key=lambda one: one.id)]
    for i, name in enumerate(names):
        if all(values[i] is None for values, _ in rows):
            msg = f"pareto: no candidate has a metric {name.lstrip('-')!r}: known are {', '.join(_known(trials))}"
            raise BadInput(msg)
    whole = [(tuple(v for v in values if v is not None), trial) for values, trial in rows]
    whole = [(values, trial) for values, trial in whole if len(values) == len(names)]
    chosen: list[tuple[tuple[float, ...], Trial]] = []
    for values, trial in sorted(whole, key=lambda row: (tuple(-v for v in row[0]), row[1].id)):
        # Sorted downwards, so only those before can beat or equal this one.
        if not any(all(a >= b for a, b in zip(other, values, strict=True)) for other, _ in chosen):
            chosen.append((values, trial))
    return sorted((trial for _, trial in chosen), key=lambda one: one.id)


def _value(trial: Trial, name: str) -> float | None:
    """Return the objective, turned so that more is better; None where the trial has none."""
    if not isinstance(trial.outcome, Evaluation):
        return None
    sign, plain = (-1, name[1:]) if name.startswith("-") else (1, name)
    value = trial.score if plain == _SCORE else trial.outcome.metrics.get(plain)
    return None if value is None or value != value else sign * value  # noqa: PLR0124 - NaN has no place in an order


def _known(trials: Sequence[Trial]) -> list[str]:
    names = {name for trial in trials if isinstance(trial.outcome, Evaluation) for name in trial.outcome.metrics}
    return [_SCORE, *sorted(names)]
