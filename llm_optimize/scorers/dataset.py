"""A candidate scored on a data set: each example is run and judged, the mean is the score, the worst are the feedback.

What an example brings:

- a score: what the metric returns, or the score of its Evaluation, whose feedback and metrics are kept;
- an error in ``run`` or ``metric``: the example has failed. Without ``on_error`` the candidate then is a Failure that
  says on how many of the examples run, and no further example is begun: a candidate that cannot do its work on every
  example has no mean. With ``on_error=0.0`` a failed example scores that much, unless all fail;
- an error of this package (the endpoint is down, the budget is spent, the jail is broken): it says nothing about the
  candidate, so it ends the evaluation, and the study evaluates the candidate again when it goes on. Replies that were
  paid for are recalled from its log.

Racing compares with the best candidate that was scored on all examples. Within a study that is looked up in the
history from which the evaluation began, so the scorer has no state of its own and a study that was killed goes on
exactly as it would have; outside a study, the scorer remembers. In the workers of a process pool it can do neither, and
every candidate is scored on all examples. What a candidate that was stopped early has been scored on is remembered by
the scorer, so that asking for it again goes on where it stopped; a candidate that was scored on all examples is
measured anew each time, as the repeats that tell noise from gain need it.
"""

from __future__ import annotations

import hashlib
import math
import random
import threading
from dataclasses import KW_ONLY, dataclass, field, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any, TypeGuard

from llm_optimize.core.checks import check_whole
from llm_optimize.core.history import same_text
from llm_optimize.core.metering import current_scope, entered
from llm_optimize.core.scoring import evaluate
from llm_optimize.core.types import Evaluation, Failure, Usage, is_comparable
from llm_optimize.errors import BadInput
from llm_optimize.scorers.example import Example, check_examples
from llm_optimize.scorers.racing import Rule, estimate
from llm_optimize.scorers.spreading import spread
from llm_optimize.scorers.worst import Judged, told_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from llm_optimize.core.types import Outcome

__all__ = ["CHECK", "DATA", "SEEN", "TOTAL", "DatasetScorer"]

SEEN, TOTAL = "examples_seen", "examples"
"""The metrics that say on how many examples a score rests, and how many there are."""

DATA, CHECK = "_data", "_checksum"
"""The private metrics that tell one data set from another, and per-example scores from others that were made of them:
neither is raced against."""


@dataclass(frozen=True, slots=True)
class _Rival:
    """Who is raced against: a candidate's text, its scores on all examples, and what its score is taken to be."""

    text: str
    scores: tuple[float, ...]
    level: float


class _Memory:
    """What a scorer knows beyond the history; a copy in another process begins with none."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.unfinished: dict[str, dict[int, Judged]] = {}
        self.best: _Rival | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _Memory, ()


@dataclass(frozen=True, slots=True)
class DatasetScorer:
    """Scores a candidate by its mean over examples.

    Attributes:
        run: ``run(candidate, example)`` returns an output of any type; called from several threads at once.
        examples: in the order of ``Evaluation.examples``.
        metric: ``metric(output, example)`` returns a number (higher is better), (number, feedback) or an Evaluation.
        racing: when to stop a candidate that is not going to win; None scores each on all examples. In a study it
            needs this scorer's score to be the study's: inside another one, such as Minimize, nobody is stopped.
        worst: how many of the worst examples the feedback shows.
        show_expected: whether it shows what was expected of them. What ``metric`` writes is shown in any case.
        on_error: the score of an example that fails; None makes the whole candidate a failure.
        parallel: examples run at a time, for each candidate in flight.
        seed: of the order in which examples are raced, which is another one for each candidate.

    Raises:
        BadInput: a value makes no sense.

    Example:
        >>> from llm_optimize.scorers.example import Example
        >>> examples = [Example({"word": word}, len(word)) for word in ("one", "three")]
        >>> scorer = DatasetScorer(lambda text, example: eval(text, {"word": example["word"]}), examples,
        ...                        lambda output, example: output == example.expected)
        >>> scorer("len(word)").score, scorer("3").examples
        (1.0, (1.0, 0.0))
    """

    run: Callable[[str, Example], Any]
    examples: Sequence[Example] = field(repr=False)
    metric: Callable[[Any, Example], Evaluation | Failure | float | tuple[float, str]]
    _: KW_ONLY
    racing: Rule | None = None
    worst: int = 3
    show_expected: bool = False
    on_error: float | None = None
    parallel: int = 8
    seed: int = 0
    data: float = field(init=False, repr=False, compare=False)
    _memory: _Memory = field(default_factory=_Memory, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the parts before anything is run."""
        object.__setattr__(self, "examples", check_examples(self.examples))
        for name, function in (("run", self.run), ("metric", self.metric)):
            if not callable(function):
                msg = f"{name} is {type(function).__name__}: give a function of two arguments"
                raise BadInput(msg)
        check_whole("parallel", self.parallel, 1)
        check_whole("worst", self.worst, 0)
        if self.on_error is not None and not is_comparable(self.on_error):
            msg = f"on_error is {self.on_error!r}: give the score of an example that fails, a finite number, or None"
            raise BadInput(msg)
        if self.racing is not None and not all(callable(getattr(self.racing, name, None)) for name in _RULE):
            msg = f"racing is {self.racing!r}: give Racing(), FixedGate() or None"
            raise BadInput(msg)
        object.__setattr__(self, "data", _fingerprint(self.examples))

    def __call__(self, text: str) -> Outcome:
        """Score a candidate.

        Returns:
            An Evaluation. Its ``metrics`` are the means of the metric's own, and the number of examples on which it
            rests. ``examples`` holds one score per example, in their order; it is empty for a candidate that was
            stopped early, whose score is then :func:`~llm_optimize.scorers.racing.estimate`. Or a Failure.

        Raises:
            LLMOptimizeError: raised by ``run`` or ``metric``: the candidate is not scored.
        """
        rival = self._rival(text)
        judged = self._recalled(text)
        try:
            stopped = self._race(text, judged, rival)
        except BaseException:
            if current_scope() is None:  # in a study the log of replies has what was paid for, and books it anew
                self._keep(text, judged)
            raise
        if isinstance(stopped, Failure):
            return stopped
        if stopped and rival is not None:
            self._keep(text, judged)
            return self._unfinished(judged, rival)
        return self._finished(text, judged)

    def on(self, examples: Sequence[Example]) -> DatasetScorer:
        """Return this scorer for other examples, and for all of them: what a final verdict on sealed ones needs."""
        return replace(self, examples=examples, racing=None)

    # --- running ----------------------------------------------------------------------------------------------

    def _race(self, text: str, judged: dict[int, Judged], rival: _Rival | None) -> bool | Failure:
        """Judge block after block; return whether the candidate was stopped early, or its failure."""
        order = self._order(text) if rival is not None else range(len(self.examples))
        waiting = [number for number in order if number not in judged]
        while waiting:
            size = (
                self.racing.next_block(len(judged)) if self.racing is not None and rival is not None else len(waiting)
            )
            block, waiting = waiting[:size], waiting[size:]
            spread(lambda number: self._judge(text, number, judged), block, self.parallel)
            failure = self._failure(judged, last=not waiting)
            if failure is not None:
                return failure
            if waiting and rival is not None and self.racing is not None:
                seen = sorted(judged)
                differences = [self._score(judged[number]) - rival.scores[number] for number in seen]
                if self.racing.stops(differences, len(self.examples)):
                    return True
        return False

    def _judge(self, text: str, number: int, judged: dict[int, Judged]) -> bool:
        """Run and judge one example; return whether others may follow."""
        example, scope, shown = self.examples[number], current_scope(), []

        def once(candidate: str) -> Evaluation | Failure | float | tuple[float, str]:
            with entered(scope):  # evaluate() knows scorers of a whole candidate, and gives them a scope of their own
                output = self.run(candidate, example)
                shown.append(output)
                return self.metric(output, example)

        outcome, _ = evaluate(once, text)
        judged[number] = Judged(number, example, outcome, shown[0] if shown else None, outcome.usage)
        return self.on_error is not None or isinstance(outcome, Evaluation)

    def _failure(self, judged: dict[int, Judged], *, last: bool) -> Failure | None:
        failed = [(one, one.outcome) for _, one in sorted(judged.items()) if isinstance(one.outcome, Failure)]
        if not failed or (self.on_error is not None and not (last and len(failed) == len(judged))):
            return None
        one, first = failed[0]
        ran = f"{len(judged)} examples" if len(judged) == len(self.examples) else f"{len(judged)} examples run"
        message = f"failed on {len(failed)} of {ran}; {one.name}: {first.message}"
        return Failure(first.kind, message, _usage(judged))

    def _order(self, text: str) -> list[int]:
        order = list(range(len(self.examples)))
        random.Random(f"{self.seed}\n{same_text(text)}").shuffle(order)  # noqa: S311 - no secret
        return order

    # --- what is known ----------------------------------------------------------------------------------------

    def _rival(self, text: str) -> _Rival | None:
        """Return the best other candidate that was scored on all examples, if this one is to be raced."""
        scope = current_scope()
        if self.racing is None or (scope is not None and scope.name.startswith("retest/")):
            return None  # whoever asks again wants to know it exactly
        if scope is None or scope.past is None:
            with self._memory.lock:
                best = self._memory.best
        else:
            leaders = ((trial.text, trial.outcome, trial.score) for trial in scope.past.top(_LEADERS))
            ours = ((text, one.examples, score or 0) for text, one, score in leaders if self._ours(one))
            best = next((_Rival(same_text(text), scores, score) for text, scores, score in ours), None)
        return best if best is not None and best.text != same_text(text) else None

    def _ours(self, outcome: Outcome) -> TypeGuard[Evaluation]:
        if isinstance(outcome, Failure) or len(outcome.examples) != len(self.examples):
            return False
        # Another scorer around this one, such as Minimize, may have changed score and examples: then nobody is raced.
        own = outcome.metrics.get(DATA) == self.data and outcome.metrics.get(CHECK) == _checksum(outcome.examples)
        return own and outcome.score == fmean(outcome.examples)

    def _recalled(self, text: str) -> dict[int, Judged]:
        with self._memory.lock:
            return self._memory.unfinished.pop(same_text(text), {})

    def _keep(self, text: str, judged: dict[int, Judged]) -> None:
        known = {number: replace(one, usage=Usage()) for number, one in dict(judged).items()}  # a thread may still add
        with self._memory.lock:
            self._memory.unfinished[same_text(text)] = known

    # --- what comes of it -------------------------------------------------------------------------------------

    def _score(self, one: Judged) -> float:
        return one.outcome.score if isinstance(one.outcome, Evaluation) else float(self.on_error or 0.0)

    def _finished(self, text: str, judged: dict[int, Judged]) -> Evaluation:
        scores = tuple(float(self._score(judged[number])) for number in range(len(self.examples)))
        mean = fmean(scores)
        with self._memory.lock:
            if self._memory.best is None or mean > self._memory.best.level:
                self._memory.best = _Rival(same_text(text), scores, mean)
        head = f"mean {mean:.4g} over {len(scores)} examples"
        metrics = {**self._metrics(judged), CHECK: _checksum(scores)}
        return Evaluation(mean, self._told(head, judged), metrics, scores, _usage(judged))

    def _unfinished(self, judged: dict[int, Judged], rival: _Rival) -> Evaluation:
        seen = sorted(judged)
        own, others = [self._score(judged[number]) for number in seen], [rival.scores[number] for number in seen]
        head = (
            f"stopped after {len(seen)} of {len(self.examples)} examples: mean {fmean(own):.4g} on them, where the "
            f"best so far has {fmean(others):.4g}; the score is an estimate"
        )
        score = estimate(own, others, rival.scores, rival.level)
        return Evaluation(score, self._told(head, judged), self._metrics(judged), (), _usage(judged))

    def _told(self, head: str, judged: dict[int, Judged]) -> str:
        failed = sum(isinstance(one.outcome, Failure) for one in judged.values())
        if failed:
            head += f"; {failed} failed and count {self.on_error:g} each"
        rows = [(self._score(one), one) for _, one in sorted(judged.items())]
        return told_of(head, rows, self.worst, show_expected=self.show_expected)

    def _metrics(self, judged: dict[int, Judged]) -> Mapping[str, float]:
        found: dict[str, list[float]] = {}
        for one in judged.values():
            if isinstance(one.outcome, Evaluation):
                for name, value in one.outcome.metrics.items():
                    found.setdefault(name, []).append(value)
        means = {name: fmean(values) for name, values in sorted(found.items())}
        return means | {SEEN: len(judged), TOTAL: len(self.examples), DATA: self.data}


_RULE = ("next_block", "stops")
_LEADERS = 64  # of the history that are looked at for one scored on all examples; it is nearly always the first


def _usage(judged: Mapping[int, Judged]) -> Usage:
    total = Usage()
    for one in judged.values():
        total += one.usage
    return total


def _checksum(scores: Sequence[float]) -> float:
    return math.fsum(place * score for place, score in enumerate(scores, start=1))


def _fingerprint(examples: Iterable[Example]) -> float:
    """Return a number that other examples, or another order of these, are most unlikely to have; exact as a float."""
    digest = hashlib.sha256("\n".join(example.digest() for example in examples).encode()).digest()
    return float(int.from_bytes(digest[:6], "big"))
