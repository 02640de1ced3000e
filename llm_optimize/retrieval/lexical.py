"""An embedding that needs no model and no network: hashed words and character n-grams.

Two texts are near when they share words, or words with the same stem or a typing error. Meaning beyond the letters it
does not know: "car" and "automobile" are strangers. It is the fallback where no model is at hand, and what tests use.
"""

from __future__ import annotations

import zlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput
from llm_optimize.retrieval.words import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["LexicalEmbedding"]

_LEAST = 16
_GRAM_WEIGHT = 1.0  # of all character n-grams of a word together, beside the word's own 1
_SHORT = 3  # letters: words up to here are mostly function words
_SHORT_WEIGHT = 0.5
_SIGN_BIT = 1 << 31


@dataclass(frozen=True, slots=True)
class LexicalEmbedding:
    """Vectors from feature hashing (Weinberger et al. 2009) of words and of their character n-grams.

    A word counts with the square root of its frequency; words of up to three letters, mostly function words, count
    less. The sign of each feature comes from its hash, so that collisions cancel out in the mean. Rows have length 1,
    or are all zero for a text without words. The same text gives the same row in every process and on every machine.

    Attributes:
        dimensions: numbers in a row, at least 16; more means fewer collisions.
        grams: lengths of the character n-grams, taken inside words with their borders marked; empty for words alone.

    Raises:
        BadInput: ``dimensions`` below 16, or a length below 1.

    Example:
        >>> rows = LexicalEmbedding().embed(["the red house", "two houses", "numbers"])
        >>> bool(rows[0] @ rows[1] > 0.2 > 0.1 > rows[0] @ rows[2])
        True
    """

    dimensions: int = 1024
    grams: tuple[int, ...] = (3, 4)

    def __post_init__(self) -> None:
        """Refuse what gives no vectors."""
        if isinstance(self.dimensions, bool) or not isinstance(self.dimensions, int) or self.dimensions < _LEAST:
            msg = f"dimensions is {self.dimensions!r}: give a whole number, at least {_LEAST}"
            raise BadInput(msg)
        if not all(isinstance(one, int) and one >= 1 for one in self.grams):
            msg = f"grams is {self.grams!r}: give lengths of character n-grams, each at least 1, or nothing"
            raise BadInput(msg)

    @property
    def name(self) -> str:
        """What the vectors depend on."""
        return f"lexical-{self.dimensions}-{'.'.join(map(str, self.grams)) or 'words'}"

    def embed(self, texts: Sequence[str]) -> Any:  # noqa: ANN401 - numpy is optional, so its array type cannot be named
        """Return an array of shape (len(texts), dimensions), float32, rows of length 1 (or 0 without words)."""
        import numpy as np  # noqa: PLC0415 - optional and heavy

        rows = np.zeros((len(texts), self.dimensions), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for place, weight in self._features(text):
                row[place] += weight
        lengths = np.sqrt((rows * rows).sum(axis=1, keepdims=True))
        return rows / np.where(lengths > 0, lengths, np.float32(1.0))

    def _features(self, text: str) -> Iterator[tuple[int, float]]:
        for word, times in Counter(words(text)).items():
            weight = times**0.5 * (_SHORT_WEIGHT if len(word) <= _SHORT and word.isalpha() else 1.0)
            yield self._hashed(word, weight)
            bordered = f"<{word}>"
            grams = [bordered[i : i + n] for n in self.grams for i in range(len(bordered) - n + 1)]
            for gram in grams:
                yield self._hashed(gram, weight * (_GRAM_WEIGHT / len(grams)) ** 0.5)

    def _hashed(self, feature: str, weight: float) -> tuple[int, float]:
        code = zlib.crc32(feature.encode("utf-8", "surrogatepass"))
        return code % self.dimensions, weight if code & _SIGN_BIT else -weight
