"""Training code judged by its estimator's answers: fitted in one process, asked in another, scored in the host."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from llm_optimize import Failure
from llm_optimize.errors import BadInput
from llm_optimize.sandbox import Limits, Sandbox
from llm_optimize.scorers.estimator import EstimatorScorer

pytestmark = pytest.mark.xdist_group("estimator")  # loading scikit-learn costs more than the tests do

RANDOM = np.random.default_rng(0)
Y = np.arange(150) % 3
X = RANDOM.normal(size=(150, 4)) + np.array([[9, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])[Y]
TREE = (
    "from sklearn.tree import DecisionTreeClassifier as T\nclf = T(random_state=0, max_depth=3).fit(X_train, y_train)"
)
NOISE, COIN = RANDOM.normal(size=(120, 3)), RANDOM.integers(0, 2, 120)
SPLIT = {"test": (NOISE[80:], COIN[80:])}


@pytest.fixture(scope="module")
def box():
    with Sandbox(preload=["sklearn.tree"], limits=Limits(wall_s=20, memory_mb=1024)) as sandbox:
        yield sandbox


def own(body, fit=""):
    """A candidate with an estimator of its own."""
    return f"import os, numpy as np\nclass Own:\n{body}\nclf = Own()\n{fit}"


def tree():
    """The estimator of ``TREE``, unfitted, in this process."""
    return pytest.importorskip("sklearn.tree").DecisionTreeClassifier(random_state=0, max_depth=3)


def by_the_library(folds, seed, metric):
    """What scikit-learn finds for it, fold by fold."""
    selection = pytest.importorskip("sklearn.model_selection")
    parts = selection.StratifiedKFold(folds, shuffle=True, random_state=seed)
    return selection.cross_val_score(tree(), X, Y, cv=parts, scoring=metric)


@pytest.mark.parametrize("separate", [True, False])
def test_cross_validation_is_that_of_the_library(box, separate):
    """The score is the mean of what scikit-learn finds with the same folds, and every row has been predicted once."""
    score = EstimatorScorer(X, Y, seed=3, separate=separate, box=box)
    outcome = score(TREE)
    known = by_the_library(5, 3, "accuracy")
    assert outcome.score == pytest.approx(known.mean(), abs=1e-12)
    assert len(outcome.examples) == 150
    assert sum(outcome.examples) / 150 == pytest.approx(outcome.score)
    assert outcome.metrics["part_deviation"] == pytest.approx(known.std(ddof=1))


def test_a_test_set_is_scored_and_told(box):
    """Accuracy on the given rows, the most frequent confusions with counts, and the times."""
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    half = len(digits.data) // 2
    score = EstimatorScorer(
        digits.data[:half], digits.target[:half], (digits.data[half:], digits.target[half:]), box=box
    )
    outcome = score(TREE)
    plain = tree().fit(digits.data[:half], digits.target[:half])
    assert outcome.score == plain.score(digits.data[half:], digits.target[half:])
    assert f"accuracy {outcome.score:.6g} on {half + 1} rows that x does not see; fit " in outcome.feedback
    wrong = [(int(t), int(p)) for t, p in zip(digits.target[half:], plain.predict(digits.data[half:]), strict=True)]
    most = max((wrong.count(pair), pair) for pair in set(wrong) if pair[0] != pair[1])[0]
    assert f"({most} of " in outcome.feedback.partition("most confused: ")[2]
    assert outcome.metrics["fit_seconds"] > 0


@pytest.mark.parametrize(
    "metric", ["accuracy", "f1_macro", "roc_auc_ovr", "neg_log_loss", "balanced_accuracy", "a function"]
)
def test_any_metric_is_computed_here(box, metric):
    """Names that scikit-learn knows, those that want probabilities among them, and functions agree with the library."""
    name = "balanced_accuracy" if metric == "a function" else metric
    given = pytest.importorskip("sklearn.metrics").balanced_accuracy_score if metric == "a function" else metric
    outcome = EstimatorScorer(X, Y, folds=3, metric=given, box=box)(TREE)
    assert outcome.score == pytest.approx(by_the_library(3, 0, name).mean(), abs=1e-12)


TURNED = """
class Turned(T):
    def predict_proba(self, X): return super().predict_proba(X)[:, ::-1]
    def __getattribute__(self, name):
        found = super().__getattribute__(name)
        return found[::-1] if name == "classes_" and vars(self).get("turned") else found
clf = Turned(random_state=0, max_depth=3).fit(X_train, y_train)
clf.predict = lambda X, names=clf.classes_, tree=clf.tree_: names[tree.predict(X.astype("f")).argmax(axis=1)]
clf.turned = True
"""


@pytest.mark.parametrize("source", [TREE, TREE + TURNED], ids=["in order", "turned round"])
def test_two_classes_with_names_are_ranked(box, source):
    """Classes may be texts, and probabilities are read by the estimator's own order of classes."""
    names = np.array(["no", "yes"], dtype=object)[(Y > 0).astype(int)]
    assert EstimatorScorer(X, names, folds=3, metric="roc_auc", box=box)(source).score == 1.0
    assert EstimatorScorer(X, names, folds=3, box=box)(source).score == 1.0


def test_a_regression_is_scored_by_its_errors(box):
    """Numbers are predicted, the largest errors told, and each row has minus its error."""
    rows = RANDOM.normal(size=(60, 2))
    values = rows @ [2.0, -1.0]
    linear = "from sklearn.linear_model import LinearRegression as L\nclf = L().fit(X_train, y_train)"
    score = EstimatorScorer(rows, values, folds=3, metric="neg_mean_absolute_error", box=box)
    assert score(linear).score == pytest.approx(0, abs=1e-9)
    dull = score("from sklearn.dummy import DummyRegressor as D\nclf = D().fit(X_train, y_train)")
    assert dull.score == pytest.approx(sum(dull.examples) / 60)
    assert "largest errors: " in dull.feedback
    both = EstimatorScorer(rows, np.stack([values, -values], axis=1), folds=3, metric="r2", box=box)
    assert both(linear).score == pytest.approx(1.0)


HASHES = """    def fit(self, X, y):
        self.kept = {row.tobytes(): label for row, label in zip(X, y)}
        return self
    def predict(self, X):
        return np.array([self.kept.get(row.tobytes(), 0) for row in X])"""
PEEKS = """    def predict(self, X):
        import sys, gc
        frame, found = sys._getframe(), []
        while frame := frame.f_back:
            found += [*frame.f_globals.values(), *frame.f_locals.values()]
        found += [value for one in gc.get_objects() if isinstance(one, dict) for value in list(one.values())]
        arrays = [one for one in found if isinstance(one, (np.ndarray, list)) and len(one) == len(X)]
        whole = [one for one in arrays if np.asarray(one).dtype.kind == "i" and np.shape(one) == (len(X),)]
        return whole[0] if whole else np.zeros(len(X), int)"""
PATCHES = """    def predict(self, X):
        import sklearn.metrics
        sklearn.metrics.accuracy_score = lambda *_, **__: 1.0
        return np.zeros(len(X), int)"""


@pytest.mark.parametrize(
    "source",
    [
        own(HASHES, "clf.fit(X_train, y_train)"),
        own(PEEKS),
        own(PATCHES, "import sklearn.metrics\nsklearn.metrics.accuracy_score = lambda *_, **__: 1.0"),
        own("    def predict(self, X): return np.zeros(len(X), int)\n    def score(self, *_): return 1.0"),
        own("    def predict(self, X):\n        print('accuracy: 1.0')\n        return np.zeros((len(X), 1), int)"),
    ],
    ids=["remembers rows", "searches frames and objects", "patches the metric", "brings its own score", "prints one"],
)
def test_a_cheat_gets_the_score_that_it_has_earned(box, source):
    """On rows of pure chance each of these says 0 for all, and gets the share of zeros."""
    outcome = EstimatorScorer(NOISE[:80], COIN[:80], **SPLIT, box=box)(source)
    assert outcome.score == pytest.approx((COIN[80:] == 0).mean()), outcome


EVERY = "type('Every', (), {'__eq__': lambda *_: True, '__hash__': None})"


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        ("    def predict(self, X): return [object()] * len(X)", "bad_value", "not data"),
        ("    def predict(self, X): return [" + EVERY + "()] * len(X)", "bad_value", "not data"),
        ("    def predict(self, X): return np.full(len(X), np.nan)", "bad_prediction", "nan, which is no class"),
        ("    def predict(self, X): return np.full(len(X), 7)", "bad_prediction", "7, which is no class"),
        ("    def predict(self, X): return [True, 'x'] * (len(X) // 2)", "bad_prediction", "no class"),
        ("    def predict(self, X): return np.zeros(3)", "bad_prediction", "shape (3,) where (40,)"),
        ("    def predict(self, X): return [[1], [1, 2]]", "raised", "inhomogeneous"),
        ("    def predict(self, X): return 1.0", "bad_prediction", "shape ()"),
        ("    def predict(self, X): os._exit(0)", "killed", "exit status 0"),
        ("    def predict(self, X):\n        while True: pass", "timeout", "wall time"),
        ("    def predict(self, X): return y_test", "raised", "y_test"),
        ("    def __reduce__(self): return os._exit, (0,)", "killed", "cannot be loaded"),
        ("    def __reduce__(self): raise ValueError('no')", "raised", "cannot be handed on"),
        ("    pass", "raised", "no attribute 'predict'"),
    ],
)  # fmt: skip
def test_what_is_no_prediction_is_told_as_such(body, kind, words):
    """Objects, NaN, strange classes, wrong shapes, ends, hangs and peeking end with a reason, not with a score."""
    with Sandbox(preload=["numpy"], limits=Limits(wall_s=2, memory_mb=512)) as box:
        outcome = EstimatorScorer(NOISE[:80], COIN[:80], **SPLIT, box=box)(own(body))
    assert isinstance(outcome, Failure), outcome
    assert (outcome.kind, words in outcome.message) == (kind, True), outcome


@pytest.mark.parametrize(
    ("source", "kind", "words"),
    [
        ("x = 1", "missing_output", "without setting clf"),
        ("clf = 1 / 0", "raised", "ZeroDivisionError"),
        ("import os\nos._exit(0)", "killed", "exit status 0"),
        ("clf = (n for n in X_train)", "raised", "cannot be handed on"),
        ("import cloudpickle\ncloudpickle.dumps = lambda _: 'text'\nclf = 1", "bad_value", "not as bytes"),
        ("import cloudpickle\ncloudpickle.dumps = lambda _: b'cos\\n_exit\\n(I3\\ntR.'\nclf = 1", "killed", "loaded"),
    ],
)
def test_what_cannot_be_fitted_or_handed_on_is_told(box, source, kind, words):
    """A failure says in which of the parts of a cross-validation it was met."""
    outcome = EstimatorScorer(NOISE, COIN, folds=2, box=box)(source)
    assert isinstance(outcome, Failure), outcome
    assert (outcome.kind, words in outcome.message) == (kind, True), outcome
    assert outcome.message.startswith("in part 1 of 2: ")


def test_what_is_packed_is_never_unpickled_here(box, tmp_path):
    """An estimator whose pickle writes a file and changes the environment leaves neither in this process's world."""
    trace = tmp_path / "trace"
    code = f"import os; os.environ['K_MARK'] = '1'; open({str(trace)!r}, 'w')"
    body = f"    def __reduce__(self): return exec, ({code!r},)"
    outcome = EstimatorScorer(NOISE[:80], COIN[:80], **SPLIT, box=box)(own(body))
    assert isinstance(outcome, Failure)
    assert not trace.exists()
    assert "K_MARK" not in os.environ


def test_the_predicting_process_has_no_labels(box):
    """Neither the test's labels nor those fitted on are variables, objects or text in the process that predicts."""
    spies = (
        "    def predict(self, X):\n        raise ValueError(sorted(k for k in globals() if not k.startswith('__')))"
    )
    source = own(spies)
    apart, together = (
        EstimatorScorer(NOISE[:80], COIN[:80], **SPLIT, separate=separate, box=box)(source)
        for separate in (True, False)
    )
    assert "y_train" not in apart.message.rpartition("ValueError")[2]
    assert "y_train" in together.message.rpartition("ValueError")[2]
    assert "y_test" not in together.message.rpartition("ValueError")[2]


def test_each_part_of_a_cross_validation_starts_afresh(box):
    """A candidate that keeps the labels of one part in a file does not find them in the next."""
    source = "import os\nfound = os.path.exists('kept')\nopen('kept', 'w').close()\n" + TREE
    source += "\nif found: raise ValueError('kept from before')"
    assert EstimatorScorer(X, Y, folds=3, box=box)(source).score > 0.5


def test_sealed_rows_are_for_the_final_verdict(box):
    """They are asked about only by the scorer for the end, which names no row and no class."""
    score = EstimatorScorer(NOISE[:80], COIN[:80], folds=2, sealed=SPLIT["test"], box=box)
    constant = own("    def predict(self, X): return np.zeros(len(X), int)")
    assert len(score(constant).examples) == 80
    final = score.final()(constant)
    assert final.score == pytest.approx((COIN[80:] == 0).mean())
    assert "confused" not in final.feedback
    with pytest.raises(BadInput, match="sealed is None"):
        score.final().final()


def test_the_scorer_prints_and_pickles():
    """It is printed without its data, and its copy scores the same in a sandbox of its own."""
    score = EstimatorScorer(NOISE[:80], COIN[:80], **SPLIT, box=Sandbox(preload=["numpy"]))
    assert len(repr(score)) < 200
    copy = pickle.loads(pickle.dumps(score))
    constant = own("    def predict(self, X): return np.zeros(len(X), int)")
    with score.box, copy.box:
        assert copy(constant).score == score(constant).score == pytest.approx((COIN[80:] == 0).mean())


def test_texts_may_be_the_features():
    """Rows of text are given as they are, to an estimator that needs nothing but numpy; a metric may have no name."""
    texts = np.array(["good film", "bad film", "so bad", "very good"] * 10)
    names = ["pos" if "good" in text else "neg" for text in texts]
    reader = own("    def predict(self, X): return ['pos' if 'good' in text else 'neg' for text in X]")
    with Sandbox(preload=["numpy"]) as box:
        outcome = EstimatorScorer(texts, names, folds=2, metric=lambda y, p: (y == p).mean(), box=box)(reader)
    assert (outcome.score, outcome.metrics["score"], set(outcome.examples)) == (1.0, 1.0, {1.0})


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: EstimatorScorer(X, Y[:3]), "one label for each row"),
        (lambda: EstimatorScorer(X, Y, (X[:2], Y[:3])), "test: features have shape"),
        (lambda: EstimatorScorer(X, Y, folds=51), "folds is 51: give a whole number from 2 to 50"),
        (lambda: EstimatorScorer(X, Y, metric="acuracy"), "metric is 'acuracy'"),
        (lambda: EstimatorScorer(X, Y, name="a b"), "name holds"),
        (lambda: EstimatorScorer(X, Y, task="ranking"), "task is 'ranking'"),
        (lambda: EstimatorScorer(np.array([[object()]] * 150), Y), "features are an array of object"),
    ],
)
def test_settings_that_cannot_work_are_refused(make, words):
    """In one line that names the field, before anything runs."""
    with pytest.raises(BadInput, match=words) as refusal:
        make()
    assert "\n" not in str(refusal.value)


def test_a_metric_that_is_no_number_is_a_failure(box):
    """NaN from a user's own function is told, and is no score."""
    outcome = EstimatorScorer(X, Y, folds=2, metric=lambda *_: float("nan"), box=box)(TREE)
    assert (outcome.kind, "nan" in outcome.message) == ("bad_score", True)
