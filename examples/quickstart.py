"""Tune a program that reads handwritten digits: every candidate is really trained and scored, in the sandbox.

Shows: numbers marked by ``# tune:`` comments; a scorer that gives the candidate the test images but never their labels.
Needs: scikit-learn (extra ``numeric``). No key: without a chat model the numeric engine tunes the marked numbers alone;
with one, the model rewrites the program and the engine tunes the numbers of the best programs.
Costs: nothing without a model, a few seconds on two cores; with one, about ten calls and 15,000 tokens.

Run it: ``llm-optimize run examples/quickstart.py`` or ``python examples/quickstart.py``.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from sklearn.datasets import load_digits

from llm_optimize import Evaluation, Failure, Sandbox, optimize

TASK = """Handwritten digits, 8 x 8 pixels with values from 0 to 16, one flattened image per row.
Write a Python program that learns from X_train and y_train and puts the digit that it reads in each row of X_test
into `predicted`. scikit-learn and numpy can be imported; f(x) is the share of digits read correctly."""
QUESTION = "Which program, or which numbers in it, would read more digits correctly?"
MAX_STEPS = 24

x0 = """
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

components = 4  # tune: components=2..40 int
C = 1.0  # tune: C=0.01..1000 log
gamma = 0.02  # tune: gamma=0.00001..1 log

model = make_pipeline(PCA(components, random_state=0), SVC(C=C, gamma=gamma))
model.fit(X_train, y_train)
predicted = model.predict(X_test)
"""

_digits = load_digits()
_train, _test, _unseen = slice(0, 900), slice(900, 1350), slice(1350, None)


@cache
def _sandbox() -> Sandbox:
    return Sandbox(preload=["numpy", "sklearn.decomposition", "sklearn.pipeline", "sklearn.svm"])


def score(source: str) -> Evaluation | Failure:
    """Train the candidate and count what it reads correctly; the unseen part is reported but never searched on."""
    inputs = {
        "X_train": _digits.data[_train],
        "y_train": _digits.target[_train],
        "X_test": _digits.data[_test.start :],
    }
    done = _sandbox().run(source, inputs=inputs, outputs=["predicted"])
    if not done.ok:
        return Failure(done.reason, done.message)
    predicted, expected = np.asarray(done.values["predicted"]), _digits.target[_test.start :]
    if predicted.shape != expected.shape:
        return Failure("bad_value", f"predicted has the shape {predicted.shape}, not {expected.shape}: one digit a row")
    right = predicted == expected
    searched, unseen = right[: _test.stop - _test.start], right[_test.stop - _test.start :]
    return Evaluation(
        float(searched.mean()), f"{np.sum(~searched)} of {searched.size} wrong", {"unseen": float(unseen.mean())}
    )


if __name__ == "__main__":
    result = optimize.run(TASK, QUESTION, score, x0=x0, max_steps=MAX_STEPS)
    print(f"\n{result}\n\n{result.verdict}")
    if result.best and isinstance(result.best.outcome, Evaluation):
        print(f"on images that played no part in the search: {result.best.outcome.metrics['unseen']:.4f}")
