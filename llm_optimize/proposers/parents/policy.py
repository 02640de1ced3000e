"""The seams of the parent policies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from llm_optimize.core.history import History
    from llm_optimize.core.types import Trial

__all__ = ["ParentPolicy", "Selection", "check_method"]


class ParentPolicy(Protocol):
    """Chooses what a draft is to build on; a pure function of the history and of its seed and slot.

    Random numbers come from :func:`~llm_optimize.proposers.seeding.dice`. An index that follows the history is allowed
    as a cache (:mod:`~llm_optimize.proposers.parents.following`); the cost of a choice must not depend on the number
    of trials.
    """

    def choose(self, history: History, draft: int) -> Sequence[Trial]:
        """Return the parents of a draft.

        Args:
            history: the past, with seed and slot.
            draft: ordinal of the draft within the proposal, from 0.

        Returns:
            The attempt to build on; behind it those to combine it with, one for a crossover. Empty while there is
            none, or to leave it to the window: then the latest attempt that is shown is the current x.
        """
        ...


class Selection(ParentPolicy, Protocol):
    """A parent policy that can also choose among some of the trials: those of an island, or of a line of descent."""

    def among(self, trials: Sequence[Trial], dice: Random) -> Trial:
        """Return one of ``trials``.

        Args:
            trials: at least one and at most 64, all with a score, the highest first.
            dice: the only source of random numbers.
        """
        ...


def check_method(field: str, value: object, method: str) -> None:
    """Refuse an object that lacks a method which a policy calls.

    Raises:
        BadInput: it has none of this name.
    """
    if isinstance(value, type) or not callable(getattr(value, method, None)):
        example = "Softmax()" if method == "among" else "Best()"
        msg = f"{field} is {value!r}: give a parent policy with the method {method}(), such as {example}"
        raise BadInput(msg)
