"""AutoML: one program of training code for three of scikit-learn's data sets, scored by rows that it never sees.

The program fits in one process of the sandbox and is asked in another (:class:`EstimatorScorer`); its score is the mean
accuracy on wine, breast cancer and the digits. scikit-learn's own tables lie in the sandbox, with all labels; so no row
is taken from them as it is: each is one of theirs with noise of its own, test rows come from other rows than training
rows, and the columns are mixed by a rotation and scaled. A program that looks rows up in the tables finds none. One
that estimates the rotation from the means of the classes can learn from the tables as from further training data,
which was worth 0.03; the labels of the test rows are nowhere to be had. All of that differs by seed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import datasets  # type: ignore[import-untyped]
from tasks.task import Task

from llm_optimize import Limits, Sandbox
from llm_optimize.core.types import Evaluation, Failure
from llm_optimize.scorers.estimator import EstimatorScorer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["SETS", "Automl", "drawn", "make"]

SETS = {"wine": (1.0, 90, 300), "breast_cancer": (1.5, 120, 300), "digits": (0.7, 200, 300)}
"""Name, noise in standard deviations of a column, rows to fit on, rows to be asked about."""

TASK = """Write training code for a scikit-learn classifier that works on three unlike data sets, with 13 to 64 numeric
columns of very different scales, 2 to 10 classes, and 90 to 200 noisy rows to learn from.

- x is Python code, run once for each data set. It finds X_train and y_train and must leave a fitted classifier `clf`.
- f(x) is the mean over the three of the accuracy on rows that x does not see.
- Import what you need from scikit-learn and numpy. x has twenty seconds for each. Mark numbers worth tuning, as in:
  C = 1.0  # tune: C=0.01..100 log"""

_START = """from sklearn.neighbors import KNeighborsClassifier

k = 25  # tune: k=1..60
clf = KNeighborsClassifier(n_neighbors=k).fit(X_train, y_train)
"""


@dataclass(frozen=True, slots=True)
class Automl:
    """Scores training code on several data sets.

    Attributes:
        parts: a scorer for each data set, by name.
    """

    parts: dict[str, EstimatorScorer]

    def __call__(self, text: str) -> Evaluation | Failure:
        """Return the mean accuracy; the first data set on which the program fails decides that it fails."""
        found: dict[str, Evaluation] = {}
        for name, scorer in self.parts.items():
            outcome = scorer(text)
            if isinstance(outcome, Failure):
                return replace(outcome, message=f"on {name}: {outcome.message}")
            found[name] = outcome
        feedback = "\n".join(f"{name}: {one.feedback}" for name, one in found.items())
        examples = tuple(one for outcome in found.values() for one in outcome.examples)
        scores = {name: float(one.score) for name, one in found.items()}
        return Evaluation(fmean(scores.values()), feedback, scores, examples)


@cache
def _box() -> Sandbox:
    modules = ["sklearn.neighbors", "sklearn.svm", "sklearn.ensemble", "sklearn.linear_model", "sklearn.pipeline"]
    return Sandbox(preload=modules, limits=Limits(wall_s=20, cpu_s=40))


def drawn(name: str, seed: int) -> tuple[tuple[NDArray[Any], NDArray[Any]], tuple[NDArray[Any], NDArray[Any]]]:
    """Return rows and labels to fit on, and others to be asked about, of the data set ``name``."""
    noise, fit, asked = SETS[name]
    rng = np.random.default_rng([seed, *name.encode()])
    features, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    features = features[:, features.std(axis=0) > 0]
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    width = features.shape[1]
    rotation = np.linalg.qr(rng.normal(size=(width, width)))[0]
    scale = 10.0 ** rng.uniform(-1, 3, width)
    rows = rng.permutation(len(labels))
    half = len(rows) // 2

    def some(of: NDArray[Any], count: int) -> tuple[NDArray[Any], NDArray[Any]]:
        chosen = rng.choice(of, count, replace=count > len(of))
        noisy = features[chosen] + rng.normal(0, noise, (count, width))
        return noisy @ rotation * scale, labels[chosen]

    return some(rows[:half], fit), some(rows[half:], asked)


def make(seed: int, names: Iterable[str] = tuple(SETS)) -> Task:
    """Return the task; the seed draws rows, noise, rotation and scales.

    Args:
        seed: of all that is drawn.
        names: of data sets; fewer of them cost less, at about 0.1 s each for an evaluation.
    """
    parts = {}
    for name in names:
        fit, asked = drawn(name, seed)
        parts[name] = EstimatorScorer(*fit, asked, shown=1, box=_box())
    return Task(
        "automl", TASK, "Which x should be tried next, so that the mean accuracy rises?", _START, Automl(parts),
        language="python",
    )  # fmt: skip
