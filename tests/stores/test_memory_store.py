"""The store in memory."""

from __future__ import annotations

import os

import pytest

from llm_optimize.core.events import Opened, Stopped
from llm_optimize.core.types import Problem
from llm_optimize.stores import MemoryStore, StudyInfo
from llm_optimize.testing.store_contract import StoreContract, sample_events


class TestMemoryStore(StoreContract):
    """The contract of all stores."""

    @pytest.fixture
    def store(self):
        """Return an empty store."""
        return MemoryStore()


def test_overview_sums_up_each_study():
    """A listing shows trials, best score, why the last session ended, and who runs the study now."""
    store = MemoryStore()
    for event in sample_events():
        store.append("done", event)
    store.append("open", Opened(Problem("task"), at=9.0))
    store.claim("open")
    assert store.overview() == (
        StudyInfo("done", 3, 3, "3 steps", 1.0, 8.0),
        StudyInfo("open", 0, None, None, 9.0, 9.0, os.getpid()),
    )


def test_resumed_study_has_no_reason():
    """Once a study is opened again, the reason of the session before is not its reason any more."""
    store = MemoryStore()
    store.append("study", Stopped("interrupted", 1.0))
    store.append("study", Opened(Problem("task"), at=2.0))
    assert store.overview()[0].last_reason is None
