"""Pairs: a sweep's trials, ranked."""

from __future__ import annotations

import json

import pytest

from llm_optimize.core.types import Candidate, Evaluation, Failure, Trial
from llm_optimize.report.pairs import is_sweep, pairs


def trial(number: int, outcome: Evaluation | Failure, **settings: float) -> Trial:
    """Return a trial of a sweep."""
    text = json.dumps({"prompt": f"p{number}", "system_prompt": "s", "settings": settings}, sort_keys=True, indent=2)
    return Trial(Candidate(number, text), outcome, 0.25)


def test_the_best_comes_first_equals_by_id_and_failures_last() -> None:
    """Pairs are ranked by similarity, the earlier of equals first; a failure is kept and comes last."""
    ranked = pairs([
        trial(0, Failure("raised", "no route")), trial(1, Evaluation(0.0)), trial(2, Evaluation(0.5), temperature=0.3),
        trial(3, Evaluation(0.5)), trial(4, Evaluation(-1.0)),
    ])  # fmt: skip
    assert [pair.id for pair in ranked] == [2, 3, 1, 4, 0]
    assert ranked[0].settings == {"temperature": 0.3}
    assert (ranked[-1].similarity, ranked[-1].failure, ranked[-1].n) == (None, "raised: no route", 0)


def test_the_spread_is_that_of_the_single_similarities() -> None:
    """Repeats within an evaluation and repeated evaluations both give a mean, a spread and their number."""
    [within] = pairs([trial(0, Evaluation(0.5, examples=(0.4, 0.6), answers=("a", "b")))])
    assert (within.n, within.answers) == (2, ("a", "b"))
    assert within.spread == pytest.approx(0.1414213)
    [again] = pairs([trial(0, Evaluation(0.4)).again(Evaluation(0.6))])
    assert again.n == 2
    assert (again.similarity, again.spread) == pytest.approx((0.5, 0.1414213))


@pytest.mark.parametrize("text", ["not JSON", "[1]", '{"settings": 3}'])
def test_another_text_is_its_own_prompt(text: str) -> None:
    """A candidate that is no object of a sweep is shown as it is, without settings."""
    [pair] = pairs([Trial(Candidate(0, text), Evaluation(1))])
    assert (pair.prompt, pair.system_prompt, pair.settings) == (text, "", {})


def test_a_study_is_a_sweep_where_its_settings_say_so() -> None:
    """The settings of the log tell a sweep from other studies."""
    assert is_sweep({"sweep": {"wanted": ["x"]}})
    assert not is_sweep({"file": "task.py"})
