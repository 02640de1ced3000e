"""The nearest rows by cosine, exactly: equal to comparing all in double precision, ties by the order of the rows."""

from __future__ import annotations

from typing import Any

__all__ = ["nearest", "unit_rows"]

_SLACK = 1e-5  # more than the rounding error of a float32 product of two rows of length 1


def unit_rows(rows: Any) -> Any:  # noqa: ANN401 - numpy is optional, so its array type cannot be named
    """Return ``rows`` as float32 with length 1 each; a row of zeros, or one with a number that is none, is all zero.

    Args:
        rows: shape (n, d).

    Returns:
        A fresh array of the same shape.
    """
    import numpy as np  # noqa: PLC0415 - optional and heavy

    wide = np.asarray(rows, dtype=np.float64)
    if wide.ndim != 2:  # noqa: PLR2004 - rows and columns
        wide = wide.reshape(len(wide), -1) if wide.size else np.zeros((len(wide), 0))
    with np.errstate(invalid="ignore", over="ignore"):
        lengths = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
    sound = np.isfinite(lengths) & (lengths > 0)
    return np.where(sound, wide / np.where(sound, lengths, 1.0), 0.0).astype(np.float32)


def nearest(rows: Any, query: Any, k: int, alive: Any = None) -> tuple[Any, Any]:  # noqa: ANN401 - as unit_rows
    """Return the ``k`` rows nearest to ``query`` by cosine, nearest first; equal ones in the order of the rows.

    One pass in float32 picks what may be among them, with a margin above its rounding error; those are compared again
    in double precision, row by row, so that equal rows compare as equal wherever they stand.

    Args:
        rows: shape (n, d), rows of length 1 (or 0), such as :func:`unit_rows` returns.
        query: shape (d,), of length 1 (or 0).
        k: at least 1; all rows come back where there are fewer.
        alive: shape (n,), bool: the rows that may be found; None for all.

    Returns:
        Their numbers, int64, and their cosines, float64.

    Example:
        >>> import numpy as np
        >>> numbers, cosines = nearest(np.eye(3, dtype=np.float32), np.array([0, 1, 0], dtype=np.float32), 2)
        >>> numbers.tolist(), cosines.tolist()
        ([1, 0], [1.0, 0.0])
    """
    import numpy as np  # noqa: PLC0415 - optional and heavy

    many = len(rows) if alive is None else int(np.count_nonzero(alive))
    if not many or k < 1:
        return np.zeros(0, dtype=np.int64), np.zeros(0)
    pool = np.arange(len(rows)) if alive is None else np.flatnonzero(alive)
    if k < many:
        coarse = rows @ query
        if alive is not None:
            coarse[~alive] = -np.inf
        pool = np.flatnonzero(coarse >= np.partition(coarse, len(rows) - k)[len(rows) - k] - _SLACK)
    exact = (rows[pool].astype(np.float64) * query.astype(np.float64)).sum(axis=1)
    order = np.lexsort((pool, -exact))[:k]
    return pool[order], exact[order]
