"""What host, lane and a waiting process say to one another while programs run: the forms of it, for both ends.

Lane to host: ``WAITING`` with four descriptors (the end of a socket to the process that waits, and the reading ends of
its stdout, stderr and result), ``PREPARED``, and at the end of each program a report. Host to lane: ``PREPARE``, ``GO``
and ``END``. Host to the process: one message, which is a task or an order. Numbers tell a message about one process
from one that comes too late and was about the process before it. This file runs inside the jail too, so it needs the
standard library only.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.sandbox.base import Limits

__all__ = [
    "END",
    "GO",
    "INLINE",
    "PREPARE",
    "PREPARED",
    "REPORT",
    "ROOM",
    "WAITING",
    "about",
    "number_in",
    "order",
    "read",
    "read_report",
    "report",
    "task",
    "task_in_files",
]

WAITING, PREPARED, PREPARE, GO, END, REPORT = (bytes([letter]) for letter in b"WKPGER")
"""First bytes of the messages between host and lane."""
ROOM = 1 << 16
"""Bytes that a process has for its message."""

INLINE = 1 << 15
"""Bytes of a task beyond which it is mapped, not copied."""

_ABOUT = struct.Struct("<cQ")
_REPORT = struct.Struct("<cQiqd")  # status, peak in KiB, processor seconds; behind it the lane's reason
_TASK = struct.Struct("<cqdqqIIII15x")  # limits, lengths of the parts that follow
_HEAD = 64  # bytes; arrays in the inputs are aligned to this
_MOST = 1 << 40  # a limit beyond this bounds nothing
_DATA, _FILES, _ORDER = b"D", b"F", b"O"


def about(kind: bytes, number: int) -> bytes:
    """Return a message of this kind about the process with this number."""
    return _ABOUT.pack(kind, number)


def number_in(message: bytes) -> int:
    """Return which process a message of :func:`about` is about."""
    number: int = _ABOUT.unpack(message)[1]
    return number


def report(number: int, status: int, peak_kb: int, cpu_seconds: float, reason: str) -> bytes:
    """Return the lane's report about the process with this number.

    Args:
        number: see above.
        status: wait status of the program's first process.
        peak_kb: most resident memory in KiB.
        cpu_seconds: of all its processes.
        reason: why the lane ended it, or an empty text.
    """
    return _REPORT.pack(REPORT, number, status, peak_kb, cpu_seconds) + reason.encode("ascii")


def read_report(message: bytes) -> tuple[int, int, float, str]:
    """Return status, peak, processor seconds and reason of a :func:`report`."""
    _, _, status, peak_kb, cpu_seconds = _REPORT.unpack_from(message)
    return status, peak_kb, cpu_seconds, message[_REPORT.size :].decode("ascii")


def task(limits: Limits, *parts: bytes) -> bytes:
    """Return the message that has a process run a task, or nothing where that is too long for one.

    Args:
        limits: of the program; only what the process itself sets is told.
        parts: source, names of outputs (one for each line), call, inputs; the last two encoded, or empty for none.
    """
    sizes = [len(part) for part in parts]
    end = sum(sizes)
    if end > INLINE:
        return b""
    gap = bytes(sizes[-1] - end & _HEAD - 1)  # before the inputs
    return b"".join((_head(_DATA, limits, sizes), *parts[:-1], gap, parts[-1]))


def task_in_files(limits: Limits) -> bytes:
    """Return the message that has a process run a task which comes with it as two files: task and inputs, encoded."""
    return _head(_FILES, limits, (0, 0, 0, 0))


def _head(kind: bytes, limits: Limits, sizes: Sequence[int]) -> bytes:
    memory_mb, processes, files_mb = (min(n, _MOST) for n in (limits.memory_mb, limits.processes, limits.files_mb))
    return _TASK.pack(kind, memory_mb, min(limits.cpu_s, _MOST), processes, files_mb, *sizes)


def order(what: Mapping[str, Any]) -> bytes:
    """Return the message that has a process do something else; its descriptors come with it."""
    return _ORDER + json.dumps(what).encode()


def read(message: memoryview) -> dict[str, Any]:
    """Return what :func:`task` or :func:`order` said: an order, with views of the ``parts`` if they came with it."""
    if message[:1] == _ORDER:
        found: dict[str, Any] = json.loads(bytes(message[1:]))
        return found
    kind, memory_mb, cpu_s, processes, files_mb, source, outputs, call, inputs = _TASK.unpack_from(message)
    order: dict[str, Any] = {
        "run": "data",
        "limits": {"memory_mb": memory_mb, "cpu_s": cpu_s, "processes": processes, "files_mb": files_mb},
    }
    if kind == _DATA:
        names = _HEAD + source
        calls = names + outputs
        order["parts"] = (
            message[_HEAD:names],
            message[names:calls],
            message[calls : calls + call],
            message[len(message) - inputs :],
        )
    return order
