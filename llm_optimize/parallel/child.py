"""What runs in a worker process: calls, one after the other, until the parent closes the pipe or dies."""

from __future__ import annotations

import os
import pickle
import sys
from typing import Any

from llm_optimize.core.workers import Inline
from llm_optimize.parallel.frames import read_frame, write_frame

__all__ = ["PROGRAM", "main"]

PROGRAM = "import sys; sys.path[:] = {path!r}; from llm_optimize.parallel.child import main; main()"
"""For ``python -c``: the parent's search path first, so that the same modules are found."""


def main() -> None:
    """Carry out what comes on stdin; what the calls print goes to stderr, and they find nothing to read."""
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    try:
        write_frame(answers, b"ready")
        while True:
            write_frame(answers, _answer(read_frame(orders)))
    except (EOFError, OSError):
        return  # the parent has closed the pipe, or is gone


def _answer(order: bytes) -> bytes:
    """Carry out a call; what cannot be read, called or sent back is the call's error, not the worker's."""
    future = Inline().submit(_carry_out, order)
    error = future.exception()
    sys.stdout.flush()
    try:
        return pickle.dumps((future.result() if error is None else None, error))
    except (pickle.PicklingError, AttributeError, TypeError) as unfit:
        return pickle.dumps((None, TypeError(f"the result cannot be pickled: {unfit}")))


def _carry_out(order: bytes) -> Any:  # noqa: ANN401 - whatever the call returns
    function, args, kwargs = pickle.loads(order)  # noqa: S301 - sent by our own parent
    return function(*args, **kwargs)
