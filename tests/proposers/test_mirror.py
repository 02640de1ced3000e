"""The index of the texts that a policy compares."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from llm_optimize.proposers.mirror import Mirror
from llm_optimize.retrieval.lexical import LexicalEmbedding


class Counting:
    """The lexical model, counting texts."""

    def __init__(self):
        self.asked = 0

    def embed(self, texts):
        self.asked += len(texts)
        return LexicalEmbedding(64).embed(texts)


def test_cosines_are_those_of_the_model() -> None:
    """Whatever was asked before, whether the anchor is among the texts, and for a copy."""
    texts = [f"word{number % 7} word{number % 5}" for number in range(40)]
    mirror, model = Mirror(), Counting()
    for anchor in ("word1 word2", texts[3], "", texts[3]):
        rows = LexicalEmbedding(64).embed([*texts, anchor]).astype(np.float64)
        right = dict(zip(texts, rows[:-1] @ rows[-1], strict=True))
        assert mirror.cosines(model, texts, anchor) == pytest.approx(right, abs=1e-6)
        assert pickle.loads(pickle.dumps(mirror)).cosines(model, texts, anchor) == pytest.approx(right, abs=1e-6)
    assert mirror.cosines(model, [], "x") == {}


def test_a_text_is_embedded_once_while_it_is_asked_about() -> None:
    """And for a while after; how many are kept is bounded."""
    mirror, model = Mirror(), Counting()
    for step in range(600):
        mirror.cosines(model, ["always", f"text {step}"], f"anchor {step}")
    assert model.asked == 1 + 2 * 600
    assert len(mirror._keys) <= 3 + 256
    mirror.cosines(model, ["always", "text 599"], "anchor 599")
    assert model.asked == 1 + 2 * 600
