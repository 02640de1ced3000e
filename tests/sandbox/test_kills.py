"""Killed at random moments, the sandbox leaves no orphan, and the study goes on or resumes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "soak" / "kills.py"


@pytest.mark.skipif(sys.platform != "linux", reason="lanes are Linux's")
def test_a_dozen_kills_leave_no_orphan_and_lose_no_trial(tmp_path):
    """The quick form of the long soak: owner, warm parent, lane and program are each killed three times."""
    command = [sys.executable, str(SCRIPT), "--quick"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "orphans after a second: 0" in done.stdout
