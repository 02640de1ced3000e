"""Different ideas for drafts that are asked for together: who gets which, and what is said to the model."""

from __future__ import annotations

import pickle

import pytest

from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Problem
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.proposers.angles import DIVERSE_ANGLES, turn
from llm_optimize.proposers.brief import Angle
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.testing.proposer_contract import ProposerContract


def past(seed=0):
    """Return the history of a study whose start has a score."""
    history = History.empty().after(Opened(Problem("task", "What is better?", "x0"), seed))
    return history.after(Proposed((Candidate(0, "x0", origin="start"),))).after(Told(0, Evaluation(1.0)))


def fresh(request):
    """Answer with a number that nothing in the request has."""
    return f"Why.\n```\na = {len(str(request)) % 977 / 100 + 0.001 * len(request.settings)}  # tune: a=0..10\n```"


class TestDiverseAngles(ProposerContract):
    """A chat with the five angles passes the suite of all proposers."""

    scale = (1_000,)  # see test_proposer_contract for 100,000

    @pytest.fixture
    def proposer(self):
        return ChatProposer(ScriptedModel(fresh), angles=DIVERSE_ANGLES)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [2, 3, 5, 6])
def test_proposals_in_flight_together_have_different_angles(seed, count):
    """Any k - 1 proposals in a row get k - 1 different ones of k choices, and each k from the start of a round all."""
    choices = range(count)
    drawn = [turn(choices, past(seed).assuming(0, slot), 0) for slot in range(10 * count)]
    for start in range(9 * count):
        assert len(set(drawn[start : start + count - 1])) == count - 1
    for start in range(0, 9 * count, count):
        assert set(drawn[start : start + count]) == set(choices)


def test_drafts_of_one_proposal_continue_the_row():
    """With three drafts a proposal and two proposals in flight, six choices are all used once."""
    drawn = [turn(range(6), past().assuming(0, slot), draft, 3) for slot in range(2) for draft in range(3)]
    assert sorted(drawn) == list(range(6))


@pytest.mark.parametrize("stride", [2, 3, 4, 5])
def test_who_is_asked_for_every_second_proposal_only_meets_all_angles(stride):
    """A proposer that shares the slots of a study with others gets each of its angles all the same."""
    drawn = [turn(range(4), past().assuming(0, slot), 0) for slot in range(0, 40 * stride, stride)]
    assert all(7 <= drawn.count(choice) <= 13 for choice in range(4))


def test_the_order_is_the_seeds():
    """Another seed begins otherwise; the same one, the same."""
    rows = {tuple(turn(range(5), past(seed).assuming(0, slot), 0) for slot in range(5)) for seed in range(20)}
    assert len(rows) > 10
    assert len({tuple(turn(range(5), past(7).assuming(0, slot), 0) for slot in range(5)) for _ in range(3)}) == 1


def test_each_draft_is_asked_for_with_its_own_instruction():
    """The instruction and the temperature of its angle reach the request, and the origin names the angle."""
    model = ScriptedModel(lambda _: f"Why.\n```\nnew {len(model.requests)}\n```")
    proposer = ChatProposer(model, angles=DIVERSE_ANGLES, settings={"top_p": 0.9})
    drafts = proposer.propose(past(), 5).drafts
    assert sorted(draft.origin for draft in drafts) == sorted(f"chat:scripted/{one.name}" for one in DIVERSE_ANGLES)
    for draft, request in zip(drafts, model.requests, strict=True):
        angle = next(one for one in DIVERSE_ANGLES if draft.origin.endswith(one.name))
        assert angle.instruction in request.messages[-1].content
        assert request.settings == {"top_p": 0.9, **angle.settings}
        assert sum(one.instruction in request.messages[-1].content for one in DIVERSE_ANGLES) == 1


def test_an_angle_may_ask_another_model():
    """A draft goes to the model of its angle."""
    usual, other = (
        ScriptedModel(lambda request: "```\n" + str(len(str(request))) + "\n```", name=name) for name in "ab"
    )
    angles = (Angle("one"), Angle("two", "Be bold.", model=other))
    origins = [draft.origin for draft in ChatProposer(usual, angles=angles).propose(past(), 2).drafts]
    assert sorted(origins) == ["chat:a/one", "chat:b/two"]


def test_a_fresh_proposer_asks_the_same():
    """Two proposers of equal settings, one of them pickled, send the same prompts for the same history."""
    one, two = ScriptedModel(fresh), ScriptedModel(fresh)
    pickle.loads(pickle.dumps(DIVERSE_ANGLES))
    for slot in (0, 3, 17):
        for model in (one, two):
            ChatProposer(model, angles=DIVERSE_ANGLES).propose(past().assuming(0, slot), 2)
    assert one.requests == two.requests
