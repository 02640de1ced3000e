"""What a program leaves on the machine is counted, and a long run leaves nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from llm_optimize.sandbox import leftovers

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

SOAK = Path(__file__).parents[1] / "soak"


def test_nothing_more_is_nothing():
    """Two looks at an unchanged machine differ in nothing."""
    assert leftovers.more(leftovers.look(), patience_s=10) == ()


def test_each_kind_is_noticed():
    """A process, a descriptor that is a socket, a marked file and a marked socket are each told."""
    before = leftovers.look()
    with (
        subprocess.Popen([sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE),
        socket.socket(socket.AF_UNIX) as server,
        tempfile.NamedTemporaryFile(prefix=leftovers.MARK),
    ):
        server.bind(f"\0{leftovers.MARK}-{os.getpid()}")
        text = "; ".join(leftovers.more(before, patience_s=0))
    assert "1 more processes" in text
    assert "more descriptors" in text
    assert "1 more sockets" in text
    assert text.count(leftovers.MARK) >= 2


def test_two_thousand_evaluations_leave_everything_flat(tmp_path):
    """The quick form of the long soak: descriptors, memory and files do not grow, and every value is right."""
    command = [sys.executable, str(SOAK / "many.py"), "--quick", "--any-speed"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
