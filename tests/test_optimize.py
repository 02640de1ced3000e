"""The front door's own work: settings checked before anything is spent, and what a result can say."""

from __future__ import annotations

import pytest

from llm_optimize import Box, Budget, Plateau, ScriptedModel, optimize
from llm_optimize.errors import BadInput, ModelUnavailable, StartFailed
from llm_optimize.proposers.numeric import NumericProposer


def fenced(text):
    return f"Longer.\n```\n{text}\n```"


def run(score=len, x0="cat", **options):
    options.setdefault("model", ScriptedModel([fenced("horse"), fenced("elephant"), fenced("dog")]))
    options = {"max_steps": 3, "verbose": False, "store": None, **options}
    return optimize.run("Find a long word.", "Which is longer?", score, x0, **options)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"x0": 7}, "x0"),
        ({"x0": "  "}, "x0"),
        ({"score": "len"}, "func"),
        ({"max_steps": -1}, "max_steps"),
        ({"max_steps": 1.5}, "max_steps"),
        ({"stop_score": "high"}, "stop_score"),
        ({"parallel": 0}, "parallel"),
        ({"ideas": 0}, "ideas"),
        ({"eval_timeout": -1}, "eval_timeout"),
        ({"store": 7}, "store"),
        ({"study": " "}, "study"),
        ({"resume": True}, "resume"),
        ({"study": "nowhere", "resume": True}, "study 'nowhere'"),
        ({"tools": (len,)}, "tools"),
        ({"human_prompt": "no slot"}, "human_prompt"),
        ({"model": object()}, "model"),
        ({"model": None}, "OPENAI_API_KEY"),
        ({"x0": "a = 1  # tune: a=9..2"}, "a=9..2. in line 1: 9..2 is turned round: write 2..9"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_in_one_line_before_anything_is_scored(options, field):
    """The message names the field, and the scorer is not called."""
    scored = []
    options.setdefault("score", lambda text: scored.append(text) or 1.0)
    with pytest.raises(BadInput, match=field) as caught:
        run(**options)
    assert "\n" not in str(caught.value)
    assert not scored


def test_a_prompt_that_cannot_fit_is_refused_before_x0_is_scored():
    """The allowance is checked with the first prompt, not after an expensive evaluation."""
    scored = []
    with pytest.raises(BadInput, match="allowance"):
        run(lambda text: scored.append(text) or 1.0, x0="word " * 40_000)
    assert not scored


def test_a_cap_on_dollars_needs_a_price():
    """A cap that could not hold is refused, with the remedy; a model that is free needs none."""
    with pytest.raises(BadInput, match="LLM_OPTIMIZE_PRICES"):
        run(model=ScriptedModel([fenced("horse")], name="no-such-model", free=False), budget=Budget(dollars=1))
    assert run(budget=Budget(dollars=1)).best_x.strip() == "elephant"


def test_a_start_that_cannot_be_scored_is_an_error_and_no_call():
    """x0 is tried first; when it fails, nothing is asked of the model."""
    model = ScriptedModel([fenced("horse")])
    with pytest.raises(StartFailed, match="x0 failed to score"):
        run(lambda text: None, model=model)
    assert not model.requests


def test_a_model_that_is_down_from_the_beginning_is_an_error():
    """There is no result to return when nothing was ever proposed."""
    with pytest.raises(ModelUnavailable):
        run(model=ScriptedModel([ModelUnavailable("down")]))


def test_a_model_that_fails_on_the_way_leaves_the_best_so_far():
    """The result holds what was reached, the reason and the error."""
    result = run(model=ScriptedModel([fenced("horse"), ModelUnavailable("down")]))
    assert (result.best_score, result.scores) == (7, [3, 7])
    assert isinstance(result.error, ModelUnavailable)
    assert result.reason == "down"


def test_without_a_model_numbers_are_tuned_alone(caplog):
    """The numeric engine runs and says so in one line."""
    result = run(lambda text: -abs(float(text) - 3), x0="8.0", tune=Box(0, 10), model=None, max_steps=12)
    assert result.best_score > -1
    assert "numeric engine" in caplog.text
    assert {trial.candidate.origin.partition(":")[0] for trial in result.history.trials} == {"start", "numeric"}


def test_any_proposer_and_rule_can_be_given():
    """A proposer replaces the default; a rule joins max_steps and stop_score."""
    result = run(lambda text: 1.0, x0="8.0", proposer=NumericProposer(tune=Box(0, 10)), stop=Plateau(2), model=None)
    assert result.reason == "plateau: 2 trials without improvement"


def test_a_named_study_goes_on_where_it_stopped(tmp_path):
    """A second run of the same name evaluates only what is new; ``resume=False`` refuses it."""
    path, scored = tmp_path / "studies.db", []

    def score(text):
        scored.append(text)
        return len(text)

    first = run(score, store=path, study="words", max_steps=1)
    again = run(score, store=path, study="words", model=ScriptedModel([fenced("elephant")]), max_steps=2)
    assert (first.scores, again.scores) == ([3, 7], [3, 7, 10])
    assert len(scored) == 3
    with pytest.raises(BadInput, match="exists"):
        run(score, store=path, study="words", resume=False)


def test_a_new_study_takes_a_new_name(tmp_path):
    """Without a name each run is a study of its own, named after the running program."""
    names = [run(store=tmp_path / "studies.db").study for _ in range(2)]
    assert names[0] != names[1]
    assert [name.rpartition("-")[2] for name in names] == ["1", "2"]


def test_scores_are_in_the_order_of_proposal_and_failures_have_none():
    """The list begins with x0, and a candidate that failed leaves no hole filled by a made-up number."""
    result = run(lambda text: 1 / 0 if "elephant" in text else len(text))
    assert result.scores == [3, 7, 5]
    assert len(result.history.trials) == 4


def test_the_verdict_claims_no_more_than_was_seen():
    """A gain is stated with what it rests on; no gain is said too."""
    assert "from 3 (x0) to 10 (#2) in 4 evaluations; each candidate was scored once" in run().verdict
    assert run(lambda text: -len(text)).verdict == "x0 scores -3; nothing better was found in 4 evaluations"
    assert run(x0=None).verdict.startswith("best score 10 (#1)")


def test_verbose_prints_and_quiet_does_not(capsys):
    """``verbose`` is the only thing that makes the library print."""
    run()
    assert capsys.readouterr().out == ""
    run(verbose=True)
    assert "elephant" in capsys.readouterr().out
