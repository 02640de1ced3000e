"""An approximate index for millions of rows: a graph of neighbours (HNSW), by the package usearch.

Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable Small World
graphs" (IEEE TPAMI 42, 2020). Rows are added and deleted at any time, without a build. Rows are kept in half precision
unless said otherwise; the cosines that come back are those of the rows as they are kept, in double precision.
"""

from __future__ import annotations

import importlib
import threading
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from llm_optimize.core.checks import check_whole
from llm_optimize.errors import BadInput, StoreError
from llm_optimize.retrieval.nearest import unit_rows
from llm_optimize.retrieval.rows import check_added, check_deleted, checked_query, replace_file

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

__all__ = ["HNSWIndex", "Precision"]

Precision = Literal["f32", "f16", "bf16", "i8"]
"""How a number is kept: in 4, 2, 2 or 1 byte; ``bf16`` has fewer digits than ``f16`` and is faster to add."""


class HNSWIndex:
    """Finds nearly all of the nearest rows in a time that hardly grows with their number. Safe for threads.

    Args:
        dimensions: numbers in a row.
        precision: how a number is kept; ``i8`` halves the memory again and costs recall.
        links: neighbours of a row in the graph; more cost memory and time to add, and raise the recall.
        adding: rows that are looked at when one is added.
        searching: rows that are looked at in a search; the recall rises with it, and so does the time.
        threads: that add rows, 0 for all cores.

    Raises:
        BadInput: a value makes no sense, or the package usearch is missing.

    Example:
        >>> import numpy as np
        >>> index = HNSWIndex(2)  # doctest: +SKIP
        >>> index.add([7, 8], np.array([[1, 0], [0, 2]]))  # doctest: +SKIP
    """

    def __init__(  # noqa: PLR0913 - the settings of the method
        self,
        dimensions: int,
        *,
        precision: Precision = "f16",
        links: int = 16,
        adding: int = 128,
        searching: int = 128,
        threads: int = 0,
    ) -> None:
        """Hold nothing."""
        check_whole("dimensions", dimensions, 1)
        for name, value in (("links", links), ("adding", adding), ("searching", searching)):
            check_whole(name, value, 2)
        check_whole("threads", threads, 0)
        if precision not in get_args(Precision):
            msg = f"precision is {precision!r}: give one of {', '.join(get_args(Precision))}"
            raise BadInput(msg)
        self._settings = {"links": links, "adding": adding, "searching": searching, "threads": threads}
        self._precision: Precision = precision
        self._dimensions = dimensions
        self._graph = self._made()
        self._lock = threading.RLock()
        self._next = 0
        self._number_of: dict[int, int] = {}  # by key: the number under which the graph knows the row
        self._key_of: dict[int, int] = {}

    @property
    def dimensions(self) -> int:
        """The numbers in a row."""
        return self._dimensions

    def __len__(self) -> int:
        """Return how many rows it holds."""
        return len(self._number_of)

    def add(self, keys: Sequence[int], rows: Any) -> None:  # noqa: ANN401 - numpy's array type cannot be named
        """Take rows in; see :class:`~llm_optimize.retrieval.index.VectorIndex`.

        Raises:
            BadInput: a key is known or comes twice, or the shape is another; then nothing was added.
        """
        import numpy as np  # noqa: PLC0415 - optional and heavy

        fresh = unit_rows(rows)
        with self._lock:
            check_added(keys, fresh.shape, self._dimensions, self._number_of)
            if not len(keys):
                return
            numbers = np.arange(self._next, self._next + len(keys), dtype=np.uint64)
            self._graph.add(numbers, fresh, threads=self._settings["threads"])
            self._next += len(keys)
            self._number_of.update(zip(map(int, keys), numbers.tolist(), strict=True))
            self._key_of.update(zip(numbers.tolist(), map(int, keys), strict=True))

    def delete(self, keys: Sequence[int]) -> None:
        """Take rows out; see :class:`~llm_optimize.retrieval.index.VectorIndex`.

        Raises:
            BadInput: a key is unknown; then nothing was deleted.
        """
        with self._lock:
            check_deleted(keys, self._number_of)
            for key in keys:
                number = self._number_of.pop(int(key))
                del self._key_of[number]
                self._graph.remove(number)

    def search(self, row: Any, k: int) -> list[tuple[int, float]]:  # noqa: ANN401 - as in add
        """Return nearly all of the nearest; see :class:`~llm_optimize.retrieval.index.VectorIndex`.

        Raises:
            BadInput: ``row`` is not of shape (dimensions,), or ``k`` is below 1.
        """
        import numpy as np  # noqa: PLC0415 - optional and heavy

        query = checked_query(row, k, self._dimensions)
        with self._lock:
            if not self._number_of:
                return []
            numbers = np.asarray(
                self._graph.search(query, min(k, len(self._number_of)), threads=1).keys, dtype=np.uint64
            )
            kept = unit_rows(np.stack([self._graph.get(number) for number in numbers.tolist()]))
            keys = [self._key_of[number] for number in numbers.tolist()]
        cosines = (kept.astype(np.float64) * query.astype(np.float64)).sum(axis=1)
        order = np.lexsort((numbers, -cosines))
        return [(keys[place], float(cosines[place])) for place in order]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write graph and keys to a file.

        Raises:
            StoreError: it cannot be written.
        """
        import numpy as np  # noqa: PLC0415 - optional and heavy

        with self._lock:
            graph = np.frombuffer(bytes(self._graph.save()), dtype=np.uint8)
            held = np.array(list(self._key_of.items()), dtype=np.int64).reshape(-1, 2)
            about = np.array([self._dimensions, self._next, *self._settings.values()], dtype=np.int64)
        precision = np.array([self._precision])
        replace_file(path, lambda file: np.savez(file, graph=graph, held=held, about=about, precision=precision))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> HNSWIndex:
        """Return the index that was saved: every search has the same results.

        Raises:
            BadInput: the package usearch is missing.
            StoreError: there is none, or it is damaged.
        """
        import numpy as np  # noqa: PLC0415 - optional and heavy

        try:
            with Path(path).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                graph, held, about = file["graph"], file["held"], [int(number) for number in file["about"]]
                precision = str(file["precision"][0])
            dimensions, following, *settings = about
            names = ("links", "adding", "searching", "threads")
            index = cls(dimensions, precision=precision, **dict(zip(names, settings, strict=True)))  # type: ignore[arg-type]  # checked there
            index._graph.load(graph.tobytes())
        except (OSError, ValueError, KeyError, IndexError, EOFError, RuntimeError, zipfile.BadZipFile) as error:
            if isinstance(error, BadInput):
                raise
            msg = f"{path} holds no index ({' '.join(str(error).split())[:200]}): build it anew"
            raise StoreError(msg) from error
        index._next = following
        index._key_of = {int(number): int(key) for number, key in held}
        index._number_of = {key: number for number, key in index._key_of.items()}
        return index

    def _made(self) -> Any:  # noqa: ANN401 - a foreign class
        try:
            library = importlib.import_module("usearch.index")
        except ImportError as error:
            msg = "an approximate index needs the package usearch: pip install 'llm-optimize[ann]', or use ExactIndex"
            raise BadInput(msg) from error
        return library.Index(
            ndim=self._dimensions,
            metric="cos",
            dtype=self._precision,
            connectivity=self._settings["links"],
            expansion_add=self._settings["adding"],
            expansion_search=self._settings["searching"],
        )
