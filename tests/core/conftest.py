"""What the tests of the loop share: small proposers, and a study with sensible parts."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from llm_optimize.core.study import Study
from llm_optimize.core.types import Draft, Problem, Proposal, Usage
from llm_optimize.stores.memory import MemoryStore

PROBLEM = Problem("task", "question", "start")


@dataclass(frozen=True)
class Numbered:
    """Drafts named after their slot, so that every text is new."""

    usage: Usage = Usage()

    def propose(self, history, n):
        return Proposal(tuple(Draft(f"slot {history.slot}, draft {i}") for i in range(n)), self.usage)


@dataclass(frozen=True)
class Function:
    """A proposer from a function."""

    function: object

    def propose(self, history, n):
        return self.function(history, n)


@pytest.fixture
def study():
    """Return a function that makes a study: by default it scores the length of numbered drafts, in memory."""

    def make(scorer=len, propose=None, problem=PROBLEM, **options):
        options.setdefault("store", MemoryStore())
        return Study(problem, Function(propose) if propose else Numbered(), scorer, **options)

    return make


@pytest.fixture
def numbered():
    """Return the default proposer's function, for proposers that only add something to it."""
    return Numbered().propose
