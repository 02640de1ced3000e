"""Folders in which host and program exchange what they have for each other, where there is no lane to do it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from llm_optimize.errors import SandboxError
from llm_optimize.sandbox.verdict import MAX_RESULT_BYTES, encode_inputs, encode_task

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llm_optimize.sandbox.base import Program

__all__ = ["folders", "read_result", "scratch", "write_inputs", "write_orders"]


@contextlib.contextmanager
def folders() -> Iterator[tuple[Path, Path]]:
    """Give a folder for what host and program exchange, and the program's working folder; gone afterwards.

    Raises:
        SandboxError: there is no room for them, or none that may be written to.
    """
    with scratch() as top:
        control, work = Path(top, "control"), Path(top, "work")
        control.mkdir()
        work.mkdir()
        yield control, work


@contextlib.contextmanager
def scratch() -> Iterator[str]:
    """Give a folder that a program may fill; gone afterwards, whatever the program made of it.

    Raises:
        SandboxError: there is no room for it, or none that may be written to.
    """
    try:
        top = tempfile.mkdtemp(prefix="box-")
    except OSError as error:
        raise _no_room(error) from error
    try:
        yield top
    finally:
        _remove(top)


def _remove(top: str) -> None:
    """Remove a tree that may be nested deeper than the standard library, which recurses, can follow."""
    try:
        shutil.rmtree(top, ignore_errors=True)
    except RecursionError:
        subprocess.run(["rm", "-rf", "--", top], check=False, stderr=subprocess.DEVNULL)  # noqa: S603, S607 - POSIX's own


def write_orders(program: Program, control: Path) -> None:
    """Write task, inputs and limits for the interpreter that is to run the program.

    Raises:
        BadInput: an input or an argument is not data.
        SandboxError: there is no room for them.
    """
    _write(control / "task", encode_task(program))
    write_inputs(program, control)


def write_inputs(program: Program, control: Path) -> None:
    """Write inputs and limits only; raises as :func:`write_orders`."""
    _write(control / "inputs", encode_inputs(program))
    _write(control / "limits", [json.dumps(dataclasses.asdict(program.limits)).encode()])


def read_result(control: Path) -> bytes:
    """Return what the program left, if it is a plain file of a bearable size: it may have put anything there."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(control / "result", flags)
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return b""
        return file.read(MAX_RESULT_BYTES + 1)


def _write(path: Path, chunks: list[bytes | memoryview]) -> None:
    try:
        with path.open("wb") as file:
            file.writelines(chunks)
    except OSError as error:
        raise _no_room(error) from error


def _no_room(error: OSError) -> SandboxError:
    where = tempfile.gettempdir()
    return SandboxError(f"the sandbox cannot write to {where}: {error.strerror}; free some room or set TMPDIR")
