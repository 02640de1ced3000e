"""The forecast: what a run may cost, before it begins and once scoring is known."""

from __future__ import annotations

import pytest

from llm_optimize import llm
from llm_optimize.core.account import Account
from llm_optimize.core.budget import Budget
from llm_optimize.core.events import Told
from llm_optimize.core.types import Evaluation, Problem, Usage
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.optimize import run
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.forecast import first_past, forecast

PAST = first_past(Problem("Write something long and good.", "What is better?", "a start " * 100))


@pytest.fixture
def chat():
    """A chat proposer at ten dollars per million tokens."""
    model = ScriptedModel(["x"], name="dear", free=False)
    return ChatProposer(llm.connect(model, prices={"dear": (10, 10)}))


@pytest.mark.parametrize(("caps", "bought"), [({"tokens": 100_000}, 100_000), ({"dollars": 1.0}, 100_000)])
def test_the_budget_buys_as_many_candidates_as_fit(chat, caps, bought):
    """One candidate more would pass the cap."""
    found = forecast(chat, PAST, Budget(**caps))
    assert found.candidates > 5
    assert found.total.tokens <= bought < found.total.tokens * (1 + 2 / found.candidates)
    assert found.total.dollars == pytest.approx(found.total.tokens * 1e-5)
    assert str(found).startswith(f"the budget buys about {found.candidates} candidates, about ")
    assert str(found).endswith(("$1.00", f"${found.total.dollars:.2g}"))


def test_the_steps_limit_it_too(chat):
    """Where the steps end first, it says at most; evaluations count x0."""
    assert str(forecast(chat, PAST, Budget(tokens=10**9), 10)).startswith("at most 10 candidates")
    assert forecast(chat, PAST, Budget(evaluations=8), 10).candidates == 7
    assert forecast(chat, PAST, Budget()).candidates is None


def test_several_ideas_share_a_prompt(chat):
    """With four ideas to a prompt the same money buys more."""
    one, four = (forecast(chat, PAST, Budget(tokens=100_000), None, ideas).candidates for ideas in (1, 4))
    assert four > 1.5 * one


def test_what_scoring_costs_is_in_it_as_soon_as_it_is_known(chat):
    """After x0 the judge's tokens are counted for each candidate."""
    usage = Usage(2, 3000, 0, 1000, 0.04)
    past = PAST.after(Told(0, Evaluation(1.0, usage=usage), account=Account.of("judge", "m", usage)))
    before, after = (forecast(chat, one, Budget(tokens=100_000)) for one in (PAST, past))
    assert after.scoring.tokens == 4000
    assert after.candidates < before.candidates
    assert f"of which scoring {4 * after.candidates}k" in str(after)


def test_a_verbose_run_says_it_first(capsys):
    """The first line is the estimate, where a rule limits the run."""
    model = ScriptedModel(["```\nlonger\n```"])
    run("task", "question", len, "x", 1, model, store=None)
    assert capsys.readouterr().out.startswith("estimate: at most 1 candidate, about ")
    run("task", "question", len, "x", None, ScriptedModel(["```\nlonger\n```"]), store=None, stop_score=6)
    assert "estimate" not in capsys.readouterr().out
