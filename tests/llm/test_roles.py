"""Who judges whom is found out before the first call."""

from __future__ import annotations

import logging

import pytest

from llm_optimize import eval_utils, llm
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.llm.roles import judges_of, same_model, warn_of_own_judge
from llm_optimize.scorers.combining import Minimize
from llm_optimize.scorers.pairwise import PairwiseJudge
from llm_optimize.scorers.rubric import Criterion, RubricJudge

SERVER = "http://127.0.0.1:9/v1"
CRITERIA = [Criterion("truth", "Is it right?")]


@pytest.mark.parametrize("judge_name", ["writer", "other"])
@pytest.mark.parametrize("kind", ["rubric", "pairwise", "function", "inside"])
def test_a_model_that_judges_itself_is_warned_of(judge_name: str, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """The same name at the same endpoint warns, whatever scorer asks it; another model does not."""
    judge = f"{SERVER}#{judge_name}"
    scorer = {
        "rubric": lambda: RubricJudge(CRITERIA, model=judge),
        "pairwise": lambda: PairwiseJudge("Better.", "reference", model=judge),
        "function": lambda: eval_utils.get_llm_scorer("Grade {x}", float, model=judge),
        "inside": lambda: Minimize(RubricJudge(CRITERIA, model=judge)),
    }[kind]()
    own = judge_name == "writer"
    with caplog.at_level(logging.WARNING, "llm_optimize"):
        assert warn_of_own_judge(llm.connect(f"{SERVER}#writer"), scorer) is own
    assert [f"the model {judge_name} judges its own" in text for text in caplog.messages] == [True] * own


def test_the_default_model_is_itself_wherever_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge without a model is the default model, which also proposes where no model is given."""
    monkeypatch.setenv("OPENAI_BASE_URL", SERVER)
    assert warn_of_own_judge(llm.connect(), RubricJudge(CRITERIA))
    assert not warn_of_own_judge(llm.connect(f"{SERVER}#other"), RubricJudge(CRITERIA))


def test_objects_without_an_address_are_told_apart_by_identity() -> None:
    """One scripted model in both places is one model; two of the same name are two."""
    one, other = ScriptedModel([]), ScriptedModel([])
    assert same_model(llm.connect(one), llm.connect(one, role="judge"))
    assert not same_model(one, other)


def test_without_a_key_or_a_proposer_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be known yet is not claimed; plain functions are not looked into."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert not warn_of_own_judge(llm.connect("gpt-5"), RubricJudge(CRITERIA, model="gpt-5"))
    assert not warn_of_own_judge(None, RubricJudge(CRITERIA, model=f"{SERVER}#a"))
    assert list(judges_of(len)) == []
    assert next(judges_of({"a": [RubricJudge(CRITERIA, model=f"{SERVER}#a")], "b": 1})).name == "a"
