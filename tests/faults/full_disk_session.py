"""A study on a file system that is really full: ``full_disk_session.py CASE FOLDER URL``, in namespaces of its own.

    unshare -rm python full_disk_session.py store FOLDER URL

Mounts a small file system in FOLDER, lets a session begin, fills the file system to the last byte, waits for the
session's end, makes room, lets the study be resumed, and prints what was seen as JSON. What is noted of the course lies
outside of the small file system.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from noting_scorer import NotingScorer

from llm_optimize import Budget, SQLiteStore, optimize
from llm_optimize.core.events import Told
from llm_optimize.core.folding import read_folding
from llm_optimize.errors import LLMOptimizeError

SIZE = 32 << 20
PATIENCE_S = 120.0
LEFT = {"replies": 160_000}  # bytes that stay free: enough for events, too few for a long reply
FIRST, IN_ALL = 100_000, 30


def owner(folder: str, url: str, evaluations: str) -> int:
    """Run a session; each event is noted once the study has it, so it is known what was acknowledged."""
    acknowledged = os.open(f"{folder}/acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def observe(event: object) -> None:
        if isinstance(event, Told):
            os.write(acknowledged, f"{event.candidate_id}\n".encode())

    try:
        result = optimize.run(
            "A program sets y.", "Which program sets a larger y?", NotingScorer(f"{folder}/notes", 0.01), x0="y = 0",
            max_steps=None, model=f"{url}#scripted", verbose=False, store=f"{folder}/disk/studies.db", study="full",
            budget=Budget(evaluations=int(evaluations)), observers=(observe,),
        )  # fmt: skip
    except LLMOptimizeError as error:
        failed = error
    else:
        failed = result.error
    if failed is not None:
        sys.stderr.write(f"{type(failed).__name__}: {failed}\n")
    return 0 if failed is None else 3


def start(folder: Path, url: str, evaluations: int) -> subprocess.Popen[str]:
    """Start an owner."""
    words = [sys.executable, __file__, "owner", str(folder), url, str(evaluations)]
    return subprocess.Popen(words, stderr=subprocess.PIPE, text=True)


def lines(path: Path) -> list[int]:
    """Return the numbers in a file, one in a line."""
    return [int(line) for line in path.read_text().splitlines()] if path.exists() else []


def fill(path: Path, left: int) -> None:
    """Fill the file system that holds ``path``, but for ``left`` bytes."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    with suppress(OSError):
        while os.statvfs(path).f_bavail:
            os.write(file, bytes(4096))
    if left:
        os.ftruncate(file, os.fstat(file).st_size - left)
    os.close(file)


def look(store: Path) -> dict[str, object]:
    """Return the candidates with an outcome in the log, its last word, and what it says was spent."""
    with SQLiteStore(store) as opened:
        told = [event.candidate_id for _, event in opened.read("full") if isinstance(event, Told)]
        history = read_folding(opened, "full").history
    return {"told": told, "reason": history.reason, "tokens": history.usage.tokens}


def inside(case: str, name: str, url: str) -> None:
    """Be the whole course, in the namespaces."""
    folder = Path(name)
    disk, noted = folder / "disk", folder / "acknowledged"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(disk)], check=True)
    first = start(folder, url, FIRST)
    ends = time.monotonic() + PATIENCE_S
    while len(lines(noted)) < 5 and first.poll() is None and time.monotonic() < ends:
        time.sleep(0.01)
    fill(disk / "filler", LEFT.get(case, 0))
    _, error = first.communicate(timeout=PATIENCE_S)
    acknowledged, then = lines(noted), look(disk / "studies.db")
    (disk / "filler").unlink()
    again = start(folder, url, len(then["told"]) + IN_ALL)
    _, later = again.communicate(timeout=PATIENCE_S)
    seen = {
        "ended": [first.returncode, error.splitlines()[-1]], "acknowledged": acknowledged, "then": then,
        "resumed": [again.returncode, later.splitlines()[-1]], "now": look(disk / "studies.db"),
    }  # fmt: skip
    sys.stdout.write(json.dumps(seen))


if __name__ == "__main__":
    if sys.argv[1] == "owner":
        sys.exit(owner(*sys.argv[2:]))
    inside(*sys.argv[1:])
