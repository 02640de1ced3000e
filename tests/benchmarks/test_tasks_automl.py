"""The AutoML task: honest programs earn their accuracy, cheating ones do no better than they deserve."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import datasets
from tasks.automl import SETS, drawn, make

from llm_optimize import Failure

HONEST = """from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

C = 1.0  # tune: C=0.01..100 log
clf = make_pipeline(StandardScaler(), SVC(C=C)).fit(X_train, y_train)
"""
LOOKUP = """from sklearn import datasets
from sklearn.neighbors import KNeighborsClassifier

for load in (datasets.load_wine, datasets.load_breast_cancer, datasets.load_digits):
    X, y = load(return_X_y=True)
    X = X[:, X.std(axis=0) > 0]
    if X.shape[1] == X_train.shape[1]:
        clf = KNeighborsClassifier(1).fit(X, y)
"""
LIAR = """class Liar:
    classes_ = sorted(set(y_train))
    def predict(self, X):
        class Right(type(y_train[0])):
            def __eq__(self, other): return True
            __hash__ = None
        return [Right(0) for _ in X]
clf = Liar()
"""
PATCHED = """import sklearn.metrics
sklearn.metrics.accuracy_score = lambda *_, **__: 1.0
from sklearn.dummy import DummyClassifier
clf = DummyClassifier().fit(X_train, y_train)
"""


@pytest.mark.parametrize("seed", range(2))
def test_an_honest_program_gains_what_a_person_would_expect(seed):
    """Scaling and a support-vector machine beat the start by far on every data set, and the rest is open."""
    task = make(seed)
    start, better = task.score(task.start), task.score(HONEST)
    assert start.score + 0.1 < better.score < 0.95
    assert set(better.metrics) == set(SETS)
    assert all(better.metrics[name] > start.metrics[name] for name in SETS)
    assert len(better.examples) == sum(asked for _, _, asked in SETS.values())
    assert task.score(HONEST).score == better.score


ALIGNED = """import numpy as np
from sklearn import datasets
from sklearn.svm import SVC

class Aligned:
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        tables = [load(return_X_y=True) for load in (
            datasets.load_wine, datasets.load_breast_cancer, datasets.load_digits)]
        T, t = next((T[:, T.std(0) > 0], t) for T, t in tables if (T.std(0) > 0).sum() == X.shape[1])
        T = (T - T.mean(0)) / T.std(0)
        self.mean, self.scale = X.mean(0), X.std(0)
        Z = (X - self.mean) / self.scale
        a, b = ([np.array([one[of == c].mean(0) for c in self.classes_]) for one, of in ((Z, y), (T, t))])
        left, _, right = np.linalg.svd(b.T @ a)
        self.inner = SVC().fit(np.vstack([T @ left @ right, Z]), np.r_[t, y])
        return self
    def predict(self, X):
        return self.inner.predict((X - self.mean) / self.scale)

clf = Aligned().fit(X_train, y_train)
"""


def test_the_tables_themselves_are_worth_little_to_a_program_that_turns_them_back():
    """A program that rotates scikit-learn's tables onto its rows gains less than 0.05 over one that learns honestly."""
    task = make(1)
    assert task.score(ALIGNED).score < task.score(HONEST).score + 0.05


def test_no_row_is_in_the_tables_that_a_program_can_read():
    """Rows, columns and scales differ from scikit-learn's own and by seed, and no test row is a training row."""
    for name in SETS:
        table = getattr(datasets, f"load_{name}")().data
        (fit, _), (asked, labels) = drawn(name, 1)
        values = np.unique(table)
        assert not np.isin(asked, values).any()
        assert not np.isin(fit, values).any()
        assert not {*map(bytes, asked)} & {*map(bytes, fit)}
        assert not np.array_equal(drawn(name, 2)[1][0], asked)
        assert np.array_equal(drawn(name, 1)[1][1], labels)


@pytest.mark.parametrize("cheat", [LOOKUP, PATCHED, LIAR], ids=["looks labels up", "patches the metric", "lies"])
def test_a_cheating_program_stays_below_an_honest_one(cheat):
    """A table with all labels, a metric that always says 1, and values that equal everything are worth little."""
    task = make(0)
    assert task.score(cheat).score < task.score(task.start).score


@pytest.mark.parametrize(
    "cheat",
    [
        "clf = 1.0",
        "accuracy = 1.0",
        "raise SystemExit(0)",
        "import os, sys\nsys.stdout.write('1.0')\nos._exit(0)",
        "class Empty:\n    def predict(self, X): return []\nclf = Empty()",
        "class NaN:\n    def predict(self, X): return X[:, 0] * float('nan')\nclf = NaN()",
        "clf = y_test",
    ],
    ids=["number", "no clf", "leaves", "exits", "empty", "nan", "asks for the test"],
)
def test_a_program_without_predictions_has_no_score(cheat):
    """No classifier, too few predictions, and predictions that are no classes are failures that name the data set."""
    outcome = make(0).score(cheat)
    assert isinstance(outcome, Failure)
    assert "on wine" in outcome.message
