"""Scorers made of scorers; frozen dataclasses, so they print, compare, compose and travel to other processes.

What holds for all: a part that fails makes the whole a failure of the same kind, for there is no number that stands for
"could not be scored"; feedback of several parts is put together under their names; metrics keep every part's score
and its own metrics as ``name.metric`` (``_name`` and ``name._metric`` stay private); usage adds up, failures' included.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import TYPE_CHECKING, Literal

from llm_optimize.core.checks import check_whole
from llm_optimize.core.scoring import to_outcome
from llm_optimize.core.types import Evaluation, Failure, Usage, is_comparable
from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from llm_optimize.core.protocols import Scorer
    from llm_optimize.core.types import Outcome

__all__ = ["Gated", "Lexicographic", "Minimize", "Part", "Repeated", "Weighted"]


@dataclass(frozen=True, slots=True)
class Minimize:
    """Negates a scorer, so that less is better; feedback and metrics stay as they are.

    Example:
        >>> Minimize(lambda text: len(text))("four").score
        -4
    """

    scorer: Scorer

    def __call__(self, text: str) -> Outcome:
        """Score ``text`` and turn the sign round; a failure stays a failure."""
        outcome = to_outcome(self.scorer(text))
        if isinstance(outcome, Failure):
            return outcome
        return replace(outcome, score=-outcome.score, examples=tuple(-score for score in outcome.examples))


@dataclass(frozen=True, slots=True)
class Part:
    """A scorer with a name and what its score means beside others'.

    Attributes:
        name: in feedback and metrics; unique among the parts. With a leading underscore its score is private: it is in
            the log and never in the feedback.
        scorer: what scores.
        weight: factor of its score in :class:`Weighted`.
        low: lower end of its scale in :class:`Lexicographic`.
        high: upper end of it.
        steps: how many levels of the scale count as different in :class:`Lexicographic`, at least 2.

    Raises:
        BadInput: the name is empty, the weight no finite number, or the scale empty.
    """

    name: str
    scorer: Scorer
    weight: float = 1.0
    low: float = 0.0
    high: float = 1.0
    steps: int = 1000

    def __post_init__(self) -> None:
        """Refuse what cannot be combined."""
        if not self.name.strip():
            msg = "part: name is empty: say what the scorer measures"
            raise BadInput(msg)
        if not is_comparable(self.weight):
            msg = f"part {self.name}: weight is {self.weight!r}: give a finite number"
            raise BadInput(msg)
        if not (is_comparable(self.low) and is_comparable(self.high) and self.low < self.high):
            msg = f"part {self.name}: the scale is {self.low!r} to {self.high!r}: give low below high"
            raise BadInput(msg)
        if self.steps < 2:  # noqa: PLR2004 - one level tells nothing apart
            msg = f"part {self.name}: steps is {self.steps!r}: give at least 2"
            raise BadInput(msg)

    @property
    def is_private(self) -> bool:
        """Whether its score and feedback are kept from the proposer."""
        return self.name.startswith("_")


@dataclass(frozen=True, slots=True)
class Weighted:
    """The sum of weight times score of several scorers; weights need not add up to 1, and may be negative.

    Per-example scores are combined alike where all parts have the same number of them.

    Attributes:
        parts: what is added up, at least one.

    Raises:
        BadInput: there is no part, or two have one name.

    Example:
        >>> both = Weighted((Part("length", len, 0.5), Part("words", lambda text: len(text.split()))))
        >>> outcome = both("two words")
        >>> outcome.score, dict(outcome.metrics)
        (6.5, {'length': 9.0, 'words': 2.0})
    """

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        """Refuse a sum of nothing."""
        _check(self.parts, "weighted")

    def __call__(self, text: str) -> Outcome:
        """Score ``text`` by every part."""
        outcomes = _all(self.parts, text)
        if isinstance(outcomes, Failure):
            return outcomes
        weights = [part.weight for part in self.parts]
        score = sum(weight * one.score for weight, one in zip(weights, outcomes, strict=True))
        columns = _columns(outcomes)
        examples = tuple(sum(w * x for w, x in zip(weights, column, strict=True)) for column in columns)
        return _together(score, self.parts, outcomes, examples)


@dataclass(frozen=True, slots=True)
class Gated:
    """First one scorer, then another: what does not pass the gate is scored by the gate alone, and below all that does.

    Correct first, then short: ``Gated(tests, Minimize(len), at_least=1.0, floor=-10_000)``. A candidate that fails the
    gate scores ``floor`` less the distance to the gate, so that there is a way up; the second scorer is not called.

    Attributes:
        gate: has to reach ``at_least``.
        scorer: scores what does.
        at_least: the gate's score that is enough.
        floor: a bound below every score of ``scorer``; a score beneath it counts as the floor.

    Raises:
        BadInput: ``at_least`` or ``floor`` is no finite number.

    Example:
        >>> short = Gated(lambda text: "x" in text, Minimize(len), floor=-100)
        >>> short("xyz").score, short("nothing").score
        (-3, -101.0)
    """

    gate: Scorer
    scorer: Scorer
    at_least: float = 1.0
    floor: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a gate that cannot be compared."""
        for name in ("at_least", "floor"):
            if not is_comparable(getattr(self, name)):
                msg = f"gated: {name} is {getattr(self, name)!r}: give a finite number"
                raise BadInput(msg)

    def __call__(self, text: str) -> Outcome:
        """Score ``text`` by the gate, and by the scorer if it passes."""
        first = to_outcome(self.gate(text))
        if isinstance(first, Failure):
            return first
        metrics = {**first.metrics, "gate": float(first.score)}
        if first.score < self.at_least:
            score = self.floor - (self.at_least - first.score)
            feedback = first.feedback or f"it scores {first.score:g} where {self.at_least:g} is needed"
            return Evaluation(score, feedback, metrics, usage=first.usage)
        second = to_outcome(self.scorer(text))
        usage = first.usage + second.usage
        if isinstance(second, Failure):
            return replace(second, usage=usage)
        feedback = "\n".join(part for part in (first.feedback, second.feedback) if part)
        score = max(second.score, self.floor)
        answers = second.answers or first.answers
        return Evaluation(score, feedback, {**metrics, **second.metrics}, second.examples, usage, answers)


@dataclass(frozen=True, slots=True)
class Repeated:
    """Scores several times and takes the mean or the median; the spread is in the metric ``_spread``.

    The study's own re-tests (``noise=``) spend less: only on leaders. This is for scores that are so noisy that one
    alone says nothing, or whose outliers a median should leave out. One failure among the repeats makes a failure.

    Attributes:
        scorer: what scores.
        times: how often, at least 1.
        by: ``mean`` or ``median``.

    Raises:
        BadInput: ``times`` is below 1, or ``by`` is another word.

    Example:
        >>> Repeated(len, 3, "median")("four").score
        4
    """

    scorer: Scorer
    times: int = 3
    by: Literal["mean", "median"] = "mean"

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        check_whole("repeated: times", self.times, 1)
        if self.by not in {"mean", "median"}:
            msg = f"repeated: by is {self.by!r}: give 'mean' or 'median'"
            raise BadInput(msg)

    def __call__(self, text: str) -> Outcome:
        """Score ``text`` so many times; the feedback is that of the score nearest to the result."""
        outcomes: list[Evaluation] = []
        usage = Usage()
        for _ in range(self.times):
            outcome = to_outcome(self.scorer(text))
            usage += outcome.usage
            if isinstance(outcome, Failure):
                return replace(outcome, usage=usage)
            outcomes.append(outcome)
        scores = [one.score for one in outcomes]
        middle = fmean if self.by == "mean" else median
        score = scores[0] if len(set(scores)) == 1 else middle(scores)
        nearest = min(outcomes, key=lambda one: abs(one.score - score))
        metrics = {**nearest.metrics, "_spread": max(scores) - min(scores)}
        examples = tuple(float(middle(column)) for column in _columns(outcomes))
        answers = tuple(answer for one in outcomes for answer in one.answers)
        return Evaluation(score, nearest.feedback, metrics, examples, usage, answers)


@dataclass(frozen=True, slots=True)
class Lexicographic:
    """The first scorer decides; the next one only between candidates that are equal by it, and so on.

    A score is one number, so each part's scale, from ``low`` to ``high``, is cut into ``steps`` levels and the levels
    are the digits of a number between 0 and 1. The last part keeps its full resolution. Outside of its scale a score
    counts as the end of the scale.

    Attributes:
        parts: the most important first.

    Raises:
        BadInput: there is no part, two have one name, or there are more levels than a float can tell apart.

    Example:
        >>> first = Part("correct", lambda text: float("x" in text), steps=2)
        >>> order = Lexicographic((first, Part("short", Minimize(len), low=-100, high=0)))
        >>> order("xy").score > order("xyz").score > order("").score
        True
    """

    parts: tuple[Part, ...]

    def __post_init__(self) -> None:
        """Refuse what one number cannot hold."""
        _check(self.parts, "lexicographic")
        levels = 1
        for part in self.parts:
            levels *= part.steps
        if levels > 2**53:
            msg = f"lexicographic: {levels:.3g} levels are more than a float can tell apart: give the parts fewer steps"
            raise BadInput(msg)

    def __call__(self, text: str) -> Outcome:
        """Score ``text`` by every part."""
        outcomes = _all(self.parts, text)
        if isinstance(outcomes, Failure):
            return outcomes
        score, room = 0.0, 1.0
        for part, one in zip(self.parts, outcomes, strict=True):
            share = min(max((one.score - part.low) / (part.high - part.low), 0.0), 1.0)
            if part is self.parts[-1]:
                score += room * share * (1 - 1 / part.steps)
                break
            room /= part.steps
            score += min(int(share * part.steps), part.steps - 1) * room
        return _together(score, self.parts, outcomes, ())


def _check(parts: Sequence[Part], name: str) -> None:
    names = [part.name for part in parts]
    if not names:
        msg = f"{name}: parts is empty: give at least one Part(name, scorer)"
        raise BadInput(msg)
    if len(set(names)) < len(names):
        msg = f"{name}: two parts are called {max(names, key=names.count)!r}: give each its own name"
        raise BadInput(msg)


def _all(parts: Iterable[Part], text: str) -> list[Evaluation] | Failure:
    """Return every part's evaluation, or the first failure with the cost of all that was scored before it."""
    outcomes: list[Evaluation] = []
    usage = Usage()
    for part in parts:
        outcome = to_outcome(part.scorer(text))
        usage += outcome.usage
        if isinstance(outcome, Failure):
            return Failure(outcome.kind, f"{part.name.lstrip('_')}: {outcome.message}", usage)
        outcomes.append(outcome)
    return outcomes


def _together(
    score: float, parts: Sequence[Part], outcomes: Sequence[Evaluation], examples: tuple[float, ...]
) -> Evaluation:
    """Return the whole: named feedback, every part's metrics, the sum of what they cost."""
    pairs = list(zip(parts, outcomes, strict=True))
    lines = [_said(part, one) for part, one in pairs if not part.is_private]
    metrics: dict[str, float] = {}
    for part, one in pairs:
        metrics |= {part.name: float(one.score)} | _under(part, one.metrics)
    usage = sum((one.usage for one in outcomes), Usage())
    answers = next((one.answers for one in outcomes if one.answers), ())
    return Evaluation(score, "\n".join(lines), metrics, examples, usage, answers)


def _said(part: Part, outcome: Evaluation) -> str:
    line = f"{part.name}: {outcome.score:.6g}"
    return f"{line}\n{outcome.feedback}" if outcome.feedback else line


def _under(part: Part, metrics: Mapping[str, float]) -> dict[str, float]:
    """Return a part's metrics under its name; what is private in it stays private."""
    prefix = "_" if not part.is_private else ""
    return {f"{prefix if name.startswith('_') else ''}{part.name}.{name}": value for name, value in metrics.items()}


def _columns(outcomes: Sequence[Evaluation]) -> list[tuple[float, ...]]:
    """Return the scores example by example; nothing where the parts do not have the same number of them."""
    if len({len(one.examples) for one in outcomes}) != 1:
        return []
    return list(zip(*(one.examples for one in outcomes), strict=True))
