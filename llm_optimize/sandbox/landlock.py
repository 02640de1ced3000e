"""Rules about files, ports and signals that a process puts on itself and cannot take off (landlock(7), Linux 5.13).

Inside the walls it is a second fence; where there are none it is the only one around the host's files. A rule names
the file that a path leads to now: what is mounted there later is another file and needs a rule of its own.
Spoken to by system call numbers, which are the same on every architecture; layouts and bits of ``linux/landlock.h``.
This file runs inside the jail too, so it needs the standard library only.
"""

# Paths here are arguments of system calls, so they stay texts.
# ruff: noqa: PTH112

from __future__ import annotations

import ctypes
import os
import struct
from contextlib import suppress
from dataclasses import dataclass

__all__ = ["Rules", "attributes", "enforce", "prepare", "version"]

_SYS_CREATE, _SYS_ADD_RULE, _SYS_RESTRICT = 444, 445, 446
_ASK_VERSION = 1
_PATH_BENEATH, _NET_PORT = 1, 2

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REFER, _TRUNCATE, _IOCTL_DEV = (1 << n for n in (0, 1, 2, 3, 13, 14, 15))
_FIRST_VERSION = (1 << 13) - 1  # execute, read, write, remove and make every kind of file
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_DEVICE = _READ_FILE | _WRITE_FILE | _TRUNCATE
_MAKE_CHARACTER_DEVICE, _MAKE_BLOCK_DEVICE = 1 << 6, 1 << 11
_BIND, _CONNECT = 1, 2
_ABSTRACT_UNIX, _SIGNAL = 1, 2
_NET_VERSION, _SCOPE_VERSION = 4, 6


@dataclass(frozen=True, slots=True)
class Rules:
    """What stays allowed.

    Attributes:
        read: paths that may be read and executed, with all below them; those that are not there are passed over.
        write: paths where everything may be done but making devices.
        devices: files that may be read and written.
        connect: TCP ports that may be connected to; None leaves TCP alone.
    """

    read: tuple[str, ...]
    write: tuple[str, ...]
    devices: tuple[str, ...] = ()
    connect: tuple[int, ...] | None = ()


def version() -> int:
    """Return the kernel's version of these rules, 0 where it has none or they are switched off."""
    known: int = _library().syscall(_SYS_CREATE, None, ctypes.c_size_t(0), _ASK_VERSION)
    return max(0, known)


def attributes(known: int, *, ports: bool) -> tuple[int, int, int]:
    """Return the bits to judge on a kernel of version ``known``: of files, of TCP, of reach to other processes."""
    files = _FIRST_VERSION
    for since, bit in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEV)):
        files |= bit if known >= since else 0
    net = _BIND | _CONNECT if ports and known >= _NET_VERSION else 0
    return files, net, _ABSTRACT_UNIX | _SIGNAL if known >= _SCOPE_VERSION else 0


def enforce(ruleset: int) -> None:
    """Put prepared rules on this process and on all that it will start.

    Raises:
        OSError: the kernel refused, for example because the process may still gain rights by exec.
    """
    _call(_SYS_RESTRICT, ruleset, 0)


def prepare(rules: Rules, known: int) -> int:
    """Return a descriptor of the rules, for any number of processes.

    Args:
        rules: what stays allowed.
        known: the version to use, at most the kernel's.

    Raises:
        OSError: the kernel refused.
    """
    files, net, scopes = attributes(known, ports=rules.connect is not None)
    given = struct.pack("=QQQ", files, net, scopes)[
        : 8 if known < _NET_VERSION else 16 if known < _SCOPE_VERSION else 24
    ]
    ruleset = _call(_SYS_CREATE, given, ctypes.c_size_t(len(given)), 0)
    try:
        everything = files & ~(_MAKE_CHARACTER_DEVICE | _MAKE_BLOCK_DEVICE | _IOCTL_DEV)
        for paths, allowed in ((rules.read, _READ), (rules.write, everything), (rules.devices, _DEVICE & files)):
            for path in paths:
                _allow(ruleset, path, allowed)
        for port in (rules.connect or ()) if net else ():
            _call(_SYS_ADD_RULE, ruleset, _NET_PORT, struct.pack("=QQ", _CONNECT, port), 0)
    except OSError:
        os.close(ruleset)
        raise
    return ruleset


def _allow(ruleset: int, path: str, allowed: int) -> None:
    with suppress(FileNotFoundError, PermissionError, NotADirectoryError):
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            bits = allowed if os.path.isdir(path) else allowed & _ON_FILES
            _call(_SYS_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", bits, descriptor), 0)
        finally:
            os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    result: int = _library().syscall(number, *arguments)
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"landlock: {os.strerror(code)}")
    return result


def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
