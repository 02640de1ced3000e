"""From what was seen of a program to the value that says how it ended: one place for every back end."""

from __future__ import annotations

import functools
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput
from llm_optimize.sandbox import codec
from llm_optimize.sandbox.base import Finished

if TYPE_CHECKING:
    from llm_optimize.sandbox.base import Limits, Program, Reason

__all__ = [
    "MAX_RESULT_BYTES",
    "NoResult",
    "Observed",
    "claimed",
    "encode_call",
    "encode_inputs",
    "encode_question",
    "encode_task",
    "finished",
    "look",
    "source_bytes",
    "verdict",
]

_MAX_MESSAGE = 4000  # characters; a program's own harness keeps to fewer
_LOOKED_AT = 1 << 12  # bytes
_SIGKILL = 9  # not defined on Windows
MAX_RESULT_BYTES = codec.MAX_BYTES
"""Size of what a program may send back."""

_CLAIMS: tuple[Reason, ...] = ("raised", "memory", "processes", "missing_output", "bad_value")
_ENDED = {
    "timeout": "stopped after {limits.wall_s:g} s of wall time",
    "cpu": "stopped after {limits.cpu_s:g} s of processor time",
    "memory": "stopped: its processes together took more than {limits.memory_mb} MiB",
    "processes": "stopped: more than {limits.processes} processes and threads",
    "output": "stopped: it printed far more than {limits.output_kb} KiB",
    "bad_value": "stopped: it sent back more than may cross the border",
}


@dataclass(frozen=True, slots=True)
class Observed:
    """What a back end saw of a program.

    Attributes:
        status: exit status, negative for a signal (as in ``subprocess``).
        cause: the reason for which host or lane ended it, else empty.
        result: the bytes that it sent back.
        stdout: what it printed, cut; ``stderr`` likewise.
        seconds: wall time; ``cpu_seconds`` and ``peak_mb`` as in :class:`Finished`.
        frame: what :func:`look` made of the result, if it was looked at.
    """

    status: int
    cause: str
    result: bytes
    stdout: bytes
    stderr: bytes
    seconds: float
    cpu_seconds: float
    peak_mb: float
    frame: object = None


def encode_task(program: Program) -> list[bytes | memoryview]:
    """Return the program without its inputs, encoded.

    Raises:
        BadInput: an argument of the call is not data.
    """
    return _encode(_task(program), "the call's arguments")


def encode_call(program: Program) -> bytes:
    """Return the program's call, encoded, or nothing where there is none; raises as :func:`encode_task`."""
    return b"".join(_encode({"call": _call(program)}, "the call's arguments")) if program.call else b""


def encode_question(program: Program, *, with_source: bool) -> list[bytes | memoryview]:
    """Return a session's question: the program with its inputs, or without its source only its call.

    Raises:
        BadInput: an input or an argument is not data; the message names it.
    """
    task = _task(program)
    return _encode({**task, "source": task["source"] if with_source else None, "inputs": dict(program.inputs)}, "given")


def encode_inputs(program: Program) -> list[bytes | memoryview]:
    """Return the program's inputs, encoded.

    Raises:
        BadInput: one of them is not data; the message names it.
    """
    return _encode(dict(program.inputs), "inputs")


def _task(program: Program) -> dict[str, Any]:
    return {"source": source_bytes(program), "outputs": list(program.outputs), "call": _call(program)}


def _call(program: Program) -> dict[str, Any] | None:
    call = program.call
    if call is None:
        return None
    return {"name": call.name, "args": call.args, "kwargs": dict(call.kwargs), "repeat": call.repeat}


def source_bytes(program: Program) -> bytes:
    """Return the source as bytes; a lone surrogate is the program's fault, and told there."""
    return program.source.encode("utf-8", "surrogatepass")


def _encode(value: dict[str, Any], field: str) -> list[bytes | memoryview]:
    try:
        return codec.encode(value)
    except codec.NotData as error:
        msg = f"{field}: {error}; pass numbers, text, lists, dicts, numpy arrays or tables"
        raise BadInput(msg) from None


def verdict(program: Program, seen: Observed, layers: tuple[str, ...]) -> Finished:
    """Return how the program ended; believes the program about its failures and its values, about nothing else."""
    return finished(*_judge(program, seen), seen, layers)


def finished(reason: Reason, message: str, values: dict[str, Any], seen: Observed, layers: tuple[str, ...]) -> Finished:
    """Return what was judged and what was seen as one value."""
    return Finished(
        ok=reason == "finished",
        reason=reason,
        values=values,
        stdout=_text(seen.stdout),
        stderr=_text(seen.stderr),
        seconds=seen.seconds,
        cpu_seconds=seen.cpu_seconds,
        peak_mb=seen.peak_mb,
        message=message,
        layers=layers,
    )


def _judge(program: Program, seen: Observed) -> tuple[Reason, str, dict[str, Any]]:
    if seen.cause in _ENDED:
        return seen.cause, _ENDED[seen.cause].format(limits=program.limits), {}  # type: ignore[return-value]  # a Reason
    if seen.status < 0:
        return _by_signal(-seen.status, seen, program.limits)
    if seen.status or not seen.result:
        return "killed", f"ended without a result, exit status {seen.status}", {}
    try:
        return claimed(program, seen.result, seen.frame)
    except NoResult as lie:
        return "bad_value", str(lie), {}


def _by_signal(number: int, seen: Observed, limits: Limits) -> tuple[Reason, str, dict[str, Any]]:
    if number == getattr(signal, "SIGXCPU", None) or (number == _SIGKILL and seen.cpu_seconds >= limits.cpu_s):
        return "cpu", _ENDED["cpu"].format(limits=limits), {}
    known = number in set(signal.Signals)
    return "killed", f"ended by signal {number}" + (f" ({signal.Signals(number).name})" if known else ""), {}


class NoResult(Exception):
    """What a program sent back does not have the form of a result; says why."""

    def __init__(self, why: str) -> None:
        """Say it in words that a model understands."""
        super().__init__(f"what it sent back is no result: {why}")


def look(result: bytes) -> object:
    """Return what a result says, decoded ahead of its end; None where it is none, or not yet all of it."""
    try:
        return _decoded(result) if len(result) <= _LOOKED_AT else None
    except codec.NotData:
        return None


@functools.cache
def _usual_beginning() -> bytes:
    """What comes before the values of a program that finished: read once, not again with every result."""
    whole = b"".join(codec.encode({"reason": "finished", "message": "", "values": {}}))
    return whole.removesuffix(b"".join(codec.encode({})))


def _decoded(result: bytes | memoryview) -> object:
    usual = _usual_beginning()
    if result[: len(usual)] != usual:
        return codec.decode(result, nodes=codec.MAX_RESULT_NODES)
    values = codec.decode(result, nodes=codec.MAX_RESULT_NODES, skip=len(usual))
    return {"reason": "finished", "message": "", "values": values}


def claimed(program: Program, result: bytes | memoryview, frame: object = None) -> tuple[Reason, str, dict[str, Any]]:
    """Return what the program says of itself: a failure with its message, or exactly the wanted values.

    Args:
        program: what was run.
        result: the bytes that it sent.
        frame: what :func:`look` made of exactly these bytes, if it did.

    Raises:
        NoResult: it is not well-formed, so it was not our side that wrote it.
    """
    found: Any = frame
    try:
        found = _decoded(result) if frame is None else frame
    except codec.NotData as error:
        raise NoResult(str(error)) from None
    fault = _fault(program, found)
    if fault:
        raise NoResult(fault)
    if found["reason"] == "finished":
        return "finished", "", found["values"]
    return found["reason"], found["message"][:_MAX_MESSAGE], {}


def _fault(program: Program, frame: object) -> str:
    if not isinstance(frame, dict) or set(frame) != {"reason", "message", "values"}:
        return "wrong fields"
    reason, message, values = frame["reason"], frame["message"], frame["values"]
    # the types first: an array, compared to a text, is not simply unequal
    if not (isinstance(reason, str) and isinstance(message, str) and isinstance(values, dict)):
        return "wrong types"
    if reason in _CLAIMS:
        return ""
    wanted = {"result", "seconds"} if program.call else set(program.outputs)
    return "" if reason == "finished" and set(values) == wanted else "other values than the wanted ones"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
