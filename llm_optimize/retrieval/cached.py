"""Vectors kept in a SQLite file by content and model, so that a re-run embeds nothing again.

The file holds nothing that cannot be had again. Any number of threads and processes may use it at once: a row is
written once and never changed, and each call opens the file anew, so that nothing is inherited by a fork.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput, BadReply, StoreError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from llm_optimize.core.protocols import EmbeddingModel

__all__ = ["CachedEmbedding", "identity_of"]

_BUSY_SECONDS = 30.0
_AT_ONCE = 64  # texts that are embedded between two writes: what a killed process may lose
_ASKED = 500  # keys in one query; SQLite's smallest limit is 999
_TABLE = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, row BLOB NOT NULL) WITHOUT ROWID"


@dataclass(frozen=True, slots=True)
class CachedEmbedding:
    """An embedding model that asks the one inside only for texts that the file does not hold.

    The key is a hash of the text and of what tells the model's vectors from another's, so that one file serves several
    models. Two processes that ask for the same new text at the same moment may both embed it; the first row stays.

    Attributes:
        model: asked for what is missing.
        path: of the file; it and its folder are made when they are missing.
        identity: what tells the model's vectors from another's; empty: see :func:`identity_of`.

    Raises:
        BadInput: the path is empty, a folder, or a file that is no SQLite file; or the model has no name and
            ``identity`` is empty.
        StoreError: the file cannot be opened, read or written.

    Example:
        >>> import tempfile
        >>> from llm_optimize.retrieval.lexical import LexicalEmbedding
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model = CachedEmbedding(LexicalEmbedding(), f"{folder}/vectors.db")
        ...     model.embed(["one", "two", "one"]).shape, model.held()
        ((3, 1024), 2)
    """

    model: EmbeddingModel
    path: str | os.PathLike[str]
    identity: str = ""
    _salt: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Open the file once, before anything is spent."""
        path = Path(self.path).expanduser()
        if not str(self.path).strip() or path.is_dir():
            msg = f"path is {str(self.path)!r}: give the path of a file for the vectors"
            raise BadInput(msg)
        object.__setattr__(self, "path", path.absolute())
        object.__setattr__(self, "identity", self.identity or identity_of(self.model))
        object.__setattr__(self, "_salt", hashlib.sha256(self.identity.encode()).digest())
        self.held()

    @property
    def name(self) -> str:
        """The name of the model inside."""
        return str(getattr(self.model, "name", self.identity))

    def held(self) -> int:
        """Return how many vectors the file holds, of all models.

        Raises:
            StoreError: the file cannot be read.
        """
        with closing(self._open()) as connection:
            return int(connection.execute("SELECT count(*) FROM vectors").fetchone()[0])

    def embed(self, texts: Sequence[str]) -> Any:  # noqa: ANN401 - numpy is optional, so its array type cannot be named
        """Return an array of shape (len(texts), d), float32, one row per text; a text that comes twice is asked once.

        Raises:
            StoreError: the file cannot be read or written.
            BadReply: the model returned rows of another number or length.
        """
        import numpy as np  # noqa: PLC0415 - optional and heavy

        if not texts:
            return self.model.embed(texts)
        keys = [hashlib.sha256(self._salt + text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        with closing(self._open()) as connection:
            known = dict(self._known(connection, keys))
            missing = list({key: text for key, text in zip(keys, texts, strict=True) if key not in known}.items())
            for start in range(0, len(missing), _AT_ONCE):
                some = missing[start : start + _AT_ONCE]
                rows = np.asarray(self.model.embed([text for _, text in some]), dtype="<f4")
                if rows.ndim != 2 or len(rows) != len(some):  # noqa: PLR2004 - rows and columns
                    msg = f"{self.name} returned an array of shape {rows.shape} for {len(some)} texts"
                    raise BadReply(msg)
                fresh = [(key, row.tobytes()) for (key, _), row in zip(some, rows, strict=True)]
                self._write(connection, fresh)
                known.update(fresh)
        if len({len(known[key]) for key in keys}) > 1:
            msg = f"{self.path} holds vectors of two lengths for {self.identity}: delete it, or name another file"
            raise StoreError(msg)
        return np.frombuffer(b"".join(known[key] for key in keys), dtype="<f4").reshape(len(keys), -1).astype("float32")

    def _open(self) -> sqlite3.Connection:
        path = Path(self.path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                _use_wal(connection)
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute(_TABLE)
            except BaseException:
                connection.close()
                raise
        except (sqlite3.Error, OSError) as error:
            msg = f"the vectors in {path} cannot be opened ({error}): check its permissions, or name another file"
            raise StoreError(msg) from error
        return connection

    def _known(self, connection: sqlite3.Connection, keys: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
        unique = list(dict.fromkeys(keys))
        for start in range(0, len(unique), _ASKED):
            some = unique[start : start + _ASKED]
            marks = ",".join("?" * len(some))
            try:
                yield from connection.execute(f"SELECT key, row FROM vectors WHERE key IN ({marks})", some)  # noqa: S608 - marks only
            except sqlite3.Error as error:
                msg = f"the vectors in {self.path} cannot be read ({error}): delete it, or name another file"
                raise StoreError(msg) from error

    def _write(self, connection: sqlite3.Connection, rows: Sequence[tuple[bytes, bytes]]) -> None:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            msg = f"the vectors cannot be written to {self.path} ({error}): check the disk, or name another file"
            raise StoreError(msg) from error


def identity_of(model: object) -> str:
    """Return what tells a model's vectors from another's: its ``identity``, or its name, address and settings.

    Raises:
        BadInput: it has no name.
    """
    if given := getattr(model, "identity", ""):
        return str(given)
    name = getattr(model, "name", "")
    if not name:
        msg = f"identity is empty, and {type(model).__name__} has no name: say what tells its vectors from another's"
        raise BadInput(msg)
    settings = dict(getattr(model, "settings", None) or {})
    told = [type(model).__name__, str(name), getattr(model, "model", None), getattr(model, "base_url", None), settings]
    return json.dumps(told, sort_keys=True, default=str)


def _use_wal(connection: sqlite3.Connection) -> None:
    # SQLite does not wait for a lock here, unlike everywhere else, when several processes make the file at once.
    deadline = time.monotonic() + _BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
