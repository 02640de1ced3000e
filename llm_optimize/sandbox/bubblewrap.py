"""The back end ``bubblewrap``: the warm parent and its lanes inside one more wall, built by ``bwrap``.

``bwrap`` (https://github.com/containers/bubblewrap) is a small, long-reviewed program that Debian, Fedora and Flatpak
ship; some distributions let it make user namespaces and refuse that to everybody else. It is started once, around the
warm parent, so a program costs what it costs in a lane. Where lanes can have walls of their own inside, they do.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from llm_optimize.errors import SandboxError
from llm_optimize.sandbox.warm import GUEST, WarmParent
from llm_optimize.sandbox.zygote import ENVIRONMENT, ZygoteBackend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llm_optimize.sandbox.base import Layers
    from llm_optimize.sandbox.driving import Lane

__all__ = ["BubblewrapBackend", "arguments", "unavailable", "visible_paths"]

_NOBODY = 65534
_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/sys/devices/system/cpu")
_ETC = ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "localtime", "timezone", "mime.types", "fonts")
_PREFIX = ("bin", "lib", "lib64", "share", "ssl", "pyvenv.cfg")
_ETC_NETWORK = ("hosts", "resolv.conf", "nsswitch.conf", "services", "ssl", "ca-certificates", "pki")


class BubblewrapBackend(ZygoteBackend):
    """Lanes of a warm parent that lives inside ``bwrap``; see :class:`llm_optimize.sandbox.zygote.ZygoteBackend`."""

    def layers(self) -> Layers:
        """Return the layers in force. See :class:`llm_optimize.sandbox.base.Backend`."""
        return dataclasses.replace(super().layers(), backend="bubblewrap")

    def _open(self) -> Lane:
        lane = super()._open()
        if "mount" in lane.layers or "mount" in self._without:
            return lane
        lane.close()  # its programs would share one folder and see each other: that is not what was asked for
        msg = "the sandbox cannot start: bwrap runs here, but programs inside it can have no walls of their own"
        raise SandboxError(msg)

    def _new_parent(self) -> WarmParent:
        why = unavailable()
        if why:
            msg = f"the sandbox cannot start: {why}"
            raise SandboxError(msg)
        wrapper = arguments(visible_paths(network=self._network == "host"), network=self._network)
        return WarmParent(self._preload, ENVIRONMENT, wrapper=wrapper, user=_NOBODY if os.geteuid() == 0 else None)


def arguments(paths: Sequence[str], *, network: str, program: str = "bwrap") -> list[str]:
    """Return the command that the interpreter's own command follows.

    Args:
        paths: what of the host is visible inside, read-only, parents first.
        network: ``host`` shares the host's; anything else leaves none.
        program: name or path of bubblewrap.

    Example:
        >>> " ".join(arguments(["/usr"], network="none")[:4])
        'bwrap --unshare-all --die-with-parent --new-session'
    """
    shared = ["--share-net"] if network == "host" else []
    shown = [part for path in paths for part in ("--ro-bind-try", path, path)]
    return [
        *(program, "--unshare-all", *shared),
        *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        *("--tmpfs", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"),  # noqa: S108 - a place inside
        *shown,
        *("--chdir", "/", "--"),
    ]


def visible_paths(*, network: bool) -> list[str]:
    """Return what a Python program needs to see of this machine, parents first.

    Args:
        network: whether it is to find hosts by name.
    """
    interpreters = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    own = [f"{prefix}/{part}" for prefix in interpreters for part in _PREFIX]
    etc = [f"/etc/{name}" for name in (*_ETC, *(_ETC_NETWORK if network else ()))]
    return sorted({"/usr", *_SYSTEM, *etc, *own, str(GUEST.parent)})


def unavailable() -> str:
    """Return why this back end cannot be used here, or an empty text."""
    if sys.platform != "linux":
        return "bubblewrap speaks to the Linux kernel"
    if shutil.which("bwrap") is None:
        return "bwrap is not installed: install the package bubblewrap"
    if os.geteuid() == 0 and not all(map(_readable_by_all, (sys.prefix, sys.base_prefix, str(GUEST.parent)))):
        return f"root starts it as nobody, who cannot read the interpreter at {sys.base_prefix}"
    return ""


@cache
def _readable_by_all(path: str) -> bool:
    folder = Path(path).resolve()
    return all(one.stat().st_mode & 0o001 for one in (folder, *folder.parents))
