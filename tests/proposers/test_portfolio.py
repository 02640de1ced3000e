"""Several proposers as one: who is asked, what is learned of them, and that a resume asks the same."""

from __future__ import annotations

import pickle
import random
from dataclasses import replace
from itertools import pairwise
from statistics import fmean

import pytest
from helpers.arms import Stub, begin, played

from llm_optimize import optimize
from llm_optimize.core.arms import Arm
from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.metering import Scope, entered
from llm_optimize.core.types import Candidate, Evaluation, Problem, Usage
from llm_optimize.errors import BadInput
from llm_optimize.llm.exchanges import exchange_names
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.proposers.bandit import Bandit, Weights, costs
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.forecast import chat_of, chats_of
from llm_optimize.proposers.mixing import Hybrid
from llm_optimize.proposers.numeric import NumericProposer
from llm_optimize.proposers.portfolio import Portfolio, compared
from llm_optimize.stores.sqlite import SQLiteStore
from llm_optimize.testing.proposer_contract import ProposerContract

START = "a = 2.0  # tune: a=0..10"


def number(request):
    """Answer with another number at each step, as a model would that reads how far the chat has come."""
    return (
        f"Why.\n```\na = {len(request.messages) / 7 + len(str(request.messages)) % 89 / 91:.6f}  # tune: a=0..10\n```"
    )


class TestPortfolio(ProposerContract):
    """A portfolio of a chat and an engine passes the suite of all proposers."""

    scale = (1_000,)  # see test_proposer_contract for 100,000

    @pytest.fixture
    def proposer(self):
        return Portfolio({"chat": ChatProposer(ScriptedModel(number)), "engine": NumericProposer(engine="random")})


class TestNested(ProposerContract):
    """So does a portfolio with a hybrid and a portfolio in it."""

    scale = (1_000,)  # see test_proposer_contract for 100,000

    @pytest.fixture
    def proposer(self):
        chat = ChatProposer(ScriptedModel(number))
        inner = Portfolio({"random": NumericProposer(engine="random"), "chat": chat}, Weights({"random": 1, "chat": 2}))
        return Portfolio({"hybrid": Hybrid(chat, NumericProposer(engine="random")), "inner": inner})


def simulate(policy, arms, steps, seed):
    """Play arms of a stated chance of improvement and price; return how often each was asked."""
    rng = random.Random(f"outcomes {seed}")
    history = begin(seed)
    portfolio = Portfolio({name: Stub() for name in arms}, policy)
    for slot in range(steps):
        name = portfolio.propose(history.assuming(0, slot), 1).arm
        chance, price = arms[name]
        step = rng.expovariate(1.0)
        score = history.best.score + (step if rng.random() < chance else -step)
        history = played(history, name, score, Usage(calls=1, tokens_in=int(1000 * price), dollars=price))
    return {name: arm.proposals for name, arm in history.arms.items()}, history


@pytest.mark.parametrize(
    ("arms", "better", "least"),
    [
        ({"good": (0.2, 1.0), "poor": (0.05, 1.0)}, "good", 0.7),
        ({"dear": (0.2, 10.0), "cheap": (0.1, 1.0)}, "cheap", 0.8),
        ({"dear": (0.4, 2.0), "cheap": (0.1, 1.0)}, "dear", 0.6),
        ({"a": (0.02, 1.0), "b": (0.02, 1.0), "c": (0.15, 1.0), "d": (0.05, 1.0)}, "c", 0.4),
    ],
    ids=["chance", "price", "worth its price", "four"],
)
def test_the_arm_with_the_most_improvement_per_dollar_is_asked_most(arms, better, least):
    """Over ten seeds of 250 proposals, the better arm gets most of them, and no other is given up."""
    shares = [simulate(Bandit(), arms, 250, seed)[0] for seed in range(10)]
    means = {name: fmean(share[name] for share in shares) / 250 for name in arms}
    print(means)  # noqa: T201 - the figures
    assert max(means, key=means.get) == better
    assert means[better] > least
    assert all(min(share[name] for share in shares) >= 3 for name in arms)


def test_price_does_not_count_where_thrift_is_zero():
    """Without thrift the arm that improves most is asked most, whatever it costs."""
    shares = [
        simulate(Bandit(thrift=0.0), {"dear": (0.3, 9.0), "cheap": (0.03, 1.0)}, 150, seed)[0] for seed in range(6)
    ]
    assert fmean(share["dear"] for share in shares) > 90


def test_an_arm_that_brought_nothing_is_tried_again():
    """After 300 plays without any gain an arm is asked still, in each 100 of them at least once."""
    history = begin()
    portfolio = Portfolio({"good": Stub(), "bad": Stub()}, Bandit())
    asked = []
    for slot in range(300):
        name = portfolio.order(history.assuming(0, slot))[0]
        asked.append(name)
        history = played(history, name, history.best.score + (1.0 if name == "good" and slot % 4 == 0 else -1.0))
    assert asked.count("good") > 180
    assert all("bad" in asked[low : low + 100] for low in (0, 100, 200))


@pytest.mark.parametrize("policy", [Bandit(), Weights(), Weights(by="cost")], ids=["bandit", "weights", "cost"])
def test_every_arm_is_asked_once_before_one_is_asked_twice(policy):
    """The first proposals go to different arms, also when they are made at the same time."""
    arms = {name: Stub() for name in "abcd"}
    history = begin(seed=5)
    in_flight = [Portfolio(arms, policy).order(history.assuming(0, slot))[0] for slot in range(4)]
    assert sorted(in_flight) == list("abcd")
    one_by_one = []
    for slot in range(4):
        one_by_one.append(Portfolio(arms, policy).order(history.assuming(0, slot))[0])
        history = played(history, one_by_one[-1], -1.0)
    assert sorted(one_by_one) == list("abcd")


def test_weights_are_kept_to_within_a_proposal():
    """After any number of proposals each arm has had its share, rounded; also four at a time."""
    portfolio = Portfolio({"a": Stub(), "b": Stub(), "c": Stub()}, Weights({"a": 5, "b": 3, "c": 2}))
    for flying in (1, 4):
        history, waiting = begin(), []
        for slot in range(100):
            waiting.append((slot, portfolio.order(history.assuming(0, slot))[0]))
            if len(waiting) == flying:
                done, name = waiting.pop(0)
                history = history.after(Proposed((Candidate(history.next_id, f"{done}"),), slot=done, arm=name))
        counts = [history.arms[name].proposals for name in "abc"]
        assert counts == pytest.approx([50, 30, 20], abs=flying)


def test_shares_of_the_cost_are_equal():
    """Two arms of which one costs three times as much spend the same, to within a proposal."""
    history, portfolio = begin(), Portfolio({"dear": Stub(), "cheap": Stub()}, Weights(by="cost"))
    for slot in range(80):
        name = portfolio.order(history.assuming(0, slot))[0]
        history = played(history, name, -1.0, Usage(calls=1, tokens_in=300 if name == "dear" else 100))
    assert history.arms["dear"].usage.tokens == pytest.approx(history.arms["cheap"].usage.tokens, abs=400)


def test_prices_are_of_a_candidate_in_dollars_else_tokens_else_calls():
    """The unit is the best that is known; what is free counts as a tenth of what is usual."""
    dollars = Arm(proposals=2, candidates=2, usage=Usage(calls=2, tokens_in=5, dollars=3.0))
    tokens = Arm(proposals=1, candidates=2, usage=Usage(calls=1, tokens_in=800))
    free = Arm(proposals=4, candidates=4)
    assert costs({"a": dollars, "b": free}) == {"a": 2.0, "b": 0.1}
    assert costs({"a": dollars, "new": Arm()}) == {"a": 1.0, "new": 1.0}
    assert costs({"a": tokens, "b": Arm(proposals=1, candidates=1, usage=Usage(tokens_in=1200))}) == {
        "a": 0.5,
        "b": 1.5,
    }
    assert costs({"a": Arm(proposals=1, candidates=1, usage=Usage(calls=3)), "b": free})["a"] == 2.0
    assert costs({"a": free, "b": Arm()}) == {"a": 1.0, "b": 1.0}
    judged = Arm(proposals=1, candidates=1, scoring=Usage(dollars=1.0))
    assert costs({"a": judged, "b": judged}) == {"a": 1.0, "b": 1.0}


def test_an_arm_that_has_nothing_and_spent_nothing_passes_the_turn():
    """Another arm answers in the same proposal, and the note says of whom there was nothing."""
    portfolio = Portfolio({"engine": Stub(empty=True), "chat": Stub()}, Weights({"engine": 100, "chat": 1}))
    for slot in range(3):
        proposal = portfolio.propose(begin().assuming(0, slot), 1)
        assert (proposal.arm, len(proposal.drafts)) == ("chat", 1)
    nobody = Portfolio({"a": Stub(empty=True), "b": Stub(empty=True)}).propose(begin(), 1)
    assert not nobody.drafts
    assert sorted(nobody.note.split("; ")) == ["a: nothing new", "b: nothing new"]


def test_an_arm_that_spent_and_brought_nothing_is_not_asked_again_at_once():
    """An empty proposal that was paid is the arm's; the next goes to another arm, so the study does not end by it."""
    portfolio = Portfolio({"mute": Stub(empty=True, price=Usage(calls=1)), "b": Stub()}, Weights({"mute": 9, "b": 1}))
    history, asked = begin(), []
    for slot in range(12):
        proposal = portfolio.propose(history.assuming(0, slot), 1)
        asked.append(proposal.arm)
        drafts = [Candidate(history.next_id, draft.text) for draft in proposal.drafts]
        history = history.after(Proposed(tuple(drafts), proposal.usage, slot, proposal.note, arm=proposal.arm))
    assert all({one, other} != {"mute"} for one, other in pairwise(asked))
    assert asked.count("mute") >= 5


def test_arms_of_arms_are_named_by_a_path_and_know_their_own_past():
    """The inner portfolio sees its own arms, by its own names; the log holds the whole path."""
    leaf = Stub()
    portfolio = Portfolio({"outer": Portfolio({"x": leaf, "y": leaf}, Weights())}, Weights())
    history = begin()
    for slot in range(6):
        proposal = portfolio.propose(history.assuming(0, slot), 1)
        history = played(history, proposal.arm, float(slot))
    assert {name: arm.proposals for name, arm in history.arms.items()} == {"outer": 6, "outer/x": 3, "outer/y": 3}


def test_a_fresh_portfolio_asks_the_same_at_every_step_of_a_log(tmp_path):
    """With each prefix of a log read from disk, a portfolio made anew chooses as the one that made the run."""
    arms = {"good": (0.2, 1.0), "poor": (0.05, 1.0), "dear": (0.3, 5.0)}
    shares, history = simulate(Bandit(), arms, 60, seed=3)
    assert sum(shares.values()) == 60
    events = [
        Opened(Problem("task", start="x"), 3),
        Proposed((Candidate(0, "x", origin="start"),)),
        Told(0, Evaluation(0.0)),
    ]
    known = {trial.id: trial for trial in history.trials}
    for slot in range(60):
        arm, trial = history.arm(slot + 1), known[slot + 1]
        price = arms[arm][1]
        usage = Usage(calls=1, tokens_in=int(1000 * price), dollars=price)
        events += [Proposed((trial.candidate,), usage, slot, arm=arm), Told(trial.id, trial.outcome)]
    store = SQLiteStore(tmp_path / "log.db")
    folded, said = History.empty(), 0
    for event in events:
        store.append("study", event)
    for _, event in store.read("study"):
        if isinstance(event, Proposed) and event.arm:
            fresh = pickle.loads(pickle.dumps(Portfolio({name: Stub() for name in arms}, Bandit())))
            assert fresh.order(folded.assuming(0, event.slot))[0] == event.arm
            said += 1
        folded = folded.after(event)
    assert said == 60
    assert folded.arms == history.arms


def test_what_a_choice_looks_at_does_not_grow():
    """A choice looks at no trial: after any number of them it depends on the arms' bounded records alone."""
    _, history = simulate(Bandit(), {"a": (0.1, 1.0), "b": (0.1, 1.0)}, 200, seed=1)
    portfolio = Portfolio({"a": Stub(), "b": Stub()})

    class Blind(History):
        @property
        def trials(self):
            msg = "a trial was looked at"
            raise AssertionError(msg)

    blind = Blind(**{name: getattr(history, name) for name in history.__slots__})
    assert portfolio.order(blind) == portfolio.order(history)
    assert max(len(arm.plays) for arm in history.arms.values()) <= 64


def test_a_run_with_a_portfolio_learns_from_what_its_arms_brought():
    """By the front door, three at a time: all arms are asked, the log says who made what, and each has its line."""
    model = ScriptedModel(number)
    portfolio = Portfolio({"chat": ChatProposer(model), "engine": NumericProposer()})
    result = optimize.run(
        "task", "q", lambda text: -abs(float(text.split()[2]) - 7.3), START, max_steps=24, proposer=portfolio,
        parallel=3, store=None, verbose=False,
    )  # fmt: skip
    arms = result.history.arms
    assert set(arms) == {"chat", "engine"}
    assert sum(arm.played for arm in arms.values()) == 24
    assert arms["chat"].usage.calls == len(model.requests)
    assert result.best.score > -0.5
    assert {line.partition(":")[0] for line in compared(result.history)} == {"chat", "engine"}


def test_a_killed_run_goes_on_with_what_it_knew(tmp_path):
    """A study stopped half-way and resumed by a new portfolio has the candidates of one that was never stopped."""

    def go(store, steps):
        chat = ChatProposer(ScriptedModel(number))
        portfolio = Portfolio({"chat": chat, "engine": NumericProposer(engine="random")})
        scorer = lambda text: -abs(float(text.split()[2]) - 7.3)  # noqa: E731 - the shortest
        return optimize.run("t", "q", scorer, START, steps, proposer=portfolio, store=store, study="s", verbose=False)

    go(tmp_path / "two.db", 9)
    resumed, whole = go(tmp_path / "two.db", 20), go(tmp_path / "one.db", 20)
    assert [trial.text for trial in resumed.history.trials] == [trial.text for trial in whole.history.trials]
    told = [{name: (arm.told, arm.gain) for name, arm in one.history.arms.items()} for one in (resumed, whole)]
    assert told[0] == told[1]


def test_a_proposal_begun_before_a_kill_asks_the_same_arm(tmp_path):
    """A resume that knows more, and would choose another arm, asks the one that was asked, whose replies are paid."""
    for nested in (False, True):
        store = SQLiteStore(tmp_path / f"{nested}.db")
        arms = {name: Stub() for name in "abc"}
        portfolio = Portfolio(arms, Weights())
        portfolio = Portfolio({"outer": portfolio, "other": portfolio}, Weights()) if nested else portfolio
        with entered(Scope("study", "proposal/0", replies=store)):
            begun = portfolio.propose(begin(), 1).arm
        later = begin()
        for _ in range(5):  # more is known by now, and it speaks for the others
            later = played(later, begun, -1.0)
        later = later.assuming(0, 0)
        with entered(Scope("study", "proposal/0", replies=store)):
            assert portfolio.propose(later, 1).arm == begun
        with entered(Scope("study", "proposal/1", replies=store)):
            assert portfolio.propose(later, 1).arm != begun
        assert exchange_names(store, "study") == []


def test_all_chats_of_a_portfolio_are_found():
    """Every model that may be asked is checked before a run, however deep its proposer is."""
    one, two, three = (ChatProposer(ScriptedModel([], name=name)) for name in "abc")
    mixed = Portfolio({"x": Hybrid(one), "y": Portfolio({"z": two, "n": NumericProposer()}), "w": three})
    assert chats_of(mixed) == [one, two, three]
    assert chat_of(mixed) is one
    assert chat_of(Hybrid(None)) is None
    small = Portfolio({"one": one, "two": replace(two, allowance=10)})
    with pytest.raises(BadInput, match="allowance"):
        optimize.run("a task of many words", "q", len, "x0", proposer=small, store=None, verbose=False)


@pytest.mark.parametrize(
    ("make", "field_name"),
    [
        (lambda: Portfolio({}), "arms"),
        (lambda: Portfolio({"a/b": Stub()}), "arms"),
        (lambda: Portfolio({"": Stub()}), "arms"),
        (lambda: Portfolio({"a": 3}), "arms"),
        (lambda: Portfolio({"a": Stub}), "arms"),
        (lambda: Portfolio({"a": Stub()}, Weights({"b": 1})), "shares"),
        (lambda: Weights({"a": 0}), "shares"),
        (lambda: Weights({"a": float("nan")}), "shares"),
        (lambda: Weights(by="luck"), "by"),
        (lambda: Bandit(discount=1.5), "discount"),
        (lambda: Bandit(explore=-0.1), "explore"),
        (lambda: Bandit(thrift="much"), "thrift"),
    ],
)
def test_what_cannot_work_is_refused_at_once(make, field_name):
    """A bad setting is named in one line before anything is spent."""
    with pytest.raises(BadInput, match=field_name) as caught:
        make()
    assert "\n" not in str(caught.value)
