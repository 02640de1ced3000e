"""What an estimator's answers are worth: checked for form, held against the labels, told in words; all in the host."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NoReturn

from llm_optimize.core.types import Failure
from llm_optimize.scorers.arrays import numpy, sklearn
from llm_optimize.scorers.fitting import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm_optimize.scorers.arrays import Array
    from llm_optimize.scorers.fitting import Asked

__all__ = ["KIND", "confusions", "judged_labels", "judged_numbers", "largest_errors", "stand_in"]

KIND = "bad_prediction"
"""The kind of failure of an answer that is data, and no prediction."""

_SUM = 1e-4  # how far the probabilities of a row may be from adding up to 1: single precision, many classes


def judged_labels(found: Array, rows: int, classes: Array) -> Array:
    """Return predicted classes as an array of shape (rows,), with the labels' own type.

    Args:
        found: what the estimator sent, any data.
        rows: how many were asked.
        classes: the classes of the training labels, sorted, shape (k,).

    Raises:
        Refused: another shape, or a value that is no class, NaN included.
    """
    predicted = _array(found, (rows,), "predict")
    places = {label: place for place, label in enumerate(classes.tolist())}
    strange = [value for value in predicted.tolist() if not _hashable(value) or value not in places]
    if strange:
        _refuse(f"predict says {strange[0]!r}, which is no class of y_train")
    return classes[[places[value] for value in predicted.tolist()]]


def judged_numbers(found: Array, shape: tuple[int, ...], method: str = "predict") -> Array:
    """Return predicted numbers as an array of this shape.

    Raises:
        Refused: another shape, no numbers, or one that is not finite.
    """
    np = numpy()

    predicted = _array(found, shape, method)
    if predicted.dtype.kind not in "biuf":
        _refuse(f"{method} gives {predicted.dtype}, not numbers")
    if not np.isfinite(predicted).all():
        _refuse(f"{method} gives NaN or infinity for {int((~np.isfinite(predicted)).sum())} of its numbers")
    return predicted.astype(float)


def stand_in(asked: Asked, rows: Array, labels: Array, classes: Array) -> Array:
    """Return an estimator of the host that answers for the one in the sandbox, so that any scorer can be asked.

    Args:
        asked: the fitted estimator.
        rows: the features that it is asked about, once for each method.
        labels: their labels, for the shape alone.
        classes: sorted classes of the training labels, or None for a regression.

    Returns:
        A fitted scikit-learn classifier or regressor; its methods ignore the rows they are given, and raise
        :class:`~llm_optimize.scorers.fitting.Refused` where an answer is none.
    """
    base, available_if = sklearn("base"), sklearn("utils.metaestimators").available_if
    answers: dict[str, Array] = {}

    def once(method: str, judge: Callable[[Array], Array]) -> Array:
        if method not in answers:
            answers[method] = judge(asked.call(method, rows))
        return answers[method]

    class Classifier(base.ClassifierMixin, base.BaseEstimator):  # type: ignore[misc, name-defined]  # found at run time
        classes_ = classes

        def predict(self, _: Array) -> Array:
            return once("predict", lambda found: judged_labels(found, len(rows), classes))

        # Which of the two there is decides what a metric of ranks looks at, so each is there if the estimator has it.
        @available_if(lambda _: asked.has("predict_proba"))  # type: ignore[untyped-decorator]  # as above
        def predict_proba(self, _: Array) -> Array:
            return once("predict_proba", lambda found: _probabilities(found, asked, len(rows), classes))

        @available_if(lambda _: asked.has("decision_function"))  # type: ignore[untyped-decorator]  # as above
        def decision_function(self, _: Array) -> Array:
            return once("decision_function", lambda found: _decisions(found, asked, len(rows), classes))

    class Regressor(base.RegressorMixin, base.BaseEstimator):  # type: ignore[misc, name-defined]  # as above
        def predict(self, _: Array) -> Array:
            return once("predict", lambda found: judged_numbers(found, labels.shape))

    kind = Regressor if classes is None else Classifier
    made = kind()
    made.n_features_in_ = rows.shape[-1]
    return made


def confusions(labels: Array, predicted: Array, most: int) -> str:
    """Return the most frequent confusions in words, or an empty text where there is none.

    Example:
        >>> import numpy as np
        >>> confusions(np.array([8, 8, 1, 3]), np.array([1, 1, 1, 5]), 2)
        '8 taken for 1 (2 of 2), 3 taken for 5 (1 of 1)'
    """
    pairs = list(zip(labels.tolist(), predicted.tolist(), strict=True))
    wrong = Counter(pair for pair in pairs if pair[0] != pair[1])
    of = Counter(true for true, _ in pairs)
    ranked = sorted(wrong.items(), key=lambda item: (-item[1], str(item[0])))[:most]
    return ", ".join(f"{true} taken for {said} ({count} of {of[true]})" for (true, said), count in ranked)


def largest_errors(labels: Array, predicted: Array, most: int) -> str:
    """Return the largest errors of a regression in words.

    Example:
        >>> import numpy as np
        >>> largest_errors(np.array([1.0, 2.0]), np.array([1.0, 5.5]), 1)
        '2 predicted as 5.5'
    """
    pairs = sorted(zip(labels.ravel(), predicted.ravel(), strict=True), key=lambda pair: -abs(pair[0] - pair[1]))
    return ", ".join(f"{true:.4g} predicted as {said:.4g}" for true, said in pairs[:most])


def _array(found: Array, shape: tuple[int, ...], method: str) -> Array:
    np = numpy()

    try:
        array = np.asarray(found)
    except ValueError:  # lists of unequal lengths
        _refuse(f"{method} gives rows of unequal length")
    if array.shape == (*shape, 1):
        array = array.reshape(shape)
    if array.shape != shape:
        _refuse(f"{method} gives shape {array.shape} where {shape} is asked for")
    return array


def _probabilities(found: Array, asked: Asked, rows: int, classes: Array) -> Array:
    """Return probabilities with columns in the order of ``classes``, whatever order the estimator keeps."""
    np = numpy()

    given = judged_numbers(found, (rows, len(classes)), "predict_proba")
    if given.min(initial=0.0) < 0 or not np.allclose(given.sum(axis=1), 1, atol=_SUM):
        _refuse("predict_proba gives rows that are no probabilities: each is at least 0, and a row adds up to 1")
    return given[:, _order(asked, classes)]


def _decisions(found: Array, asked: Asked, rows: int, classes: Array) -> Array:
    """Return decision values in the order of ``classes``; of two classes there is one column, for the second."""
    order = _order(asked, classes)
    if len(classes) > 2:  # noqa: PLR2004 - two classes have one column
        return judged_numbers(found, (rows, len(classes)), "decision_function")[:, order]
    given = judged_numbers(found, (rows,), "decision_function")
    return given if order == sorted(order) else -given


def _order(asked: Asked, classes: Array) -> list[int]:
    own = _array(asked.attribute("classes_"), classes.shape, "classes_").tolist()
    known = classes.tolist()
    if not all(_hashable(label) for label in own) or Counter(own) != Counter(known):
        _refuse("classes_ are not the classes of y_train")
    return [own.index(label) for label in known]


def _hashable(value: object) -> bool:
    return value is None or isinstance(value, (bool, int, float, str, bytes))


def _refuse(message: str) -> NoReturn:
    raise Refused(Failure(KIND, message)) from None
