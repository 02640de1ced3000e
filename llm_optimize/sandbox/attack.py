"""Hostile programs, run against the sandbox of this very machine: what each tries, and whether it got through.

The programs lie in the top-level folder ``sandbox/attempts`` and ship with the package. Each is run between a program
with a secret and two honest ones; afterwards nothing that was laid out as bait may be touched, the honest programs must
score what they scored before, and nothing may be left on the machine.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from llm_optimize.errors import SandboxError
from llm_optimize.sandbox import leftovers
from llm_optimize.sandbox.base import Finished, Limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llm_optimize.sandbox.box import Sandbox

__all__ = ["WALLS", "Attack", "Attempt", "Bait", "HeldBy", "Verdict", "attempts"]

WALLS = frozenset({"pid", "mount"})
"""Layers without which a hostile program would reach this machine's own processes and files."""

_DEFAULTS: Mapping[str, Any] = {"wall_s": 10, "cpu_s": 10, "memory_mb": 512, "files_mb": 16}
_HONEST = "_honest"
_HIDDEN = "hidden-answer-QZJX7713"
_SHARED = (3, 1, 4, 1, 5)
_BY_TIME = "it was stopped by a limit of time, which on another machine it may not reach"
_BY_SLOWNESS = "a slow machine may look the same"
_ENDED = "the next honest program ended with"
_UNSURE = re.compile(rf"{_ENDED}|\d+ more |orphan ")


@dataclass(frozen=True, slots=True)
class HeldBy:
    """Which layers hold a program: ``held_by.json``, written by ``tests/soak/matrix.py --tables``.

    Attributes:
        needed: layers without which it gets through although all others are in force.
        by: layers each of which holds it with all others off.
        bare: ``held``, ``through`` or ``not run``: what becomes of it with every layer off; empty if not measured.
    """

    needed: tuple[str, ...] = ()
    by: tuple[str, ...] = ()
    bare: str = ""

    def told(self, layers: tuple[str, ...]) -> str:
        """Say which of the ``layers`` hold it, such as ``only by seccomp``; empty if that is not known."""
        needed, by = ([name for name in names if name in layers] for names in (self.needed, self.by))
        if needed:
            return f"only by {' and '.join(needed)}"
        if by:
            return f"by {' or '.join(by)}"
        return {"held": "without any layer as well", "through": "by layers together"}.get(self.bare, "")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One hostile program.

    Attributes:
        name: of its file.
        tries: what it tries, in one line.
        expect: the reasons that it may end with.
        held_by: which layers hold it, as far as was measured.
        only_by: layers of which one must be in force for it to be held; empty where the others do.
        needs: layers without which it is not run, as it could take the machine down: one of each group must be there.
        endless: whether it never ends by itself, however long it is given.
        limits: what it may use.
        source: its text.
    """

    name: str
    tries: str
    expect: tuple[str, ...]
    held_by: HeldBy
    only_by: frozenset[str]
    needs: tuple[frozenset[str], ...]
    endless: bool
    limits: Limits
    source: str

    def missing(self, layers: tuple[str, ...]) -> str:
        """Return the layers that it needs and that are not among these, or an empty text."""
        return " and ".join("|".join(sorted(group)) for group in self.needs if not group & set(layers))


def attempts() -> tuple[Attempt, ...]:
    """Return all hostile programs, by name."""
    return tuple(_read(path) for path in sorted(_folder().glob("[!_]*.py")))


def _folder() -> Path:
    shipped = Path(__file__).with_name("attempts")
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "sandbox" / "attempts"


def _read(path: Path) -> Attempt:
    source = path.read_text("utf-8")
    lines = (line[2:].partition(": ") for line in source.splitlines() if line.startswith("# "))
    head = {name: text for name, _, text in lines}
    asked = {
        name: int(value)
        for name, _, value in (part.partition("=") for part in head.get("limits", "").split(","))
        if value
    }
    return Attempt(
        name=path.stem,
        tries=head["tries"],
        expect=tuple(head["expect"].split("|")),
        held_by=_held_by().get(path.stem, HeldBy()),
        only_by=frozenset(head.get("only-by", "").split()),
        needs=tuple(frozenset(group.split("|")) for group in head.get("needs", "").split()),
        endless=head.get("endless") == "yes",
        limits=Limits(**{**_DEFAULTS, **asked}),
        source=source,
    )


@cache
def _held_by() -> dict[str, HeldBy]:
    rows = json.loads((_folder() / "held_by.json").read_text("utf-8"))["programs"]
    return {name: HeldBy(tuple(row["needed"]), tuple(row["by"]), row["bare"]) for name, row in rows.items()}


@cache
def _honest() -> str:
    return (_folder() / f"{_HONEST}.py").read_text("utf-8")


class Bait:
    """Things of the host that no program may reach: a key, a folder with a file, three servers, another process.

    A context manager, to be entered before the sandbox is started, as the key goes into this process's environment.
    """

    def __init__(self) -> None:
        """Choose the key; nothing is laid out yet."""
        self.canary = f"sk-canary-{secrets.token_hex(8)}"
        self.inputs: dict[str, Any] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Lay everything out."""
        self._lay_out()
        return self

    def __exit__(self, *_: object) -> None:
        """Take everything away."""
        self._stack.close()

    def renew(self) -> None:
        """Lay out everything anew: what was done to it is not to be seen again; the key stays."""
        self._stack.close()
        self._lay_out()

    def touched(self) -> list[str]:
        """Return what was reached since the last look, in words."""
        found = [f"{server.getsockname()!r} was connected to" for server in self._servers if _connected(server)]
        try:
            if sorted(path.name for path in self._folder.iterdir()) != ["precious", "socket"]:
                found.append("the host's folder was changed")
            elif (self._folder / "precious").read_text("utf-8") != self.canary:
                found.append("the host's file was changed")
        except OSError as error:
            found.append(f"the host's folder was taken away: {error.strerror}")
        if self._decoy.poll() is not None or _state(self._decoy.pid) != self._decoy_state:
            found.append("another process of the host was ended, stopped or changed")
        return found

    def _lay_out(self) -> None:
        name = f"canary-{os.getpid()}-{secrets.token_hex(4)}"
        # a program may have been there
        folder = tempfile.TemporaryDirectory(prefix="bait-", ignore_cleanup_errors=True)
        self._folder = Path(self._stack.enter_context(folder))
        self._folder.chmod(0o755)  # the walls must hide it, not its mode
        (self._folder / "precious").write_text(self.canary, "utf-8")
        tcp, *unix = self._servers = [
            self._stack.enter_context(socket.socket(family))
            for family in (socket.AF_INET, socket.AF_UNIX, socket.AF_UNIX)
        ]
        for server, address in zip(self._servers, self._addresses(name), strict=True):
            server.bind(address)
            server.listen()
            server.settimeout(0)
        Path(unix[0].getsockname()).chmod(0o777)
        os.environ["LLM_OPTIMIZE_CANARY"] = self.canary
        self._stack.callback(os.environ.pop, "LLM_OPTIMIZE_CANARY", None)
        self._stack.callback(self._end_decoy)  # the one that there is by then
        self.inputs = {
            "canary": self.canary[::-1],  # turned round, so that a search does not find itself
            "host_folder": str(self._folder),
            "port": tcp.getsockname()[1],
            "unix_path": str(self._folder / "socket"),
            "unix_abstract": name,
            "array": None,
        }
        self._start_decoy()

    def _addresses(self, name: str) -> tuple[Any, ...]:
        return ("127.0.0.1", 0), str(self._folder / "socket"), f"\0{name}"

    def _start_decoy(self) -> None:
        self._decoy = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"])
        self._decoy_state = _state(self._decoy.pid)
        self.inputs["host_pid"] = self._decoy.pid

    def _end_decoy(self) -> None:
        self._decoy.send_signal(signal.SIGKILL)
        self._decoy.wait()


def _connected(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def _state(pid: int) -> tuple[object, ...]:
    """What a program could change of another process without ending it."""
    try:
        stopped = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] in "Tt"
        limits = Path(f"/proc/{pid}/limits").read_text("utf-8")
        return stopped, limits, os.getpriority(os.PRIO_PROCESS, pid), frozenset(os.sched_getaffinity(pid))
    except OSError:
        return ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one attempt.

    Attributes:
        attempt: the program.
        outcome: ``held``, ``through``, or ``not run``.
        reason: how it ended (``Finished.reason``); empty when it was not run.
        why: what shows that it got through, or why it was not run.
        layers: the layers in force.
        seconds: wall time of the program.
        doubt: what a slow machine may have had to do with the verdict; empty where it had nothing.
    """

    attempt: Attempt
    outcome: Literal["held", "through", "not run"]
    reason: str = ""
    why: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    seconds: float = 0.0
    doubt: str = ""


class Attack:
    """Runs attempts in one sandbox, one after the other, so that what one leaves would meet the next."""

    def __init__(self, box: Sandbox, bait: Bait, inputs: Mapping[str, Any] | None = None) -> None:
        """Note what an honest program scores and what is on the machine before the first attempt.

        Args:
            box: the sandbox, started after the bait was laid out.
            bait: what is looked after.
            inputs: further inputs for every program, such as ``array``, a numpy array that they share.

        Raises:
            SandboxError: the sandbox does not work, or an honest program fails in it.
        """
        self._box = box
        self._bait = bait
        self._own_inputs = {"shared": list(_SHARED), **(inputs or {})}
        self._fresh = False
        self.renew()

    def renew(self) -> None:
        """Start the sandbox and the bait anew if the last attempt got through: nothing is to be blamed on the next.

        Raises:
            SandboxError: the sandbox does not work, or what the last attempt left is found by an honest program.
        """
        if not self._fresh:
            self._start()
            self._fresh = True

    def run(self, attempt: Attempt, *, wall_s: float | None = None, patience: float = 1) -> Verdict:
        """Run one attempt and look after it.

        Args:
            attempt: the program.
            wall_s: a wall limit to which its own is cut if it never ends by itself, or None.
            patience: what the limits of time are multiplied by if it does end by itself.

        Raises:
            SandboxError: as :meth:`renew`, which is called first.
        """
        self.renew()
        missing = attempt.missing(self.layers)
        if missing:
            return Verdict(attempt, "not run", why=(f"needs {missing}",), layers=self.layers)
        limits = _timed(attempt, wall_s, patience)
        sure: list[str] = []
        try:
            self._box.run("x = secret", {"secret": _HIDDEN}, ["x"])
            done = self._box.run(attempt.source, self._inputs, ["breached"], limits)
            sure = [*self._signs(done), *self._bait.touched()]
            later = [*self._next(), *leftovers.more(self._before)]
            problems = [*_wrong_end(attempt, done), *sure, *later]
            sure += [line for line in later if not _UNSURE.match(line)]
        except SandboxError as error:
            done = Finished(ok=False, reason="killed", layers=self.layers)
            sure = [*sure, *self._bait.touched()]
            problems = [f"the sandbox itself failed: {error}", *sure, *leftovers.more(self._before)]
        if not problems:
            doubt = _BY_TIME if done.reason in ("timeout", "cpu") and not attempt.endless else ""
            return Verdict(attempt, "held", done.reason, (), done.layers, done.seconds, doubt)
        self._fresh = False
        doubt = "" if sure else _BY_SLOWNESS
        return Verdict(attempt, "through", done.reason, tuple(problems), done.layers, done.seconds, doubt)

    def _start(self) -> None:
        self._box.close()
        self._bait.renew()
        self._inputs = {**self._bait.inputs, **self._own_inputs}
        self.layers = self._box.layers().in_force
        first = self._honest()
        if not first.ok or first.values["left"]:
            msg = f"an honest program fails before any attempt: {first.message or first.values}"
            raise SandboxError(msg)
        self._honest_values = first.values
        self._honest()  # whatever is started ahead of time stands by now
        self._before = leftovers.settled()

    def _honest(self) -> Finished:
        return self._box.run(_honest(), self._inputs, ["score", "state", "left"])

    def _signs(self, done: Finished) -> list[str]:
        """What no slowness of the machine explains."""
        found = []
        if done.values.get("breached", False) is True:
            found.append("the program says so itself")
        if self._bait.canary in done.stdout + done.stderr + str(done.values):
            found.append("the host's key came out")
        return found

    def _next(self) -> list[str]:
        """Two honest programs: the first may have been forked ahead of the attempt, the second was not."""
        found: dict[str, None] = {}
        for _ in range(2):
            done = self._honest()
            if not done.ok:
                found[f"{_ENDED} {done.reason}: {done.message[-200:]}"] = None
                continue
            found.update(dict.fromkeys(f"left for the next: {what}" for what in done.values["left"]))
            for what in ("score", "state"):
                if done.values[what] != self._honest_values[what]:
                    found[f"the next honest program's {what}: {done.values[what]}, was {self._honest_values[what]}"] = (
                        None
                    )
        return list(found)


def _wrong_end(attempt: Attempt, done: Finished) -> list[str]:
    return [] if done.reason in attempt.expect else [f"ended with {done.reason}: {done.message[-200:]}"]


def _timed(attempt: Attempt, wall_s: float | None, patience: float) -> Limits:
    own = attempt.limits
    if attempt.endless:
        return own if wall_s is None else replace(own, wall_s=min(wall_s, own.wall_s))
    return replace(own, wall_s=own.wall_s * patience, cpu_s=own.cpu_s * patience)
