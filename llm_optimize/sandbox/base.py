"""The sandbox's nouns: what is run, under which limits, what came of it, and the protocol of a back end."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from llm_optimize.sandbox.live import Live

__all__ = [
    "LAYERS",
    "ONE_THREAD",
    "REASONS",
    "Backend",
    "Call",
    "Finished",
    "Layers",
    "Limits",
    "Program",
    "Reason",
    "named",
]

Reason = Literal[
    "finished",
    "raised",
    "timeout",
    "cpu",
    "memory",
    "output",
    "processes",
    "killed",
    "missing_output",
    "bad_value",
]
"""Why a program ended; the set is closed."""

REASONS: tuple[Reason, ...] = get_args(Reason)
"""Every :data:`Reason`."""

LAYERS = (
    *("user", "pid", "ipc", "uts", "mount", "net", "watch", "no_new_privs", "rlimits", "cgroup", "landlock", "seccomp"),
)
"""Layers of the Linux back end that can be left out; without ``user`` there are no namespaces at all, without
``no_new_privs`` neither ``landlock`` nor ``seccomp``. That the whole tree is ended cannot be left out."""

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Keeps numeric libraries to one thread: their pools do not survive a fork, and programs share the cores."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use, its child processes included.

    Attributes:
        wall_s: seconds from start to end.
        cpu_s: processor seconds of all its processes together.
        memory_mb: MiB beyond what the preloaded modules take; per process at once, for the tree within a moment.
        processes: processes and threads alive at the same time, the program's own included.
        output_kb: KiB of stdout, and of stderr, that are kept; 16 times as much ends the program.
        files_mb: MiB of files in its working folder, and of any single file.

    Raises:
        BadInput: a limit is not a positive number.
    """

    wall_s: float = 60
    cpu_s: float = 60
    memory_mb: int = 2048
    processes: int = 64
    output_kb: int = 1024
    files_mb: int = 256

    def __post_init__(self) -> None:
        """Refuse what no program could run under."""
        for one in fields(self):
            value = getattr(self, one.name)
            whole = one.name not in ("wall_s", "cpu_s")
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
                kind = "whole number" if whole else "number"
                msg = f"Limits.{one.name} is {value!r}: give a {kind} above 0"
                raise BadInput(msg)
            if not math.isfinite(value) or value <= 0:
                msg = f"Limits.{one.name} is {value!r}: give a number above 0"
                raise BadInput(msg)


@dataclass(frozen=True, slots=True)
class Call:
    """A function of the program that is called after its source has run.

    Attributes:
        name: the function's name in the source.
        args: positional arguments, data only.
        kwargs: keyword arguments, data only.
        repeat: how often it is called with the same arguments, at least 1.
    """

    name: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    repeat: int = 1


@dataclass(frozen=True, slots=True)
class Program:
    """What a back end runs.

    Attributes:
        source: Python source; runs in one namespace as ``__main__``.
        inputs: variables that it finds set, data only.
        outputs: names that it must leave set; they become ``Finished.values``.
        call: a function of it to call, or None.
        limits: what it may use.
    """

    source: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    call: Call | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Finished:
    """How a program ended. A program that fails is a value with ``ok=False``, never an exception.

    Attributes:
        ok: whether it ran to its end and left every wanted value.
        reason: ``finished`` when ok, else what ended it.
        values: the wanted names; after a call ``result`` (of the last repeat) and ``seconds`` (a list, one per repeat,
            measured inside, so the program's own word). Tuples come back as lists, numpy scalars as numbers.
        stdout: what it printed, cut at the limit.
        stderr: the same for the error stream.
        seconds: wall time as the host measured it.
        cpu_seconds: processor time of all its processes.
        peak_mb: resident memory at its highest, the preloaded modules included.
        message: for a failure what happened, with the program's own traceback, fit to be shown to a model; else empty.
        layers: names of the protections that were in force, for example ``net`` or ``rlimits``.
    """

    ok: bool
    reason: Reason
    values: Mapping[str, Any] = field(default_factory=dict)
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0
    message: str = ""
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layers:
    """Which protections a back end has in force on this machine.

    Attributes:
        backend: name of the back end.
        in_force: names of the layers, in the order in which they are put on.
        missing: (layer, why it is not there) for each one that the back end knows and could not put on.
        uncovered: what this back end does not stop even so, one line each.
    """

    backend: str
    in_force: tuple[str, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    uncovered: tuple[str, ...] = ()


class Backend(Protocol):
    """A way of running programs. Thread-safe; started by the first run."""

    def run(self, program: Program) -> Finished:
        """Run the program to its end or its limit; afterwards none of its processes and files is left.

        Raises:
            BadInput: the program's inputs or arguments hold something that is not data.
            SandboxError: the back end itself failed; nothing is known about the program.
        """
        ...

    def open(self, program: Program, /) -> Live:
        """Start a process that stays, with the program's inputs and limits; its source has not run yet.

        Raises:
            BadInput: an input is not data, or this back end has no sessions.
            SandboxError: the back end itself failed.
        """
        ...

    def layers(self) -> Layers:
        """Return what is in force, starting the back end if it has to be.

        Raises:
            SandboxError: it cannot be started.
        """
        ...

    def close(self) -> None:
        """End every process of the back end; a later run starts it again."""
        ...


def named(names: Sequence[str], field_name: str) -> tuple[str, ...]:
    """Return the names as a tuple; refuse what cannot be a variable of a program.

    Raises:
        BadInput: ``names`` is a bare text, or one of them is not an identifier.
    """
    if isinstance(names, str):
        msg = f"{field_name} is the text {names!r}: give a list of names, such as [{names!r}]"
        raise BadInput(msg)
    for name in names:
        if not isinstance(name, str) or not name.isidentifier():
            msg = f"{field_name} holds {name!r}: give names of variables"
            raise BadInput(msg)
    return tuple(names)
