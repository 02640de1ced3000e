"""Rows by key, and the nearest of them by cosine: the contract of every index, and the exact one in numpy."""

from __future__ import annotations

import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from llm_optimize.core.checks import check_whole
from llm_optimize.errors import StoreError
from llm_optimize.retrieval.nearest import nearest, unit_rows
from llm_optimize.retrieval.rows import check_added, check_deleted, checked_query, replace_file

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

__all__ = ["ExactIndex", "VectorIndex"]

_FIRST = 64  # rows of room


class VectorIndex(Protocol):
    """Rows of numbers by whole-number keys, added and deleted at any time; ``testing/index_contract.py`` checks it."""

    @property
    def dimensions(self) -> int:
        """The numbers in a row."""
        ...

    def __len__(self) -> int:
        """Return how many rows it holds."""
        ...

    def add(self, keys: Sequence[int], rows: Any) -> None:  # noqa: ANN401 - numpy's array type cannot be named
        """Take rows in; the next search finds them.

        Args:
            keys: one for each row, at least 0, none of them known.
            rows: shape (len(keys), dimensions), of any length: the cosine counts.

        Raises:
            BadInput: a key is known or comes twice, or the shape is another; then nothing was added.
        """
        ...

    def delete(self, keys: Sequence[int]) -> None:
        """Take rows out; the next search does not find them.

        Raises:
            BadInput: a key is unknown; then nothing was deleted.
        """
        ...

    def search(self, row: Any, k: int) -> list[tuple[int, float]]:  # noqa: ANN401 - as in add
        """Return keys and cosines of up to ``k`` rows, nearest first; of equal ones the earlier added comes first.

        Raises:
            BadInput: ``row`` is not of shape (dimensions,), or ``k`` is below 1.
        """
        ...

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to a file; a reader sees the old file or the new one, never a part.

        Raises:
            StoreError: it cannot be written.
        """
        ...


class ExactIndex:
    """Compares with every row, in numpy: exact, no build, for some hundred thousand rows. Safe for threads.

    A deleted row leaves a gap until half of the room is gaps; then they are closed up.

    Example:
        >>> import numpy as np
        >>> index = ExactIndex(2)
        >>> index.add([7, 8], np.array([[1, 0], [0, 2]]))
        >>> index.search(np.array([0.1, 1]), 1)[0][0]
        8
    """

    def __init__(self, dimensions: int) -> None:
        """Hold nothing.

        Args:
            dimensions: numbers in a row, at least 1.

        Raises:
            BadInput: it is something else.
        """
        import numpy as np  # noqa: PLC0415 - optional and heavy

        check_whole("dimensions", dimensions, 1)
        self._rows = np.zeros((_FIRST, dimensions), dtype=np.float32)
        self._keys = np.zeros(_FIRST, dtype=np.int64)
        self._alive = np.zeros(_FIRST, dtype=bool)
        self._used = 0
        self._places: dict[int, int] = {}
        self._lock = threading.RLock()

    @property
    def dimensions(self) -> int:
        """The numbers in a row."""
        return int(self._rows.shape[1])

    def __len__(self) -> int:
        """Return how many rows it holds."""
        return len(self._places)

    def add(self, keys: Sequence[int], rows: Any) -> None:  # noqa: ANN401 - numpy's array type cannot be named
        """Take rows in; see :class:`VectorIndex`.

        Raises:
            BadInput: a key is known or comes twice, or the shape is another; then nothing was added.
        """
        fresh = unit_rows(rows)
        with self._lock:
            check_added(keys, fresh.shape, self.dimensions, self._places)
            self._make_room(len(keys))
            end = self._used + len(keys)
            self._rows[self._used : end] = fresh
            self._keys[self._used : end] = keys
            self._alive[self._used : end] = True
            self._places.update(zip(map(int, keys), range(self._used, end), strict=True))
            self._used = end

    def delete(self, keys: Sequence[int]) -> None:
        """Take rows out; see :class:`VectorIndex`.

        Raises:
            BadInput: a key is unknown; then nothing was deleted.
        """
        with self._lock:
            check_deleted(keys, self._places)
            for key in keys:
                place = self._places.pop(int(key))
                self._alive[place] = False
                self._rows[place] = 0
            if self._used > _FIRST and len(self._places) * 2 < self._used:
                self._close_up(max(_FIRST, len(self._places)))

    def search(self, row: Any, k: int) -> list[tuple[int, float]]:  # noqa: ANN401 - as in add
        """Return the nearest, exactly; see :class:`VectorIndex`.

        Raises:
            BadInput: ``row`` is not of shape (dimensions,), or ``k`` is below 1.
        """
        query = checked_query(row, k, self.dimensions)
        with self._lock:
            alive = self._alive[: self._used] if len(self._places) < self._used else None
            places, cosines = nearest(self._rows[: self._used], query, k, alive)
            keys = self._keys[places]
        return list(zip(keys.tolist(), cosines.tolist(), strict=True))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to a file, rows in the order of their addition.

        Raises:
            StoreError: it cannot be written.
        """
        import numpy as np  # noqa: PLC0415 - optional and heavy

        with self._lock:
            alive = self._alive[: self._used]
            keys, rows = self._keys[: self._used][alive], self._rows[: self._used][alive]
        replace_file(path, lambda file: np.savez(file, keys=keys, rows=rows))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ExactIndex:
        """Return the index that was saved: every search has the same results.

        Raises:
            StoreError: there is none, or it is damaged.
        """
        import numpy as np  # noqa: PLC0415 - optional and heavy

        try:
            with np.load(Path(path), allow_pickle=False) as held:
                keys, rows = held["keys"], held["rows"]
            index = cls(int(rows.shape[1]))
            index.add(keys.tolist(), rows)
        except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
            msg = f"{path} holds no index ({' '.join(str(error).split())[:200]}): build it anew"
            raise StoreError(msg) from error
        index._rows[: len(keys)] = rows
        return index

    def _make_room(self, more: int) -> None:
        if self._used + more > len(self._rows):
            self._close_up(max(2 * len(self._places), self._used + more))

    def _close_up(self, room: int) -> None:
        """Copy what is alive, in its order, into arrays with this much room."""
        import numpy as np  # noqa: PLC0415 - optional and heavy

        alive = np.flatnonzero(self._alive[: self._used])
        room = max(room, len(alive))
        rows = np.zeros((room, self.dimensions), dtype=np.float32)
        keys, flags = np.zeros(room, dtype=np.int64), np.zeros(room, dtype=bool)
        rows[: len(alive)], keys[: len(alive)], flags[: len(alive)] = self._rows[alive], self._keys[alive], True
        self._rows, self._keys, self._alive, self._used = rows, keys, flags, len(alive)
        self._places = {int(key): place for place, key in enumerate(keys[: len(alive)])}
