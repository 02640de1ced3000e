"""The walls around one lane of programs: Linux namespaces, a file system of its own, and rights given up.

Spoken to directly: unshare(2), mount(2), mount_setattr(2), pivot_root(2), prctl(2), capset(2), all of them in the C
library of Linux since 2.36 or reached by a number that is the same on every architecture. Needs no root: a user
namespace gives the rights to build the walls, and they are given up before a program runs. As root the programs run
as the user ``nobody``. This file runs inside the jail too, so it needs the standard library only.
"""

# Paths here are arguments of system calls, so they stay texts.
# ruff: noqa: PTH102, PTH103, PTH106, PTH110, PTH112, PTH114, PTH115, PTH116, PTH118, PTH120, PTH211

from __future__ import annotations

import ctypes
import fcntl
import functools
import os
import socket
import struct
import sys

__all__ = [
    "DEVICES",
    "GUEST_HOME",
    "GUEST_HOMES",
    "GUEST_ID",
    "NOBODY",
    "PR_SET_CHILD_SUBREAPER",
    "PR_SET_DUMPABLE",
    "PR_SET_PDEATHSIG",
    "build_root",
    "call",
    "drop_rights",
    "fresh_home",
    "fresh_ipc",
    "look_of_home",
    "open_child",
    "other_user",
    "outside",
    "prctl",
    "raise_loopback",
    "renounce",
    "resize_home",
    "seal_namespaces",
    "unshare",
    "visible",
    "write_maps",
]

GUEST_HOMES = "/box"
"""Holds nothing but the next: a rule about this folder holds for whatever is mounted below it."""
GUEST_HOME = f"{GUEST_HOMES}/home"
"""Where the working folder of a program is mounted; /tmp and /dev/shm lead there."""
GUEST_ID = 1000
"""User and group number that programs see as their own."""
NOBODY = 65534
"""User and group number of the host that programs get when root starts them."""

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 36, 38
_CLONE = {
    "mount": 0x00020000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "user": 0x10000000,
    "pid": 0x20000000,
    "net": 0x40000000,
}
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT = 1, 2, 4, 8, 32
_MS_BIND, _MS_REC, _MS_PRIVATE, _MNT_DETACH = 1 << 12, 1 << 14, 1 << 18, 2
_SYS_PIDFD_OPEN, _SYS_MOUNT_SETATTR = 434, 442  # the same on every architecture
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_MAX_FILES = 16384

# What a Python program needs to see of the host; everything else is not there.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/sys/devices/system/cpu")
_ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "timezone", "mime.types", "fonts")
_ETC_NETWORK = ("hosts", "resolv.conf", "nsswitch.conf", "services", "ssl", "ca-certificates", "pki")
_PREFIX = ("bin", "lib", "lib64", "share", "ssl", "pyvenv.cfg")
DEVICES = tuple(f"/dev/{name}" for name in ("null", "zero", "full", "random", "urandom"))
"""Devices that programs may use."""
_SIOCSIFFLAGS, _IFF_UP_RUNNING = 0x8914, 0x41


def call(name: str, *arguments: object) -> int:
    """Call a function of the C library.

    Raises:
        OSError: it returned -1.
    """
    result: int = getattr(_libc(), name)(*arguments)
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def prctl(option: int, value: int) -> None:
    """Set an attribute of this process (prctl(2)).

    Raises:
        OSError: the kernel refused.
    """
    call("prctl", option, *(ctypes.c_ulong(number) for number in (value, 0, 0, 0)))


def open_child(pid: int) -> int:
    """Return a descriptor that becomes readable when the child ends (pidfd_open(2), Linux 5.3).

    Raises:
        OSError: no such process, or an older kernel.
    """
    descriptor = call("syscall", _SYS_PIDFD_OPEN, pid, 0)
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - takes no keyword
    return descriptor


def unshare(kinds: tuple[str, ...]) -> None:
    """Leave the host's namespaces of these kinds; ``pid`` takes effect for the next child (unshare(2)).

    Raises:
        OSError: the kernel, or the container around us, does not allow it.
    """
    call("unshare", sum(_CLONE[kind] for kind in kinds))


def write_maps(pid: int) -> None:
    """Say, from outside, who the users inside a new user namespace are (user_namespaces(7)).

    Root keeps number 0 for the lane itself and gives programs the host's ``nobody``; anybody else can only be
    themselves. Where root may not give ``nobody`` (a container with few users), programs stay the same user.

    Raises:
        OSError: the kernel does not allow even that.
    """
    if os.geteuid() == 0:
        maps = f"0 0 1\n{GUEST_ID} {NOBODY} 1\n"
        try:
            _write(f"/proc/{pid}/uid_map", maps)
        except OSError:
            pass
        else:
            _write(f"/proc/{pid}/gid_map", maps)
            return
    _write(f"/proc/{pid}/setgroups", "deny")
    _write(f"/proc/{pid}/uid_map", f"{GUEST_ID} {os.geteuid()} 1\n")
    _write(f"/proc/{pid}/gid_map", f"{GUEST_ID} {os.getegid()} 1\n")


def build_root(*, network: bool, own_processes: bool = True) -> bool:
    """Give the lane a file system of its own: system and interpreter read-only, nothing else of the host.

    Args:
        network: whether the files that name hosts and services are wanted.
        own_processes: whether the caller is process 1 of a new pid namespace, which /proc then shows; else the host's.

    Returns:
        Whether there is a /proc inside; containers that mask parts of theirs allow none.

    Raises:
        OSError: a mount was refused; the lane is then unusable.
    """
    call("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    _mount("tmpfs", "/tmp", _MS_NOSUID | _MS_NODEV, "size=4m,mode=755")  # noqa: S108 - only a place to mount on; pivot_root moves it
    os.mkdir("/tmp/.host")  # noqa: S108 - see above
    call("pivot_root", b"/tmp", b"/tmp/.host")
    os.chdir("/")
    for path in visible(network=network):
        _show(path)
    _make_devices()
    proc = _mount_proc() if own_processes else _show("/proc")
    os.makedirs(GUEST_HOME)
    for link in ("/tmp", "/var/tmp", "/dev/shm"):  # noqa: S108 - names that programs use, each one private
        if not os.path.lexists(link):
            os.makedirs(os.path.dirname(link), exist_ok=True)
            os.symlink(GUEST_HOME, link)
    _write("/etc/passwd", f"guest:x:{GUEST_ID}:{GUEST_ID}::{GUEST_HOME}:/bin/sh\n", create=True)
    _write("/etc/group", f"guest:x:{GUEST_ID}:\n", create=True)
    if not network:
        _write("/etc/hosts", "127.0.0.1 localhost\n", create=True)
    call("umount2", b"/.host", _MNT_DETACH)
    os.rmdir("/.host")
    fresh_home(1, first=True)
    _mount("none", "/", _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV)
    return proc


def fresh_home(megabytes: int, *, first: bool = False) -> None:
    """Replace the working folder by an empty one of this size, files and leavings of the last program gone.

    Raises:
        OSError: the mount was refused.
    """
    if not first:
        call("umount2", GUEST_HOME.encode(), _MNT_DETACH)
    options = f"size={megabytes}m,nr_inodes={_MAX_FILES},mode=700,uid={GUEST_ID},gid={GUEST_ID}"
    _mount("tmpfs", GUEST_HOME, _MS_NOSUID | _MS_NODEV, options)


def look_of_home() -> tuple[object, ...]:
    """Return what changes when anything in the working folder is made, changed or marked, for good."""
    seen, space = os.stat(GUEST_HOME), os.statvfs(GUEST_HOME)
    times = (seen.st_atime_ns, seen.st_mtime_ns, seen.st_ctime_ns)
    return (*times, seen.st_mode, seen.st_uid, seen.st_gid, seen.st_nlink, seen.st_size, space.f_files - space.f_ffree)


def resize_home(megabytes: int) -> None:
    """Change the size of the working folder, whoever stands in it.

    Raises:
        OSError: it holds more than that already.
    """
    call(
        "mount", b"none", GUEST_HOME.encode(), None, _MS_REMOUNT | _MS_NOSUID | _MS_NODEV, f"size={megabytes}m".encode()
    )


def raise_loopback() -> None:
    """Switch on the loopback interface of this network namespace (netdevice(7)).

    Raises:
        OSError: the kernel refused.
    """
    with socket.socket() as any_socket:
        request = struct.pack("16sh14x", b"lo", _IFF_UP_RUNNING)  # struct ifreq
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)


def seal_namespaces() -> None:
    """Forbid further user namespaces inside, which would give programs rights over mounts and networks.

    Raises:
        OSError: /proc is not there.
    """
    _write("/proc/sys/user/max_user_namespaces", "0")


def fresh_ipc() -> None:
    """Give this program shared memory segments and message queues of its own, which die with it.

    Raises:
        OSError: the kernel refused.
    """
    unshare(("ipc",))


def renounce(*, no_new_privs: bool) -> None:
    """Give up, for this process and its children, all rights that an exec could give; those held now stay.

    Args:
        no_new_privs: whether programs that carry rights of their own give none any more.

    Raises:
        OSError: the kernel refused; then no program may run.
    """
    if no_new_privs:
        prctl(PR_SET_NO_NEW_PRIVS, 1)
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            break  # beyond the last capability of this kernel, or we hold no right to drop any


def drop_rights(user: int | None) -> None:
    """Become a process that holds no capabilities, and another user if one is given.

    Raises:
        OSError: the kernel refused; then no program may run.
    """
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    call("capset", header, (ctypes.c_uint32 * 6)())


def other_user(*, guest: bool, own_files: bool) -> int | None:
    """Return the user that programs become when the caller is root, or None to stay who we are.

    Args:
        guest: whether a user namespace gives programs a user of their own.
        own_files: whether there is a file system of our own; without one, ``nobody`` must be able to read the
            interpreter, or no import would work.
    """
    if os.getuid() != 0:
        return None
    if not own_files and not all(map(_readable_by_all, (sys.prefix, sys.base_prefix))):
        return None
    if guest:
        return GUEST_ID
    return NOBODY if outside(NOBODY) is not None else None


def outside(number: int) -> int | None:
    """Return who a user of this user namespace is in the one around it, or None if there is no such user.

    Raises:
        OSError: /proc is not there.
    """
    with open("/proc/self/uid_map", encoding="ascii") as lines:  # noqa: PTH123 - a short fixed path
        rows = [tuple(map(int, line.split())) for line in lines]
    return next((out + number - first for first, out, count in rows if first <= number < first + count), None)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _write(path: str, text: str, *, create: bool = False) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o644)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _readable_by_all(path: str) -> bool:
    folder = os.path.realpath(path)
    while True:
        if not os.stat(folder).st_mode & 0o001:
            return False
        if folder == os.path.dirname(folder):
            return True
        folder = os.path.dirname(folder)


def _mount(kind: str, target: str, flags: int, options: str = "", source: str | None = None) -> None:
    call("mount", (source or kind).encode(), target.encode(), kind.encode(), flags, options.encode())


def visible(*, network: bool) -> list[str]:
    """Return the paths of the host that a program may read, parents first."""
    interpreters = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    own = [os.path.join(prefix, part) for prefix in interpreters for part in _PREFIX]
    etc = [f"/etc/{name}" for name in (*_ETC, *(_ETC_NETWORK if network else ()))]
    return sorted({*_SYSTEM, *own, *etc})


def _show(path: str) -> bool:
    """Bind a path of the old root, with all that is mounted below it, read-only at the same place."""
    old = f"/.host{path}"
    if not os.path.lexists(old) or os.path.exists(path):
        return False
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.islink(old):
        os.symlink(os.readlink(old), path)
        return True
    if os.path.isdir(old):
        os.mkdir(path)
    else:
        _write(path, "", create=True)
    call("mount", old.encode(), path.encode(), None, _MS_BIND | _MS_REC, None)
    _read_only(path)
    return True


def _read_only(path: str) -> None:
    attributes = (ctypes.c_uint64 * 4)(_MS_RDONLY | _MS_NOSUID | _MS_NODEV, 0, 0, 0)  # struct mount_attr, Linux 5.12
    try:
        call("syscall", _SYS_MOUNT_SETATTR, _AT_FDCWD, path.encode(), _AT_RECURSIVE, attributes, 32)
    except OSError:  # older kernel: the mount itself, not what is mounted below it
        kept = os.statvfs(path).f_flag & 0xC0E
        flags = kept | _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV
        call("mount", None, path.encode(), None, flags, None)


def _make_devices() -> None:
    os.makedirs("/dev", exist_ok=True)
    for device in DEVICES:
        _write(device, "", create=True)
        call("mount", f"/.host{device}".encode(), device.encode(), None, _MS_BIND, None)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{target}", f"/dev/{name}")


def _mount_proc() -> bool:
    os.mkdir("/proc")
    try:
        _mount("proc", "/proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    except OSError:
        return False
    return True
