"""Fix mode: while nothing could be scored, the latest failure is mended before another approach is tried."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_optimize.core.checks import check_whole

if TYPE_CHECKING:
    from llm_optimize.core.history import History

__all__ = ["Repair"]

_MEND = (
    "Nothing could be scored so far, and the result of the current x says why. Find the cause of that error and mend "
    "it, with the smallest change that does; keep the approach."
)
_AFRESH = (
    "Nothing could be scored so far, and {tries} in a row did not mend the current x. Do not mend it once more: start "
    "afresh with the simplest x that can be scored at all."
)


@dataclass(frozen=True, slots=True)
class Repair:
    """Ask for a repair of the latest failure, so often in a row; then for a fresh start, and so on until one is scored.

    The bound is AIDE's (its debug depth is 3 as well; arXiv 2502.13138); the error with the failed text is what
    ShinkaEvolve's fix prompt shows. Costs a paragraph of a prompt, and nothing once a candidate has a score.

    Attributes:
        depth: how many of the latest attempts may be repairs of one another before a fresh start, at least 1.

    Raises:
        BadInput: ``depth`` is no whole number of 1 or more.
    """

    depth: int = 3

    def __post_init__(self) -> None:
        """Refuse what cannot be counted."""
        check_whole("repair: depth", self.depth, 1)

    def note(self, history: History) -> str:
        """Return what the model is asked for, or nothing where a candidate has a score or none has failed."""
        failed = len(history.trials)
        if history.best is not None or not failed:
            return ""
        tries = (failed - 1) % (self.depth + 1)  # repairs told since the last fresh start
        if tries < self.depth:
            return _MEND
        return _AFRESH.format(tries="one repair" if tries == 1 else f"{tries} repairs")
