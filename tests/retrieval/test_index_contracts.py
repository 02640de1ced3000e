"""Both indexes keep the contract, and what only the exact one promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_optimize.errors import BadInput
from llm_optimize.retrieval.hnsw import HNSWIndex
from llm_optimize.retrieval.index import ExactIndex
from llm_optimize.testing.index_contract import IndexContract, brute_force


class TestExactIndex(IndexContract):
    def made(self, dimensions):
        return ExactIndex(dimensions)

    def loaded(self, path):
        return ExactIndex.load(path)


class TestHNSWIndex(IndexContract):
    exact = False
    tolerance = 1e-3

    @pytest.fixture(autouse=True)
    def _installed(self):
        pytest.importorskip("usearch", reason="the extra `ann` is not installed: pip install 'llm-optimize[ann]'")

    def made(self, dimensions):
        return HNSWIndex(dimensions)

    def loaded(self, path):
        return HNSWIndex.load(path)


class TestHNSWIndexInTwoBytes(TestHNSWIndex):
    tolerance = 0.01

    def made(self, dimensions):
        return HNSWIndex(dimensions, precision="bf16", searching=256)


class TestHNSWIndexInOneByte(TestHNSWIndex):
    tolerance = 0.03

    def made(self, dimensions):
        return HNSWIndex(dimensions, precision="i8", searching=256)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=40), st.integers(1, 12), st.integers(0, 2**31))
def test_ties_stay_in_order_wherever_they_stand(kinds, k, seed) -> None:
    """Among rows of which many are equal, the result is that of a stable sort in double precision."""
    distinct = np.random.default_rng(seed).normal(size=(3, 17)).astype(np.float32)
    rows, keys = distinct[kinds], list(range(len(kinds)))
    index = ExactIndex(17)
    index.add(keys, rows)
    query = np.random.default_rng(seed + 1).normal(size=17)
    found, right = index.search(query, k), brute_force(keys, rows, query, k)
    assert [key for key, _ in found] == [key for key, _ in right]
    assert np.allclose([score for _, score in found], [score for _, score in right], atol=1e-6)


def test_settings_that_cannot_work_are_refused() -> None:
    """Each in one line."""
    pytest.importorskip("usearch", reason="the extra `ann` is not installed")
    for wrong in ({"precision": "f8"}, {"links": 1}, {"threads": -1}, {"searching": 0}):
        with pytest.raises(BadInput, match=next(iter(wrong))):
            HNSWIndex(4, **wrong)
    with pytest.raises(BadInput, match="dimensions"):
        ExactIndex(0)
