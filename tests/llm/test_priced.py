"""Every reply carries its price, and every call asks the budget first and settles after."""

from __future__ import annotations

import logging
import pickle
import threading

import pytest

from llm_optimize.core.account import LOST
from llm_optimize.core.budget import Budget
from llm_optimize.core.chat import Message, Reply, Request
from llm_optimize.core.ledger import Ledger, UnitGuard
from llm_optimize.core.metering import Scope, entered
from llm_optimize.core.types import Usage
from llm_optimize.errors import BadInput, BudgetExceeded, ContextTooLong, ModelUnavailable
from llm_optimize.llm.failures import RetryLater
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.llm.priced import Priced
from llm_optimize.llm.retrying import Retrying

PRICES = {"scripted": (1.0, 2.0, 0.5)}


class Failing:
    """A model that always fails."""

    name = "scripted"

    def __init__(self, error):
        self.error = error

    def complete(self, _request):
        raise self.error


def unit(tokens=10**9, dollars=None, name="proposal/0"):
    """Return a ledger with these caps, and a scope of one unit of work in it."""
    ledger = Ledger(Budget(tokens=tokens, dollars=dollars))
    return ledger, Scope("study", name, UnitGuard(ledger, name))


def reply(tokens_in=1000, tokens_cached=0, tokens_out=500, dollars=0.0):
    """Return a reply of known usage."""
    return Reply("x", usage=Usage(1, tokens_in, tokens_cached, tokens_out, dollars))


def test_a_reply_carries_its_price(hello):
    """Fresh, cached and answered tokens each have their price per million."""
    priced = Priced(ScriptedModel([reply(1_000_000, 400_000, 1_000_000)], free=False), PRICES)
    assert priced.complete(hello).usage.dollars == pytest.approx(0.6 * 1 + 0.4 * 0.5 + 2.0)


def test_a_price_of_the_models_own_stays(hello):
    """A model that reports its price is believed."""
    assert Priced(ScriptedModel([reply(dollars=0.5)], free=False), PRICES).complete(hello).usage.dollars == 0.5


def test_an_unknown_price_is_zero_and_said_once(hello, caplog):
    """Without a price the dollars are 0 and the log says so once."""
    priced = Priced(ScriptedModel(lambda _r: reply(), name="never-heard-of-it", free=False))
    with caplog.at_level(logging.WARNING, "llm_optimize"):
        assert [priced.complete(hello).usage.dollars for _ in range(3)] == [0.0, 0.0, 0.0]
    assert [record.message for record in caplog.records if "never-heard-of-it" in record.message].__len__() == 1
    assert not priced.price_known()
    assert Priced(ScriptedModel([], free=False), PRICES).price_known()


def test_the_name_that_answered_gives_the_price_if_the_asked_one_has_none(hello):
    """An alias is priced as the model that the endpoint names in its reply."""
    answer = Reply("x", model="scripted", usage=Usage(1, 1_000_000, 0, 0))
    assert Priced(ScriptedModel([answer], name="alias", free=False), PRICES).complete(hello).usage.dollars == 1.0


def test_what_a_call_may_cost_is_set_aside_before_and_what_it_cost_stands_there_after(hello):
    """While the model is asked the most that it can cost counts; afterwards what it really cost."""
    ledger, scope = unit(tokens=6000)
    during = []

    def answer(_request):
        during.append(ledger.committed())
        return reply()

    with entered(scope):
        answered = Priced(ScriptedModel(answer, free=False), PRICES).complete(hello)
    assert 4096 < during[0]["tokens"] <= 6000
    assert during[0]["dollars"] == pytest.approx((during[0]["tokens"] + 4096) / 1e6)
    assert ledger.committed() == {"tokens": answered.usage.tokens, "dollars": answered.usage.dollars}
    assert dict(scope.account.rows) == {("proposer", "scripted"): answered.usage}


def test_a_refused_call_is_not_made(hello):
    """Past the cap the model is not asked, nothing is set aside, and the message has all figures."""
    model = ScriptedModel([reply()], free=False)
    ledger, scope = unit(tokens=500)
    with entered(scope), pytest.raises(BudgetExceeded, match=r"tokens: 0 of 500 used .* next call may need 1,\d\d\d"):
        Priced(model, PRICES).complete(hello)
    assert (model.requests, ledger.committed(), scope.usage) == ([], {"tokens": 0, "dollars": 0}, Usage())


@pytest.mark.parametrize("error", [ModelUnavailable("down"), ValueError("a defect")])
def test_a_failed_call_gives_back_what_was_set_aside(error, hello):
    """Whatever ends a call that was not charged, nothing stays set aside."""
    ledger, scope = unit()
    with entered(scope), pytest.raises(type(error)):
        Priced(Failing(error), PRICES).complete(hello)
    assert ledger.committed() == {"tokens": 0, "dollars": 0}


def test_a_call_that_ctrl_c_ends_counts_as_lost(hello):
    """The provider may charge for a reply that nobody waits for any more."""
    ledger, scope = unit()
    with entered(scope), pytest.raises(KeyboardInterrupt):
        Priced(Failing(KeyboardInterrupt()), PRICES).complete(hello)
    assert ledger.committed()["tokens"] == scope.account.by_role()[LOST].tokens > 4096


def test_the_limit_on_a_reply_is_what_the_budget_affords(hello):
    """Near the cap the request carries a lower limit, so that the reply cannot pass it."""
    model = ScriptedModel(lambda request: reply(10, 0, request.settings["max_tokens"]), free=False)
    priced = Priced(model, PRICES)
    _, scope = unit(tokens=6000)
    with entered(scope):
        priced.complete(hello)
        assert model.requests[0].settings["max_tokens"] == 4096
        with pytest.raises(BudgetExceeded):
            priced.complete(hello)  # a reply as long as the first would not fit any more
    _, scope = unit(tokens=1500)
    priced = Priced(model, PRICES)
    with entered(scope):
        priced.complete(hello)
    assert 1000 <= model.requests[-1].settings["max_tokens"] < 1400


def test_a_limit_of_the_callers_own_is_kept_under_its_name_or_lowered(hello):
    """A request with a limit is sent as it is where the budget affords it, else with a lower one."""
    model = ScriptedModel(lambda _r: reply(10, 0, 20), free=False)
    for field, given, tokens, sent in (
        ("max_tokens", 20, 10**6, 20), ("max_completion_tokens", 9000, 10**6, 9000),
        ("max_completion_tokens", 9000, 1400, range(1000, 1400)),
    ):  # fmt: skip
        _, scope = unit(tokens=tokens)
        with entered(scope):
            Priced(model, PRICES).complete(Request(hello.messages, {field: given}))
        settings = model.requests[-1].settings
        assert settings.keys() == {field}
        assert settings[field] == sent or settings[field] in sent


def test_several_answers_of_one_call_are_all_set_aside(hello):
    """A call for n answers reserves n times the limit that it sends."""
    ledger, scope = unit(tokens=10_000)
    during = []

    def answer(request):
        during.append((ledger.committed()["tokens"], request.settings["max_tokens"]))
        return reply(20, 0, 900)

    with entered(scope):
        Priced(ScriptedModel(answer, free=False), PRICES).complete(Request(hello.messages, n=3))
    [(held, limit)] = during
    assert 3 * limit < held <= 10_000


def test_an_endpoint_that_ignores_the_limit_is_named_once_and_gets_a_margin(hello, caplog):
    """After a reply beyond its limit, twice the longest reply is set aside, and the user is told."""
    ledger, scope = unit(tokens=10**6)
    during = []

    def answer(_request):
        during.append(ledger.committed()["tokens"])
        return reply(20, 0, 6000)

    priced = Priced(ScriptedModel(answer, free=False), PRICES)
    with entered(scope), caplog.at_level(logging.WARNING, "llm_optimize"):
        for _ in range(3):
            priced.complete(hello)
    assert during[2] - during[1] >= 6000
    assert during[1] - 6020 >= 12_000
    assert [record.message for record in caplog.records if "ignores the limit" in record.message].__len__() == 1


def test_a_limit_that_the_endpoint_does_not_take_is_lowered(hello):
    """A model with a small context refuses the limit, not the prompt; a lower one is sent, now and later."""

    def answer(request):
        limit = request.settings["max_tokens"]
        return ContextTooLong("maximum context length is 2048 tokens", 2048) if limit > 1500 else reply(20, 0, 100)

    model = ScriptedModel(answer, free=False)
    ledger, scope = unit()
    with entered(scope):
        for _ in range(2):
            Priced.complete(priced := Priced(model, PRICES), hello)
        priced.complete(hello)
    assert [request.settings["max_tokens"] for request in model.requests] == [4096, 2048, 1024] * 2 + [1024]
    assert ledger.committed()["tokens"] == 3 * 120


def test_a_prompt_that_is_too_long_stays_an_error(hello):
    """When a lower limit does not help, the endpoint's error comes through and nothing is spent."""
    ledger, scope = unit()
    model = ScriptedModel(lambda _r: ContextTooLong("too long", 100), free=False)
    with entered(scope), pytest.raises(ContextTooLong):
        Priced(model, PRICES).complete(hello)
    assert len(model.requests) < 5
    assert ledger.committed()["tokens"] == 0


def test_an_unknown_price_is_refused_where_dollars_are_capped(hello):
    """The call is not made, and the remedy is named; with a price told it is made."""
    model = ScriptedModel(lambda _r: reply(), name="no-such-model", free=False)
    ledger, scope = unit(tokens=None, dollars=1.0)
    with entered(scope), pytest.raises(BadInput, match=r"price of 'no-such-model' is unknown: .*LLM_OPTIMIZE_PRICES"):
        Priced(model).complete(hello)
    assert (model.requests, ledger.committed()["dollars"]) == ([], 0)
    with entered(scope):
        Priced(model, {"no-such-model": (1, 2)}).complete(hello)
    assert ledger.committed()["dollars"] == pytest.approx(0.002)


def test_what_an_attempt_may_have_cost_is_counted_before_the_next(hello):
    """An attempt that broke off is booked in full as lost, and the retry needs money of its own."""
    error = RetryLater("broken off", 0.0)
    error.__cause__ = ConnectionResetError()
    script = [error, error, reply(20, 0, 30)]
    ledger, scope = unit()
    with entered(scope):
        Priced(Retrying(ScriptedModel(script, free=False)), PRICES).complete(hello)
    rows = scope.account.by_role()
    assert (rows["proposer"].calls, rows["proposer"].tokens) == (1, 50)
    assert rows[LOST].calls == 0
    assert rows[LOST].estimated
    assert rows[LOST].tokens > 2 * 4096
    assert ledger.committed()["tokens"] == scope.usage.tokens
    _, scope = unit(tokens=6000)
    model = ScriptedModel(script, free=False)
    with entered(scope), pytest.raises(BudgetExceeded):
        Priced(Retrying(model), PRICES).complete(hello)
    assert len(model.requests) == 1


@pytest.mark.parametrize("guarded", [True, False])
def test_a_model_that_is_made_of_others_is_counted_once(hello, guarded):
    """The best of two judges, each of which counts itself, costs two calls and not three."""
    parts = [Priced(ScriptedModel(lambda _r: reply(20, 0, 30), name=name, free=False), PRICES) for name in "ab"]

    class Both:
        name = "both"

        def complete(self, request):
            first, _ = (part.complete(request) for part in parts)
            return first

    ledger, scope = unit()
    if not guarded:
        scope.guard = None
    with entered(scope):
        Priced(Both(), PRICES).complete(hello)
    assert {model: usage.tokens for model, usage in scope.account.by_model().items()} == {"a": 50, "b": 50}
    assert ledger.committed()["tokens"] == 100 * guarded


def test_prompts_are_counted_better_after_real_replies():
    """A tokenizer that makes three times the tokens is learned, where a cap needs estimates."""
    request = Request((Message("user", "some words of a long prompt " * 20),))
    priced = Priced(ScriptedModel(lambda _r: reply(tokens_in=3 * guess), free=False), PRICES)
    guess = priced.estimate(request).tokens_in
    with entered(unit()[1]):
        priced.complete(request)
    assert priced.estimate(request).tokens_in == pytest.approx(3 * guess, rel=0.02)


def test_many_threads_never_pass_the_cap(hello):
    """With calls in flight in many threads the cap holds, and they wait for one another instead of giving up."""
    answered, ledger = [], Ledger(Budget(tokens=20_000))
    priced = Priced(ScriptedModel(lambda _r: reply(10, 0, 900), free=False), PRICES)

    def work(name):
        with entered(Scope("study", name, UnitGuard(ledger, name))):
            try:
                while True:
                    answered.append(priced.complete(hello).usage)
            except BudgetExceeded:
                return

    threads = [threading.Thread(target=work, args=(f"evaluation/{index}",)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = sum(usage.tokens for usage in answered)
    assert ledger.committed()["tokens"] == spent
    assert 18_000 < spent <= 20_000


def test_it_pickles():
    """The model and its prices travel; what was learned stays."""
    copy = pickle.loads(pickle.dumps(Priced(_Constant(), PRICES)))
    assert copy.complete(Request((Message("user", "hi"),))).usage.dollars > 0


class _Constant:
    name = "scripted"

    def complete(self, _request):
        return reply()


def test_a_script_costs_nothing_and_no_price_is_looked_up(caplog):
    """A model that says of itself that it is free is not priced, and nobody is told that its price is unknown."""
    model = Priced(ScriptedModel(["x"]))
    assert model.complete(Request((Message("user", "hi"),))).usage.dollars == 0.0
    assert model.price_known()
    assert not caplog.records
