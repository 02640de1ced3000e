"""Simulated studies for the tests of this folder."""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # tests are no package

from simulated import Setting, simulate


@pytest.fixture
def simulated(tmp_path):
    """Return a function that runs a study in virtual time, each in a folder of its own."""
    numbers = count()

    def run(clock=None, at=(), score=None, **settings):
        folder = tmp_path / f"{next(numbers)}"
        folder.mkdir()
        return simulate(Setting(**settings), folder, clock=clock, at=at, score=score)

    return run
