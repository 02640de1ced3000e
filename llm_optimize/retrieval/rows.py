"""What every index checks of keys and rows, and how one is written to a file."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.core.checks import check_whole
from llm_optimize.errors import BadInput, StoreError
from llm_optimize.retrieval.nearest import unit_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["check_added", "check_deleted", "checked_query", "replace_file"]


def check_added(keys: Sequence[int], shape: tuple[int, ...], dimensions: int, known: Any) -> None:  # noqa: ANN401 - a container
    """Refuse keys that are known or come twice, and rows of another shape.

    Raises:
        BadInput: says which.
    """
    if shape != (len(keys), dimensions) and not (len(keys) == 0 and shape[0] == 0):
        msg = f"rows have the shape {shape}: give {len(keys)} rows of {dimensions} numbers"
        raise BadInput(msg)
    wrong = next((key for key in keys if key in known or key < 0), None)
    if wrong is None and len(set(keys)) < len(keys):
        wrong = next(key for place, key in enumerate(keys) if key in keys[:place])
    if wrong is not None:
        msg = f"keys: {wrong!r} is known already, comes twice, or is below 0: give each row a key of its own"
        raise BadInput(msg)


def check_deleted(keys: Sequence[int], known: Any) -> None:  # noqa: ANN401 - a container
    """Refuse keys that are unknown or come twice.

    Raises:
        BadInput: says which.
    """
    wrong = next((key for key in keys if key not in known), None)
    if wrong is not None or len(set(keys)) < len(keys):
        msg = f"keys: {wrong!r} is unknown" if wrong is not None else "keys: one comes twice"
        msg += ": give keys of rows that are there, each once"
        raise BadInput(msg)


def checked_query(row: Any, k: int, dimensions: int) -> Any:  # noqa: ANN401 - numpy's array type cannot be named
    """Return a query as float32 of length 1, or 0.

    Raises:
        BadInput: it is not of shape (dimensions,), or ``k`` is below 1.
    """
    import numpy as np  # noqa: PLC0415 - optional and heavy

    check_whole("k", k, 1)
    query = np.asarray(row, dtype=np.float64)
    if query.shape != (dimensions,):
        msg = f"the query has the shape {query.shape}: give one row of {dimensions} numbers"
        raise BadInput(msg)
    return unit_rows(query[np.newaxis])[0]


def replace_file(path: str | os.PathLike[str], write: Callable[[Any], object]) -> None:
    """Write a file beside ``path`` by ``write(opened file)``, then put it in the place of ``path``.

    Raises:
        StoreError: it cannot be written.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                write(file)
            Path(beside).replace(target)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(beside).unlink()
            raise
    except OSError as error:
        msg = f"{target} cannot be written ({error}): check its folder and the disk"
        raise StoreError(msg) from error
