"""The folder of one fine-tune: one owner at a time, files that are there whole or not at all, and what was asked."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput, StudyOwned

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Folder", "fingerprint"]


class Folder:
    """A folder that one process at a time works in.

    Attributes:
        path: where it is.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Name it; nothing is made yet."""
        self.path = Path(path).absolute()

    @contextmanager
    def owned(self, asked: Mapping[str, Any], *, resume: bool) -> Iterator[None]:
        """Own the folder inside the block, for a task that is new or, with ``resume``, the one that was begun.

        Args:
            asked: what is to be done, as JSON values; kept, and compared with what was begun.
            resume: whether there may be a begun task.

        Raises:
            BadInput: a task was begun and ``resume`` is False, or it was another one; names the first difference.
            StudyOwned: another live process works here.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "owner.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system lets go of it however the process ends
            except BlockingIOError as error:
                msg = f"output: another process works in {self.path}: wait for it, or choose another folder"
                raise StudyOwned(msg) from error
            self._agree(asked, resume=resume)
            yield

    def _agree(self, asked: Mapping[str, Any], *, resume: bool) -> None:
        begun = self.read("asked.json")
        if begun is None:
            if any(path.name not in ("owner.lock", "asked.json.part") for path in self.path.iterdir()):
                msg = f"output: {self.path} holds other files: choose a folder that is empty or not there yet"
                raise BadInput(msg)
            self.write("asked.json", asked)
            return
        if not resume:
            msg = (
                f"output: a fine-tune was begun in {self.path}: go on with resume (--resume), or choose another folder"
            )
            raise BadInput(msg)
        now, then = _flat(json.loads(json.dumps(asked))), _flat(begun)
        for name in sorted(then.keys() | now.keys()):
            if then.get(name) != now.get(name):
                msg = f"{name} is {now.get(name)!r}, but {then.get(name)!r} in what was begun in {self.path}: "
                raise BadInput(msg + "give the same to go on, or choose another folder")

    def read(self, name: str) -> dict[str, Any] | None:
        """Return a file of :meth:`write`, or None where there is none."""
        path = self.path / name
        return dict(json.loads(path.read_text("utf-8"))) if path.exists() else None

    def write(self, name: str, values: Mapping[str, Any]) -> None:
        """Write JSON to a file, which holds the old values or the new whenever the process ends."""
        self.write_text(name, json.dumps(values, indent=2) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a file, as :meth:`write` does."""
        draft = self.path / f"{name}.part"
        with draft.open("w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(self.path / name)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {f"{prefix}{name}": value}
    return found


def fingerprint(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError as error:
        msg = f"data: {path} cannot be read ({error.strerror})"
        raise BadInput(msg) from error
