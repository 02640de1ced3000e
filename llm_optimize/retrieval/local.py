"""Vectors from a sentence-transformers model on this machine: no network, no price."""

from __future__ import annotations

import hashlib
import importlib
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["LocalEmbedding"]

_SAMPLE = 1 << 20  # bytes at either end of a file that tell two trainings of one architecture apart


class _Loaded:
    """The model once it is loaded; a copy of it is empty, as weights do not travel."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._model: Any = None

    def __reduce__(self) -> tuple[type[_Loaded], tuple[()]]:
        return _Loaded, ()

    def get(self, path: str, device: str | None) -> Any:  # noqa: ANN401 - a foreign class
        with self.lock:
            if self._model is None:
                self._model = _load(path, device)
            return self._model


@dataclass(frozen=True, slots=True)
class LocalEmbedding:
    """A sentence-transformers model, loaded when the first text comes; may be used by several threads.

    A text beyond the model's own limit (256 tokens for all-MiniLM-L6-v2) is cut by the model without a word: keep
    chunks below it. A copy made by pickle loads the model again.

    Attributes:
        path: a folder with the model's files, or a name that the library finds in its cache or on its hub.
        batch: texts in one pass.
        device: ``cpu``, ``cuda``, ``mps``; None lets the library choose.

    Raises:
        BadInput: the path is empty or ``batch`` below 1; when the first text comes also: the package
            ``sentence-transformers`` is missing, or the model cannot be loaded.

    Example:
        >>> LocalEmbedding("models/all-MiniLM-L6-v2").name
        'all-MiniLM-L6-v2'
    """

    path: str | Path
    batch: int = 64
    device: str | None = None
    _loaded: _Loaded = field(init=False, repr=False, compare=False, default_factory=_Loaded)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if not str(self.path).strip():
            msg = "path is empty: give the folder of a sentence-transformers model, or its name"
            raise BadInput(msg)
        if isinstance(self.batch, bool) or not isinstance(self.batch, int) or self.batch < 1:
            msg = f"batch is {self.batch!r}: give a whole number of texts, at least 1"
            raise BadInput(msg)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return Path(str(self.path)).name

    @property
    def identity(self) -> str:
        """What tells this model's vectors from another's: the name, and a digest of its files where it is a folder."""
        folder = Path(str(self.path)).expanduser()
        return f"local:{self.name}:{_digest(folder)}" if folder.is_dir() else f"local:{self.path}"

    def embed(self, texts: Sequence[str]) -> Any:  # noqa: ANN401 - numpy is optional, so its array type cannot be named
        """Return an array of shape (len(texts), d), float32, rows of length 1.

        Raises:
            BadInput: the package is missing, or the model cannot be loaded.
        """
        model = self._loaded.get(str(Path(str(self.path)).expanduser()), self.device)
        if not texts:
            import numpy as np  # noqa: PLC0415 - optional and heavy

            return np.zeros((0, model.get_embedding_dimension()), dtype=np.float32)
        with self._loaded.lock:
            return model.encode(
                list(texts),
                batch_size=self.batch,
                convert_to_numpy=True,
                normalize_embeddings=True,
                show_progress_bar=False,
            ).astype("float32", copy=False)


def _load(path: str, device: str | None) -> Any:  # noqa: ANN401 - a foreign class
    try:
        library = importlib.import_module("sentence_transformers")
    except ImportError as error:
        msg = "a local embedding needs the package sentence-transformers: pip install 'llm-optimize[local]'"
        raise BadInput(msg) from error
    try:
        return library.SentenceTransformer(path, device=device)
    except (OSError, ValueError, RuntimeError) as error:
        msg = f"path: no embedding model could be loaded from {path} ({' '.join(str(error).split())[:200]})"
        raise BadInput(msg) from error


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(one for one in folder.rglob("*") if one.is_file()):
        size = file.stat().st_size
        digest.update(f"{file.relative_to(folder)}\0{size}\0".encode())
        with file.open("rb") as opened:
            digest.update(opened.read(_SAMPLE))
            opened.seek(max(size - _SAMPLE, 0))
            digest.update(opened.read(_SAMPLE))
    return digest.hexdigest()[:16]
