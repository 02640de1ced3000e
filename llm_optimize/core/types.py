"""The nouns: one frozen type for each stage of a candidate's life.

A :class:`Draft` is an idea; the study numbers it and writes it down, then it is a :class:`Candidate`; with an
:data:`Outcome` it is a :class:`Trial`. Values never change after construction; a changed value is a new one.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Candidate",
    "Draft",
    "Evaluation",
    "Failure",
    "Learned",
    "Outcome",
    "Problem",
    "Proposal",
    "Tally",
    "ToolUse",
    "Trial",
    "Usage",
    "is_comparable",
]


def is_comparable(score: float) -> bool:
    """Return whether a score has a place among the others: finite, and within the range of a float."""
    return -sys.float_info.max <= score <= sys.float_info.max


@dataclass(frozen=True, slots=True)
class Problem:
    """What is to be made better; constant for a study.

    Attributes:
        task: the situation and the goal, shown to the model as its system prompt.
        question: what is asked of the model after each attempt.
        start: the first candidate's text, or None when the model is to write it.
    """

    task: str
    question: str = ""
    start: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What something cost; addable, so that costs add up along any path.

    Attributes:
        calls: model calls that were answered.
        tokens_in: prompt tokens, the cached ones included.
        tokens_cached: prompt tokens that the endpoint served from its own cache, usually at a lower price.
        tokens_out: completion tokens, reasoning tokens included.
        dollars: price of those calls; 0.0 where the price is unknown.
        seconds: time spent waiting for the calls.
        estimated: whether any count was estimated because the endpoint did not report it.

    Example:
        >>> Usage(calls=1, tokens_in=10) + Usage(calls=1, tokens_out=5)
        Usage(calls=2, tokens_in=10, tokens_cached=0, tokens_out=5, dollars=0.0, seconds=0.0, estimated=False)
    """

    calls: int = 0
    tokens_in: int = 0
    tokens_cached: int = 0
    tokens_out: int = 0
    dollars: float = 0.0
    seconds: float = 0.0
    estimated: bool = False

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together: what a token budget counts."""
        return self.tokens_in + self.tokens_out

    @property
    def cached_share(self) -> float:
        """The share of prompt tokens that the endpoint served from its own cache, 0 to 1; 0 without any."""
        return self.tokens_cached / self.tokens_in if self.tokens_in else 0.0

    def __add__(self, other: Usage) -> Usage:
        """Add field by field; a sum with an estimate in it is an estimate."""
        return Usage(
            self.calls + other.calls,
            self.tokens_in + other.tokens_in,
            self.tokens_cached + other.tokens_cached,
            self.tokens_out + other.tokens_out,
            self.dollars + other.dollars,
            self.seconds + other.seconds,
            self.estimated or other.estimated,
        )


@dataclass(frozen=True, slots=True)
class Draft:
    """An idea that a proposer had; not yet numbered, written down or evaluated.

    Attributes:
        text: the candidate itself, never empty.
        idea: why it might be better, in the proposer's words: the model's reply around the candidate.
        origin: who made it, for example ``chat:gpt-5``, ``numeric:gp``, ``human``.
        parent: id of the candidate that it was derived from, if one is known.
        others: ids of those that it was combined with.
    """

    text: str
    idea: str = ""
    origin: str = ""
    parent: int | None = None
    others: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A draft that the study has numbered and logged.

    Attributes:
        id: 0, 1, 2, ... in the order of logging, unique within a study.
        text: the text to be scored.
        idea: see :class:`Draft`.
        origin: see :class:`Draft`; ``start`` for x0.
        parent: see :class:`Draft`.
        others: see :class:`Draft`.
    """

    id: int
    text: str
    idea: str = ""
    origin: str = ""
    parent: int | None = None
    others: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A score, and what was learned on the way to it.

    Attributes:
        score: any finite number; higher is better. An int stays an int.
        feedback: the text that the model sees beside the score.
        metrics: further numbers by name, for reports; the loop does not look at them.
        examples: one score per example of a data set, in a fixed order; empty without one.
        usage: what the scorer's own model calls cost.
        answers: what the system that the candidate steers said or did, one text per example or repeat, in order; for
            reports, which show them beside the score. Empty where there is no such system.

    Raises:
        ValueError: the score is not a finite number.

    Example:
        >>> Evaluation(0.97, "two digits confused with 8").score
        0.97
    """

    score: float
    feedback: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    examples: tuple[float, ...] = ()
    usage: Usage = Usage()
    answers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a score that cannot be compared."""
        if isinstance(self.score, bool) or not isinstance(self.score, (int, float)) or not is_comparable(self.score):
            msg = f"score is {self.score!r}: return a finite number (higher is better)"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Failure:
    """A candidate that could not be scored: a value, shown to the model as feedback, never a score.

    Attributes:
        kind: ``raised`` (the scorer raised), ``bad_score`` (NaN, text, None), ``timeout``, or the sandbox's reason.
        message: one or a few lines for the model: what went wrong, and where.
        usage: what was spent before it failed.
    """

    kind: str
    message: str
    usage: Usage = Usage()


Outcome = Evaluation | Failure


@dataclass(frozen=True, slots=True)
class Tally:
    """Several scores of one candidate as running sums, after Welford (Technometrics 4, 1962).

    Attributes:
        n: scores.
        mean: of them.
        squares: sum of their squared deviations from the mean.
        failed: evaluations beside them that brought no score.
    """

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0
    failed: int = 0

    def plus(self, outcome: Outcome) -> Tally:
        """Return the sums with one more evaluation."""
        if isinstance(outcome, Failure):
            return Tally(self.n, self.mean, self.squares, self.failed + 1)
        n, away = self.n + 1, outcome.score - self.mean
        mean = self.mean + away / n
        return Tally(n, mean, self.squares + away * (outcome.score - mean), self.failed)


@dataclass(frozen=True, slots=True)
class Trial:
    """A candidate with its outcome.

    Attributes:
        candidate: what was evaluated.
        outcome: :class:`Evaluation` or :class:`Failure`; of the first evaluation.
        seconds: wall time of the first evaluation.
        tally: of all evaluations, where there was more than one.
    """

    candidate: Candidate
    outcome: Outcome
    seconds: float = 0.0
    tally: Tally = Tally()

    @property
    def id(self) -> int:
        """The candidate's id."""
        return self.candidate.id

    @property
    def text(self) -> str:
        """The candidate's text."""
        return self.candidate.text

    @property
    def score(self) -> float | None:
        """The score, or None for a failure; of a candidate that was scored several times, the mean."""
        if not isinstance(self.outcome, Evaluation):
            return None
        return self.tally.mean if self.tally.squares else self.outcome.score

    @property
    def n(self) -> int:
        """How many evaluations brought a score."""
        return self.tally.n or int(isinstance(self.outcome, Evaluation))

    @property
    def spread(self) -> float | None:
        """The standard deviation of the scores, in units of the score; None below two of them."""
        return math.sqrt(self.tally.squares / (self.tally.n - 1)) if self.tally.n > 1 else None

    def again(self, outcome: Outcome) -> Trial:
        """Return the trial after one more evaluation."""
        before = self.tally if self.tally.n or self.tally.failed else Tally().plus(self.outcome)
        return Trial(self.candidate, self.outcome, self.seconds, before.plus(outcome))

    def judged(self, outcome: Outcome) -> Trial:
        """Return the trial with another outcome in place of its first, by a person's decision."""
        return Trial(self.candidate, outcome, self.seconds, self.tally)

    @property
    def feedback(self) -> str:
        """The evaluation's feedback, or the failure's message."""
        return self.outcome.feedback if isinstance(self.outcome, Evaluation) else self.outcome.message


@dataclass(frozen=True, slots=True)
class ToolUse:
    """A function that a model called while it made a proposal.

    Attributes:
        name: of the function, as the model wrote it.
        arguments: JSON as the model wrote it.
        result: what the model was told, cut to a bounded length.
        ok: whether the function returned; False for one that raised, took too long, or is unknown.
        seconds: wall time.
    """

    name: str
    arguments: str
    result: str
    ok: bool = True
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Learned:
    """What a study has learned from its first trials, in the words of a model that was shown their feedback.

    Attributes:
        upto: how many of the told trials, in the order of their arrival, they are drawn from.
        texts: one lesson each, a line or two, the most important first.
    """

    upto: int = 0
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a proposer hands back: drafts, their price, and what the study should note.

    Attributes:
        drafts: zero or more drafts; zero means that nothing usable came (see ``note``).
        usage: what the proposal cost, with every re-ask.
        note: why drafts are missing, in one line; empty when all is well.
        tools: the functions that were called on the way, in order.
        lessons: drawn from the past on the way; None where none were. They take the place of earlier ones.
        arm: which part of a mixed proposer it is of; a path of names, see :mod:`llm_optimize.core.arms`.
    """

    drafts: tuple[Draft, ...]
    usage: Usage = Usage()
    note: str = ""
    tools: tuple[ToolUse, ...] = ()
    lessons: Learned | None = None
    arm: str = ""
