"""The fifth step of the schema: for studies that have become long.

A step is never changed after the fact, so its statements stand here whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

__all__ = ["m005_folds"]


def m005_folds(connection: sqlite3.Connection) -> None:
    """Room for what a log was folded to, one row a study: it may be deleted at any time, then the log is read again."""
    connection.execute("CREATE TABLE folds (study INTEGER PRIMARY KEY REFERENCES studies (id), body BLOB NOT NULL)")
