"""Documents that can be asked: cut, embedded and ranked; added, changed and deleted at any time; saved and loaded."""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from llm_optimize.core.checks import check_whole
from llm_optimize.errors import BadInput, StoreError
from llm_optimize.retrieval.bm25 import BM25
from llm_optimize.retrieval.cached import identity_of
from llm_optimize.retrieval.chunking import Chunk, Chunking, Document
from llm_optimize.retrieval.fusing import fuse
from llm_optimize.retrieval.index import ExactIndex
from llm_optimize.retrieval.rows import replace_file
from llm_optimize.retrieval.words import words

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from llm_optimize.core.protocols import EmbeddingModel
    from llm_optimize.retrieval.index import VectorIndex

__all__ = ["DocumentStore", "Found", "Kind"]

Kind = Literal["dense", "bm25", "hybrid"]
"""By meaning, by words, or by both through reciprocal rank fusion."""

_FORMAT = 1
_MANIFEST = "documents.json"
_DEPTH = 5  # times k, at least 50: how deep each of two rankings is read before they are joined
_FEWEST = 50


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk that answers a query.

    Attributes:
        chunk: where it comes from is in it.
        score: what the ranking goes by: cosine, BM25, or the sum of reciprocal ranks; comparable within a ranking only.
        support: how well the chunk fits the query, 0 to 1, comparable between queries: the cosine (0 where negative)
            by ``dense`` and ``hybrid``; by ``bm25`` the share of the highest score that the query's words allow.
    """

    chunk: Chunk
    score: float
    support: float


class DocumentStore:
    r"""Documents, their chunks, the chunks' vectors and words. Safe for threads; one writer at a time waits for others.

    Every text is embedded when it is added, each chunk once; wrap the model in
    :class:`~llm_optimize.retrieval.cached.CachedEmbedding` so that a re-run costs nothing.

    Args:
        model: embeds chunks and queries; None ranks by words alone, and then only ``kind="bm25"`` can be asked.
        chunking: how documents are cut.
        index: makes an empty index for rows of so many numbers; None for the exact one.

    Example:
        >>> store = DocumentStore(None)
        >>> store.add([Document("cats.md", "# Sleep\nCats sleep all day."), Document("dogs.md", "Dogs bark.")])
        >>> found = store.search("who sleeps all day?", k=1, kind="bm25")[0]
        >>> found.chunk.document, found.chunk.link
        ('cats.md', 'cats.md#sleep')
    """

    def __init__(
        self,
        model: EmbeddingModel | None,
        chunking: Chunking | None = None,
        *,
        index: Callable[[int], VectorIndex] | None = None,
    ) -> None:
        """Hold nothing."""
        self.model = model
        self.chunking = chunking or Chunking()
        self._make = index or ExactIndex
        self._index: VectorIndex | None = None
        self._words = BM25()
        self._documents: dict[str, Document] = {}
        self._chunks: dict[int, Chunk] = {}
        self._keys: dict[str, list[int]] = {}
        self._next = 0
        self._lock = threading.RLock()

    def __len__(self) -> int:
        """Return how many chunks there are."""
        return len(self._chunks)

    @property
    def documents(self) -> tuple[Document, ...]:
        """The documents in the order of their addition."""
        with self._lock:
            return tuple(self._documents.values())

    @property
    def chunks(self) -> tuple[Chunk, ...]:
        """All chunks in the order of their addition."""
        with self._lock:
            return tuple(self._chunks.values())

    def add(self, documents: Iterable[Document]) -> None:
        """Take documents in; the next search finds them.

        Raises:
            BadInput: a name is taken, empty, or comes twice; then nothing was added.
            ModelError: the embedding model did not answer; then nothing was added.
        """
        given = list(documents)
        with self._lock:
            names = [one.name for one in given]
            wrong = next((name for at, name in enumerate(names) if name in self._documents or name in names[:at]), None)
            if wrong is not None or not all(names):
                msg = (
                    f"documents: the name {wrong or ''!r} is taken or empty: give each a name of its own, or update it"
                )
                raise BadInput(msg)
            chunks = [chunk for one in given for chunk in self.chunking.cut(one)]
            self._insert(given, chunks, self._embedded([_shown(chunk) for chunk in chunks]))

    def update(self, document: Document) -> None:
        """Put a document in the place of the one with its name; an equal one changes nothing, and costs nothing.

        Raises:
            BadInput: there is none with its name.
            ModelError: the embedding model did not answer; then nothing was changed.
        """
        with self._lock:
            old = self._named(document.name)
            if old == document:
                return
            chunks = list(self.chunking.cut(document))
            rows = self._embedded([_shown(chunk) for chunk in chunks])
            self.delete(document.name)
            self._insert([document], chunks, rows)

    def delete(self, name: str) -> None:
        """Take a document out; the next search does not find it.

        Raises:
            BadInput: there is none with this name.
        """
        with self._lock:
            self._named(name)
            keys = self._keys.pop(name)
            del self._documents[name]
            for key in keys:
                del self._chunks[key]
                self._words.delete(key)
            if self._index is not None and keys:
                self._index.delete(keys)

    def search(self, query: str, k: int = 5, kind: Kind = "dense") -> list[Found]:
        """Return up to ``k`` chunks that fit the query, best first; of equal ones the one that was added earlier.

        Nothing is found in an empty store, or for a query without a word in it, and then the model is not asked.

        Raises:
            BadInput: ``k`` is below 1, or the store has no model for this kind.
            ModelError: the embedding model did not answer.
        """
        check_whole("k", k, 1)
        if kind not in get_args(Kind):
            msg = f"kind is {kind!r}: give one of {', '.join(get_args(Kind))}"
            raise BadInput(msg)
        if kind != "bm25" and self.model is None:
            msg = f"kind is {kind!r}, and the store has no embedding model: give it one, or ask by 'bm25'"
            raise BadInput(msg)
        if not self._chunks or not words(query):
            return []
        row = self._embedded([query])[0] if kind != "bm25" else None
        with self._lock:
            return self._ranked(query, row, k, kind)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write everything into a folder; a reader finds the old state or the new one.

        Raises:
            StoreError: it cannot be written.
        """
        with self._lock:
            target = Path(folder)
            rows = f"vectors-{secrets.token_hex(6)}.index" if self._index is not None else ""
            if rows and self._index is not None:
                self._index.save(target / rows)
            held = {
                "format": _FORMAT,
                "model": identity_of(self.model) if self.model is not None else "",
                "chunking": asdict(self.chunking),
                "rows": rows,
                "next": self._next,
                "documents": [asdict(one) for one in self._documents.values()],
                "chunks": [[key, asdict(chunk)] for key, chunk in self._chunks.items()],
            }
            body = json.dumps(held, ensure_ascii=False).encode("utf-8", "surrogatepass")
            replace_file(target / _MANIFEST, lambda file: file.write(body))
            for old in target.glob("vectors-*.index"):
                if old.name != rows:
                    old.unlink(missing_ok=True)

    @classmethod
    def load(
        cls,
        folder: str | os.PathLike[str],
        model: EmbeddingModel | None,
        *,
        index: Callable[[int], VectorIndex] | None = None,
        load_index: Callable[[Path], VectorIndex] = ExactIndex.load,
    ) -> DocumentStore:
        """Return the store that was saved: every search has the same results, and nothing is embedded again.

        Args:
            folder: where it was saved.
            model: the one that it was saved with.
            index: as for the class.
            load_index: reads the index's file, such as ``HNSWIndex.load``.

        Raises:
            BadInput: the model is another.
            StoreError: there is no store, or it is damaged.
        """
        path = Path(folder) / _MANIFEST
        try:
            held = json.loads(path.read_bytes().decode("utf-8", "surrogatepass"))
            store = cls(model, Chunking(**held["chunking"]), index=index)
            documents = [Document(**one) for one in held["documents"]]
            chunks = [(int(key), Chunk(**one)) for key, one in held["chunks"]]
            saved, rows, store._next = held["model"], held["rows"], int(held["next"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            msg = f"{path} holds no documents ({' '.join(str(error).split())[:200]}): build the store anew"
            raise StoreError(msg) from error
        given = identity_of(model) if model is not None else ""
        if saved != given:
            msg = (
                f"model: the vectors in {folder} are of {saved or 'no model'}, not of {given or 'none'}: give the first"
            )
            raise BadInput(msg)
        store._index = load_index(Path(folder) / rows) if rows else None
        if store._index is not None and len(store._index) != len(chunks):
            msg = f"{folder} holds {len(chunks)} chunks and {len(store._index)} vectors: build the store anew"
            raise StoreError(msg)
        store._documents = {one.name: one for one in documents}
        store._keys = {one.name: [] for one in documents}
        store._take(chunks)
        return store

    def _named(self, name: str) -> Document:
        if name not in self._documents:
            msg = f"document {name!r} is unknown: add it first"
            raise BadInput(msg)
        return self._documents[name]

    def _embedded(self, texts: Sequence[str]) -> Any:  # noqa: ANN401 - numpy's array type cannot be named
        return self.model.embed(texts) if self.model is not None and texts else None

    def _insert(self, documents: Sequence[Document], chunks: Sequence[Chunk], rows: Any) -> None:  # noqa: ANN401 - as above
        keys = list(range(self._next, self._next + len(chunks)))
        if rows is not None:
            if self._index is None:
                self._index = self._make(int(rows.shape[1]))
            self._index.add(keys, rows)
        self._next += len(chunks)
        self._documents.update((one.name, one) for one in documents)
        self._keys.update((one.name, []) for one in documents)
        self._take(list(zip(keys, chunks, strict=True)))

    def _take(self, chunks: Sequence[tuple[int, Chunk]]) -> None:
        for key, chunk in chunks:
            self._chunks[key] = chunk
            self._keys[chunk.document].append(key)
            self._words.add(key, _shown(chunk))

    def _ranked(self, query: str, row: Any, k: int, kind: Kind) -> list[Found]:  # noqa: ANN401 - as above
        deep = k if kind != "hybrid" else max(_DEPTH * k, _FEWEST)
        by_words = self._words.search(query, deep) if kind != "dense" else []
        if kind == "bm25" or self._index is None:
            most = self._words.most(query) or 1.0
            return [Found(self._chunks[key], score, score / most) for key, score in by_words]
        near = self._index.search(row, deep)
        if kind == "dense":
            return [Found(self._chunks[key], score, _bounded(score)) for key, score in near]
        cosines = dict(near)
        best = fuse([[key for key, _ in near], [key for key, _ in by_words]])[:k]
        return [Found(self._chunks[key], score, _bounded(cosines.get(key, 0.0))) for key, score in best]


def _shown(chunk: Chunk) -> str:
    """Return what is embedded and counted: the text, and before it the headings above it that it does not begin with."""
    above, _, last = chunk.heading.rpartition(" > ")
    begins = chunk.text.startswith("#") and last in chunk.text.partition("\n")[0]
    heading = above if begins else chunk.heading
    return f"{heading}\n{chunk.text}" if heading else chunk.text


def _bounded(cosine: float) -> float:
    return min(max(cosine, 0.0), 1.0)
