"""Every numeric engine, and the hybrid with each, keeps the published proposer contract."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from llm_optimize.core.types import Draft, Proposal, Usage
from llm_optimize.proposers.engines import ENGINES
from llm_optimize.proposers.mixing import Hybrid, Quota
from llm_optimize.proposers.numeric import NumericProposer
from llm_optimize.testing.proposer_contract import ProposerContract


@dataclass(frozen=True)
class Writer:
    """A model that always has another structure, named by the proposal that it is asked for."""

    def propose(self, history, n):
        drafts = (Draft(f"# {history.slot}.{i}\n{history.problem.start}", "new", "chat:writer") for i in range(n))
        return Proposal(tuple(drafts), Usage(calls=1))


class TestNumeric(ProposerContract):
    scale = (1_000,)  # see test_proposer_contract for 100,000

    @pytest.fixture(params=ENGINES)
    def proposer(self, request):
        return NumericProposer(engine=request.param)


class TestHybrid(ProposerContract):
    scale = (1_000,)  # see test_proposer_contract for 100,000

    @pytest.fixture(params=ENGINES)
    def proposer(self, request):
        return Hybrid(Writer(), NumericProposer(engine=request.param))


class TestHybridWhoseModelIsDue(ProposerContract):
    scale = (1_000,)  # see test_proposer_contract for 100,000

    @pytest.fixture
    def proposer(self):
        return Hybrid(Writer(), NumericProposer(engine="random"), Quota(base=0, per_hole=0, polish=0, rungs=0))


class TestHybridWithoutModel(ProposerContract):
    scale = (1_000,)  # see test_proposer_contract for 100,000

    @pytest.fixture
    def proposer(self):
        return Hybrid(None)
