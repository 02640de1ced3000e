"""Ranking by words: BM25 over an inverted index, in plain Python, changed in place.

The formula is Robertson and Zaragoza's (Foundations and Trends in Information Retrieval 3, 2009), with the inverse
document frequency that Lucene uses, which is never negative::

    score(d, q) = sum over w in q of  idf(w) * tf / (tf + k1 * (1 - b + b * |d| / mean |d|)) * (k1 + 1)
    idf(w)      = ln(1 + (N - n(w) + 0.5) / (n(w) + 0.5))
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from typing import TYPE_CHECKING

from llm_optimize.core.checks import check_number
from llm_optimize.errors import BadInput
from llm_optimize.retrieval.words import words

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BM25"]


class BM25:
    """Texts by key, ranked by the words that they share with a query. Not for several threads that change it.

    Args:
        k1: how soon further occurrences of a word stop counting, at least 0.
        b: how much long texts are held back, 0 to 1.

    Example:
        >>> index = BM25()
        >>> index.add(1, "cats sleep"); index.add(2, "dogs bark at cats"); index.add(3, "birds")
        >>> [key for key, _ in index.search("cats", 5)]
        [1, 2]
    """

    def __init__(self, k1: float = 1.2, b: float = 0.75) -> None:
        """Hold nothing.

        Raises:
            BadInput: a value is out of range.
        """
        check_number("k1", k1, 0)
        check_number("b", b, 0, 1)
        self._k1, self._b = k1, b
        self._texts: dict[int, Mapping[str, int]] = {}  # in the order of insertion
        self._sizes: dict[int, int] = {}
        self._postings: dict[str, dict[int, int]] = {}
        self._added: dict[int, int] = {}
        self._words = 0
        self._count = 0

    def __len__(self) -> int:
        """Return how many texts there are."""
        return len(self._texts)

    def add(self, key: int, text: str) -> None:
        """Take a text in.

        Raises:
            BadInput: the key is taken.
        """
        if key in self._texts:
            msg = f"key {key!r} is taken: delete it first"
            raise BadInput(msg)
        counts = Counter(words(text))
        self._texts[key], self._sizes[key], self._added[key] = counts, counts.total(), self._count
        self._count += 1
        self._words += counts.total()
        for word, times in counts.items():
            self._postings.setdefault(word, {})[key] = times

    def delete(self, key: int) -> None:
        """Take a text out.

        Raises:
            BadInput: there is none under this key.
        """
        if key not in self._texts:
            msg = f"key {key!r} is unknown: there is nothing to delete"
            raise BadInput(msg)
        self._words -= self._sizes.pop(key)
        del self._added[key]
        for word in self._texts.pop(key):
            del self._postings[word][key]
            if not self._postings[word]:
                del self._postings[word]

    def search(self, query: str, k: int) -> list[tuple[int, float]]:
        """Return the keys and scores of the ``k`` best texts that share a word with the query, best first.

        Of equal ones the one that was added earlier comes first.
        """
        scores: dict[int, float] = {}
        mean = self._words / len(self._texts) if self._texts else 1.0
        for word, times in Counter(words(query)).items():
            found = self._postings.get(word, {})
            weight = times * self._rarity(len(found)) * (self._k1 + 1)
            for key, count in found.items():
                held = self._k1 * (1 - self._b + self._b * self._sizes[key] / mean)
                scores[key] = scores.get(key, 0.0) + weight * count / (count + held)
        best = heapq.nsmallest(max(k, 0), scores.items(), key=lambda row: (-row[1], self._added[row[0]]))
        return [(key, score) for key, score in best]

    def most(self, query: str) -> float:
        """Return the score that no text can pass for this query: every word in it, infinitely often."""
        counts = Counter(words(query))
        return sum(
            times * self._rarity(len(self._postings.get(word, {}))) * (self._k1 + 1) for word, times in counts.items()
        )

    def _rarity(self, holding: int) -> float:
        return math.log(1 + (len(self._texts) - holding + 0.5) / (holding + 0.5))
