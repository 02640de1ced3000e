"""The symbolic-regression task: the law itself scores 0, nothing else does, and no formula is ever executed."""

from __future__ import annotations

import math

import pytest
from tasks.formulas import MOST, read
from tasks.symbolic_regression import make

from llm_optimize import Failure


@pytest.mark.parametrize("seed", range(20))
def test_the_law_scores_the_best_and_the_start_far_less(seed):
    """The law's own formula has no error, and the straight line that each seed starts with a large one."""
    task = make(seed)
    assert task.score(str(task.score.law)).score == pytest.approx(task.best, abs=1e-12)
    assert task.score(task.start).score < -0.5
    assert make(seed + 1).score.law != task.score.law


def test_a_formula_means_what_python_means():
    """Powers, signs, names above, functions and comments are read as in Python."""
    text = "a = 2  # tune: a=0..5\nb = -a ** 2\ny = b + abs(x) * sqrt(4) - +pi ** -1 + log(exp(1e0))"
    assert read(text)(-3.0) == pytest.approx(-4 + 6 - 1 / math.pi + 1)


def test_points_written_down_are_worth_little():
    """A polynomial through nine of the shown points, as many as there is room for, is far from the held-back ones."""
    task = make(3)
    shown, law = task.score.shown[::4], task.score.law
    terms = []
    for one in shown[:4]:
        others = [other for other in shown[:4] if other != one]
        scale = math.prod(one - other for other in others)
        terms.append("*".join([repr(law(one) / scale), *(f"(x - {other})" for other in others)]))
    outcome = task.score("y = " + " + ".join(terms))
    assert outcome.score < -1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("y = __import__('os').getpid()", "may not stand"),
        ("y = (lambda: 1.0)()", "may not stand"),
        ("y = x.real", "may not stand"),
        ("y = [x][0]", "may not stand"),
        ("y = 1.0 if x < 2 else 3.0", "may not stand"),
        ("y = 'a' * 3", "may not stand"),
        ("y = True", "may not stand"),
        ("y = 1j * x", "may not stand"),
        ("y = law(x)", "may not stand"),
        ("y = exp(x, x)", "may not stand"),
        ("y = exp", "may not stand"),
        ("y = (z := x)", "may not stand"),
        ("y = x % 2", "may not stand"),
        ("y = 1e400", "may not stand"),
        (f"y = {'9' * 400}", "may not stand"),
        ("y = z", "may not stand"),
        ("import math\ny = math.sin(x)", "is no line"),
        ("exp = 3\ny = x", "is no line"),
        ("x = 3\ny = x", "is no line"),
        ("y += 1", "is no line"),
        ("def y(x): return x", "is no line"),
        ("a, y = 1, 2", "is no line"),
        ("a = 1", "does not define y"),
        ("", "does not define y"),
        ("The law is a wave.", "cannot be read"),
        ("y = \0", "cannot be read"),
        ("y = " + "(" * 900 + "x" + ")" * 900, "cannot be read"),
        ("y = " + "-" * 2500 + "x", "at most"),
        ("y = " + "+".join(["x"] * MOST), "at most"),
        ("y = " + "x" * 3001, "at most"),
        ("y = 10.0 ** 400 * x", "not a finite real number"),
        ("y = 9.0 ** 9.0 ** 9.0 ** 9.0", "not a finite real number"),
        ("y = (0 - x) ** 0.5", "not a finite real number"),
        ("y = log(x)", "not a finite real number at x = 0"),
        ("y = 1 / (x - x)", "not a finite real number"),
        ("y = exp(1000) - exp(1000)", "not a finite real number"),
        ("a = 1e14 ** 20\nb = a * a\ny = b - b", "not a finite real number"),
    ],
)
def test_what_is_no_formula_has_no_score(text, reason):
    """Python beyond arithmetic, too many parts, and values that are no numbers are refused, with a reason."""
    outcome = make(0).score(text)
    assert isinstance(outcome, Failure)
    assert reason in outcome.message


def test_a_formula_far_off_has_a_finite_score():
    """A formula that leaves the range of the data by far is bounded, not infinite."""
    assert make(0).score("y = exp(100 * x)").score == -1e6
