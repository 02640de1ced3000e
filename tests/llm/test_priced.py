"""Every reply carries its price, and every call asks the budget first and settles after."""

from __future__ import annotations

import logging
import pickle
import threading

import pytest

from llm_optimize.core.chat import Message, Reply, Request
from llm_optimize.core.metering import Scope, entered
from llm_optimize.core.types import Usage
from llm_optimize.errors import BudgetExceeded, ModelUnavailable
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.llm.priced import Priced

PRICES = {"scripted": (1.0, 2.0, 0.5)}


class Ledger:
    """A guard that notes what it is asked, with one cap on tokens."""

    def __init__(self, tokens=10**9):
        self.tokens = tokens
        self.reserved = 0
        self.spent = Usage()
        self.log = []
        self.lock = threading.Lock()

    def reserve(self, estimate):
        """Set aside, or refuse."""
        with self.lock:
            if self.spent.tokens + self.reserved + estimate.tokens > self.tokens:
                msg = "tokens"
                raise BudgetExceeded(msg)
            self.reserved += estimate.tokens
            self.log.append(("reserve", estimate))

    def settle(self, estimate, actual):
        """Replace the estimate."""
        with self.lock:
            self.reserved -= estimate.tokens
            self.spent = self.spent + actual
            self.log.append(("settle", actual))


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


def test_a_call_is_reserved_before_and_settled_after(hello):
    """The guard sees the estimate first, then what it cost; the scope counts it."""
    ledger = Ledger()
    scope = Scope("study", "proposal/0", ledger)
    with entered(scope):
        answered = Priced(ScriptedModel([reply()], free=False), PRICES).complete(hello)
    (first, estimate), (second, actual) = ledger.log
    assert (first, second) == ("reserve", "settle")
    assert estimate.estimated
    assert estimate.calls == 1
    assert estimate.tokens_out == 1000
    assert estimate.dollars == pytest.approx((estimate.tokens_in * 1 + 1000 * 2) / 1e6)
    assert actual == answered.usage == scope.usage
    assert ledger.reserved == 0


def test_a_refused_call_is_not_made(hello):
    """Past the cap the model is not asked and nothing is settled."""
    model, ledger = ScriptedModel([reply()], free=False), Ledger(tokens=500)
    scope = Scope("study", "proposal/0", ledger)
    with entered(scope), pytest.raises(BudgetExceeded):
        Priced(model, PRICES).complete(hello)
    assert (model.requests, ledger.log, scope.usage) == ([], [], Usage())


@pytest.mark.parametrize("error", [ModelUnavailable("down"), KeyboardInterrupt()])
def test_a_failed_call_gives_back_what_was_set_aside(error, hello):
    """Whatever ends the call, nothing stays reserved."""

    class Failing:
        name = "scripted"

        def complete(self, _request):
            raise error

    ledger = Ledger()
    with entered(Scope("study", "proposal/0", ledger)), pytest.raises(type(error)):
        Priced(Failing(), PRICES).complete(hello)
    assert (ledger.reserved, ledger.spent) == (0, Usage())


def test_the_output_is_estimated_by_its_cap_else_by_the_longest_reply(hello):
    """max_tokens bounds the answer; without it the longest answer so far, before it 1000."""
    priced = Priced(ScriptedModel([reply(tokens_out=700), reply(tokens_out=50)], free=False), PRICES)
    assert priced.estimate(hello).tokens_out == 1000
    priced.complete(hello)
    priced.complete(hello)
    assert priced.estimate(hello).tokens_out == 700
    assert priced.estimate(Request(hello.messages, {"max_tokens": 20})).tokens_out == 20
    assert priced.estimate(Request(hello.messages, {"max_completion_tokens": 30})).tokens_out == 30


def test_prompts_are_counted_better_after_real_replies():
    """A tokenizer that makes three times the tokens is learned, where a cap needs estimates."""
    request = Request((Message("user", "some words of a long prompt " * 20),))
    priced = Priced(ScriptedModel(lambda _r: reply(tokens_in=3 * guess), free=False), PRICES)
    guess = priced.estimate(request).tokens_in
    with entered(Scope("study", "proposal/0", Ledger())):
        priced.complete(request)
    assert priced.estimate(request).tokens_in == pytest.approx(3 * guess, rel=0.02)


def test_many_threads_never_pass_the_cap(hello):
    """With calls in flight in many threads the cap holds, and the account equals what was answered."""
    answered, ledger = [], Ledger(tokens=20_000)
    priced = Priced(ScriptedModel(lambda _r: reply(10, 0, 900), free=False), PRICES)

    def work():
        scope = Scope("study", "evaluation/0", ledger)
        with entered(scope):
            try:
                while True:
                    answered.append(priced.complete(hello).usage)
            except BudgetExceeded:
                return

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.reserved == 0
    assert ledger.spent.tokens == sum(usage.tokens for usage in answered) <= 20_000
    assert ledger.spent.tokens > 18_000


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
