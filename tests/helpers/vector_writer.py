"""Embeds texts into a shared file of vectors: ``vector_writer.py PATH FIRST COUNT``; prints how often it was asked."""

from __future__ import annotations

import sys

from llm_optimize.retrieval.cached import CachedEmbedding
from llm_optimize.retrieval.lexical import LexicalEmbedding


class Counting:
    """The lexical model, counting texts."""

    name = "counting"

    def __init__(self):
        self.asked = 0

    def embed(self, texts):
        self.asked += len(texts)
        return LexicalEmbedding(64).embed(texts)


def main(path: str, first: int, count: int) -> None:
    """Embed in small portions."""
    inner = Counting()
    model = CachedEmbedding(inner, path)
    for start in range(first, first + count, 10):
        texts = [f"text {number}" for number in range(start, start + 10)]
        assert (model.embed(texts) == LexicalEmbedding(64).embed(texts)).all()
    print(inner.asked)  # noqa: T201 - how the parent learns it


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
