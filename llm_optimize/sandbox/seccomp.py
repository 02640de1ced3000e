"""A filter of system calls: what is on the list may be made, the rest does not exist (seccomp(2), Linux 3.17).

The policy is data: ``policy.json`` beside this file names the calls and their numbers on x86-64 and arm64. From it a
program for the kernel's classic BPF machine is built: the architecture is checked, the number is found in a tree of
comparisons, and a few calls have their arguments looked at. Pointers cannot be followed, so only numbers are judged.
The layout of ``struct seccomp_data``, ``struct sock_filter`` and the codes are those of ``linux/seccomp.h``,
``linux/filter.h`` and ``linux/audit.h``. This file runs inside the jail too, so it needs the standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import json
import os
import struct
from pathlib import Path
from typing import Any

__all__ = ["POLICY", "build", "install", "unavailable"]

POLICY = Path(__file__).with_name("policy.json")
"""The calls by name, what becomes of each, and their numbers."""

_Block = list[tuple[int, int, int, int]]
"""Instructions (code, jump if true, jump if false, constant); every path through a block ends in a return."""

_LOAD, _AND, _EQUAL, _AT_LEAST, _JUMP, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x05, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000  # x86-64 only: the same numbers with pointers of 32 bits
_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_UNIX, _INET, _INET6 = 1, 2, 10
_STREAM, _SEQPACKET, _TYPE = 1, 5, 0xF
_TCP = 6
_SOL_SOCKET, _BUFFER_SIZES = 1, (7, 8, 32, 33)  # SO_SNDBUF, SO_RCVBUF and their FORCE
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # push characters into a terminal's input
_ASK_PERSONALITY = 0xFFFFFFFF
_LANE, _EVERYBODY, _PRIO_USER, _IOPRIO_WHO_USER = 1, 0xFFFFFFFF, 2, 3
_FARTHEST = 255
_PR_GET_SECCOMP, _PR_SET_SECCOMP, _MODE_FILTER = 21, 22, 2


def _answer(code: int) -> _Block:
    return [(_RETURN, 0, 0, 0x00050000 | code)]


_ALLOW: _Block = [(_RETURN, 0, 0, 0x7FFF0000)]
_KILL: _Block = [(_RETURN, 0, 0, 0x80000000)]
_REFUSE, _UNKNOWN = _answer(errno.EPERM), _answer(errno.ENOSYS)


def unavailable() -> str:
    """Return why this machine has no filter, or an empty text."""
    machine = os.uname().machine
    if machine not in _AUDIT:
        return f"no table of system calls for {machine}"
    state = ctypes.CDLL(None, use_errno=True).prctl(_PR_GET_SECCOMP, 0, 0, 0, 0)
    return "" if state >= 0 else f"the kernel has no seccomp ({os.strerror(ctypes.get_errno())})"


@functools.cache
def build(network: str, *, private_files: bool, own_processes: bool, machine: str = "") -> bytes:
    """Return the filter as an array of ``struct sock_filter``.

    Args:
        network: ``none`` (no internet sockets), ``loopback`` (TCP only) or ``host``.
        private_files: whether the program has a file system of its own; else a unix socket could reach a server of the
            host by its path, so only connected pairs may be made.
        own_processes: whether the program is in a pid namespace whose process 1 is the lane; else process numbers are
            the host's, and a call that changes a process may name none but the caller itself (as 0).
        machine: ``x86_64`` or ``aarch64``; empty for this one.

    Raises:
        KeyError: another machine.
    """
    machine = machine or os.uname().machine
    policy = json.loads(POLICY.read_text("ascii"))
    numbers = policy["numbers"][machine]
    chosen = {
        **dict.fromkeys((name for names in policy["allow"].values() for name in names), _ALLOW),
        **dict.fromkeys((name for names in policy["refuse"].values() for name in names), _REFUSE),
        **_checked(policy, network, private_files=private_files),
        **_on_processes(policy["process argument"], own_processes=own_processes),
    }
    actions = {numbers[name]: block for name, block in chosen.items() if name in numbers}
    program: _Block = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 1, 0, _AUDIT[machine]), *_KILL, (_LOAD, 0, 0, _NUMBER)]
    if machine == "x86_64":
        program += [(_AT_LEAST, 0, 1, _X32), *_UNKNOWN]
    program += _tree(_ranges(actions))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def install(program: bytes) -> None:
    """Put the filter on this process and on all that it will start; it cannot be taken off.

    Raises:
        OSError: the kernel refused, for example because the process may still gain rights by exec.
    """

    class _Fprog(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    library = ctypes.CDLL(None, use_errno=True)
    given = _Fprog(len(program) // 8, program)
    if library.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.byref(given), 0, 0):
        code = ctypes.get_errno()
        raise OSError(code, f"seccomp: {os.strerror(code)}")


def _checked(policy: dict[str, Any], network: str, *, private_files: bool) -> dict[str, _Block]:
    """The calls whose arguments decide; all of these arguments are 32 bits wide in the kernel."""
    terminal = dict.fromkeys((_TIOCSTI, _TIOCLINUX), _REFUSE)
    controls = {**terminal, **dict.fromkeys(policy["ioctl"].values(), _ALLOW)}
    options = dict.fromkeys(policy["prctl"].values(), _ALLOW)
    pairs = _ALLOW if private_files else _switch(1, dict.fromkeys((_STREAM, _SEQPACKET), _ALLOW), _REFUSE, mask=_TYPE)
    return {
        "clone": _switch(0, {0: _ALLOW}, _REFUSE, mask=_NEW_NAMESPACES),
        "socket": _switch(0, _families(network, private_files=private_files), _REFUSE),
        "socketpair": _switch(0, {_UNIX: pairs}, _REFUSE),
        "ioctl": _switch(1, controls, _answer(errno.ENOTTY)),
        "prctl": _switch(0, options, _answer(errno.EINVAL)),
        "prlimit64": _switch(0, {0: _ALLOW}, _REFUSE),
        # socket buffers hold memory that no process maps: the watch counts sockets, so their size must stay known
        "setsockopt": _switch(1, {_SOL_SOCKET: _switch(2, dict.fromkeys(_BUFFER_SIZES, _REFUSE), _ALLOW)}, _ALLOW),
        "personality": _switch(0, {_ASK_PERSONALITY: _ALLOW}, _REFUSE),
    }


def _on_processes(arguments: dict[str, int], *, own_processes: bool) -> dict[str, _Block]:
    """The calls that signal a process or change how it is scheduled; the kernel lets a user do it to all of theirs."""
    cases, otherwise = ({_LANE: _REFUSE}, _ALLOW) if own_processes else ({0: _ALLOW}, _REFUSE)
    judged = {name: _switch(argument, cases, otherwise) for name, argument in arguments.items()}
    # a whole user is never named: the lane may be the same one
    judged["setpriority"] = _switch(0, {_PRIO_USER: _REFUSE}, judged["setpriority"])
    judged["ioprio_set"] = _switch(0, {_IOPRIO_WHO_USER: _REFUSE}, judged["ioprio_set"])
    judged["kill"] = _ALLOW if own_processes else _switch(0, {_EVERYBODY: _REFUSE}, _ALLOW)
    return judged


def _families(network: str, *, private_files: bool) -> dict[int, _Block]:
    # TCP by its own name only: Landlock judges ports of TCP, not of MPTCP, SCTP or UDP
    tcp = _switch(1, {_STREAM: _switch(2, dict.fromkeys((0, _TCP), _ALLOW), _REFUSE)}, _REFUSE, mask=_TYPE)
    internet = {
        "none": {},
        "loopback": {_INET: tcp},
        "host": dict.fromkeys((_INET, _INET6), _ALLOW),
    }[network]
    return {**internet, **({_UNIX: _ALLOW} if private_files else {})}


def _switch(argument: int, cases: dict[int, _Block], otherwise: _Block, *, mask: int = 0) -> _Block:
    """Judge the low word of an argument, of its masked bits where a mask is given."""
    block: _Block = [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument)]
    if mask:
        block.append((_AND, 0, 0, mask))
    for value, then in cases.items():
        block += [(_EQUAL, 0, len(then), value), *then]
    return block + otherwise


def _ranges(actions: dict[int, _Block]) -> list[tuple[int, _Block]]:
    """Pairs of first number and block, ascending; each holds up to the next one's first number."""
    found: list[tuple[int, _Block]] = []
    for number in range(max(actions) + 2):
        block = actions.get(number, _UNKNOWN)
        if not found or found[-1][1] != block:
            found.append((number, block))
    return found


def _tree(ranges: list[tuple[int, _Block]]) -> _Block:
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    low, high = _tree(ranges[:middle]), _tree(ranges[middle:])
    first = ranges[middle][0]
    if len(low) <= _FARTHEST:
        return [(_AT_LEAST, len(low), 0, first), *low, *high]
    return [(_AT_LEAST, 0, 1, first), (_JUMP, 0, 0, len(low)), *low, *high]
