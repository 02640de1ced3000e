"""From what a user says (a path, an address, ``"auto"``, None, a store) to a store."""

from __future__ import annotations

import os
from pathlib import Path

from llm_optimize.core.protocols import Store
from llm_optimize.errors import BadInput, StoreError
from llm_optimize.stores.memory import MemoryStore
from llm_optimize.stores.postgres import PostgresStore
from llm_optimize.stores.postgres_address import is_address
from llm_optimize.stores.sqlite import SQLiteStore

__all__ = ["default_path", "open_store"]

_FOLDER = ".llm_optimize"


def default_path() -> Path:
    """Return ``$LLM_OPTIMIZE_HOME/studies.db``, or ``./.llm_optimize/studies.db`` where the variable is not set."""
    return Path(os.environ.get("LLM_OPTIMIZE_HOME") or _FOLDER) / "studies.db"


def open_store(value: str | os.PathLike[str] | Store | None) -> Store:
    """Return the store that ``value`` stands for.

    Args:
        value: ``"auto"`` is SQLite at :func:`default_path`; ``"postgresql://..."`` is a
            :class:`~llm_optimize.stores.postgres.PostgresStore`; another text or path is SQLite at that path; None is a
            store in memory; a store is itself.

    Raises:
        BadInput: ``value`` is none of these.
        StoreError: the file cannot be made or opened, or is not a store; the server cannot be reached.
        StoreTooNew: a newer version wrote the file or the schema.

    Example:
        >>> open_store(None).studies()
        ()
    """
    if value is None:
        return MemoryStore()
    if isinstance(value, str) and value == "auto":
        return SQLiteStore(_prepared(default_path()))
    if isinstance(value, str) and is_address(value):
        return PostgresStore(value)
    if isinstance(value, (str, os.PathLike)):
        return SQLiteStore(value)
    if isinstance(value, Store) and not isinstance(value, type):
        return value
    msg = f"store is {value!r}: give a path, 'auto', None (in memory) or an object with append, read and studies"
    raise BadInput(msg)


def _prepared(path: Path) -> Path:
    """Make the default folder, hidden from git: logs hold prompts and belong in no repository by accident."""
    folder = path.parent
    try:
        if folder.name == _FOLDER and not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        msg = f"{folder}: cannot be made ({error.strerror}): set LLM_OPTIMIZE_HOME or give store a writable path"
        raise StoreError(msg) from error
    return path
