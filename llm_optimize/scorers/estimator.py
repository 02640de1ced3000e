"""Training code judged by what its estimator says of rows that it has never seen: the safe way of AutoML.

For every split the candidate runs in a process with the training part; the fitted estimator goes, packed, to a second
process that gets features only; its predictions come out as data and are checked and scored here. So an estimator that
remembers labels, patches metrics, returns objects, searches the frames above it or hangs comes to an honest score or
to a reason.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Self

from llm_optimize.core.types import Evaluation, Failure, is_comparable
from llm_optimize.errors import BadInput
from llm_optimize.sandbox import Limits, Sandbox
from llm_optimize.sandbox.base import named
from llm_optimize.scorers.arrays import numpy, sklearn
from llm_optimize.scorers.fitting import Refused, fitted
from llm_optimize.scorers.predictions import confusions, largest_errors, stand_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from llm_optimize.core.types import Outcome
    from llm_optimize.scorers.arrays import Array

__all__ = ["EstimatorScorer"]

_TASKS = ("auto", "classification", "regression")


def _default_box() -> Sandbox:
    return Sandbox(preload=["sklearn"], limits=Limits(wall_s=60, cpu_s=120))


@dataclass(frozen=True, slots=True)
class _Part:
    """What came of one split: the metric, the predictions in the order of its test rows, and the times."""

    value: float
    rows: Array
    labels: Array
    predicted: Array
    fit_seconds: float
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class EstimatorScorer:
    r"""Scores training code; the candidate finds ``X_train`` and ``y_train`` and leaves a fitted estimator.

    Attributes:
        features: array of shape (n, d), or (n,) for texts; numbers or fixed strings.
        labels: array of shape (n,), for a regression (n, outputs) as well.
        test: features and labels that the candidate does not see, with all of ``features`` to fit on; None for
            cross-validation.
        folds: parts of a cross-validation: each is predicted by an estimator that was fitted on the others.
        seed: of the folds, which are stratified by class for a classification.
        sealed: features and labels for the last verdict; only :meth:`final` uses them.
        name: the variable in which the candidate leaves the estimator.
        metric: a name of scikit-learn's scorers, such as ``accuracy``, ``roc_auc`` or ``neg_mean_squared_error``, or a
            function of (labels, predictions); computed here, and higher is better.
        task: ``classification`` or ``regression``; ``auto`` looks at the labels.
        shown: how many of the most frequent confusions, or of the largest errors, the feedback names; 0 for none.
        separate: False asks the process that has fitted, for estimators that cannot be packed. It holds the training
            labels only.
        box: where the processes run; preload what candidates are likely to import.

    Raises:
        BadInput: shapes do not fit, there are fewer rows of a class than folds, or the metric is unknown.

    Example:
        >>> from sklearn.datasets import load_iris
        >>> score = EstimatorScorer(*load_iris(return_X_y=True), folds=3)
        >>> score("from sklearn.dummy import DummyClassifier as D\nclf = D().fit(X_train, y_train)").score
        0.333...
    """

    features: Array = field(repr=False)
    labels: Array = field(repr=False)
    test: tuple[Array, Array] | None = field(default=None, repr=False)
    folds: int = field(default=5, kw_only=True)
    seed: int = field(default=0, kw_only=True)
    sealed: tuple[Array, Array] | None = field(default=None, repr=False, kw_only=True)
    name: str = field(default="clf", kw_only=True)
    metric: str | Callable[[Array, Array], float] = field(default="accuracy", kw_only=True)
    task: Literal["auto", "classification", "regression"] = field(default="auto", kw_only=True)
    shown: int = field(default=3, kw_only=True)
    separate: bool = field(default=True, kw_only=True)
    box: Sandbox = field(default_factory=_default_box, repr=False, kw_only=True)

    def __post_init__(self) -> None:
        """Check everything before anything runs."""
        named([self.name], "name")
        if self.task not in _TASKS:
            msg = f"task is {self.task!r}: give one of {', '.join(_TASKS)}"
            raise BadInput(msg)
        given = {"features": (self.features, self.labels), "test": self.test, "sealed": self.sealed}
        checked = {field_name: pair and _arrays(pair, field_name) for field_name, pair in given.items()}
        pair = checked["features"]
        for field_name, value in zip(("features", "labels"), pair or (), strict=True):
            object.__setattr__(self, field_name, value)
        object.__setattr__(self, "test", checked["test"])
        object.__setattr__(self, "sealed", checked["sealed"])
        object.__setattr__(self, "task", _task(self.labels) if self.task == "auto" else self.task)
        if not callable(self.metric):
            _scorer(self.metric)
        if self.test is None:
            self._check_folds()

    def __call__(self, text: str) -> Outcome:
        """Fit, predict and score, once for each split.

        Returns:
            The metric, as the mean over the folds if there are several. ``examples`` has an entry for each row that was
            predicted, in the order of ``labels`` (of ``test``): 1.0 or 0.0 for a class, minus the error for numbers.
            A Failure where a fit fails, or predictions are none (``bad_prediction``).

        Raises:
            SandboxError: the sandbox itself failed, which says nothing about the program.
        """
        parts: list[_Part] = []
        splits = self._splits()
        for number, (fit, asked) in enumerate(splits, 1):
            try:
                parts.append(self._part(text, fit, asked))
            except Refused as refusal:
                place = f"in part {number} of {len(splits)}: " if len(splits) > 1 else ""
                return replace(refusal.failure, message=place + refusal.failure.message)
        return self._outcome(parts)

    def final(self) -> Self:
        """Return the scorer for the last verdict: fitted on all of ``features``, asked about the sealed rows.

        Raises:
            BadInput: none were sealed.
        """
        if self.sealed is None:
            msg = "sealed is None: give features and labels that only the final verdict uses"
            raise BadInput(msg)
        return replace(self, test=self.sealed, sealed=None, shown=0)

    def _splits(self) -> list[tuple[tuple[Array, Array], tuple[Array, Array, Array]]]:
        """Return what to fit on, and rows, labels and places of what to ask about, for each split."""
        if self.test is not None:
            return [((self.features, self.labels), (*self.test, range(len(self.test[1]))))]
        selection = sklearn("model_selection")
        kind = selection.StratifiedKFold if self.task == "classification" else selection.KFold
        chosen = kind(self.folds, shuffle=True, random_state=self.seed).split(self.features, self.labels)
        return [
            ((self.features[fit], self.labels[fit]), (self.features[out], self.labels[out], out)) for fit, out in chosen
        ]

    def _part(self, text: str, fit: tuple[Array, Array], asked: tuple[Array, Array, Array]) -> _Part:
        np = numpy()

        rows, labels, places = asked
        classes = np.unique(fit[1]) if self.task == "classification" else None
        with fitted(self.box, text, self.name, fit, separate=self.separate) as estimator:
            answering = stand_in(estimator, rows, labels, classes)
            predicted = answering.predict(rows)
            scored = self.metric(labels, predicted) if callable(self.metric) else None
            value = float(_scorer(self.metric)(answering, rows, labels) if scored is None else scored)
            if not is_comparable(value):
                raise Refused(Failure("bad_score", f"{self._named()} is {value}"))
            return _Part(value, places, labels, predicted, estimator.fit_seconds, estimator.seconds)

    def _outcome(self, parts: Sequence[_Part]) -> Evaluation:
        values = [part.value for part in parts]
        score = values[0] if len(values) == 1 else statistics.fmean(values)
        by_row = {int(place): one for part in parts for place, one in zip(part.rows, self._each(part), strict=True)}
        fit, predict = sum(part.fit_seconds for part in parts), sum(part.seconds for part in parts)
        metrics = {self._named(): score, "fit_seconds": fit, "predict_seconds": predict}
        spread = ""
        if len(values) > 1:
            metrics["part_deviation"] = statistics.stdev(values)
            spread = f" ({len(values)} parts from {min(values):.4g} to {max(values):.4g})"
        words = f"{self._named()} {score:.6g}{spread} on {len(by_row)} rows that x does not see; "
        words += f"fit {fit:.2f} s, predict {predict:.2f} s{self._worst(parts)}"
        return Evaluation(score, words, metrics, tuple(by_row[place] for place in sorted(by_row)))

    def _each(self, part: _Part) -> list[float]:
        if self.task == "classification":
            return [float(right) for right in (part.labels == part.predicted).tolist()]
        errors = abs(part.labels - part.predicted).reshape(len(part.labels), -1).mean(axis=1)
        return [-float(error) for error in errors]

    def _worst(self, parts: Sequence[_Part]) -> str:
        np = numpy()

        labels = np.concatenate([part.labels for part in parts])
        predicted = np.concatenate([part.predicted for part in parts])
        if self.task == "classification":
            told = confusions(labels, predicted, self.shown)
            return f"; most confused: {told}" if told else ""
        told = largest_errors(labels, predicted, self.shown)
        return f"; largest errors: {told}" if told else ""

    def _named(self) -> str:
        name = getattr(self.metric, "__name__", "score") if callable(self.metric) else self.metric
        return name if name.isidentifier() else "score"

    def _check_folds(self) -> None:
        np = numpy()

        fewest = len(self.labels)
        if self.task == "classification":
            fewest = int(np.unique(self.labels, return_counts=True)[1].min())
        if isinstance(self.folds, bool) or not isinstance(self.folds, int) or not 2 <= self.folds <= fewest:  # noqa: PLR2004 - one to fit on, one to ask about
            msg = f"folds is {self.folds!r}: give a whole number from 2 to {fewest}, the rows of the smallest class"
            raise BadInput(msg)


def _arrays(pair: tuple[Array, Array], field_name: str) -> tuple[Array, Array]:
    np = numpy()

    features, labels = (np.asarray(one) for one in pair)
    if labels.dtype == object and all(isinstance(label, str) for label in labels.ravel()):
        labels = labels.astype(str)
    if features.ndim == 0 or labels.ndim == 0 or len(features) != len(labels) or not len(labels):
        msg = (
            f"{field_name}: features have shape {features.shape} and labels {labels.shape}: give one label for each row"
        )
        raise BadInput(msg)
    for what, array in (("features", features), ("labels", labels)):
        if array.dtype.kind not in "biufSU":
            msg = f"{field_name}: the {what} are an array of {array.dtype}: give numbers, or text of a fixed width"
            raise BadInput(msg)
    return features, labels


def _task(labels: Array) -> Literal["classification", "regression"]:
    kind = sklearn("utils.multiclass").type_of_target(labels)
    return "classification" if kind in ("binary", "multiclass") else "regression"


def _scorer(metric: object) -> Callable[[Any, Array, Array], float]:
    named_scorer = sklearn("metrics").get_scorer
    try:
        return named_scorer(metric)  # type: ignore[no-any-return]  # found at run time
    except (ValueError, TypeError, KeyError):
        msg = f"metric is {metric!r}: give a name that sklearn.metrics.get_scorer_names() lists, or a function"
        raise BadInput(msg) from None
