"""Near-duplicates, refused before they are evaluated: the same program in another layout, the same words in prose.

An exact copy never comes this far (the study knows every text). This is about what looks new and cannot score anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import chain
from typing import TYPE_CHECKING, Literal

from llm_optimize.errors import BadInput
from llm_optimize.proposers import prompts
from llm_optimize.proposers.mirror import Mirror
from llm_optimize.proposers.twins import TwinIndex, words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from llm_optimize.core.history import History
    from llm_optimize.core.protocols import EmbeddingModel
    from llm_optimize.core.types import Draft

__all__ = ["Novelty"]

_TOP = 16
_RECENT = 16
_LONGEST = 4000  # words of a text that are compared; beyond them it is told apart by its twins alone
_DIGITS = 6
_IGNORED = {"layout": "other spaces, line breaks or comments", "names": "other names, spaces, line breaks or comments"}


@dataclass(frozen=True)
class Novelty:
    """Says of a text which earlier attempt it repeats.

    Twins are found by a hash of what is left of a text once its layout is taken off, among all attempts and in O(1). Of
    Python that is the syntax tree without docstrings and comments (comments that mark numbers to tune stay); of
    anything else the text with white space run together within its lines. Numbers stay: another constant is another
    attempt. Renamed variables count as new unless ``ignore`` says otherwise.

    Two exceptions, because layout may count: a twin that is shorter than each attempt that it repeats is let through
    (code golf), and once two twins have scored differently no twin is refused any more (a scorer that reads comments,
    counts bytes, or is noisy). For a scorer that values longer layouts from the beginning, turn novelty off.

    Prose can be compared further, by the share of words that stay in place (a ratio of difflib's) or by the cosine of
    embeddings, with the 16 best, the 16 latest and the other drafts of the same proposal only, so that the cost of a
    check does not grow. Both are off by default: one word may be the hypothesis that is to be tested (a text of 60
    words with one changed is 98 % the same), and a draft that is refused twice costs its proposal. ShinkaEvolve refuses
    at a cosine of 0.99 and has a model judge those; OpenEvolve checks when the evaluation has been paid for.

    Attributes:
        ignore: what makes no difference: ``layout``, or ``names``, layout and the names of variables.
        alike: the share of words, 0 to 1, from which on two texts that are no Python are near-duplicates; None: never.
            A changed number is new all the same.
        embedding: compares by meaning, each text embedded once.
        cosine: from which on two texts are near-duplicates by ``embedding``.

    Raises:
        BadInput: a setting is none of these, or out of range.

    Example:
        >>> from llm_optimize.core.types import Draft
        >>> from llm_optimize.core.history import History
        >>> Novelty().objection("x = (1)", History.empty(), [Draft("x = 1")])[:64]
        'apart from other spaces, line breaks or comments this is another'
    """

    ignore: Literal["layout", "names"] = "layout"
    alike: float | None = None
    embedding: EmbeddingModel | None = None
    cosine: float = 0.99
    _index: TwinIndex = field(init=False, repr=False, compare=False)
    _vectors: Mirror = field(init=False, repr=False, compare=False, default_factory=Mirror)

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.ignore not in _IGNORED:
            msg = f"novelty: ignore is {self.ignore!r}: give 'layout' or 'names'"
            raise BadInput(msg)
        for name in ("alike", "cosine"):
            value = getattr(self, name)
            known = name == "alike" and value is None
            if not known and (isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1):
                msg = f"novelty: {name} is {value!r}: give a number above 0, at most 1"
                raise BadInput(msg)
        object.__setattr__(self, "_index", TwinIndex(names=self.ignore == "names"))

    def objection(self, text: str, history: History, drafts: Sequence[Draft]) -> str | None:
        """Return why a text is not new, as a clause that tells the model, or None.

        Args:
            text: a candidate that is no exact copy.
            history: the past.
            drafts: what the same proposal has brought so far.
        """
        return self._twin(text, history, drafts) or self._near(text, history, drafts)

    def _twin(self, text: str, history: History, drafts: Sequence[Draft]) -> str | None:
        if self._index.layout_counts(history):
            return None
        found = self._index.twin(text, history)
        head = f"apart from {_IGNORED[self.ignore]} this is"
        if found is not None and len(text.strip()) >= len(found.text.strip()):
            return _told(head, found.id, history)
        key = self._index.key(text)
        return _other(head) if any(self._index.key(draft.text) == key for draft in drafts) else None

    def _near(self, text: str, history: History, drafts: Sequence[Draft]) -> str | None:
        """Compare with the best, the latest, and what the same proposal brought."""
        if (self.alike is None or self._index.is_code(text)) and self.embedding is None:
            return None
        among = chain(history.top(_TOP), reversed(history.recent(_RECENT)))
        trials = {trial.id: trial for trial in among}.values()
        cosines = {}
        if self.embedding is not None:
            others = chain((trial.text for trial in trials), (draft.text for draft in drafts))
            cosines = self._vectors.cosines(self.embedding, others, text)
        for trial in trials:
            if said := self._likeness(text, trial.text, cosines):
                return _told(said, trial.id, history)
        return next((_other(said) for draft in drafts if (said := self._likeness(text, draft.text, cosines))), None)

    def _likeness(self, text: str, other: str, cosines: Mapping[str, float]) -> str:
        """Say in how far two texts are the same, or nothing."""
        if self.embedding is not None:
            near = cosines[other]
            return f"in meaning (cosine {near:.3f}) this is" if near >= self.cosine else ""
        share = _share(words(text)[:_LONGEST], words(other)[:_LONGEST], self.alike or 1.0)
        return f"word for word ({share:.1%} the same) this is" if share else ""


def _share(one: Sequence[str], two: Sequence[str], least: float) -> float:
    """Return the share of words in place, 0 where it is below ``least`` or a number differs."""
    if list(_numbers(one)) != list(_numbers(two)):
        return 0.0
    matcher = SequenceMatcher(None, one, two, autojunk=False)
    if matcher.real_quick_ratio() < least or matcher.quick_ratio() < least:
        return 0.0
    share = matcher.ratio()
    return share if share >= least else 0.0


def _numbers(text: Sequence[str]) -> Iterator[str]:
    return (word for word in text if word[0].isdigit())


def _told(head: str, number: int, history: History) -> str:
    trial = history.trial(number)
    if trial is None:
        result = "is being evaluated"
    else:
        result = "failed" if trial.score is None else f"scored {prompts.show_score(trial.score, _DIGITS)}"
    return f"{head} attempt #{number}, which {result}: change what matters"


def _other(head: str) -> str:
    return f"{head} another answer that you gave in this step: change what matters"
