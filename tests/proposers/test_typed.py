"""A pydantic instance as x0: what is tuned, what is written, and what the function gets."""

from __future__ import annotations

import json
import pickle
from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, SecretStr, model_validator

from llm_optimize import Draft, Hybrid, optimize
from llm_optimize.core.types import Proposal
from llm_optimize.errors import BadInput
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.proposers.typed import TypedScorer, typed
from llm_optimize.testing.server import ScriptedServer


class Setup(BaseModel):
    prompt: str = "Sum up {article}; C: 1.0"
    C: float = Field(1.0, ge=0.01, le=100, json_schema_extra={"log": True})
    k: int = Field(5, ge=1, le=20)
    kernel: Literal["rbf", "poly"] = "rbf"


class Ordered(BaseModel):
    low: float = Field(1.0, ge=0, le=10)
    high: float = Field(2.0, ge=0, le=10)

    @model_validator(mode="after")
    def _check(self):
        if self.low >= self.high:
            raise ValueError("low is not below high")
        return self


def score(setup: Setup) -> float:
    return len(setup.prompt) / 10 + (setup.kernel == "poly") - abs(setup.k - 7)


def rewrite(request_or_body: Any) -> str:
    """Answer as a model that rewrites the prompt, longer each time."""
    messages = getattr(request_or_body, "messages", None) or request_or_body["messages"]
    return "Longer.\n```json\n" + Setup(prompt="Sum up {article}" + "!" * len(messages)).model_dump_json() + "\n```"


def test_the_function_gets_instances_and_the_history_json():
    """Numbers and choices come from the engine, texts from the model; every one of them is an instance."""
    got = []
    result = optimize.run(
        "t", "q", lambda setup: got.append(setup) or score(setup), Setup(), 25, ScriptedModel(rewrite),
        verbose=False, store=None,
    )  # fmt: skip
    assert len(got) == 26
    assert {type(one) for one in got} == {Setup}
    origins = {trial.candidate.origin.partition(":")[0] for trial in result.history.trials}
    assert origins == {"start", "numeric", "chat"}
    assert [Setup.model_validate_json(trial.text) for trial in result.history.trials] == got
    tuned = [one for one, trial in zip(got, result.history.trials, strict=True) if "numeric" in trial.candidate.origin]
    assert len({one.prompt for one in tuned}) < len({one.k for one in tuned})
    assert {one.kernel for one in tuned} == {"rbf", "poly"}
    assert json.loads(str(result)) == json.loads(result.best.text)
    assert score(Setup.model_validate_json(result.best.text)) == result.best.score


def test_it_runs_over_http_and_without_a_model():
    """The same call with an endpoint; and without one the engine tunes alone."""
    with ScriptedServer(lambda body, index: rewrite(body)) as server:
        result = optimize.run("t", "q", score, Setup(), 15, f"{server.url}#scripted", verbose=False, store=None)
        assert server.requests
    assert len(result.history.trials) == 16
    alone = optimize.run("t", "q", score, Setup(), 10, verbose=False, store=None)
    assert {Setup.model_validate_json(trial.text).prompt for trial in alone.history.trials} == {Setup().prompt}


def test_a_placeholder_in_a_field_is_kept():
    """A template within the JSON is one."""
    lost = Setup(prompt="Sum it up").model_dump_json()
    study = optimize.build("t", "q", score, Setup(), model=ScriptedModel([lost, lost]), store=None)
    assert isinstance(study.proposer, Hybrid)
    proposal = study.proposer.chat.propose(study.history, 1)
    assert (proposal.drafts, "it has lost {article}" in proposal.note) == ((), True)


def test_numbers_that_the_class_refuses_together_are_not_scored():
    """A validator over several fields holds for the engine as well."""
    got = []
    result = optimize.run(
        "t", "q", lambda one: got.append(one) or one.high - one.low, Ordered(), 30, verbose=False, store=None
    )
    assert len(got) == 31
    assert all(one.low < one.high for one in got)
    assert [trial for trial in result.history.trials if trial.score is None] == []


def test_a_candidate_of_another_kind_fails_with_the_reason():
    """A proposer of one's own may propose any text; what the class does not accept is a failure, as usual."""

    class Anything:
        def propose(self, history, n):
            return Proposal((Draft(f"word {history.next_id}"),))

    result = optimize.run("t", "q", score, Setup(), 1, proposer=Anything(), verbose=False, store=None)
    assert "ValidationError" in result.history.trials[1].feedback


def test_a_final_scorer_gets_instances_too():
    """The sealed examples are scored by the same kind of function."""
    kinds = set()
    optimize.run("t", "q", score, Setup(), 2, verbose=False, store=None, final=lambda one: kinds.add(type(one)) or 1.0)
    assert kinds == {Setup}


def test_ones_own_ranges_win():
    """``tune`` by name replaces what the class says."""
    result = optimize.run("t", "q", score, Setup(), 8, tune={"k": (2, 3, int)}, verbose=False, store=None)
    assert {Setup.model_validate_json(trial.text).k for trial in result.history.trials[1:]} <= {2, 3}


class Secret(BaseModel):
    key: SecretStr = SecretStr("k")


class Strange(BaseModel):
    value: Any = None


@pytest.mark.parametrize(
    ("x0", "reason"),
    [
        (Setup, "x0 is the class Setup: give an instance"),
        (Strange(value=object()), "x0: the Strange cannot be written as JSON"),
        (5, "x0 is 5: give a text"),
        (" ", "x0 is ' ': give a text"),
    ],
)
def test_what_cannot_be_a_start_is_refused(x0, reason):
    """Before anything is spent, in one line."""
    with pytest.raises(BadInput, match=reason):
        optimize.run("t", "q", score, x0, model=ScriptedModel([]), verbose=False, store=None)


def test_an_instance_that_json_changes_is_refused():
    """A secret would be scored as asterisks."""
    with pytest.raises(BadInput, match="the Secret written as JSON and read again is another one"):
        typed(Secret())


def test_a_text_is_not_typed():
    """Other starts go their usual way."""
    assert typed("text") is None
    assert typed(None) is None


def test_the_scorer_is_a_value():
    """It pickles, so that it may run in other processes."""
    scorer = TypedScorer(score, Setup)
    assert pickle.loads(pickle.dumps(scorer)) == scorer
    assert scorer(typed(Setup()).start) == score(Setup())
