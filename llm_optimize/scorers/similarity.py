"""How like a reference a text is, by seven measures with one interface; several references, the nearest counts.

The measures are the field's own libraries where there are any: rapidfuzz (edit distance, longest common subsequence),
sacrebleu (BLEU, chrF). rouge-score is not among them: it takes many seconds to import where scikit-learn is installed,
and knows English letters only; on English text ROUGE-L is the same number here. The measures differ in kind, so the
name stands in the metrics beside the value.
"""

from __future__ import annotations

import difflib
import re
import statistics
import string
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from llm_optimize.core.types import Evaluation, Failure
from llm_optimize.errors import BadInput
from llm_optimize.scorers.installed import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llm_optimize.core.protocols import EmbeddingModel

__all__ = ["Kind", "Similarity", "token_f1"]

Kind = Literal["ratio", "ratio_autojunk", "edit", "token_f1", "rouge_l", "bleu", "chrf", "cosine"]
"""Which measure: see :class:`Similarity`."""

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_EXTRA = "similarity"


@dataclass(frozen=True, slots=True)
class Similarity:
    r"""Scores a text by its likeness to one or several references: 1 is equal, 0 has nothing in common.

    Attributes:
        references: a text, or several; none of them empty.
        kind: the measure.

            - ``ratio``: matching blocks, twice their length over both lengths (``difflib``, without its heuristic for
              frequent characters, which gives nearly 0 for nearly equal texts from 200 characters on). Its time grows
              with the square of the length, a second at some 6,000 characters: for long texts take ``edit``.
            - ``ratio_autojunk``: the same with the heuristic, as ``SequenceMatcher(None, text, reference)`` has it.
            - ``edit``: 1 less the Levenshtein distance over the longer length (rapidfuzz).
            - ``token_f1``: the words in common, as SQuAD counts them (Rajpurkar et al. 2016).
            - ``rouge_l``: the longest common subsequence of words of any alphabet, F-measure without stemming
              (Lin 2004; rapidfuzz).
            - ``bleu``: sentence BLEU with exponential smoothing, 0 to 1 (sacrebleu); takes all references at once.
            - ``chrf``: character n-grams, 0 to 1 (sacrebleu); takes all references at once; better for short texts.
            - ``cosine``: of the vectors of ``model``; -1 to 1.
        take: ``max``, the nearest reference counts; ``mean``, all do.
        model: for ``cosine``: any object with ``embed(texts)``, such as
            :class:`~llm_optimize.llm.embedding.OpenAIEmbedding`.
        strip: whether white space at the ends of the texts counts for nothing.
        longest: characters; a longer text is a failure, as comparing it could take minutes.

    Raises:
        BadInput: see the message; also where the measure's library is not installed.

    Example:
        >>> Similarity("The cat sat.")("The cat sits.").score
        0.88
        >>> Similarity(["The cat sat.", "A dog."], "token_f1")("a dog").metrics
        {'token_f1': 1.0}
    """

    references: str | Sequence[str]
    kind: Kind = "ratio"
    take: Literal["max", "mean"] = "max"
    model: EmbeddingModel | None = None
    strip: bool = True
    longest: int = 20_000

    def __post_init__(self) -> None:
        """Refuse what cannot be compared, before anything is evaluated."""
        references = (self.references,) if isinstance(self.references, str) else tuple(self.references)
        if not references or not all(isinstance(one, str) and one.strip() for one in references):
            msg = "references: give a text to compare with, or several, none of them empty"
            raise BadInput(msg)
        if self.kind not in _MEASURES:
            msg = f"kind is {self.kind!r}: give one of {', '.join(_MEASURES)}"
            raise BadInput(msg)
        if self.take not in {"max", "mean"}:
            msg = f"take is {self.take!r}: give 'max' or 'mean'"
            raise BadInput(msg)
        if (self.model is None) == (self.kind == "cosine"):
            msg = "model: an embedding model goes with kind='cosine', and with no other"
            raise BadInput(msg)
        if max(map(len, references)) > self.longest:
            msg = f"longest is {self.longest!r}, and a reference is longer: give at least {max(map(len, references))}"
            raise BadInput(msg)
        library = _LIBRARIES.get(self.kind)
        if library is not None:
            load(library, _EXTRA)
        object.__setattr__(self, "references", references)

    def __call__(self, text: str) -> Evaluation | Failure:
        """Compare ``text``.

        Returns:
            An Evaluation; ``metrics`` holds the value under the measure's name. Or a Failure: the text is too long.

        Raises:
            ModelError: the embedding model did not answer.
        """
        text = text.strip() if self.strip else text
        if len(text) > self.longest:
            msg = f"the text has {len(text)} characters; at most {self.longest} are compared: shorten it"
            return Failure("too_long", msg)
        references = [one.strip() if self.strip else one for one in self.references]
        values = self._values(text, references)
        score = max(values) if self.take == "max" else statistics.fmean(values)
        return Evaluation(score, self._feedback(score, values), {self.kind: score})

    def _values(self, text: str, references: Sequence[str]) -> list[float]:
        if self.model is not None:
            return _cosines(self.model, text, references)
        if self.kind in _AT_ONCE and self.take == "max":
            return [_AT_ONCE[self.kind](text, references)]
        if self.kind in _AT_ONCE:
            return [_AT_ONCE[self.kind](text, [one]) for one in references]
        return [_PAIRWISE[self.kind](text, one) for one in references]

    def _feedback(self, score: float, values: Sequence[float]) -> str:
        if len(values) == 1:
            return f"similarity to the reference ({self.kind}): {score:.3f}"
        which = f"nearest is number {values.index(max(values)) + 1} of {len(values)}"
        return f"similarity to the references ({self.kind}, {self.take}): {score:.3f}; {which}"


def token_f1(text: str, reference: str) -> float:
    """Return the F1 of the words that two texts share, 0 to 1: lower case, without punctuation and English articles.

    Example:
        >>> token_f1("The cat sat", "a cat sat down")
        0.8
    """
    given, wanted = _words(text), _words(reference)
    if not given or not wanted:
        return float(given == wanted)
    common = (Counter(given) & Counter(wanted)).total()
    return 2 * common / (len(given) + len(wanted))


def _words(text: str) -> list[str]:
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def _ratio(text: str, reference: str) -> float:
    return difflib.SequenceMatcher(None, text, reference, autojunk=False).ratio()


def _ratio_autojunk(text: str, reference: str) -> float:
    return difflib.SequenceMatcher(None, text, reference).ratio()


def _edit(text: str, reference: str) -> float:
    return float(load("rapidfuzz.distance.Levenshtein", _EXTRA).normalized_similarity(text, reference))


def _rouge_l(text: str, reference: str) -> float:
    given, wanted = (re.findall(r"[^\W_]+", one.lower()) for one in (text, reference))
    common = load("rapidfuzz.distance.LCSseq", _EXTRA).similarity(given, wanted)
    return 2 * float(common) / (len(given) + len(wanted)) if given and wanted else 0.0


def _bleu(text: str, references: Sequence[str]) -> float:
    sacrebleu = load("sacrebleu", _EXTRA)
    return _unit(sacrebleu.sentence_bleu(text, list(references), use_effective_order=True).score)


def _chrf(text: str, references: Sequence[str]) -> float:
    return _unit(load("sacrebleu", _EXTRA).sentence_chrf(text, list(references)).score)


def _unit(percent: float) -> float:
    return min(max(percent / 100, 0.0), 1.0)  # equal texts come out at 100.00000000000004


def _cosines(model: EmbeddingModel, text: str, references: Sequence[str]) -> list[float]:
    # Apart from the text, as the references are the same each time: a model that remembers is asked for them once.
    wanted: list[list[float]] = [list(map(float, row)) for row in model.embed(list(references))]
    given: list[float] = list(map(float, model.embed([text])[0]))
    return [_cosine(given, one) for one in wanted]


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    lengths = (sum(x * x for x in one) * sum(x * x for x in other)) ** 0.5
    return sum(x * y for x, y in zip(one, other, strict=True)) / lengths if lengths else 0.0


_PAIRWISE: dict[str, Callable[[str, str], float]] = {
    "ratio": _ratio,
    "ratio_autojunk": _ratio_autojunk,
    "edit": _edit,
    "token_f1": token_f1,
    "rouge_l": _rouge_l,
}
_AT_ONCE: dict[str, Callable[[str, Sequence[str]], float]] = {"bleu": _bleu, "chrf": _chrf}
_MEASURES: tuple[Any, ...] = (*_PAIRWISE, *_AT_ONCE, "cosine")
_LIBRARIES = {
    "edit": "rapidfuzz.distance.Levenshtein",
    "rouge_l": "rapidfuzz.distance.LCSseq",
    "bleu": "sacrebleu",
    "chrf": "sacrebleu",
}
