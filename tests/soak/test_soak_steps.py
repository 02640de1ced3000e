"""The soak of many steps in small; ``steps.py`` is the large one, and says what is measured."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

STEPS = 1000


def test_a_thousand_steps_leave_nothing_behind(tmp_path):
    """Memory, descriptors, threads, processes and files stay flat; the log holds each step once."""
    command = [sys.executable, str(Path(__file__).with_name("steps.py")), "--steps", str(STEPS)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "log: each step once; files left after closing: 0" in done.stdout
