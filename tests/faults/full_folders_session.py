"""Folders on a file system that is really full: ``full_folders_session.py CASE FOLDER``, in namespaces of its own.

``scratch``: the sandbox's. ``report``: that of a study's report. Prints what was seen as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from full_disk_session import fill

from llm_optimize import Budget, Draft, Problem, Proposal, SQLiteStore, Study
from llm_optimize.errors import LLMOptimizeError
from llm_optimize.report.writing import write_report
from llm_optimize.sandbox import Sandbox

WRITES = "open('big', 'wb').write(bytes(300_000))\ny = int(x)"


class Counting:
    """Proposes 1, 2, 3, ...; a function of the history."""

    def propose(self, history, n):
        return Proposal((Draft(str(history.slot + 1)),))


def words(error: LLMOptimizeError | None) -> str:
    return "" if error is None else f"{type(error).__name__}: {error}"


def scratch(folder: Path, disk: Path) -> dict[str, object]:
    """A jail with files of its own does not notice; one that works in the temporary folder ends the session."""
    tempfile.tempdir = str(disk)
    seen = {}
    with Sandbox(backend="subprocess") as open_box, Sandbox(backend="zygote") as jail:

        def score(text: str) -> float:
            if text == "3" and not (folder / "was full").exists():
                (folder / "was full").touch()
                fill(disk / "filler", 0)
            return float(open_box.run(WRITES, {"x": text}, ["y"]).values["y"])

        with SQLiteStore(folder / "studies.db") as store:
            for part in ("full", "room"):
                caps = Budget(evaluations=6)
                study = Study(Problem("t", "q", "0"), Counting(), score, store=store, name="scratch", budget=caps)
                ending = study.run()
                told = [trial.candidate.id for trial in study.last.trials]
                waiting = [one.id for one in study.last.pending]
                seen[part] = {"error": words(ending.error), "told": told, "pending": waiting}
                if part == "full":
                    seen["jail"] = jail.run(WRITES, {"x": "1"}, ["y"]).reason
                    (disk / "filler").unlink()
    return seen


def report(folder: Path, disk: Path) -> dict[str, object]:
    """A report that finds no room leaves the one that was there."""
    seen = {}
    with SQLiteStore(folder / "studies.db") as store:
        Study(Problem("t", "q", "0"), Counting(), float, store=store, name="report", budget=Budget(evaluations=6)).run()
        path = disk / "report.json"
        path.write_text("the one before")
        fill(disk / "filler", 0)
        try:
            write_report(store, "report", path)
        except LLMOptimizeError as error:
            seen["error"] = words(error)
        seen["there"] = path.read_text()
        seen["files"] = sorted(one.name for one in disk.iterdir())
        (disk / "filler").unlink()
        seen["after"] = json.loads(write_report(store, "report", path).read_text())["study"]["name"]
    return seen


def main(case: str, name: str) -> None:
    """Mount the file system, and print what was seen."""
    disk = Path(name) / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
    disk.chmod(0o777)  # what the sandbox starts may be another user's
    sys.stdout.write(json.dumps({"scratch": scratch, "report": report}[case](Path(name), disk)))


if __name__ == "__main__":
    main(*sys.argv[1:])
