"""Every hostile program, as root and as an ordinary user, with layers of the sandbox switched off.

    python tests/soak/matrix.py --json FILE [--quick] [--only NAME ...] [--tables]

Started by root on Linux it does both users, each in mount, pid and ipc namespaces of its own, with a small disk in
memory over the temporary folders and every other file read-only: what gets through a weakened sandbox gets no further.
Otherwise it does this user only, with all layers and with those switched off that leave pid and mount namespaces. Bombs
are never run without a pid namespace and an enforced limit of processes.

Three sets of configurations: all layers but one; all but one of those that do the same (``GROUPS``); none but one.
No verdict rests on the speed of the machine: a program that a limit of time ended although it would end by itself,
and one that got through without leaving a sign, is run again when everything else is done, alone and with ten times
the time; the second verdict counts. Every row goes to FILE as it comes; a run that was broken off goes on where it
was, with rows of the same program, sandbox, interpreter and kernel. ``--tables`` writes what was found to
``sandbox/attempts/held_by.json`` and into ``sandbox/THREAT_MODEL.md``.
"""

# ruff: noqa: T201 - run by hand, it prints its figures

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from matrix_rows import Rows, identity
from matrix_tables import ALL, NEEDED, show, write_held_by, write_model

from llm_optimize.errors import LLMOptimizeError
from llm_optimize.sandbox import Sandbox
from llm_optimize.sandbox.attack import WALLS, Attack, Attempt, Bait, attempts
from llm_optimize.sandbox.base import LAYERS
from llm_optimize.sandbox.confine import NOBODY

if TYPE_CHECKING:
    from collections.abc import Callable

USER = 65533  # no account, and one fewer for each configuration, so that none finds what another left
ROOT = Path(__file__).parents[2]
WALL_S = 1.0
PATIENCE = 10
WORKERS = 2
SILENCE_S = 600
QUICK = (
    "bpf",
    "fork_bomb",
    "keyring_leave",
    "read_host_folder",
    "recursion",
    "tcp_loopback",
    "kill_host",
    "truncate_readable",
)
OUTER = "/run/matrix"
KEYCTL, KEYCTL_SEARCH, KEYCTL_UNLINK, KEYRINGS = {"x86_64": 250, "aarch64": 219}, 10, 9, (-3, -4)  # session, user
SWITCHED = tuple(layer for layer in LAYERS if layer in ALL)
GROUPS = (  # what single layers do without those that forbid the same
    ("user", "no_new_privs"),
    ("user", "landlock"),
    ("user", "seccomp"),
    ("mount", "no_new_privs"),
    ("pid", "no_new_privs"),
    ("net", "no_new_privs"),
    ("ipc", "no_new_privs"),
)
BOUND_TIME = {"user", "pid", "watch", "rlimits"}
NO_CONCERN = "it only spends time, which the layers that are off here do not bound"
DECODER = {"slow_to_decode", "wide_result"}
HOST_SIDE = "it aims at the host's decoder, in front of which no layer stands: run with all layers in force"


@dataclass(frozen=True, slots=True)
class Configuration:
    """Who starts the sandbox, and which layers are switched off in it."""

    who: str
    number: int
    without: tuple[str, ...]

    @property
    def user(self) -> int:
        """The number of the user that starts it."""
        return os.getuid() or (0 if self.who == "root" else USER - self.number)

    def no_concern(self, attempt: Attempt) -> str:
        """Return why the layers that are off cannot matter to the program, or an empty text."""
        if not self.without:
            return ""
        if attempt.name in DECODER:
            return HOST_SIDE
        only_time = set(attempt.expect) <= {"timeout", "cpu"}
        return NO_CONCERN if only_time and not BOUND_TIME.intersection(self.without) else ""


def configurations(*, quick: bool) -> list[Configuration]:
    """All that can be run here, those with the most layers first."""
    alone = [{NEEDED.get(layer, layer), layer} for layer in SWITCHED]
    off = [(), *((layer,) for layer in SWITCHED), *GROUPS]
    off += [tuple(layer for layer in SWITCHED if layer not in kept) for kept in [*alone, []]]
    if os.getuid() != 0:
        off = [layers for layers in off if not {*WALLS, "user"}.intersection(layers)]
    users = ["root", "user"] if os.getuid() == 0 else ["user"]
    pairs = [(who, layers) for layers in (off[:1] if quick else off) for who in users]
    return [Configuration(who, number, layers) for number, (who, layers) in enumerate(pairs)]


def one(without: list[str], names: list[str], out: int, *, again: bool) -> None:
    """Run the programs in one configuration and write a line of JSON for each."""
    fcntl.fcntl(out, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    preload = [name for name in ("json", "random", "numpy") if importlib.util.find_spec(name) is not None]
    with (
        os.fdopen(out, "w", encoding="utf-8", buffering=1) as lines,
        Bait() as bait,
        Sandbox(backend="zygote", preload=preload, without=without) as box,
    ):

        def tell(**row: object) -> None:
            lines.write(json.dumps(row) + "\n")

        try:
            attack = Attack(box, bait)
        except LLMOptimizeError as error:
            tell(failed=str(error))
            return
        tell(started=True)
        for attempt in attempts():
            if attempt.name in names:
                try:
                    attack.renew()
                except LLMOptimizeError as error:  # what the last one left cannot be taken away from here
                    tell(failed=str(error))
                    return
                tell(begin=attempt.name)
                # what may never end is given its own time only where that may matter
                verdict = attack.run(attempt, wall_s=None if again else WALL_S, patience=PATIENCE if again else 1)
                tell(
                    name=attempt.name,
                    outcome=verdict.outcome,
                    reason=verdict.reason,
                    why=list(verdict.why),
                    doubt=verdict.doubt,
                    seconds=round(verdict.seconds, 3),
                )


def inside(user: int, command: list[str], out: int) -> None:
    """In fresh namespaces: make the machine read-only and the interpreter readable, become the user, run a command."""
    needed = [Path(path).resolve() for path in {sys.prefix, sys.base_prefix, str(ROOT)}]
    _cover(needed)
    for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines():
        place = line.split()[4]
        if not place.startswith(("/tmp", "/var/tmp", "/dev", "/proc")):
            with contextlib.suppress(subprocess.CalledProcessError):
                _mount("-o", "remount,bind,ro", place)
    os.environ.pop("TMPDIR", None)
    os.chdir("/tmp")
    for who in {user, NOBODY}:
        _as_user(who, forget_keys)
    child = os.fork()
    if child == 0:
        _become(user)
        os.execv(command[0], command)
    os.close(out)
    os.waitpid(child, 0)  # then this process 1 ends, and with it whatever is left


def _cover(needed: list[Path]) -> None:
    """Put small disks in memory over what can be written to, with what is needed in the same place again."""
    _mount("-t", "tmpfs", "-o", "size=64m,mode=755", "none", "/run")
    for number, path in enumerate(needed):
        (Path(OUTER) / str(number)).mkdir(parents=True)
        _mount("--rbind", str(path), f"{OUTER}/{number}")
    for covered in ("/root", "/home", "/tmp", "/var/tmp", "/dev/shm"):
        if Path(covered).is_dir():
            mode = "755" if covered in ("/root", "/home") else "1777"
            _mount("-t", "tmpfs", "-o", f"size=256m,nr_inodes=100k,mode={mode}", "none", covered)
    for home in ("/root", "/home/somebody"):  # something to be found; what was there is covered
        secret = Path(home) / ".ssh" / "id_rsa"
        secret.parent.mkdir(parents=True)
        secret.write_text("no key", "utf-8")
    for number, path in enumerate(needed):
        path.mkdir(parents=True, exist_ok=True)
        _mount("--rbind", f"{OUTER}/{number}", str(path))
        _mount("-o", "remount,bind,ro", str(path))


def _mount(*words: str) -> None:
    subprocess.run([shutil.which("mount") or "mount", *words], check=True, stderr=subprocess.DEVNULL)


def forget_keys() -> None:
    """Take back what an earlier run may have left in this user's keyring, which lies in no namespace that we made."""
    libc, number = ctypes.CDLL(None), KEYCTL[os.uname().machine]
    for ring in KEYRINGS:
        for name in (b"planted-user", b"planted-session"):
            key = libc.syscall(number, KEYCTL_SEARCH, ring, b"user", name, 0)
            if key > 0:
                libc.syscall(number, KEYCTL_UNLINK, key, ring)


def _as_user(user: int, action: Callable[[], None]) -> None:
    child = os.fork()
    if child == 0:
        try:
            _become(user)
            action()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def _become(user: int) -> None:
    if user:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)


def start(setting: Configuration, names: list[str], out: int, *, again: bool) -> subprocess.Popen[bytes]:
    """Start one configuration in a process of its own that writes its rows to ``out``."""
    words = ["--without", ",".join(setting.without), "--out", str(out), *(["--again"] if again else [])]
    command = [sys.executable, __file__, *words, "--only", *names]
    if os.getuid() == 0:
        outer = ["unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc"]
        command = [*outer, sys.executable, __file__, "--inside", str(setting.user), *command[2:]]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, env=environment, pass_fds=(out,))


def attempt_all(setting: Configuration, names: list[str], rows: Rows, *, again: bool) -> None:
    """Run programs in one configuration, beginning anew behind one that ended the sandbox's owner."""
    left = list(names)
    add = partial(rows.add, setting.who, setting.without, again=again)
    stalled: list[int] = []

    def stop(process: subprocess.Popen[bytes]) -> None:
        stalled.append(process.pid)
        process.kill()

    while left:
        read, write = os.pipe()
        process = start(setting, left, write, again=again)
        os.close(write)
        silence = threading.Timer(SILENCE_S, stop, [process])
        begun, started, failed = "", False, "the configuration did not start"
        with os.fdopen(read, encoding="utf-8") as lines:
            silence.start()
            for line in lines:
                silence.cancel()
                silence = threading.Timer(SILENCE_S, stop, [process])
                silence.start()
                row = json.loads(line)
                begun, started = row.get("begin", begun), row.get("started", started)
                failed = row.get("failed", failed)
                if "name" in row:
                    add(row)
                    left.remove(row["name"])
        silence.cancel()
        process.kill()
        process.wait()
        if begun in left:
            doubt = f"nothing was heard for {SILENCE_S} s" if process.pid in stalled else ""
            why = [doubt or "it ended the sandbox's owner"]
            add({"name": begun, "outcome": "through", "reason": "", "why": why, "doubt": doubt, "seconds": 0})
            left.remove(begun)
        elif not started:
            for name in left:
                add({"name": name, "outcome": "not run", "reason": "", "why": [failed], "doubt": "", "seconds": 0})
            return


def run_all(settings: list[Configuration], names: list[str], rows: Rows) -> None:
    """Run all configurations, a few at a time, then one by one what the speed of the machine may have decided."""
    known = {attempt.name: attempt for attempt in attempts()}

    def first(setting: Configuration) -> None:
        reasons = {name: setting.no_concern(known[name]) for name in names}
        for name, why in reasons.items():
            if why:
                rows.pass_over(setting.who, setting.without, name, why)
        wanted = [name for name, why in reasons.items() if not why]
        timed(setting, [name for name in wanted if not rows.has(setting.who, setting.without, name)], again=False)

    def timed(setting: Configuration, left: list[str], *, again: bool) -> None:
        if not left:
            return
        rows.check()
        began = time.monotonic()
        attempt_all(setting, left, rows, again=again)
        text = f"{len(left)} programs{' again, alone' if again else ''}, {time.monotonic() - began:.0f} s"
        print(f"... {setting.who} without {','.join(setting.without) or 'nothing'}: {text}", flush=True)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(first, settings))
    for setting in settings:
        timed(setting, [name for name in names if rows.doubted(setting.who, setting.without, name)], again=True)


def main() -> int:
    """Run and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few programs, all layers in force")
    parser.add_argument("--only", nargs="*", metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every row there, and go on from what it holds")
    parser.add_argument("--tables", action="store_true", help="write held_by.json and the table of THREAT_MODEL.md")
    for hidden, kind in (("--inside", int), ("--without", str), ("--out", int)):
        parser.add_argument(hidden, type=kind, help=argparse.SUPPRESS)
    parser.add_argument("--again", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    names = args.only or (list(QUICK) if args.quick else [attempt.name for attempt in attempts()])
    if args.inside is not None:
        inside(args.inside, [sys.executable, __file__, *sys.argv[3:]], args.out)  # --inside and its number come first
        return 0
    if args.out is not None:
        one(args.without.split(",") if args.without else [], names, args.out, again=args.again)
        return 0
    return table_of(args, names)


def table_of(args: argparse.Namespace, names: list[str]) -> int:
    """Run what is not yet known, print and write the tables, and return the exit status."""
    began = time.monotonic()
    settings = configurations(quick=args.quick)
    rows = Rows(args.json, partial(identity, ROOT), {attempt.name: attempt.source for attempt in attempts()})
    known = rows.count
    run_all(settings, names, rows)
    order = [(setting.who, setting.without) for setting in settings]
    good = show(rows, order, names)
    if args.tables:
        write_held_by(rows, order, ROOT / "sandbox" / "attempts" / "held_by.json")
        write_model(rows, order, ROOT / "sandbox" / "THREAT_MODEL.md")
    told = f"{len(names)} programs, {len(settings)} configurations, {rows.count} rows ({known} of them known)"
    print(f"{told}, {time.monotonic() - began:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
