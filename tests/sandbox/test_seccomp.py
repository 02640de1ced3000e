"""The filter of system calls: its answers computed as the kernel does, for both architectures, then asked for real."""

from __future__ import annotations

import errno
import json
import os
import struct
import sys

import pytest

from llm_optimize.sandbox import Sandbox, seccomp

POLICY = json.loads(seccomp.POLICY.read_text("ascii"))
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS
VARIANTS = [
    {"network": network, "private_files": files, "own_processes": processes}
    for network in ("none", "loopback", "host")
    for files in (True, False)
    for processes in (True, False)
]
WALLED = VARIANTS[0]
ME, LANE, OTHER = 0, 1, 4711

linux = pytest.mark.skipif(sys.platform != "linux", reason="seccomp is Linux's")


def answer(program: bytes, audit: int, number: int, *arguments: int) -> int:
    """Run a filter as the kernel does and return its verdict."""
    words = [argument & 0xFFFFFFFFFFFFFFFF for argument in (*arguments, *([0] * (6 - len(arguments))))]
    data = struct.pack("=IIQ6Q", number, audit, 0, *words)
    code = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    at = value = 0
    while True:
        operation, true, false, constant = code[at]
        at += 1
        if operation == 0x06:
            return constant
        if operation == 0x20:
            (value,) = struct.unpack_from("=I", data, constant)
        elif operation == 0x54:
            value &= constant
        elif operation == 0x05:
            at += constant
        else:
            assert operation in (0x15, 0x35)
            at += true if (value == constant if operation == 0x15 else value >= constant) else false


def ask(name: str, *arguments: int, machine: str = "x86_64", **changes: object) -> int:
    """The verdict about a call by name, with all walls unless something is changed."""
    program = seccomp.build(**{**WALLED, **changes}, machine=machine)
    return answer(program, MACHINES[machine], POLICY["numbers"][machine][name], *arguments)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(map(str, variant.values())))
def test_every_call_of_the_policy_gets_its_answer(machine, variant):
    """On both architectures each listed call is allowed or refused as listed, and every other number is unknown."""
    program = seccomp.build(**variant, machine=machine)
    numbers = POLICY["numbers"][machine]
    allowed = {numbers[name] for names in POLICY["allow"].values() for name in names if name in numbers}
    refused = {numbers[name] for names in POLICY["refuse"].values() for name in names if name in numbers}
    checked = {numbers[name] for name in POLICY["checked"]}
    assert len(allowed) + len(refused) + len(checked) == len(numbers)
    for number in range(1000):
        if number not in checked:
            wanted = ALLOW if number in allowed else EPERM if number in refused else ENOSYS
            assert answer(program, MACHINES[machine], number) == wanted, number


def test_other_architectures_do_not_get_round_the_filter():
    """Calls by the numbers of another architecture end the program; those of x32 do not exist."""
    program = seccomp.build(**WALLED, machine="x86_64")
    assert answer(program, 0x40000003, 11) == KILL  # i386, execve
    assert answer(program, MACHINES["aarch64"], 0) == KILL
    assert answer(program, MACHINES["x86_64"], 0x40000000 + 1) == ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
def test_arguments_are_judged(machine):
    """Namespaces by clone, other processes' limits, terminals and personalities are refused, plain use is not."""
    assert ask("clone", 0x3D0F00, machine=machine) == ALLOW  # a thread, as glibc makes it
    for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert ask("clone", flag | 17, machine=machine) == EPERM
    assert (ask("prlimit64", 0, machine=machine), ask("prlimit64", 7, machine=machine)) == (ALLOW, EPERM)
    assert (ask("ioctl", 1, 0x5401, machine=machine), ask("ioctl", 1, 0x5412, machine=machine)) == (ALLOW, EPERM)
    assert ask("ioctl", 1, 0xC0189400, machine=machine) == 0x50000 | errno.ENOTTY
    assert (ask("prctl", 15, machine=machine), ask("prctl", 1, machine=machine)) == (ALLOW, 0x50000 | errno.EINVAL)
    assert ask("personality", 0xFFFFFFFF, machine=machine) == ALLOW
    assert ask("personality", 0x0040000, machine=machine) == EPERM
    assert (ask("setsockopt", 3, 1, 2, machine=machine), ask("setsockopt", 3, 6, 7, machine=machine)) == (ALLOW, ALLOW)
    assert ask("setsockopt", 3, 1, 7, machine=machine) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", POLICY["process argument"])
def test_whom_a_call_may_change(name, machine):
    """Among its own processes a program may change any but the lane; among the host's it may change itself alone."""
    place = POLICY["process argument"][name]

    def about(who: int, *, own: bool) -> int:
        return ask(name, *([1] * place), who, machine=machine, own_processes=own)

    assert [about(who, own=True) for who in (ME, LANE, OTHER)] == [ALLOW, EPERM, ALLOW]
    assert [about(who, own=False) for who in (ME, LANE, OTHER)] == [ALLOW, EPERM, EPERM]
    assert about(ME + (1 << 32), own=False) == ALLOW, "the kernel looks at 32 bits, and so does the filter"


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("own", [True, False])
def test_whole_users_are_not_changed(machine, own):
    """Neither priority nor class of input and output is set for all processes of a user, whichever it is."""
    for who in (ME, LANE, OTHER):
        assert ask("setpriority", 2, who, machine=machine, own_processes=own) == EPERM
        assert ask("ioprio_set", 3, who, machine=machine, own_processes=own) == EPERM
    assert ask("ioprio_set", 1, ME, machine=machine, own_processes=own) == ALLOW
    assert ask("setpriority", 1, ME, machine=machine, own_processes=own) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_everybody_is_not_signalled(machine):
    """A signal to all processes stays among the program's own; children and the own group can always be signalled."""
    everybody = 0xFFFFFFFF
    assert ask("kill", everybody, 9, machine=machine) == ALLOW
    assert ask("kill", everybody, 9, machine=machine, own_processes=False) == EPERM
    assert ask("kill", everybody - 4711, 9, machine=machine, own_processes=False) == ALLOW
    assert ask("kill", OTHER, 9, machine=machine, own_processes=False) == ALLOW


@pytest.mark.parametrize(
    ("network", "files", "allowed"),
    [
        ("none", True, {(1, 1, 0), (1, 2, 0)}),
        ("none", False, set()),
        ("loopback", True, {(1, 1, 0), (1, 2, 0), (2, 1, 0), (2, 1, 6)}),
        ("loopback", False, {(2, 1, 0), (2, 1, 6)}),
        ("host", True, {(1, 1, 0), (1, 2, 0), *((f, t, p) for f in (2, 10) for t in (1, 2) for p in (0, 6, 262))}),
    ],
)
def test_sockets_by_network(network, files, allowed):
    """Each network opens the families, types and protocols that it needs; packet, vsock, netlink and crypto never."""
    wide = {(family, kind, protocol) for family in (1, 2, 10) for kind in (1, 2) for protocol in (0, 6, 262)}
    for family, kind, protocol in wide:
        expected = (
            ALLOW
            if {(family, kind, protocol), (family, kind, 0)} & allowed
            and (protocol in (0, 6) or network == "host" or family == 1)
            else EPERM
        )
        assert ask("socket", family, kind | 0o2000000, protocol, network=network, private_files=files) == expected
    for family in (0, 15, 16, 17, 38, 40, 43, 44):
        assert ask("socket", family, 1, network=network, private_files=files) == EPERM


def test_pairs_cannot_be_led_elsewhere():
    """Where unix sockets of the host could be reached by path, only pairs that stay connected are made."""
    assert [ask("socketpair", 1, kind) for kind in (1, 2, 5)] == [ALLOW, ALLOW, ALLOW]
    assert [ask("socketpair", 1, kind | 0o4000, private_files=False) for kind in (1, 2, 5)] == [ALLOW, EPERM, ALLOW]


@linux
@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("import os\nos.memfd_create('x')", "EPERM"),
        ("import socket\nsocket.socket()", "EPERM"),
        ("import socket\nsocket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "EPERM"),
        ("import ctypes\ne(libc.shmget(0, 4096, 0o1600))", "EPERM"),
        ("e(libc.unshare(0x10000000))", "EPERM"),
        ("e(libc.ptrace(0, 0, 0, 0))", "EPERM"),
        ("e(libc.syscall(425, 8, 0))", "EPERM"),
        ("e(libc.syscall(435, 0, 0))", "ENOSYS"),
        ("e(libc.syscall(9999))", "ENOSYS"),
        ("e(libc.keyctl(0, -3, 1)) if hasattr(libc, 'keyctl') else e(libc.syscall(250, 0, -3, 1))", "EPERM"),
    ],
)
def test_the_kernel_answers_so(source, code):
    """The kernel enforces what was computed: each call fails with the code of the policy."""
    if seccomp.unavailable() or os.uname().machine != "x86_64":
        pytest.skip(seccomp.unavailable() or "numbers of x86-64")
    head = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
    helper = "def e(result):\n    if result == -1: raise OSError(ctypes.get_errno(), '')\n"
    body = f"import errno\ntry:\n{''.join(f'    {line}{chr(10)}' for line in source.splitlines())}"
    with Sandbox(backend="zygote") as box:
        assert "seccomp" in box.layers().in_force
        done = box.run(f"{head}{helper}{body}except OSError as error:\n    x = errno.errorcode[error.errno]", {}, ["x"])
    assert done.values == {"x": code}, done
