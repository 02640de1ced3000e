"""Real objects across the border, by pickle: for ``eval_utils.exec_with_timeout_unsafe`` and nothing else.

Unpickling runs code that the sender chose. The host does it with what a script sent, so a script that goes this way
is trusted like the host's own code. This file runs on both sides; standard library only.
"""

from __future__ import annotations

import builtins
import os
import pickle
import sys
import traceback
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["pack", "perform", "unpack"]

_FILENAME = "<script>"


def pack(script: str, variables: Mapping[str, Any], wanted: Iterable[str]) -> bytes:
    """Return the request for :func:`perform`: each variable pickled by itself.

    Raises:
        TypeError: a variable cannot be pickled; the message names it.
    """
    pickles = {name: _pickle(name, value) for name, value in variables.items()}
    return pickle.dumps((script, pickles, list(wanted), sys.path, dict(os.environ)))


def perform(request: bytes) -> bytes:
    """Run the script of a request in this process, which is its own, and return the reply for :func:`unpack`."""
    script, pickles, wanted, path, environment = pickle.loads(request)  # noqa: S301 - written by our own host
    sys.path[:] = path
    os.environ.clear()
    os.environ.update(environment)
    try:
        module = ModuleType("__main__")
        sys.modules["__main__"] = module
        space = vars(module)
        space["__builtins__"] = builtins
        space.update({name: pickle.loads(body) for name, body in pickles.items()})  # noqa: S301 - the host's own variables
        exec(compile(script, _FILENAME, "exec", dont_inherit=True), space)  # noqa: S102 - running it is what we are for
    except SystemExit as leaving:
        return pickle.dumps(("exit", leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)))
    except BaseException as error:  # noqa: BLE001 - the script's own border: the host raises it again
        return pickle.dumps(("raised", _portable(error), f"{type(error).__name__}: {error}", traceback.format_exc()))
    missing = [name for name in wanted if name not in space]
    if missing:
        return pickle.dumps(("missing", missing))
    try:
        return pickle.dumps(("values", {name: _pickle(name, space[name]) for name in wanted}))
    except TypeError as error:
        return pickle.dumps(("unpicklable", str(error)))


def unpack(reply: bytes) -> dict[str, Any]:
    """Return the wanted variables, or raise what the script raised.

    Raises:
        KeyError: the script ended without setting a wanted name; names it.
        TypeError: a wanted variable cannot be copied back; names it.
        RuntimeError: the script exited, or raised an error that cannot be copied back.
        BaseException: the script's own error, with its type.
    """
    kind, *rest = pickle.loads(reply)  # noqa: S301 - what this module's docstring says
    if kind == "values":
        return {name: _restore(name, body) for name, body in rest[0].items()}
    if kind == "missing":
        msg = f"the script ended without setting {', '.join(rest[0])}"
        raise KeyError(msg)
    if kind == "unpicklable":
        raise TypeError(rest[0])
    if kind == "exit":
        msg = f"the script exited with status {rest[0]} before it was done"
        raise RuntimeError(msg)
    raise _error(*rest)


def _error(body: bytes | None, text: str, trace: str) -> BaseException:
    error: BaseException | None = None
    if body is not None:
        try:
            error = pickle.loads(body)  # noqa: S301 - what this module's docstring says
        except Exception:  # noqa: BLE001 - an exception of a class that only the script knows
            error = None
    if not isinstance(error, BaseException):
        error = RuntimeError(text)
    error.add_note(trace)
    return error


def _pickle(name: str, value: object) -> bytes:
    try:
        return pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001 - a __reduce__ may raise anything
        msg = f"{name} is a {type(value).__qualname__}, which cannot be copied between processes: {error}"
        raise TypeError(msg) from None


def _restore(name: str, body: bytes) -> Any:  # noqa: ANN401 - any object
    try:
        return pickle.loads(body)  # noqa: S301 - what this module's docstring says
    except Exception as error:  # noqa: BLE001 - a __setstate__ may raise anything
        msg = f"{name} cannot be copied back, its class is known to the script only: {error}"
        raise TypeError(msg) from None


def _portable(error: BaseException) -> bytes | None:
    try:
        body = pickle.dumps(error)
        pickle.loads(body)  # noqa: S301 - our own bytes, to see whether they can be read back
    except Exception:  # noqa: BLE001 - exceptions with arguments of their own often fail here
        return None
    return body


if __name__ == "__main__":  # an interpreter of its own, where there is no warm parent: request and reply are files
    with open(sys.argv[1], "rb") as _request:  # noqa: PTH123 - standard library at its smallest
        _reply = perform(_request.read())
    with open(sys.argv[2], "wb") as _file:  # noqa: PTH123 - as above
        _file.write(_reply)
    sys.stdout.flush()
    os._exit(0)
