"""The best attempts in ascending order of their scores: OPRO's meta-prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from llm_optimize.core.checks import check_whole
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial

__all__ = ["Top"]

_MOST = 48  # a history keeps 64 sorted, of which a chat that only grows looks back beyond the latest 16


@dataclass(frozen=True, slots=True)
class Top:
    """Show the ``k`` best attempts, the best last and thereby the current x; failures are left out.

    After OPRO (Yang et al. 2023, "Large Language Models as Optimizers"): 20 pairs in ascending order for linear
    regression and instructions, 10 for TSP; their ablation finds this order better than descending or random. OPRO
    rounds values to whole numbers and puts accuracies into 100 buckets, so that the model does not chase the noise of
    the last digits: ``digits=0`` and, for accuracies from 0 to 1, ``digits=2``. While nothing has a score the latest
    attempt is shown, with how it failed. When the allowance is too small the lowest scores go first. A prompt costs
    O(k).

    Attributes:
        k: how many, 1 to 48.
        digits: decimals to which scores are rounded when they are shown, negative ones to tens and hundreds; None for
            as many as tell them apart.

    Raises:
        BadInput: ``k`` or ``digits`` cannot be.

    Example:
        >>> Top(20, digits=0).rule
        'the 20 best'
    """

    k: int = 20
    digits: int | None = None

    ascending: ClassVar[bool] = True
    """Shown by score, not by age."""

    def __post_init__(self) -> None:
        """Refuse what cannot be counted."""
        check_whole("window: k", self.k, 1, _MOST)
        if self.digits is not None and (isinstance(self.digits, bool) or not isinstance(self.digits, int)):
            msg = f"window: digits is {self.digits!r}: give a whole number of decimals, or None"
            raise BadInput(msg)

    @property
    def rule(self) -> str:
        """How the trials are chosen, in words."""
        return f"the {self.k} best"

    def ranked(self, history: History) -> Sequence[Trial]:
        """Return the trials with the highest scores, the highest first."""
        return history.top(self.k) or history.recent(1)
