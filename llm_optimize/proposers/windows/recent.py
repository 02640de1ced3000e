"""The latest attempts in the order in which they were made: the predecessor's chat, bounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.core.checks import check_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial

__all__ = ["Recent"]


@dataclass(frozen=True, slots=True)
class Recent:
    """Show the last ``k`` attempts, failures included, as the predecessor (sshh12/llm_optimize) shows all of them.

    The best attempt is named with its score but may not be shown; where that hurts, use
    :class:`~llm_optimize.proposers.window.Window`. When the allowance is too small the oldest go first. A prompt costs
    O(k).

    Attributes:
        k: how many, at least 1.

    Raises:
        BadInput: ``k`` is no whole number, or too small.

    Example:
        >>> Recent(5).rule
        'the 5 latest'
    """

    k: int = 20

    def __post_init__(self) -> None:
        """Refuse what cannot be counted."""
        check_whole("window: k", self.k, 1)

    @property
    def rule(self) -> str:
        """How the trials are chosen, in words."""
        return f"the {self.k} latest"

    def ranked(self, history: History) -> Sequence[Trial]:
        """Return the last trials, the latest first."""
        return history.recent(self.k)[::-1]
