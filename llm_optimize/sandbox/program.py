"""Runs one program in its own process and says what came of it, in words fit for a model.

This file runs inside the jail, so it needs the standard library only.
"""

from __future__ import annotations

import builtins
import errno
import functools
import linecache
import sys
import time
import traceback
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

__all__ = ["FILENAME", "answer", "explain", "failed", "namespace", "perform"]

FILENAME = "<program>"
"""What a program's tracebacks call its source; further scripts of a session are ``<program 2>``, ..."""

_MAX_LINES = 30
_MAX_CHARACTERS = 3000


def perform(task: Mapping[str, Any], inputs: Mapping[str, Any], *, alone: bool = True) -> dict[str, Any]:
    """Run the program of ``task`` and return ``{"reason", "message", "values"}``.

    Args:
        task: ``source`` (bytes, UTF-8), ``outputs`` (names wanted), and ``call``: None or a dict with ``name``,
            ``args``, ``kwargs`` and ``repeat``.
        inputs: variables that the program finds set.
        alone: whether this process is the program's own, so that its namespace is the module ``__main__``.

    Returns:
        ``reason`` is one of the sandbox's reasons; ``values`` holds exactly the wanted names when it is ``finished``.
    """
    return answer(namespace(inputs, alone=alone), task)


def namespace(inputs: Mapping[str, Any], *, alone: bool = True) -> dict[str, Any]:
    """Return one namespace for everything of a program, so that functions see imports, inputs and each other.

    Args:
        inputs: variables that it begins with.
        alone: whether it becomes the module ``__main__`` of this process.
    """
    module = ModuleType("__main__")
    if alone:
        sys.modules["__main__"] = module
    space = vars(module)
    space["__builtins__"] = builtins
    space.update(inputs)
    return space


def answer(space: dict[str, Any], task: Mapping[str, Any], filename: str = FILENAME) -> dict[str, Any]:
    """Do one task in a namespace that may have seen others; see :func:`perform`, where ``source`` may be None too."""
    clock = time.perf_counter
    try:
        if task["source"] is not None:
            _execute(task["source"], space, filename)
        values = _outputs(space, task["outputs"])
        if task["call"] is not None:
            return _finished(_repeat(_function(space, task["call"]["name"]), task["call"], clock))
    except _MissingError as missing:
        return failed("missing_output", str(missing))
    except BaseException as error:  # noqa: BLE001 - the jail's own border: whatever a program raises is its result
        return failed(_reason(error), explain(error))
    return _finished(values)


def explain(error: BaseException) -> str:
    """Return the traceback of a program's error, its own frames only, at most some thirty lines."""
    frames = _own_frames(error.__traceback__)
    lines = "".join(traceback.format_exception(type(error), error, frames)).splitlines()
    if len(lines) > _MAX_LINES:
        lines = ["...", *lines[-_MAX_LINES:]]
    text = "\n".join(lines)
    return text if len(text) <= _MAX_CHARACTERS else "..." + text[-_MAX_CHARACTERS:]


class _MissingError(Exception):
    """A wanted name is not set."""


def _finished(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"reason": "finished", "message": "", "values": values}


def failed(reason: str, message: str) -> dict[str, Any]:
    """Return the outcome of a program that failed for this reason, told in these words."""
    return {"reason": reason, "message": message, "values": {}}


def _execute(source: bytes, space: dict[str, Any], filename: str) -> None:
    try:
        text = source.decode("utf-8")
    except UnicodeDecodeError:
        msg = "the program is not valid Unicode: it holds a lone surrogate"
        raise SyntaxError(msg) from None
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    try:
        exec(compile(text, filename, "exec", dont_inherit=True), space)  # noqa: S102 - running it is what we are for
    except SystemExit as leaving:
        if leaving.code not in (None, 0):
            raise


def _outputs(space: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    missing = [name for name in names if name not in space]
    if missing:
        msg = f"the program ended without setting {', '.join(missing)}"
        raise _MissingError(msg)
    return {name: space[name] for name in names}


def _function(space: Mapping[str, Any], name: str) -> Callable[..., Any]:
    first, *rest = name.split(".")
    function = functools.reduce(lambda found, part: getattr(found, part, None), rest, space.get(first))
    if not callable(function):
        msg = f"the program defines no function {name}"
        raise _MissingError(msg)
    return function  # type: ignore[no-any-return]  # any callable of the program


def _repeat(function: Callable[..., Any], how: Mapping[str, Any], clock: Callable[[], float]) -> dict[str, Any]:
    args, kwargs, seconds, result = how["args"], how["kwargs"], [], None
    for _ in range(how["repeat"]):
        start = clock()
        result = function(*args, **kwargs)
        seconds.append(clock() - start)
    return {"result": result, "seconds": seconds}


def _reason(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, BlockingIOError) and error.errno == errno.EAGAIN:  # fork at the limit of processes
        return "processes"
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return "processes"
    return "raised"


def _own_frames(frames: TracebackType | None) -> TracebackType | None:
    own = frames
    while own is not None and not own.tb_frame.f_code.co_filename.startswith(FILENAME[:-1]):
        own = own.tb_next
    return own
