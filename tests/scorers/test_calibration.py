"""What a calibration says, where its figures exist and where they do not."""

from __future__ import annotations

import pytest

from llm_optimize.core.types import Failure, Usage
from llm_optimize.errors import BadInput
from llm_optimize.scorers.calibration import calibrated, compared


def test_equal_scores_agree_and_correlate() -> None:
    """A judge that says what people say has agreement, kappa and correlation 1, and neither bias nor noise."""
    found = compared([(score, [score, score]) for score in (0.0, 0.25, 0.5, 1.0)], tolerance=0.1)
    assert (found.agreement, found.kappa, found.correlation, found.bias, found.noise) == (
        1.0,
        pytest.approx(1.0),
        pytest.approx(1.0),
        0.0,
        0.0,
    )


def test_a_judge_that_says_the_opposite() -> None:
    """Correlation and kappa are -1 where the order is turned round."""
    found = compared([(score, [1 - score]) for score in (0.0, 0.5, 1.0)], tolerance=0.1)
    assert (found.kappa, found.correlation) == (pytest.approx(-1.0), pytest.approx(-1.0))


def test_a_generous_judge_in_the_right_order() -> None:
    """The order alone makes a correlation of 1; kappa and bias tell that the scores are too high."""
    found = compared([(score, [score + 0.4]) for score in (0.0, 0.2, 0.4)], tolerance=0.1)
    assert (found.correlation, found.bias, found.agreement) == (pytest.approx(1.0), pytest.approx(0.4), 0.0)
    assert found.kappa is not None
    assert found.kappa < 0.4


def test_what_is_undefined_is_said_to_be() -> None:
    """One score for all has no correlation, equal scores throughout no kappa, one repeat no noise."""
    found = compared([(0.5, [0.5]), (0.5, [0.5])], tolerance=0.1)
    assert (found.kappa, found.correlation, found.noise) == (None, None, None)
    assert str(found).endswith("kappa undefined, correlation undefined, bias +0.000, noise not measured")


def test_ties_share_their_ranks() -> None:
    """Spearman's correlation with ties, by hand: ranks 1.5 1.5 3 4 against 1 2 3.5 3.5."""
    found = compared([(1, [1]), (1, [2]), (2, [3]), (3, [3])], tolerance=0.1)
    assert found.correlation == pytest.approx(4 / 4.5)


def test_failures_are_counted_and_left_out() -> None:
    """A text that the judge would not mark is in no figure but its own; what it cost is counted."""
    refused = Failure("unjudged", "no", Usage(calls=1))
    found = calibrated([(float, "1", 1.0), (float, "2", 2.0), (lambda text: refused, "x", 3.0)], 2, 0.1)
    assert (found.examples, found.unjudged, found.usage.calls, found.agreement) == (2, 1, 2, 1.0)
    assert str(found).endswith("1 unjudged")


def test_one_text_is_no_calibration() -> None:
    """Agreement on a single text says nothing."""
    with pytest.raises(BadInput, match=r"^examples: 1 were judged"):
        compared([(1.0, [1.0])], tolerance=0.1)
