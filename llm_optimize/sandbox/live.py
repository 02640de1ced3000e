"""A confined process that stays: what a session needs of any back end."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Protocol

from llm_optimize.sandbox.collecting import Pipe

__all__ = ["Ended", "Live", "Wires", "output_pipe"]

_OUTPUT_FACTOR = 16  # printing this many times the kept output ends a program


@dataclass(frozen=True, slots=True)
class Ended:
    """How a live process ended.

    Attributes:
        status: exit status, negative for a signal.
        cause: the reason for which its back end ended it, else empty.
        cpu_seconds: processor time of all its processes.
        peak_mb: resident memory at its highest.
    """

    status: int
    cause: str
    cpu_seconds: float
    peak_mb: float


class Live(Protocol):
    """One confined process with a namespace that lasts; it runs ``answering.serve``."""

    wires: Wires
    layers: tuple[str, ...]

    @property
    def alarm(self) -> int:
        """A descriptor that becomes readable when the process has ended, or has been ended at a limit."""
        ...

    def end(self) -> Ended:
        """End every process of it, if one lives, and say how it went; what it had printed can still be read.

        Raises:
            SandboxError: the back end itself has failed.
        """
        ...

    def release(self) -> None:
        """Close the wires and give back what it held; after :meth:`end`."""
        ...


@dataclass(frozen=True, slots=True)
class Wires:
    """The host's ends of the pipes to a live process, none of which blocks.

    Attributes:
        questions: where questions are written.
        answers: where answers are read.
        stdout: what is printed; ``stderr`` likewise.
    """

    questions: int
    answers: int
    stdout: Pipe
    stderr: Pipe

    @classmethod
    def opened(cls, output_kb: int) -> tuple[Wires, dict[str, int]]:
        """Return the wires, and their other ends by the same names; the caller closes those when handed over."""
        theirs: dict[str, int] = {}
        theirs["questions"], questions = os.pipe()
        answers, theirs["answers"] = os.pipe()
        wires = cls(questions, answers, output_pipe(output_kb), output_pipe(output_kb))
        wires.stdout.descriptor, theirs["stdout"] = os.pipe()
        wires.stderr.descriptor, theirs["stderr"] = os.pipe()
        for descriptor in wires.descriptors:
            os.set_blocking(descriptor, False)
        return wires, theirs

    @property
    def descriptors(self) -> tuple[int, int, int, int]:
        """All four."""
        return self.questions, self.answers, self.stdout.descriptor, self.stderr.descriptor

    def close(self) -> None:
        """Close all four."""
        for descriptor in self.descriptors:
            os.close(descriptor)


def output_pipe(output_kb: int) -> Pipe:
    """Return a pipe for what is printed under these limits."""
    kept = output_kb * 1024
    return Pipe(-1, kept, kept * _OUTPUT_FACTOR, "output")
