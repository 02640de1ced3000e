"""A candidate on a data set: scores in order, worst examples as feedback, failures, threads, racing and its memory."""

from __future__ import annotations

import pickle
import threading
from statistics import fmean

import pytest

from llm_optimize import Evaluation, Failure
from llm_optimize.core.types import Usage
from llm_optimize.errors import BadInput, ModelUnavailable
from llm_optimize.scorers.dataset import SEEN, TOTAL, DatasetScorer
from llm_optimize.scorers.example import Example
from llm_optimize.scorers.racing import FixedGate, Racing

EXAMPLES = [Example({"n": n}, n * n, key=f"square-{n}") for n in range(40)]


def compute(text, example):
    """Run the candidate, an expression of n."""
    return eval(text, {"n": example["n"]})


def right(output, example):
    """Judge an output."""
    return output == example.expected


class Counted:
    """Runs candidates and remembers who was run on what."""

    def __init__(self):
        self.calls = []
        self.lock = threading.Lock()

    def __call__(self, text, example):
        with self.lock:
            self.calls.append((text, example["n"]))
        return compute(text, example)


def test_the_mean_over_examples_in_their_order() -> None:
    """The score is the mean; each example has its score at its place, whichever thread was first."""
    done = DatasetScorer(compute, EXAMPLES, right)("n * n if n < 30 else 0")
    assert done.score == pytest.approx(0.75)
    assert done.examples == (1.0,) * 30 + (0.0,) * 10
    assert (done.metrics[SEEN], done.metrics[TOTAL]) == (40, 40)


def test_the_worst_examples_are_the_feedback() -> None:
    """They are shown with input, output and the metric's remark; the expected answer only if the user allows it."""

    def metric(output, example):
        return -abs(output - example.expected), f"off by {abs(output - example.expected)}"

    hidden = DatasetScorer(compute, EXAMPLES, metric, worst=2)("n * n + (n == 7) + 2 * (n == 9)")
    shown = DatasetScorer(compute, EXAMPLES, metric, worst=2, show_expected=True)("n * n + (n == 7) + 2 * (n == 9)")
    assert hidden.feedback.split("\n\n") == [
        "mean -0.075 over 40 examples",
        "square-9, score -2:\n  n: 9\n  output: 83\n  remark: off by 2",
        "square-7, score -1:\n  n: 7\n  output: 50\n  remark: off by 1",
    ]
    assert "expected: 81" in shown.feedback
    assert "81" not in hidden.feedback
    assert "square" not in DatasetScorer(compute, EXAMPLES, right, worst=0)("0").feedback


def test_long_values_are_cut() -> None:
    """An output of any length takes a bounded part of the feedback."""
    done = DatasetScorer(lambda text, example: "x" * 10**6, EXAMPLES, right)("any")
    assert len(done.feedback) < 3000
    assert "(1000000 characters)" in done.feedback


def test_metrics_and_usage_of_the_metric_are_gathered() -> None:
    """Metrics are averaged over the examples that have them; reported costs are summed."""

    def metric(output, example):
        extra = {"even": 1.0} if example["n"] % 2 == 0 else {"odd": 3.0}
        return Evaluation(1.0, metrics={"_n": example["n"], **extra}, usage=Usage(calls=1, tokens_in=2))

    done = DatasetScorer(compute, EXAMPLES, metric)("n")
    assert (done.metrics["even"], done.metrics["odd"], done.metrics["_n"]) == (1.0, 3.0, 19.5)
    assert done.usage == Usage(calls=40, tokens_in=80)


def test_an_example_that_raises_fails_the_candidate() -> None:
    """The failure says on how many of the examples run, with the first one's name and error; the rest is not begun."""
    run = Counted()
    done = DatasetScorer(run, EXAMPLES, right, parallel=1)("n * n if n != 3 else n / 0")
    assert done == Failure(
        "raised", "failed on 1 of 4 examples run; square-3: " + done.message.partition("square-3: ")[2]
    )
    assert "ZeroDivisionError" in done.message
    assert len(run.calls) == 4


def test_an_example_that_raises_may_have_a_score() -> None:
    """With on_error it counts that much and is shown as the worst; a candidate that fails on all is still a failure."""
    scorer = DatasetScorer(compute, EXAMPLES, right, on_error=-1.0)
    done = scorer("n * n if n != 3 else n / 0")
    assert done.score == pytest.approx(38 / 40)
    assert done.examples[3] == -1.0
    assert "1 failed and count -1 each" in done.feedback
    assert "remark: ZeroDivisionError" in done.feedback
    everything = scorer("n / 0")
    assert isinstance(everything, Failure)
    assert everything.message.startswith("failed on 40 of 40 examples; square-0: ZeroDivisionError")


def test_a_metric_without_a_number_is_a_failure() -> None:
    """What no score can be is a failure of the example, of the kind that any scorer has for it."""
    done = DatasetScorer(compute, EXAMPLES, lambda output, example: None)("n")
    assert (done.kind, done.message.partition(": ")[2].partition(":")[0]) == ("bad_score", "the scorer returned None")


@pytest.mark.parametrize("parallel", [1, 4])
def test_trouble_with_the_endpoint_is_no_score(parallel) -> None:
    """An error of the package leaves the scorer at once, and no further example is begun."""
    begun = []

    def run(text, example):
        begun.append(example["n"])
        if example["n"] == 5:
            raise ModelUnavailable("the server is down")
        return 0

    with pytest.raises(ModelUnavailable, match="server is down"):
        DatasetScorer(run, EXAMPLES, right, parallel=parallel)("x")
    assert len(begun) <= 6 + 2 * parallel


def test_examples_run_side_by_side() -> None:
    """As many as asked for are in flight at once; the run waits for all of them to meet."""
    meeting = threading.Barrier(4, timeout=60)

    def run(text, example):
        meeting.wait()
        return example["n"]

    done = DatasetScorer(run, EXAMPLES, lambda output, example: output, parallel=4)("x")
    assert done.examples == tuple(map(float, range(40)))


def test_racing_stops_a_loser_and_lets_a_winner_pass() -> None:
    """After a full first candidate, a bad one sees five examples, and a better one all; each example is run once."""
    run = Counted()
    scorer = DatasetScorer(run, EXAMPLES, right, racing=Racing(block=5, least=5))
    first, bad, better = (scorer(text) for text in ("n * n if n % 2 else 0", "-1", "n * n"))
    assert [one.metrics[SEEN] for one in (first, bad, better)] == [40, 5, 40]
    assert (first.score, better.score) == (0.525, 1.0)
    assert bad.examples == ()
    assert bad.score < first.score
    assert bad.feedback.startswith("stopped after 5 of 40 examples: mean 0 on them, where the best so far has 0.")
    assert len(run.calls) == len(set(run.calls)) == 85


def test_the_fixed_gate() -> None:
    """The gate evaluates a minibatch of its size and the rest only after a gain on it."""
    run = Counted()
    scorer = DatasetScorer(run, EXAMPLES, right, racing=FixedGate(5))
    texts = ("n * n if n % 2 else 0", "n * n if n % 2 else -1", "n * n")
    assert [scorer(text).metrics[SEEN] for text in texts] == [40, 5, 40]


def test_a_lucky_minibatch_never_wins() -> None:
    """Whatever a candidate that was stopped scored on the examples it saw, it is below the incumbent."""
    scorer = DatasetScorer(compute, EXAMPLES, lambda output, example: output, racing=Racing(alpha=0.9))
    best = scorer("n if n % 3 else 100")
    for slope in range(20):
        done = scorer(f"n * {slope} / 19")
        assert done.examples or done.score < best.score
        best = max(best, done, key=lambda one: one.score)


def test_asking_again_goes_on_where_racing_stopped() -> None:
    """No example is run twice for a candidate that was stopped; once all are known, the mean is the true one."""
    run = Counted()
    scorer = DatasetScorer(run, EXAMPLES, right, racing=Racing(block=5, least=5))
    scorer("n * n")
    seen = [scorer("0 if n else 1").metrics[SEEN] for _ in range(8)]
    assert seen == [5, 10, 15, 20, 25, 30, 35, 40]
    assert len(run.calls) == 80


def test_a_finished_candidate_is_measured_anew() -> None:
    """Repeats of a noisy score are new draws, not copies of the first."""
    ticks = iter(range(1000))
    scorer = DatasetScorer(lambda text, example: next(ticks), EXAMPLES, lambda output, example: output, parallel=1)
    assert scorer("x").score + 40 == scorer("x").score


def test_what_broke_off_outside_a_study_is_remembered() -> None:
    """After trouble, asking again runs only what is missing."""
    run, down = Counted(), [True]

    def flaky(text, example):
        if example["n"] == 20 and down:
            down.clear()
            raise ModelUnavailable("down")
        return run(text, example)

    scorer = DatasetScorer(flaky, EXAMPLES, right, parallel=1)
    with pytest.raises(ModelUnavailable):
        scorer("n * n")
    assert scorer("n * n").score == 1.0
    assert len(run.calls) == 40


def test_a_scorer_prints_travels_and_composes() -> None:
    """It shows its settings but no example, equals its copy, and scores other examples without racing."""
    scorer = DatasetScorer(compute, EXAMPLES, right, racing=Racing(alpha=0.1))
    copy = pickle.loads(pickle.dumps(scorer))
    assert copy == scorer
    assert copy("n * n") == scorer("n * n")
    assert "square" not in repr(scorer)
    assert "Racing(block=3, alpha=0.1, least=3)" in repr(scorer)
    other = scorer.on(EXAMPLES[:3])
    assert (other.racing, other("n * n").examples) == (None, (1.0, 1.0, 1.0))


def test_the_order_of_racing_differs_between_candidates() -> None:
    """No example is always among the first: the order depends on the candidate, and on nothing that changes."""
    run = Counted()
    scorer = DatasetScorer(run, EXAMPLES, right, racing=Racing(), parallel=1)
    scorer("n * n")
    for text in ("-1", "-2"):
        scorer(text)
    first, second = ([n for text, n in run.calls if text == one] for one in ("-1", "-2"))
    assert first != second
    twin = Counted()
    again = DatasetScorer(twin, EXAMPLES, right, racing=Racing(), parallel=1)
    again("n * n")
    again("-1")
    assert [n for text, n in twin.calls if text == "-1"] == first


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"parallel": 0}, "parallel is 0: give a whole number, at least 1"),
        ({"worst": -1}, "worst is -1"),
        ({"on_error": float("nan")}, "on_error is nan"),
        ({"racing": True}, r"racing is True: give Racing\(\), FixedGate\(\) or None"),
        ({"metric": None}, "metric is NoneType: give a function of two arguments"),
        ({"examples": [{"n": 1}]}, r"examples\[0\] is dict"),
    ],
)
def test_settings_that_make_no_sense(settings, message) -> None:
    """A wrong setting is refused before anything runs, with its name."""
    with pytest.raises(BadInput, match=message):
        DatasetScorer(**({"run": compute, "examples": EXAMPLES, "metric": right} | settings))


def test_unlucky_and_lucky_estimates_agree_with_full_means_on_average() -> None:
    """The score of candidates that were stopped is an estimate of their full mean, not flattering on average."""
    errors = []
    scorer = DatasetScorer(compute, EXAMPLES, right, racing=Racing())
    scorer("n * n")
    for modulus in range(2, 40):
        text = f"n * n if n * 7 % 40 > {modulus} else -{modulus}"
        done = scorer(text)
        errors.append(done.score - fmean(compute(text, one) == one.expected for one in EXAMPLES))
    assert abs(fmean(errors)) < 0.03
