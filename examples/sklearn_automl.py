"""Let a chat model write the training code of a digits classifier; the first of the predecessor's programs.

Shows: a tool: the model may ask for a profile of the training images before it writes a program. And the predecessor's
calls, ``exec_with_timeout_unsafe`` among them: the candidate runs in a child process with a time limit but with your
rights, which is why its name says unsafe, and an object (the classifier) comes back pickled. ``quickstart.py`` does the
same in the sandbox.
Needs: a chat model, scikit-learn (extra ``numeric``). Costs: three short model calls, about 4,000 tokens in all, and
about as many again for each step in which the model asks for the profile; one that cannot call tools does without.
"""

from __future__ import annotations

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from llm_optimize import eval_utils, optimize
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


def train_model(script: str) -> tuple[float, str]:
    """Run the candidate and measure its classifier."""
    made = eval_utils.exec_with_timeout_unsafe(
        script, {"X_train": _X_train, "y_train": _y_train}, ["clf"], timeout_secs=60
    )
    accuracy = made["clf"].score(_X_test, _y_test)
    return accuracy, f"accuracy on the test images: {accuracy}"


score = train_model

if __name__ == "__main__":
    print(optimize.run(TASK, QUESTION, train_model, x0=x0, stop_score=STOP_SCORE, max_steps=MAX_STEPS, tools=TOOLS))
