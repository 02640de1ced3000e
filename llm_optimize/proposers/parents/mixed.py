"""Several parent policies, one of them drawn for each draft."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.core.checks import check_number
from llm_optimize.errors import BadInput
from llm_optimize.proposers.parents.policy import check_method
from llm_optimize.proposers.seeding import dice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial
    from llm_optimize.proposers.parents.policy import ParentPolicy

__all__ = ["Mixed"]


@dataclass(frozen=True, slots=True)
class Mixed:
    """Draws a policy for each draft, by weight; costs what the drawn one costs.

    Attributes:
        parts: (weight, policy), one or more; the weights need not add up to 1.

    Raises:
        BadInput: no parts, a weight that is not above 0, or something that is no policy.

    Example:
        The best attempt, but in one draft of ten any other one, which is epsilon-greedy::

            Mixed(((0.9, Best()), (0.1, Tournament(1))))
    """

    parts: tuple[tuple[float, ParentPolicy], ...]

    def __post_init__(self) -> None:
        """Check the parts."""
        object.__setattr__(self, "parts", _pairs(self.parts))
        for number, (weight, policy) in enumerate(self.parts):
            check_number(f"mixed: weight {number}", weight, 0, above=True)
            check_method(f"mixed: policy {number}", policy, "choose")

    def choose(self, history: History, draft: int) -> Sequence[Trial]:
        """Return what the policy chooses that is drawn for this draft."""
        weights, policies = zip(*self.parts, strict=True)
        return tuple(dice(history, draft, "mixed").choices(policies, weights)[0].choose(history, draft))


def _pairs(parts: object) -> tuple[tuple[float, ParentPolicy], ...]:
    listed = parts if isinstance(parts, (tuple, list)) else ()
    rows = [tuple(row) if isinstance(row, (tuple, list)) else () for row in listed]
    if not rows or any(len(row) != 2 for row in rows):  # noqa: PLR2004 - a pair
        msg = f"mixed: parts is {parts!r}: give pairs of (weight, policy), such as ((0.9, Best()), (0.1, Softmax()))"
        raise BadInput(msg)
    return tuple((weight, policy) for weight, policy in rows)
