"""Several rankings made into one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_optimize.core.checks import check_number

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["fuse"]


def fuse(rankings: Sequence[Sequence[int]], constant: float = 60.0) -> list[tuple[int, float]]:
    """Return keys with the sum of ``1 / (constant + place)`` over the rankings, highest first.

    Reciprocal rank fusion (Cormack, Clarke and Buettcher, SIGIR 2009): it needs no scores, so that rankings by words
    and by meaning can be joined as they are. Of equal ones the one that a ranking named first comes first.

    Args:
        rankings: keys, best first, each once in a ranking.
        constant: how little the first places count before the next, above 0.

    Raises:
        BadInput: ``constant`` is not above 0.

    Example:
        >>> [key for key, _ in fuse([[1, 2, 3], [3, 1]])]
        [1, 3, 2]
    """
    check_number("constant", constant, 0, above=True)
    sums: dict[int, float] = {}
    for ranking in rankings:
        for place, key in enumerate(ranking, start=1):
            sums[key] = sums.get(key, 0.0) + 1 / (constant + place)
    return sorted(sums.items(), key=lambda row: -row[1])
