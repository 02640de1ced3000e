"""JSON Lines: a record as a line, a file of them read back, and a file that appears whole or not at all.

A process that is killed while it appends leaves at most one torn line, the last one; whoever reads passes over it.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["as_line", "read_lines", "write_whole"]


def as_line(record: Mapping[str, Any]) -> bytes:
    """Return a record as a line of UTF-8; a lone surrogate, which has no bytes there, is written as JSON's escape."""
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False) + "\n"
    return text.encode("utf-8", "backslashreplace")


def read_lines(path: Path) -> tuple[list[dict[str, Any]], int]:
    """Return the records of a file and how many bytes they take; a torn line at its end is not one of them.

    Raises:
        StoreError: another line is damaged, or the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}): restore it or give another folder"
        raise StoreError(msg) from error
    records: list[dict[str, Any]] = []
    end = 0
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            if end + len(line) + 1 == len(content):
                break  # the last one: written in part before the power went
            msg = f"{path}, line {number}: is damaged: restore the file or give another folder"
            raise StoreError(msg)
        records.append(record)
        end += len(line) + 1
    return records, end


def write_whole(path: Path, lines: Iterable[bytes]) -> int:
    """Write a file that appears whole or not at all; return how many lines it has.

    Raises:
        BadInput: it cannot be written.
    """
    count = 0
    try:
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(number, "wb") as file:
                for line in lines:
                    file.write(line)
                    count += 1
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        msg = f"{path}: cannot be written ({error.strerror}): choose a file in a folder that you may write to"
        raise BadInput(msg) from error
    return count
