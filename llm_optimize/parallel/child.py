"""What runs in a worker process: calls, one after the other, until the parent closes the pipe or dies."""

from __future__ import annotations

import os
import pickle
import sys

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
    write_frame(answers, pickle.dumps(os.getpid()))
    while True:
        try:
            function, arguments = read_frame(orders)
        except EOFError:
            return
        future = Inline().submit(function, *arguments)
        error = future.exception()
        sys.stdout.flush()
        try:
            body = pickle.dumps((future.result() if error is None else None, error))
        except (pickle.PicklingError, AttributeError, TypeError) as unfit:
            body = pickle.dumps((None, TypeError(f"the result cannot be pickled: {unfit}")))
        try:
            write_frame(answers, body)
        except OSError:
            return  # the parent is gone
