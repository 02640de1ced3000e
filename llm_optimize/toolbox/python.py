"""A tool that lets a model try code before it answers: in the sandbox, with its limits and without the network."""

from __future__ import annotations

import ast
import threading
import weakref
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from llm_optimize.core.metering import current_scope
from llm_optimize.errors import BadInput
from llm_optimize.llm.tools import Tool, ToolFailed, as_tool, cut
from llm_optimize.sandbox import Limits, Program, Sandbox
from llm_optimize.sandbox.base import named
from llm_optimize.sandbox.verdict import encode_inputs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.sandbox import Finished, Session

__all__ = ["run_python"]

_SHOWN = 8_000  # characters of what a program printed
_BESIDE = 2_000  # of its error stream, or of the message about its end
_STARTING_SECONDS = 60.0  # beyond the limit, for the sandbox to start and its modules to be imported
_DESCRIPTION = 900
_SESSIONS = 8  # kept alive at a time: as many proposals may try code side by side
_SILENT = "(it ran and printed nothing: print what you want to see, or end with an expression)"
_LAST = """
if {name} is not None:
    print(repr({name}))
"""
_RESULT = """
if "result" in globals():
    print("result =", repr(globals()["result"]))
"""


def run_python(  # noqa: PLR0913 - the sandbox's settings, and the tool's
    sandbox: Sandbox | None = None,
    *,
    preload: Sequence[str] = (),
    limits: Limits | None = None,
    inputs: Mapping[str, Any] | None = None,
    session: bool = False,
    name: str = "run_python",
) -> Tool:
    r"""Return a tool that runs a model's Python code in a sandbox and tells what it printed.

    Args:
        sandbox: where to run it; None for one of its own without network, which ends with this process.
        preload: modules for that sandbox to import beforehand, such as ``["numpy", "sklearn.svm"]``.
        limits: what one call may use, 20 s of wall time unless said otherwise; of a session all but the wall time is
            for its calls together.
        inputs: variables that the code finds set: data only. What candidates are scored on does not belong there.
        session: whether variables stay from one call to the next within a proposal. A resumed study begins anew.
        name: the tool's.

    Returns:
        A tool with the argument ``code``. The model sees the standard output, the value of the last expression, or
        the variable ``result``, and errors with their traceback.

    Raises:
        BadInput: a setting or an input cannot work.

    Example:
        >>> run_python().call('{"code": "x = 20\\nx + 22"}').result
        '42'
    """
    if sandbox is not None and preload:
        msg = "preload is for a sandbox of the tool's own: give it to the Sandbox(...), or leave sandbox out"
        raise BadInput(msg)
    given = dict(inputs or {})
    named(list(given), "inputs")
    encode_inputs(Program("", given))  # tells now what is not data
    chosen = limits or (sandbox.limits if sandbox is not None else Limits(wall_s=20, cpu_s=200 if session else 20))
    runner = _Runner(sandbox or Sandbox(preload, chosen), chosen, given, session=session)
    weakref.finalize(runner, _close, runner.sessions, None if sandbox else runner.sandbox)
    timeout = chosen.wall_s + _STARTING_SECONDS
    return as_tool(runner.run, name=name, description=_description(chosen, given, preload, session), timeout=timeout)


class _Runner:
    """Runs code; each proposal has a session of its own where there are sessions."""

    def __init__(self, sandbox: Sandbox, limits: Limits, inputs: Mapping[str, Any], *, session: bool) -> None:
        self.sandbox = sandbox
        self._limits = limits
        self._inputs = inputs
        self._keeps = session
        self.sessions: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, code: str) -> str:
        """Run Python code.

        Args:
            code: the source; print what you want to see, or end with an expression.
        """
        script = _showing(code)
        if not self._keeps:
            return _told(self.sandbox.run(script, self._inputs, limits=self._limits))
        session, note = self._session()
        return _told(session.run(script), note)

    def _session(self) -> tuple[Session, str]:
        """Return this proposal's session, with a note where an earlier one ended."""
        scope = current_scope()
        unit = "" if scope is None else f"{scope.study}/{scope.name}"
        with self._lock:
            known = self.sessions.pop(unit, None)
            if known is not None and known.alive:
                self.sessions[unit] = known
                return known, ""
            while len(self.sessions) >= _SESSIONS:
                self.sessions.popitem(last=False)[1].close()
            fresh = self.sandbox.session(inputs=self._inputs, limits=self._limits)
            self.sessions[unit] = fresh
        return fresh, "(the earlier variables are gone: that session has ended)\n" if known is not None else ""


def _close(sessions: OrderedDict[str, Session], sandbox: Sandbox | None) -> None:
    """End the processes when the tool is gone, or Python ends; a sandbox that was given is its owner's to close."""
    for session in sessions.values():
        session.close()
    if sandbox is not None:
        sandbox.close()


def _description(limits: Limits, inputs: Mapping[str, Any], preload: Sequence[str], session: bool) -> str:  # noqa: FBT001 - as given
    stays = "Variables stay from call to call." if session else "Nothing stays from one call to the next."
    told = (
        "Run Python code in a sandbox and see what it prints, the value of its last expression, and errors. "
        f"{stays} Each call has {limits.wall_s:g} s and {limits.memory_mb:g} MB."
    )
    if inputs:
        told += f" These variables are set: {', '.join(f'{name} ({_kind(value)})' for name, value in inputs.items())}."
    return cut(told + (f" Quick to import: {', '.join(preload)}." if preload else ""), _DESCRIPTION)


def _kind(value: object) -> str:
    shape = getattr(value, "shape", None)
    size = (
        f" of shape {tuple(shape)}"
        if shape is not None
        else f" of {len(value)}"
        if isinstance(value, list | dict)
        else ""
    )
    return f"{type(value).__name__}{size}"


def _showing(code: str) -> str:
    """Return code that prints its last expression, as an interpreter would; lines keep their numbers.

    Code that is no Python is returned as it is: the sandbox tells what is wrong with it.
    """
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code
    last = body[-1] if body else None
    if not isinstance(last, ast.Expr) or last.end_lineno is None or last.end_col_offset is None:
        return code + "\n" + _RESULT
    lines = code.encode().splitlines(keepends=True)
    name = "_last_" if "_last" in code else "_last"
    start = sum(map(len, lines[: last.lineno - 1])) + last.col_offset
    end = sum(map(len, lines[: last.end_lineno - 1])) + last.end_col_offset
    raw = b"".join(lines)
    return (
        (raw[:start] + f"{name} = (".encode() + raw[start:end] + b")" + raw[end:]).decode()
        + "\n"
        + _LAST.format(name=name)
    )


def _told(done: Finished, note: str = "") -> str:
    """Return what the model is told of a program that ran.

    Raises:
        ToolFailed: it failed; with what it printed until then.
    """
    printed = cut(done.stdout.rstrip("\n"), _SHOWN)
    errors = f"[error stream]\n{cut(done.stderr.strip(), _BESIDE)}" if done.stderr.strip() else ""
    if done.ok:
        return note + ("\n".join(filter(None, [printed, errors])) or _SILENT)
    raise ToolFailed(note + "\n".join(filter(None, [printed, errors, f"[{done.reason}] {cut(done.message, _BESIDE)}"])))
