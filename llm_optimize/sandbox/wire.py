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

__all__ = [
    "END",
    "GO",
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
]

WAITING, PREPARED, PREPARE, GO, END, REPORT = (bytes([letter]) for letter in b"WKPGER")
"""First bytes of the messages between host and lane."""
ROOM = 1 << 16
"""Bytes that a process has for its message."""

_ABOUT = struct.Struct("<cQ")
_REPORT = struct.Struct("<cQiqd")  # status, peak in KiB, processor seconds; behind it the lane's reason
_TASK = struct.Struct("<cqdqqII")  # limits, length of task and inputs, which follow when they are not in files
_HEAD = 64  # bytes; arrays in the inputs are aligned to this
_INLINE = 1 << 15  # larger ones are mapped, not copied
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


def task(
    limits: tuple[int, float, int, int], given: Sequence[bytes | memoryview], inputs: Sequence[bytes | memoryview]
) -> tuple[bytes, bool]:
    """Return the message that has a process run a task, and whether task and inputs are in it.

    Args:
        limits: ``memory_mb``, ``cpu_s``, ``processes`` and ``files_mb``.
        given: the task, encoded.
        inputs: encoded too.

    Returns:
        As said; where they are not in it they must come with it as two descriptors.
    """
    sizes = sum(map(len, given)), sum(map(len, inputs))
    inside = sum(sizes) <= _INLINE
    head = _TASK.pack(_DATA if inside else _FILES, *(min(limit, _MOST) for limit in limits), *sizes)
    if not inside:
        return head, False
    return b"".join((head, bytes(_HEAD - _TASK.size), *given, bytes(-sizes[0] % _HEAD), *inputs)), True


def order(what: Mapping[str, Any]) -> bytes:
    """Return the message that has a process do something else; its descriptors come with it."""
    return _ORDER + json.dumps(what).encode()


def read(message: memoryview) -> dict[str, Any]:
    """Return what :func:`task` or :func:`order` said: an order, with the views ``task`` and ``inputs`` if they came."""
    if message[:1] == _ORDER:
        found: dict[str, Any] = json.loads(bytes(message[1:]))
        return found
    kind, memory_mb, cpu_s, processes, files_mb, size, more = _TASK.unpack_from(message)
    bounds = {"memory_mb": memory_mb, "cpu_s": cpu_s, "processes": processes, "files_mb": files_mb}
    if kind == _FILES:
        return {"run": "data", "limits": bounds}
    start = _HEAD + size + -size % _HEAD
    return {
        "run": "data",
        "limits": bounds,
        "task": message[_HEAD : _HEAD + size],
        "inputs": message[start : start + more],
    }
