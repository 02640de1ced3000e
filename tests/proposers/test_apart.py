"""Arms that are kept apart, as if each were alone: what they see, and a baseline beside a search."""

from __future__ import annotations

import pickle
import random

from helpers.arms import Stub, begin, played

from llm_optimize import optimize
from llm_optimize.core.events import Guided, Proposed, Retold, Told
from llm_optimize.core.types import Evaluation
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.proposers.apart import OwnPast
from llm_optimize.proposers.bandit import Weights
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.forecast import chat_of
from llm_optimize.proposers.portfolio import Portfolio, beside

START = "a = 2.0"


def test_arms_kept_apart_see_their_own_past_alone():
    """Each is shown what it made and what no arm made, as if it had been alone; at each step, also by a fresh one."""
    rng = random.Random(7)
    history, alone = begin(), {name: begin() for name in "ab"}
    used = Portfolio({"a": Stub(), "b": Stub()}, Weights(), apart=True)
    for slot in range(150):
        name, score = rng.choice("ab"), rng.gauss(0.0, 5.0)
        history = played(history, name, score)
        trial = history.trials[-1]
        own = alone[name].after(Proposed((trial.candidate,), slot=slot)).after(Told(trial.id, trial.outcome))
        alone[name] = own
        for portfolio in (used, pickle.loads(pickle.dumps(used))):
            arm = portfolio.order(history)[0]
            portfolio.propose(history, 1)
            seen = portfolio.arms[arm].seen[-1]
            assert list(seen.trials) == list(alone[arm].trials)
            assert (seen.best, seen.stale, seen.top(9)) == (alone[arm].best, alone[arm].stale, alone[arm].top(9))
            assert (seen.next_id, seen.seed, seen.slot) == (history.next_id, history.seed, history.slot)


def test_an_earlier_past_and_repeated_scores_are_seen_rightly():
    """One object asked about a long past, then a short one, then one with re-tests answers as a fresh one would."""
    history = begin()
    for number in range(200):
        history = played(history, "ab"[number % 2], float(number % 17))
    early = history.as_of(3)
    again = history.after(Retold(1, Evaluation(90.0)))
    used = OwnPast("a")
    rejected = again.after(Guided("no", act="reject", candidate_id=1))
    for known in (history, early, history.as_of(190), again, rejected, again, history):
        fresh, seen = OwnPast("a").of(known), used.of(known)
        assert [(trial.id, trial.score) for trial in seen.trials] == [(one.id, one.score) for one in fresh.trials]
        assert seen.best == fresh.best
    assert used.of(again).trials[1].score == again.trial(1).score == 45.0


def test_pending_candidates_of_others_and_guidance():
    """What is under evaluation is seen by the arm that made it; guidance by all, with the step at which it came."""
    history = played(played(begin(), "a", 1.0), "b", 2.0).after(Guided("Be brief."))
    history = played(played(history, "a"), "b")
    seen = OwnPast("b").of(history)
    assert [one.id for one in seen.pending] == [4]
    assert (seen.seen(history.trial(1).text), seen.trial(1)) == (1, None)
    assert (seen.guidance, seen.guided) == (("Be brief.",), (2,))


def test_each_trial_is_looked_at_once():
    """Following a history costs the new trials only."""
    history, own = begin(), OwnPast("a")
    looked = []

    class Counted(OwnPast):
        def _is_mine(self, known, candidate_id):
            looked.append(candidate_id)
            return super()._is_mine(known, candidate_id)

    own = Counted("a")
    for number in range(100):
        history = played(history, "ab"[number % 2], 1.0)
        own.of(history)
    assert looked == list(range(101))


def test_a_baseline_beside_a_search_spends_the_same():
    """Both take turns by what they cost, and each has a line of its own."""
    model = ScriptedModel(lambda _: f"Why.\n```\na = {len(model.requests) / 7}\n```")
    proposer = beside(ChatProposer(model), ChatProposer(model))
    assert chat_of(proposer) is not None
    result = optimize.run(
        "t", "q", lambda text: float(text.split()[2]), START, 16, proposer=proposer, store=None, verbose=False
    )
    spent = [result.history.arms[name].usage.tokens for name in ("search", "baseline")]
    assert max(spent) - min(spent) <= 2 * max(request_tokens(result, name) for name in ("search", "baseline"))


def request_tokens(result, name):
    """Return what a proposal of an arm has cost on average."""
    arm = result.history.arms[name]
    return arm.usage.tokens / arm.proposals
