"""A document-QA pipeline scored on labelled questions: how well it finds, and how well it answers.

The questions are those of :mod:`llm_optimize.targets.qa_questions`: a chunk is a hit if it holds a whole quotation.
"""

from __future__ import annotations

import json
from dataclasses import KW_ONLY, asdict, dataclass, field, replace
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal, get_args

from llm_optimize.core.checks import check_whole
from llm_optimize.core.scoring import evaluate
from llm_optimize.core.types import Evaluation, Failure
from llm_optimize.core.verdict import interval_of_differences
from llm_optimize.errors import BadInput
from llm_optimize.retrieval.words import words
from llm_optimize.scorers.dataset import DatasetScorer
from llm_optimize.scorers.example import check_examples
from llm_optimize.scorers.similarity import token_f1
from llm_optimize.targets.qa_questions import Label

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from llm_optimize.core.types import Outcome
    from llm_optimize.retrieval.store import Found
    from llm_optimize.scorers.example import Example
    from llm_optimize.targets.document_qa import DocumentQA, QAAnswer, QASettings

__all__ = ["Change", "DocumentTask", "Measure", "changes"]

Measure = Literal["f1", "exact", "judge"]
"""What an answer is scored by."""


@dataclass(frozen=True, slots=True)
class DocumentTask:
    """Scores settings of document QA by the answers to labelled questions; the ``func`` of a run with a typed start.

    The metrics of an evaluation are means over the questions: ``hit@3`` (or another depth: the evidence stands in one
    of the first so many chunks) and ``mrr`` (1 over the place of the first chunk with it, within the first 10) over
    those that can be answered; ``exact``, ``f1`` (words in common, as SQuAD counts them) and, with a judge, ``judge``
    over all, where "not in the documents" is right for those that cannot; ``found_out`` over those that cannot be
    answered; ``bad_citations``, how many sources an answer cites that it was not shown; ``dropped``, contexts that did
    not fit.

    Attributes:
        qa: the pipeline.
        questions: made by :func:`~llm_optimize.targets.qa_questions.question`.
        measure: which of ``f1``, ``exact``, ``judge`` is the score.
        judge: a scorer of texts, such as :class:`~llm_optimize.scorers.rubric.RubricJudge`; it gets the question, the
            right answer and the given one, and returns 0 to 1. Unanswerable questions need none.
        depth: of ``hit@``, 1 to 10.
        parallel: questions that are asked at a time.
        worst: how many of the worst answers the feedback shows.

    Raises:
        BadInput: a quotation stands in no document, or a value makes no sense.
    """

    qa: DocumentQA
    questions: Sequence[Example] = field(repr=False)
    _: KW_ONLY
    measure: Measure = "f1"
    judge: Callable[[str], Any] | None = None
    depth: int = 3
    parallel: int = 8
    worst: int = 3

    def __post_init__(self) -> None:
        """Check the labels against the documents."""
        object.__setattr__(self, "questions", check_examples(self.questions, "questions"))
        check_whole("depth", self.depth, 1, 10)
        if self.measure not in get_args(Measure) or (self.measure == "judge" and self.judge is None):
            msg = f"measure is {self.measure!r}: give 'f1', 'exact', or 'judge' with a judge"
            raise BadInput(msg)
        for one in self.questions:
            if not isinstance(one.expected, Label):
                msg = f"questions: {one.inputs} has no label: make it with question(text, answers, evidence)"
                raise BadInput(msg)
            for quoted in one.expected.evidence:
                if not any(quoted in document.text for document in self.qa.documents):
                    msg = f"questions: the evidence {quoted[:60]!r} stands in no document: quote it as it is there"
                    raise BadInput(msg)

    def __call__(self, how: QASettings) -> Outcome:
        """Score settings.

        Returns:
            An Evaluation with a score per question and all answers; or a Failure for settings that cannot work.

        Raises:
            ModelError: a model did not answer.
            BudgetExceeded: a call would pass a cap.
        """
        answers: dict[str, QAAnswer] = {}

        def run(_: str, example: Example) -> str:
            try:
                answer = self.qa.ask(example["question"], how)
            except BadInput as error:
                raise ValueError(str(error)) from error
            answers[example.digest()] = answer
            return answer.text

        scorer = DatasetScorer(
            run,
            self.questions,
            lambda _, example: self._judged(answers[example.digest()], example),
            worst=self.worst,
            parallel=self.parallel,
        )
        outcome = scorer(json.dumps(_plain(how), sort_keys=True, default=str))
        if isinstance(outcome, Failure):
            return outcome
        return replace(outcome, answers=tuple(answers[one.digest()].text for one in self.questions))

    def on(self, questions: Sequence[Example]) -> DocumentTask:
        """Return this task for other questions, such as sealed ones."""
        return replace(self, questions=questions)

    def per_question(self, how: QASettings) -> tuple[Mapping[str, float], ...]:
        """Return the metrics of each question, for intervals; see :func:`changes`.

        Raises:
            BadInput: the settings cannot work.
            ModelError: a model did not answer.
        """
        found = []
        for one in self.questions:
            outcome = self._judged(self.qa.ask(one["question"], how), one)
            found.append(outcome.metrics if isinstance(outcome, Evaluation) else {})
        return tuple(found)

    def _judged(self, answer: QAAnswer, example: Example) -> Outcome:
        label: Label = example.expected
        metrics = _answering(answer, label) | _finding(answer.ranking, label, self.depth)
        metrics |= {"bad_citations": float(len(answer.unknown)), "dropped": float(len(answer.dropped))}
        told = _remark(answer, label, metrics)
        if self.judge is not None:
            outcome, _ = (
                evaluate(self.judge, _case(answer, label)) if label.answers else (Evaluation(metrics["exact"]), 0)
            )
            if isinstance(outcome, Failure):
                return outcome
            metrics["judge"] = float(outcome.score)
            told = "; ".join(filter(None, (told, outcome.feedback)))
            return Evaluation(metrics[self.measure], told, metrics, usage=outcome.usage)
        return Evaluation(metrics[self.measure], told, metrics)


@dataclass(frozen=True, slots=True)
class Change:
    """A metric at the start and at the best.

    Attributes:
        name: of the metric.
        start: its mean at the start.
        best: its mean at the best.
        low: lower end of the interval of the difference.
        high: its upper end.
        n: questions that have it.
    """

    name: str
    start: float
    best: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """Say it in a line."""
        gain = f"{self.best - self.start:+.3f}, 95 % {self.low:+.3f} to {self.high:+.3f}"
        return f"{self.name}: {self.start:.3f} at the start, {self.best:.3f} at the best ({gain}; {self.n} questions)"


def changes(
    start: Sequence[Mapping[str, float]], best: Sequence[Mapping[str, float]], names: Sequence[str], seed: int = 0
) -> tuple[Change, ...]:
    """Return how metrics changed over the same questions, with the intervals of their mean paired differences.

    Args:
        start: the metrics of each question at the start, as :meth:`DocumentTask.per_question` returns them.
        best: those at the best, in the same order.
        names: which metrics; a question without one is left out of it.
        seed: of the bootstrap.

    Raises:
        BadInput: no question has one of them.
    """
    found = []
    for name in names:
        pairs = [
            (one[name], other[name]) for one, other in zip(start, best, strict=True) if name in one and name in other
        ]
        if not pairs:
            msg = f"names: no question has the metric {name!r}"
            raise BadInput(msg)
        low, high = interval_of_differences([other - one for one, other in pairs], seed=seed)
        first, last = (fmean(values) for values in zip(*pairs, strict=True))
        found.append(Change(name, first, last, low, high, len(pairs)))
    return tuple(found)


def _finding(ranking: Sequence[Found], label: Label, depth: int) -> dict[str, float]:
    if not label.evidence:
        return {}
    held = [any(text in one.chunk.text for text in label.evidence) for one in ranking]
    place = held.index(True) + 1 if True in held else 0
    return {f"hit@{depth}": float(0 < place <= depth), "mrr": 1 / place if place else 0.0}


def _answering(answer: QAAnswer, label: Label) -> dict[str, float]:
    if not label.answers:
        right = float(answer.outcome == "not_in_documents")
        return {"exact": right, "f1": right, "found_out": right}
    if answer.outcome == "not_in_documents":
        return {"exact": 0.0, "f1": 0.0}
    said = words(answer.plain)
    exact = any(said == words(one) for one in label.answers)
    return {"exact": float(exact), "f1": max(token_f1(answer.plain, one) for one in label.answers)}


def _remark(answer: QAAnswer, label: Label, metrics: Mapping[str, float]) -> str:
    told = []
    if answer.unknown:
        told.append(f"it cites what it was not shown: {', '.join(answer.unknown)}")
    if answer.dropped:
        told.append(f"{len(answer.dropped)} contexts did not fit into the prompt")
    if label.evidence and not metrics["mrr"]:
        told.append("the passage with the answer was not found")
    if not label.answers and metrics["f1"] < 1:
        told.append("the documents do not hold the answer, and it gave one")
    if label.answers and answer.outcome == "not_in_documents":
        told.append("the documents hold the answer, and it said that they do not")
    return "; ".join(told)


def _case(answer: QAAnswer, label: Label) -> str:
    right = " / ".join(label.answers)
    return f"Question: {answer.question}\nRight answer: {right}\nGiven answer: {answer.text}"


def _plain(how: Any) -> dict[str, Any]:  # noqa: ANN401 - a pydantic model, a dataclass, or an object with attributes
    if hasattr(how, "model_dump"):
        return dict(how.model_dump(mode="json"))
    return asdict(how)
