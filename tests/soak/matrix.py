"""Every hostile program, as root and as an ordinary user, with each layer switched off in turn.

    python tests/soak/matrix.py [--quick] [--json FILE] [--only NAME ...]

Started by root on Linux it does both users, each in mount, pid and ipc namespaces of its own, with a small disk in
memory over the temporary folders and every other file read-only: what gets through a weakened sandbox gets no further.
Otherwise it does this user only, with all layers and with those switched off that leave pid and mount namespaces. Bombs
are never run without a pid namespace and an enforced limit of processes. Prints for each program which layers let it
through when they are missing, and for each missing layer what gets through.
"""

# ruff: noqa: T201 - run by hand, it prints its figures

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from llm_optimize.errors import LLMOptimizeError
from llm_optimize.sandbox import Sandbox
from llm_optimize.sandbox.attack import WALLS, Attack, Bait, attempts
from llm_optimize.sandbox.base import LAYERS

USER = 65533  # no account, and one fewer for each configuration, so that none finds what another left
ROOT = Path(__file__).parents[2]
WALL_S = 1.0
WORKERS = 2
PATIENCE_S = 900
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
COMBINED = (  # what single layers do by themselves: the rest of the walls, or of the filters, is off
    "user,no_new_privs",
    "user,landlock",
    "user,seccomp",
    "mount,no_new_privs",
    "pid,no_new_privs",
    "net,no_new_privs",
    "ipc,no_new_privs",
)
BOUNDS_TIME = ("", "user", "watch", "rlimits")
NO_CONCERN = "it spends time, which this layer does not bound"
Results = dict[tuple[int, str], dict[str, dict]]


def one(without: list[str], names: list[str], out: Path) -> None:
    """Run the programs in one configuration and write a line of JSON for each."""
    preload = [name for name in ("json", "random", "numpy") if importlib.util.find_spec(name) is not None]
    with (
        out.open("w", encoding="utf-8", buffering=1) as lines,
        Bait() as bait,
        Sandbox(preload=preload, without=without) as box,
    ):

        def tell(**row: object) -> None:
            lines.write(json.dumps(row) + "\n")

        try:
            attack = Attack(box, bait)
        except LLMOptimizeError as error:
            tell(failed=str(error))
            return
        tell(layers=attack.layers)
        for attempt in attempts():
            if attempt.name in names:
                tell(begin=attempt.name)
                verdict = attack.run(attempt, wall_s=WALL_S)
                tell(name=attempt.name, outcome=verdict.outcome, reason=verdict.reason, why=verdict.why)


def inside(user: int, arguments: list[str]) -> None:
    """In fresh namespaces: make the machine read-only and the interpreter readable, become the user, run ``one``."""
    mount = shutil.which("mount") or "mount"

    def mounted(*words: str) -> None:
        subprocess.run([mount, *words], check=True)

    needed = [Path(path).resolve() for path in {sys.prefix, sys.base_prefix, str(ROOT)}]
    mounted("-t", "tmpfs", "-o", "size=64m,mode=755", "none", "/run")
    for number, path in enumerate(needed):
        (Path(OUTER) / str(number)).mkdir(parents=True)
        mounted("--rbind", str(path), f"{OUTER}/{number}")
    for covered in ("/root", "/home", "/tmp", "/var/tmp", "/dev/shm"):
        if Path(covered).is_dir():
            mode = "755" if covered in ("/root", "/home") else "1777"
            mounted("-t", "tmpfs", "-o", f"size=256m,mode={mode}", "none", covered)
    for number, path in enumerate(needed):
        path.mkdir(parents=True, exist_ok=True)
        mounted("--rbind", f"{OUTER}/{number}", str(path))
        mounted("-o", "remount,bind,ro", str(path))
    for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines():
        place = line.split()[4]
        if not place.startswith(("/tmp", "/var/tmp", "/dev", "/proc")):
            with contextlib.suppress(subprocess.CalledProcessError):
                subprocess.run([mount, "-o", "remount,bind,ro", place], check=True, stderr=subprocess.DEVNULL)
    out = tempfile.mkdtemp()
    Path(out).chmod(0o777)
    os.environ.pop("TMPDIR", None)
    os.chdir("/tmp")
    child = os.fork()
    if child == 0:
        if user:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        os.execv(sys.executable, [sys.executable, __file__, "--out", f"{out}/lines", *arguments])
    os.waitpid(child, 0)
    written = Path(out) / "lines"
    sys.stdout.write(written.read_text("utf-8") if written.exists() else "")


def start(user: int, without: str, names: list[str]) -> subprocess.Popen[str]:
    """Start one configuration in a process of its own."""
    arguments = ["--without", without, "--only", *names]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    kept = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True, "env": environment}
    if os.getuid() != 0:
        return subprocess.Popen([sys.executable, __file__, "--out", "/dev/stdout", *arguments], **kept)
    outer = ["unshare", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc"]
    return subprocess.Popen([*outer, sys.executable, __file__, "--inside", str(user), *arguments], **kept)


def read(text: str, names: list[str]) -> dict[str, dict]:
    """Return a row for each program; one during which everything ended got through, and the rest was not run."""
    rows: dict[str, dict] = {}
    begun = ""
    for line in text.splitlines():
        row = json.loads(line)
        if "failed" in row:
            return {name: {"outcome": "not run", "why": [row["failed"]]} for name in names}
        begun = row.get("begin", begun)
        if "name" in row:
            rows[row["name"]] = row
    if begun and begun not in rows:
        rows[begun] = {"outcome": "through", "why": ["it ended the sandbox's owner"], "ended": True}
    return rows


def configuration(user: int, without: str, names: list[str]) -> dict[str, dict]:
    """Run one configuration to its end, beginning anew behind a program that ended the owner."""
    rows: dict[str, dict] = {}
    left = list(names)
    while left:
        process = start(user, without, left)
        try:
            text, _ = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            text, _ = process.communicate()
        found = read(text, left)
        rows |= found or {left[0]: {"outcome": "not run", "why": ["the configuration did not start"]}}
        if not found:
            rows |= dict.fromkeys(left, rows[left[0]])
        left = [name for name in left if name not in rows]
    return rows


def configurations(*, quick: bool) -> list[tuple[int, str]]:
    """Pairs of user and the layer that is switched off (empty: none)."""
    users = [0, USER] if os.getuid() == 0 else [os.getuid()]
    layers = ["", *(layer for layer in LAYERS if layer != "cgroup")]
    if os.getuid() != 0:
        layers = [layer for layer in layers if layer not in {*WALLS, "user"}]
    if quick:
        return [(user, "") for user in users]
    combined = [(users[-1], layers) for layers in COMBINED] if os.getuid() == 0 else []
    return [(user, layer) for layer in layers for user in users] + combined


def run_all(pairs: list[tuple[int, str]], names: list[str], out: Path | None) -> Results:
    """Run all configurations, a few at a time; the order of the pairs is kept, and what is done is in ``out``."""
    finished: Results = {}

    def timed(pair: tuple[int, str]) -> dict[str, dict]:
        started = time.monotonic()
        user = pair[0] - pairs.index(pair) if pair[0] == USER else pair[0]
        slow = {attempt.name for attempt in attempts() if "timeout" in attempt.expect}
        rows = configuration(user, pair[1], [name for name in names if name not in slow or pair[1] in BOUNDS_TIME])
        rows |= {name: {"outcome": "not run", "why": [NO_CONCERN]} for name in slow.intersection(names) - set(rows)}
        finished[pair] = rows
        if out is not None:
            kept = [{"user": user, "without": layer, "rows": found} for (user, layer), found in finished.items()]
            out.write_text(json.dumps(kept, indent=1), "utf-8")
        print(f"... user {pair[0]}, without {pair[1] or 'nothing'}: {time.monotonic() - started:.0f} s", flush=True)
        return rows

    with ThreadPoolExecutor(WORKERS) as pool:
        return dict(zip(pairs, pool.map(timed, pairs), strict=True))


def show(results: Results, names: list[str]) -> bool:
    """Print both tables; return whether nothing got through with all layers, but for what needs a missing one."""
    print("program -> what is missing where it gets through (r: started by root, u: by an ordinary user)")
    for name in names:
        cells = (_cell(results, user, name) for user in sorted({user for user, _ in results}))
        print(f"  {name:<28} {'   '.join(cells)}")
    print("\nmissing -> what gets through")
    for (user, layers), rows in results.items():
        _show_configuration(user, layers, rows, names)
    allowed = {attempt.name for attempt in attempts() if attempt.only_by}
    full = {user: rows for (user, layers), rows in results.items() if not layers}
    bad = [(user, name) for user, rows in full.items() for name in names if _is(rows, name, "through")]
    bad = [(user, name) for user, name in bad if name not in allowed]
    print(f"\nthrough with all layers, unexpectedly: {len(bad)} {bad or ''}")
    return not bad


def _cell(results: Results, user: int, name: str) -> str:
    mine = {layers or "nothing": rows for (who, layers), rows in results.items() if who == user}
    through = [layers for layers, rows in mine.items() if _is(rows, name, "through")]
    skipped = [layers for layers, rows in mine.items() if _is(rows, name, "not run")]
    text = f"{'u' if user else 'r'}: {' '.join(through) or '-'}"
    return f"{text} (not run: {' '.join(skipped)})" if skipped else text


def _show_configuration(user: int, layers: str, rows: dict[str, dict], names: list[str]) -> None:
    through = [name for name in names if _is(rows, name, "through")]
    skipped = [name for name in names if _is(rows, name, "not run")]
    counts = f"held {len(names) - len(through) - len(skipped)}, through {len(through)}, not run {len(skipped)}"
    print(f"  {'user' if user else 'root'} without {layers or 'nothing'}: {counts}")
    for name in through:
        print(f"        {name}: {'; '.join(map(str, rows[name]['why']))[:150]}")
    reasons: dict[str, list[str]] = {}
    for name in skipped:
        reasons.setdefault("; ".join(rows.get(name, {}).get("why", ["never reached"])), []).append(name)
    for why, those in reasons.items():
        shown = " ".join(those) if len(those) < len(names) else "all"
        print(f"        not run ({why}): {shown}")


def _is(rows: dict[str, dict], name: str, outcome: str) -> bool:
    return rows.get(name, {}).get("outcome", "not run") == outcome


def main() -> int:
    """Run and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few programs, all layers in force")
    parser.add_argument("--only", nargs="*", metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every row there")
    parser.add_argument("--inside", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--without", default="", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    names = args.only or (list(QUICK) if args.quick else [attempt.name for attempt in attempts()])
    if args.out is not None:
        one(args.without.split(",") if args.without else [], names, args.out)
        return 0
    if args.inside is not None:
        inside(args.inside, ["--without", args.without, "--only", *names])
        return 0
    begun = time.monotonic()
    results = run_all(configurations(quick=args.quick), names, args.json)
    good = show(results, names)
    print(f"{len(names)} programs, {len(results)} configurations, {time.monotonic() - begun:.0f} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
