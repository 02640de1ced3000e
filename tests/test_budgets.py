"""Budgets over real HTTP: what the server charged never passes a cap, and equals the account; whatever happens."""

from __future__ import annotations

import random
import threading
import time
from contextlib import contextmanager

import pytest

from llm_optimize import llm
from llm_optimize.core.account import LOST
from llm_optimize.core.budget import Budget
from llm_optimize.core.chat import Message, Request
from llm_optimize.core.study import Study
from llm_optimize.core.types import Draft, Problem, Proposal
from llm_optimize.errors import BadInput
from llm_optimize.eval_utils import get_llm_scorer
from llm_optimize.optimize import run
from llm_optimize.stores.sqlite import SQLiteStore
from llm_optimize.testing.server import Answer, ScriptedServer

PRICES = {"writer": (1.0, 4.0, 0.1), "critic": (2.0, 8.0)}
DOLLARS = 1e-6


class Office:
    """A server with two models: a writer, whose replies are of any length, and a critic, who judges briefly."""

    def __init__(self, seed=0, trouble=0.0, latency=0.0):
        self.draw = random.Random(seed)
        self.lock = threading.Lock()
        self.trouble = trouble
        self.number = 0
        self.server = ScriptedServer(self.answer, models=("writer", "critic"), latency=latency)

    def answer(self, body, _index):
        with self.lock:
            self.number += 1
            number, kind, length = self.number, self.draw.random(), self.draw.randint(1, 120)
        if kind < self.trouble:
            status = 429 if kind < self.trouble / 3 else 503
            return Answer("busy", status=status, headers={"Retry-After": "0"})
        if body["model"] == "critic":
            return f"It is fair. final_score={length}"
        return f"Longer is better. {'word ' * length * self.draw.choice((1, 1, 6))}\n```\ncandidate {number}\n```"

    def model(self, name, role=""):
        return llm.connect(f"{self.server.url}#{name}", prices=PRICES, role=role)

    @property
    def tokens(self):
        return self.server.tokens_in + self.server.tokens_out


@pytest.fixture
def office():
    """Give a function that opens an office."""

    @contextmanager
    def start(**options):
        one = Office(**options)
        with one.server:
            yield one

    return start


def judge(office):
    """Return a scorer that asks the critic."""
    return get_llm_scorer(
        "Rate this from 0 to 120, with a word on why: {x}",
        lambda reply: float(reply.rpartition("=")[2]),
        model=office.model("critic", role="judge"),
    )


def optimize(office, func, **options):
    """Run without a limit on steps, quietly."""
    options = {"x0": "candidate 0", "max_steps": None, "store": None, "verbose": False, **options}
    return run("Write candidates.", "Which is better?", func, model=office.model("writer"), **options)


def check_account(result, office):
    """The account is what the server counted, by role and by model."""
    roles = result.history.account.by_role()
    assert sum(roles[role].calls for role in roles if role != LOST) == office.server.charged
    assert sum(roles[role].tokens for role in roles if role != LOST) == office.tokens
    assert result.history.account.total.tokens == result.usage.tokens


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("caps", [{"tokens": 25_000}, {"dollars": 0.05}])
def test_no_cap_is_passed_with_eight_chains_a_judge_and_errors(office, caps, seed):
    """The server charges less than the cap, most of it is used, and the account is its sum."""
    with office(seed=seed, trouble=0.2, latency=0.002) as one:
        result = optimize(one, judge(one), parallel=8, budget=Budget(**caps))
        [(name, cap)] = caps.items()
        check_account(result, one)
        spent = one.tokens if name == "tokens" else result.usage.dollars
        assert spent <= cap
        assert spent > cap * 0.75
    assert result.reason.startswith(f"budget {name}: ")
    assert "used or set aside, the next call may need" in result.reason
    assert result.error is None
    assert result.best is not None


def test_a_reply_is_not_bought_when_its_candidate_could_not_be_scored(office):
    """The run ends before the proposal: every candidate that was paid for is evaluated."""
    with office(seed=5) as one:
        result = optimize(one, judge(one), budget=Budget(tokens=12_000))
        check_account(result, one)
    assert not result.history.pending
    assert one.tokens <= 12_000
    assert len(result.history.trials) > 3


def test_a_judge_with_several_calls_that_meets_the_cap_ends_the_run_with_its_cost_on_record(office):
    """What an evaluation had paid before it was refused is in the account, and is not paid again on resume."""
    with office(seed=6) as one:
        critic = one.model("critic", role="judge")

        def score(text):
            prompts = (f"{part} of {text}. {'Consider it well. ' * 20}" for part in range(30))
            replies = [critic.complete(Request((Message("user", prompt),))) for prompt in prompts]
            return sum(float(reply.text.rpartition("=")[2]) for reply in replies)

        settings = {"store": "studies.db", "study": "one", "parallel": 2}
        first = optimize(one, score, budget=Budget(tokens=1700), **settings)
        check_account(first, one)
        assert one.tokens <= 1700
        assert "evaluation/0" in first.history.unfinished
        assert one.server.charged > 3
        second = optimize(one, score, budget=Budget(tokens=30_000), **settings)
        check_account(second, one)
        assert one.tokens <= 30_000
    assert second.best is not None
    assert "evaluation/0" not in second.history.unfinished


def test_a_resume_with_a_larger_budget_goes_on_and_with_the_same_ends_at_once(office):
    """The cap holds over all sessions together."""
    settings = {"store": "studies.db", "study": "one", "parallel": 8}
    with office(seed=7) as one:
        first = optimize(one, judge(one), budget=Budget(tokens=15_000), **settings)
        spent, told = one.tokens, len(first.history.trials)
        again = optimize(one, judge(one), budget=Budget(tokens=15_000), **settings)
        assert again.reason.startswith("budget tokens: ")
        assert one.tokens <= 15_000
        more = optimize(one, judge(one), budget=Budget(tokens=40_000), **settings)
        check_account(more, one)
        assert spent < one.tokens <= 40_000
    assert len(more.history.trials) > told


def test_replies_that_a_killed_session_had_paid_count_before_they_are_recalled(office):
    """What stands in the reply log and not in the study's log is part of what is spent."""
    with office(seed=8) as one:
        model = one.model("writer")

        class Proposer:
            def propose(self, history, n):
                request = Request((Message("user", "write"),), {"max_tokens": 400}, key="ask-0")
                reply = model.complete(request)
                return Proposal((Draft(f"{reply.text} {history.slot}"),), reply.usage)

        class Dying(Proposer):
            def propose(self, history, n):
                super().propose(history, n)
                raise ValueError("killed before it could be logged")

        def study(proposer):
            return Study(
                Problem("task"), proposer, len, store=SQLiteStore("studies.db"), name="one", parallel=4,
                budget=Budget(tokens=4000),
            )  # fmt: skip

        with pytest.raises(ValueError, match="killed"):
            study(Dying()).run()
        paid = one.tokens
        assert paid > 0
        again = study(Proposer())
        ledger = again._plan.ledger
        assert again.history.next_id == 0
        assert ledger.committed()["tokens"] >= paid
        again.run()
        assert one.tokens <= 4000
        assert again.last.account.total.tokens == one.tokens


def test_a_lost_reply_is_counted_as_charged_and_asked_for_again(office):
    """The connection breaks after the server has charged: the account says so, and the cap holds even then."""
    with office(seed=9) as one:
        said = one.server._answer
        one.server._answer = lambda body, index: (
            Answer("word " * 50, lose=True) if index in {1, 4} else said(body, index)
        )
        result = optimize(one, len, budget=Budget(tokens=40_000), max_steps=6)
    lost = result.history.account.by_role()[LOST]
    assert lost.calls == 0
    assert lost.tokens > 2 * 4096
    assert lost.estimated
    assert result.usage.tokens <= 40_000
    assert result.usage.calls == one.server.charged  # the server repeats a reply under the same key


def test_a_judge_without_a_price_is_refused_before_its_first_call(office):
    """With dollars capped the run ends with the remedy, and nothing was asked."""
    with office() as one:
        critic = llm.connect(f"{one.server.url}#unheard-of", role="judge")
        func = get_llm_scorer("Rate {x}", float, model=critic)
        with pytest.raises(BadInput, match=r"the price of 'unheard-of' is unknown: .*LLM_OPTIMIZE_PRICES"):
            optimize(one, func, budget=Budget(dollars=1.0))
        assert one.server.charged == 0


def test_the_time_is_up_although_a_call_is_in_flight(office):
    """A slow reply is not waited for; what it may cost is on record."""
    with office(seed=10) as one:
        one.server.latency = 0.0
        said = one.server._answer
        one.server._answer = lambda body, index: Answer(said(body, index), delay=20.0 if index > 1 else 0.0)
        began = time.monotonic()
        result = optimize(one, len, budget=Budget(seconds=1.0, tokens=50_000), parallel=4)
        assert time.monotonic() - began < 10
    assert result.reason == "budget seconds: 1 s are up"
    assert result.history.account.by_role()[LOST].tokens > 0
    assert result.usage.tokens <= 50_000
