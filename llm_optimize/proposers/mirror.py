"""An index of the texts that a policy compares: kept in step with what it asks about, so that a text is embedded once.

A cache, not state: whatever it answers follows from the texts alone.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from llm_optimize.retrieval.index import ExactIndex

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llm_optimize.core.protocols import EmbeddingModel

__all__ = ["Mirror"]

_SPARE = 256  # texts that are kept although they were not asked about: they may be again


class Mirror:
    """The texts that were asked about lately, with their vectors; safe for threads; a pickled one is empty.

    32 cosines one by one take longer than a search among 1,000 rows.

    Example:
        >>> from llm_optimize.retrieval.lexical import LexicalEmbedding
        >>> found = Mirror().cosines(LexicalEmbedding(), ["red house", "blue sea"], "a red house")
        >>> found["red house"] > found["blue sea"]
        True
    """

    def __init__(self) -> None:
        """Hold nothing."""
        self._index: ExactIndex | None = None
        self._keys: dict[str, int] = {}  # the longest unused first
        self._next = 0
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Mirror], tuple[()]]:
        """Travel empty."""
        return Mirror, ()

    def cosines(self, model: EmbeddingModel, texts: Iterable[str], anchor: str) -> dict[str, float]:
        """Return how near each of ``texts`` is to ``anchor``, -1 to 1; always the same model must be given.

        Raises:
            ModelError: the embedding model did not answer.
        """
        wanted = dict.fromkeys(texts)
        with self._lock:
            self._hold(model, {**wanted, anchor: None})
            if self._index is None:
                return {}
            near = dict(self._index.search(self._index.row(self._keys[anchor]), len(self._keys)))
            return {text: near[self._keys[text]] for text in wanted}

    def _hold(self, model: EmbeddingModel, texts: dict[str, None]) -> None:
        """Embed what is new, and let go of the oldest of what was not asked about."""
        missing = [text for text in texts if text not in self._keys]
        rows = model.embed(missing) if missing else None
        if rows is not None:
            self._index = self._index or ExactIndex(int(rows.shape[1]))
            keys = list(range(self._next, self._next + len(missing)))
            self._index.add(keys, rows)
            self._keys.update(zip(missing, keys, strict=True))
            self._next += len(missing)
        for text in texts:
            self._keys[text] = self._keys.pop(text)
        gone = list(self._keys)[: max(len(self._keys) - len(texts) - _SPARE, 0)]
        if self._index is not None and gone:
            self._index.delete([self._keys.pop(text) for text in gone])
