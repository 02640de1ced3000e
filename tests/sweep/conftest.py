"""A stand-in endpoint for sweeps, over real HTTP."""

from __future__ import annotations

from contextlib import contextmanager

import pytest

from llm_optimize.testing.server import ScriptedServer
from llm_optimize.testing.surface import Surface


@pytest.fixture
def stand_in():
    """Give a function that serves a surface, or any answering function, as the model ``m``."""

    @contextmanager
    def serve(answer=None, **surface):
        with ScriptedServer(answer or Surface(**surface), models=("m",)) as server:
            yield server

    return serve


@pytest.fixture
def quiet():
    """The keywords of a sweep that writes, prints and probes nothing."""
    return {"store": None, "folder": None, "verbose": False, "probe": False}
