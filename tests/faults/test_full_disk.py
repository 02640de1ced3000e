"""A file system that is really full: the run ends with the file and the remedy, and goes on once there is room."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from keeping_server import charges

HERE = Path(__file__).parent
PATIENCE_S = 300


def namespaces():
    """Whether this system lets us mount a small file system that nobody else sees."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return False
    return subprocess.run([unshare, "-rm", "true"], capture_output=True, check=False).returncode == 0


pytestmark = pytest.mark.skipif(
    not namespaces(), reason="no user namespaces here (unshare -rm): no file system can be filled"
)


def course(script, *words):
    """Return what a course in namespaces of its own has seen."""
    command = ["unshare", "-rm", sys.executable, str(HERE / script), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def study(tmp_path):
    """Return a function that runs a study whose disk fills up, with replies of a length."""
    servers = []

    def run(case, prose):
        command = [sys.executable, str(HERE / "keeping_server.py"), str(tmp_path / "books"), "0", "0", str(prose)]
        servers.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        seen = course("full_disk_session.py", case, tmp_path, servers[0].stdout.readline().strip())
        return seen, charges(tmp_path / "books")

    yield run
    for server in servers:
        server.kill()
        server.communicate()


@pytest.mark.parametrize(("case", "prose"), [("store", 0), ("replies", 200_000)])
def test_a_study_whose_disk_fills_up_loses_nothing_and_goes_on_once_there_is_room(study, tmp_path, case, prose):
    """It ends with file and remedy; what was acknowledged is on disk; a resume counts and pays nothing twice."""
    seen, charged = study(case, prose)
    remedy = f"{tmp_path}/disk/studies.db: the disk is full: free some space and resume the study"
    assert seen["ended"] == [3, f"StoreError: {remedy}"]
    assert seen["then"]["told"] == seen["acknowledged"] == list(range(len(seen["acknowledged"])))
    assert len(seen["acknowledged"]) >= 5
    assert seen["resumed"][0] == 0, seen["resumed"]
    assert seen["now"]["told"] == list(range(len(seen["acknowledged"]) + 30))
    assert seen["now"]["tokens"] == sum(line["usage"]["total_tokens"] for line in charged)
    assert len(charged) == len(seen["now"]["told"]) - 1
    if case == "replies":  # there was room for the log, so that says why the session ended
        assert seen["then"]["reason"] == remedy


def test_the_jail_has_files_of_its_own_and_without_it_a_full_scratch_ends_the_session(tmp_path):
    """Where programs write to the temporary folder, its being full is no candidate's fault: it waits for a resume."""
    seen = course("full_folders_session.py", "scratch", tmp_path)
    assert seen["jail"] == "finished"
    assert (
        f"SandboxError: the sandbox cannot write to {tmp_path}/disk: No space left on device" in seen["full"]["error"]
    )
    assert "free some room" in seen["full"]["error"]
    assert (seen["full"]["told"], seen["full"]["pending"]) == ([0, 1, 2], [3])
    assert (seen["room"]["told"], seen["room"]["error"]) == ([0, 1, 2, 3, 4, 5], "")


def test_a_report_that_finds_no_room_leaves_the_one_before(tmp_path):
    """The error names the file; nothing half-written stays; with room it is written."""
    seen = course("full_folders_session.py", "report", tmp_path)
    assert f"path: {tmp_path}/disk/report.json cannot be written (No space left on device)" in seen["error"]
    assert (seen["there"], seen["files"]) == ("the one before", ["filler", "report.json"])
    assert seen["after"] == "report"
