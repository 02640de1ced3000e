"""Let a chat model write the training code of a digits classifier; the first of the predecessor's programs.

Shows: the scorer ``EstimatorScorer``: the classifier is fitted in one process of the sandbox, asked in another that has
no labels, and scored outside. And a tool: the model may ask for a profile of the training images before it writes a
program.
Needs: a chat model, scikit-learn (extra ``numeric``). Costs: three short model calls, about 4,000 tokens in all, and
about as many again for each step in which the model asks for the profile; one that cannot call tools does without.
"""

from __future__ import annotations

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from llm_optimize import Sandbox, optimize
from llm_optimize.scorers.estimator import EstimatorScorer
from llm_optimize.toolbox import profile_table

TASK = """Choose and train a scikit-learn classifier for images of handwritten digits (8 x 8 pixels, flattened).

- x is Python code. It finds X_train and y_train and must leave a fitted classifier in `clf`.
- f(x) is the accuracy of `clf` on images that x does not see.
- Import what you need from scikit-learn and numpy; nothing else is installed. x has one minute."""
QUESTION = "Which x should be tried next, so that the accuracy on the test images rises?"
MAX_STEPS = 3
STOP_SCORE = 1.0

x0 = """
from sklearn import svm

clf = svm.SVC()
clf.fit(X_train, y_train)
"""

_digits = load_digits()
# Not shuffled: other people wrote the second half, so a classifier has to do more than to remember handwritings.
_X_train, _X_test, _y_train, _y_test = train_test_split(_digits.data, _digits.target, test_size=0.5, shuffle=False)

TOOLS = [profile_table({"X_train": _X_train, "y_train": _y_train}, target="y_train", about="the training images")]
score = EstimatorScorer(_X_train, _y_train, (_X_test, _y_test), box=Sandbox(preload=["sklearn.svm"]))

if __name__ == "__main__":
    print(optimize.run(TASK, QUESTION, score, x0=x0, stop_score=STOP_SCORE, max_steps=MAX_STEPS, tools=TOOLS))
