"""Which back ends there are, which this machine has, and making one: the only place that knows them all."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from llm_optimize.errors import SandboxError
from llm_optimize.sandbox import container
from llm_optimize.sandbox.fresh_interpreter import SubprocessBackend
from llm_optimize.sandbox.in_process import InProcessBackend

if sys.platform == "linux":
    from llm_optimize.sandbox import bubblewrap
    from llm_optimize.sandbox.zygote import ZygoteBackend

if TYPE_CHECKING:
    from llm_optimize.sandbox.base import Backend

__all__ = ["BACKENDS", "LANES", "available_backends", "make", "missing"]

BACKENDS = ("auto", "zygote", "bubblewrap", "docker", "podman", "subprocess", "in_process")
"""Names of the back ends; ``auto`` is ``zygote`` on Linux and ``subprocess`` elsewhere, never another."""
LANES = ("auto", "zygote", "bubblewrap")
"""Those whose programs run in lanes, on Linux."""


def available_backends() -> dict[str, str]:
    """Return each back end's name with an empty text, or with the reason why this machine does not have it.

    Asks container engines whether they run, which takes a moment.
    """
    named = {name: missing(name) for name in BACKENDS if name != "auto"}
    return {name: why or _asked(name) for name, why in named.items()}


def missing(name: str) -> str:
    """Return why a back end cannot be had here as far as that is known at once, else an empty text."""
    if name in container.ENGINES:
        return container.not_installed(name)
    if name in ("zygote", "bubblewrap") and sys.platform != "linux":
        return "it speaks to the Linux kernel"
    return bubblewrap.unavailable() if name == "bubblewrap" else ""


def make(preload: tuple[str, ...], network: str, name: str, without: tuple[str, ...]) -> Backend:
    """Return a back end; nothing is started but what ``auto`` has to find out.

    Raises:
        BadInput: a module cannot be preloaded.
    """
    if name == "in_process":
        return InProcessBackend()
    if name in container.ENGINES:
        return container.ContainerBackend(name, network)
    if name == "subprocess" or sys.platform != "linux":
        return SubprocessBackend()
    if name == "bubblewrap":
        return bubblewrap.BubblewrapBackend(preload, network, without)
    chosen = ZygoteBackend(preload, network, without)
    if name == "auto" and network in ("none", "host"):  # single ports are more than the weaker one can keep
        try:
            chosen.layers()
        except SandboxError:
            return SubprocessBackend()  # announces itself
    return chosen


def _asked(name: str) -> str:
    return container.unavailable(name) if name in container.ENGINES else ""
