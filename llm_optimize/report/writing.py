"""Writing a study's report to a file, in the format that its name or the caller says."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput
from llm_optimize.report.data import report_data
from llm_optimize.report.figure import picture
from llm_optimize.report.log import read_log
from llm_optimize.report.markdown import markdown
from llm_optimize.report.rendering import page
from llm_optimize.report.tables import as_csv, as_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_optimize.core.protocols import Store
    from llm_optimize.report.log import Log

__all__ = ["FORMATS", "write_report"]

FORMATS = ("html", "md", "csv", "json", "png")
"""What a report can be; the end of a file's name says which."""

_MEANT = {".htm": "html", ".markdown": "md"}
_MAKERS: dict[str, Callable[[Log], str | bytes]] = {
    "html": lambda log: page(report_data(log)),
    "md": markdown,
    "csv": as_csv,
    "json": as_json,
    "png": lambda log: picture(report_data(log)),
}


def write_report(
    store: Store, study: str, path: str | os.PathLike[str], kind: str | None = None, *, force: bool = True
) -> Path:
    """Write a study's report; the study may still be running.

    Args:
        store: where the study is.
        study: its name.
        path: the file to write; its folder must exist. It appears whole or not at all.
        kind: one of :data:`FORMATS`; None takes the one that the file's name ends with, and html for another end.
        force: replace a file that is there.

    Returns:
        The file's absolute path.

    Raises:
        BadInput: the format is unknown, the file exists or cannot be written, a package for the format is missing, or
            the store has no such study.
    """
    target = _target(path, force=force)
    suffix = target.suffix.lower()
    kind = kind or _MEANT.get(suffix, suffix[1:] if suffix[1:] in FORMATS else "html")
    if kind not in _MAKERS:
        msg = f"format: {kind!r} is none of {', '.join(FORMATS)}"
        raise BadInput(msg)
    made: Any = _MAKERS[kind](read_log(store, study))
    body = made if isinstance(made, bytes) else made.encode("utf-8", "replace")
    try:
        _replace(target, body)
    except OSError as error:
        msg = f"path: {target} cannot be written ({error.strerror}): give a file in a folder that can be"
        raise BadInput(msg) from error
    return target


def _target(path: str | os.PathLike[str], *, force: bool) -> Path:
    if not os.fspath(path):
        msg = "path: it is empty; give the file to write"
        raise BadInput(msg)
    target = Path(path).expanduser().absolute()
    if target.is_dir() or not target.parent.is_dir():
        what = "is a folder" if target.is_dir() else "is in no folder that exists"
        msg = f"path: {target} {what}; give a file in an existing folder"
        raise BadInput(msg)
    if target.exists() and not force:
        msg = f"path: {target} exists; give another name, or --force to replace it"
        raise BadInput(msg)
    return target


def _replace(target: Path, body: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(body)
        Path(temporary).chmod(0o644)  # mkstemp's files are readable by their owner alone
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
