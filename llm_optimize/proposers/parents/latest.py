"""Build on the latest attempt, as the predecessor and OPRO's chat do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial

__all__ = ["Latest"]


@dataclass(frozen=True, slots=True)
class Latest:
    """The latest attempt that the window shows is the current x; the model is told which one is the best."""

    def choose(self, history: History, draft: int) -> Sequence[Trial]:  # noqa: ARG002 - the same for every draft
        """Return nothing: the window decides."""
        return ()
