"""What the stages write, one line of JSON each, and read back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

from llm_optimize.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

__all__ = ["Answer", "Answers", "Best", "Rewrite", "Status"]

Status = Literal["new", "unchanged", "duplicate", "gives_away", "none"]
"""What became of a rewrite: ``new`` ones are scored; one that equals the original or an earlier one, that holds the
answer, or that never came, is not."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered to a version of a prompt.

    Attributes:
        text: the answer, its end cut off where it is very long; whole in the file of replies.
        score: 0 to 1; None where the scorer failed, which says nothing about the prompt.
        note: why there is no usable answer (``cut off``, ``refused``, ``empty``), or why the scorer failed.
        metrics: the scorer's raw values.
    """

    text: str
    score: float | None
    note: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answers:
    """All answers to one version of an item's prompt.

    Attributes:
        id: of the item.
        version: ``original``; ``2-0`` for the first rewrite of round 2; or ``improved``, in the comparison.
        answers: in the order in which they were asked for.
    """

    id: str
    version: str
    answers: tuple[Answer, ...]

    @property
    def score(self) -> float | None:
        """The mean of the scores; None without any."""
        scores = self.scores
        return fmean(scores) if scores else None

    @property
    def scores(self) -> tuple[float, ...]:
        """Those there are."""
        return tuple(one.score for one in self.answers if one.score is not None)

    @property
    def texts(self) -> tuple[str, ...]:
        """What was answered."""
        return tuple(one.text for one in self.answers)

    def wrong(self, right: float) -> int:
        """Return how many answers score below ``right``."""
        return sum(score < right for score in self.scores)

    def record(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        answers = [{**asdict(one), "metrics": dict(one.metrics)} for one in self.answers]
        return {"id": self.id, "version": self.version, "answers": answers}

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Read it back.

        Raises:
            StoreError: the record is none.
        """
        try:
            answers = tuple(Answer(**one) for one in record["answers"])
            return cls(record["id"], record["version"], answers)
        except (KeyError, TypeError) as error:
            raise StoreError(_damaged(record, error)) from error


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A version that a rewriter made.

    Attributes:
        id: of the item.
        round: from 1 on.
        index: within the round, from 0 on.
        prompt: the version; empty where none came.
        status: see :data:`Status`.
        note: why none came.
        answer_shown: whether the rewriter was told the right answer.
    """

    id: str
    round: int
    index: int
    prompt: str
    status: Status
    note: str = ""
    answer_shown: bool = False

    @property
    def version(self) -> str:
        """Its name among the item's versions."""
        return f"{self.round}-{self.index}"

    def record(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Read it back.

        Raises:
            StoreError: the record is none.
        """
        try:
            return cls(**record)
        except TypeError as error:
            raise StoreError(_damaged(record, error)) from error


@dataclass(frozen=True, slots=True)
class Best:
    """What came of one hard item.

    Attributes:
        id: of the item.
        kind: of the item.
        original: its prompt.
        improved: the best version; the original where nothing beat it.
        rest: what both are followed by.
        original_score: mean of the answers to the original.
        improved_score: mean of the answers to the best version; of the best of many, so flattered by luck.
        version: name of the best version.
        part: ``train`` or ``validation``.
        answer_shown: whether the rewriter was told the right answer.
        versions: (prompt, score) of every version that was scored, in the order in which they were made.
    """

    id: str
    kind: str
    original: str
    improved: str
    rest: str
    original_score: float
    improved_score: float
    version: str
    part: str
    answer_shown: bool = False
    versions: tuple[tuple[str, float], ...] = ()

    @property
    def is_improved(self) -> bool:
        """Whether something beat the original."""
        return self.version != "original"

    @property
    def margin(self) -> float:
        """How much better the best version scored."""
        return self.improved_score - self.original_score

    def record(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Read it back.

        Raises:
            StoreError: the record is none.
        """
        try:
            versions = tuple((str(prompt), float(score)) for prompt, score in record["versions"])
            return cls(**{**record, "versions": versions})
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(_damaged(record, error)) from error


def _damaged(record: Mapping[str, Any], error: Exception) -> str:
    return f"the record of {record.get('id')!r} cannot be read ({error}): restore the file or give another folder"
