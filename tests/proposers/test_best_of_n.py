"""Independent sampling: the prompt never shows what was found, and no text is evaluated twice."""

from __future__ import annotations

from functools import partial

import pytest

from llm_optimize import optimize
from llm_optimize.core.events import Guided
from llm_optimize.errors import BadInput
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.proposers.best_of_n import BestOfN
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.forecast import chat_of
from llm_optimize.proposers.mixing import who_did_what
from llm_optimize.proposers.portfolio import beside
from llm_optimize.testing.proposer_contract import ProposerContract, answer
from llm_optimize.testing.server import ScriptedServer


def counting(name="scripted"):
    """Return a model whose answers are all different."""
    model = ScriptedModel(lambda _: f"Why.\n```\na = {len(model.requests) / 100}  # tune: a=0..10\n```", name=name)
    return model


class TestBestOfN(ProposerContract):
    """The baseline passes the suite of all proposers."""

    scale = (1_000,)  # see test_proposer_contract for 100,000

    @pytest.fixture
    def proposer(self):
        return BestOfN(ScriptedModel(answer))


@pytest.mark.parametrize("start", ["x0", None])
def test_every_prompt_is_the_first_one(start):
    """Over real HTTP, each of the requests of a run is the same to the letter, with a start and without one."""
    with ScriptedServer(lambda _, index: f"Why.\n```\n{'z' * (index + 2)}\n```") as server:
        result = optimize.run(
            "task", "q", len, start, 6, f"{server.url}#m", proposer=partial(BestOfN, settings={"temperature": 0.7}),
            store=None, verbose=False,
        )  # fmt: skip
        sent = [request.body for request in server.requests if request.body.get("max_tokens") != 1]  # 1: is it there?
    assert len(sent) == 6
    assert all(body["messages"] == sent[0]["messages"] for body in sent)
    assert all(body["temperature"] == 0.7 for body in sent)
    assert len(result.history.trials) == 6 + (start is not None)
    assert result.best.text == result.history.trials[-1].text
    assert all("/best_of_n" in trial.candidate.origin for trial in result.history.trials[1:])


def test_a_repeated_answer_is_asked_for_again_and_given_up():
    """A text that was sampled before is not evaluated again; its score is not told."""
    scored = []
    model = ScriptedModel(["```\none\n```"] * 3 + ["```\ntwo\n```"] * 3)
    result = optimize.run(
        "task", "q", lambda text: scored.append(text.strip()) or 0.125, "x0", 3, proposer=BestOfN(model), store=None,
        verbose=False,
    )  # fmt: skip
    assert scored == ["x0", "one", "two"]
    assert "0.125" not in model.requests[2].messages[-1].content
    assert len(result.history.trials) == 3


def test_guidance_reaches_the_next_samples():
    """What a person says during the run is in every later prompt."""
    model = counting()
    history = TestBestOfN().past().after(Guided("No loops."))
    prompt = BestOfN(model).describe(history)
    assert "No loops." in prompt.messages[-1].content
    assert len(prompt.messages) == 2


def test_the_front_door_makes_a_proposer_of_the_connected_model():
    """proposer= takes a class, a partial or a function of the model; a forecast of the cost finds who asks."""
    for maker in (BestOfN, partial(ChatProposer, allowance=900), lambda model: BestOfN(model, reasks=0)):
        model = counting()
        result = optimize.run("t", "q", len, "x0", 2, model, proposer=maker, store=None, verbose=False)
        assert len(model.requests) == len(result.history.trials) - 1 == 2
    assert isinstance(chat_of(BestOfN(counting())), ChatProposer)


@pytest.mark.parametrize("given", [3, lambda _: None, "BestOfN"])
def test_what_makes_no_proposer_is_refused(given):
    """An object that is no proposer and makes none is named before anything is spent."""
    with pytest.raises(BadInput, match=r"^proposer "):
        optimize.run("t", "q", len, "x0", 1, counting(), proposer=given, store=None, verbose=False)


def test_it_runs_beside_a_search_at_equal_budget():
    """Search and baseline spend about the same tokens, and it is told apart who brought what."""
    result = optimize.run(
        "t", "q", lambda text: float(text.split()[2]), "a = 0.001", 12, store=None, verbose=False,
        proposer=beside(ChatProposer(counting("s")), BestOfN(counting("b"))),
    )  # fmt: skip
    spent = {name: arm.usage.tokens for name, arm in result.history.arms.items()}
    assert spent["search"] == pytest.approx(spent["baseline"], rel=0.5)
    assert set(who_did_what(result.history)) == {"start", "chat:s", "chat:b/best_of_n"}
