"""What is asked for when a search stalls, and while nothing has a score yet."""

from __future__ import annotations

import pickle

import pytest

from llm_optimize import optimize
from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem
from llm_optimize.errors import BadInput
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.proposers.brief import Angle
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.escalation import RESTART, REWRITE, Escalation, escalation
from llm_optimize.proposers.repair import Repair
from llm_optimize.testing.proposer_contract import ProposerContract, answer


def past(*scores):
    """Return the history of a study with these scores, None for a failure."""
    history = History.empty().after(Opened(Problem("task", "What is better?", "x0")))
    for number, score in enumerate(scores):
        outcome = Failure("raised", f"ValueError: no {number}") if score is None else Evaluation(score)
        candidate = Candidate(number, f"x{number}", origin="" if number else "start")
        history = history.after(Proposed((candidate,), slot=number - 1)).after(Told(number, outcome))
    return history


def stalled(count):
    """Return the history of a study whose start was the last improvement, ``count`` trials ago."""
    return past(9.0, *[1.0] * count)


def counting():
    """Return a model whose answers are all different."""
    model = ScriptedModel(lambda _: f"Why.\n```\na = {len(model.requests) / 100}  # tune: a=0..10\n```")
    return model


class TestEscalating(ProposerContract):
    """A chat that escalates and repairs passes the suite of all proposers."""

    scale = (1_000,)  # see test_proposer_contract for 100,000

    @pytest.fixture
    def proposer(self):
        return ChatProposer(ScriptedModel(answer), escalation=Escalation(after=(1, 2)), repair=Repair(2))


def test_levels_follow_from_the_trials_since_the_last_improvement():
    """Nothing below the first threshold, then each level in turn, then from the beginning."""
    ladder = Escalation((REWRITE, RESTART), (3, 5))
    names = [level.name if (level := ladder.level(stalled(count))) else "" for count in range(15)]
    assert names == [*[""] * 3, *["rewrite"] * 2, *["restart"] * 2, *[""] * 3, *["rewrite"] * 2, *["restart"] * 2, ""]


def test_an_improvement_ends_it_at_once():
    """As soon as a trial is better than all before it, small steps are back."""
    ladder = Escalation(after=(2, 4))
    assert ladder.level(past(1.0, 0.0, 0.0, 0.0)) is REWRITE
    assert ladder.level(past(1.0, 0.0, 0.0, 0.0, 2.0)) is None


def test_nothing_is_escalated_while_nothing_has_a_score():
    """Failures alone are for repair, not for bigger steps."""
    assert Escalation(after=(1, 2)).level(past(None, None, None)) is None


def test_a_level_takes_the_place_of_the_angles():
    """Its instruction, settings and model are used; the origin names it; below the threshold the angles are."""
    usual, stronger = counting(), ScriptedModel(["Why.\n```\nnew\n```"], name="strong")
    ladder = Escalation((Angle("up", "Think hard.", {"temperature": 0.5}, model=stronger),), (4,))
    proposer = ChatProposer(usual, angles=(Angle("small", "Change one word."),), escalation=ladder)
    (draft,) = proposer.propose(stalled(3), 1).drafts
    assert draft.origin == "chat:scripted/small"
    assert "Change one word." in usual.requests[0].messages[-1].content
    (draft,) = proposer.propose(stalled(4), 1).drafts
    assert draft.origin == "chat:strong/up"
    assert "Think hard." in stronger.requests[0].messages[-1].content
    assert "Change one word." not in stronger.requests[0].messages[-1].content
    assert stronger.requests[0].settings == {"temperature": 0.5}


def test_the_usual_ladder_ends_with_the_stronger_model():
    """Rewrite, restart, then the model that costs more; without one, the first two."""
    model = counting()
    ladder = escalation(model, patience=5)
    assert [level.name for level in ladder.levels] == ["rewrite", "restart", "stronger"]
    assert ladder.after == (5, 10, 15)
    assert ladder.level(stalled(16)).model is model
    assert [level.name for level in escalation().levels] == ["rewrite", "restart"]
    assert pickle.loads(pickle.dumps(escalation())) == escalation()


def test_a_stalled_run_escalates_and_falls_back():
    """In a run, proposals rise through the levels while nothing helps and return to small steps when one does."""
    model = counting()
    scores = iter([5.0, 1.0, 1.0, 1.0, 1.0, 1.0, 9.0, 1.0])
    result = optimize.run(
        "task", "q", lambda _: next(scores), "x0", 7, store=None, verbose=False,
        proposer=ChatProposer(model, escalation=Escalation(after=(2, 4))),
    )  # fmt: skip
    origins = [trial.candidate.origin.partition("/")[2] for trial in result.history.trials]
    assert origins == ["", "", "", "rewrite", "rewrite", "restart", "restart", ""]


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"after": (8,)}, "after"),
        ({"after": (8, 8)}, "after"),
        ({"after": (0, 8)}, "after"),
        ({"after": (2.5, 8)}, "after"),
        ({"levels": (), "after": ()}, "levels"),
        ({"levels": ("rewrite",), "after": (1,)}, "levels"),
    ],
)
def test_a_ladder_that_cannot_be_is_refused(settings, name):
    """Levels and thresholds are checked at once."""
    with pytest.raises(BadInput, match=f"escalation: {name}"):
        Escalation(**settings)


def test_a_chat_in_epochs_takes_no_level_with_a_parent():
    """The layout that keeps attempts in order refuses a level that would build on another one."""
    level = Angle("other", parent=object())
    with pytest.raises(BadInput, match="epochs"):
        ChatProposer(counting(), layout="epochs", escalation=Escalation((level,), (3,)))
    ChatProposer(counting(), layout="epochs", escalation=Escalation())


def asked(history, **settings):
    """Return the end of the prompt that is sent for this history."""
    return ChatProposer(counting(), **settings).describe(history).messages[-1].content


def test_while_nothing_is_valid_the_latest_failure_is_mended():
    """The latest failure is the current x, with its error, and the model is asked to mend that error."""
    for layout in ("window", "epochs"):
        said = asked(past(None, None), layout=layout)
        assert "mend" in said
        assert "ValueError: no 1" in said
        assert "x1" in said


def test_repairs_are_bounded_then_a_fresh_start_is_asked_for():
    """After so many repairs of one failure in a row the model is told to start afresh, once; then mending goes on."""
    words = ["afresh" if "afresh" in Repair(3).note(past(*[None] * count)) else "mend" for count in range(1, 10)]
    assert words == ["mend", "mend", "mend", "afresh", "mend", "mend", "mend", "afresh", "mend"]
    assert ["afresh" in Repair(1).note(past(*[None] * count)) for count in range(1, 5)] == [False, True, False, True]


def test_nothing_is_mended_before_the_first_and_after_the_first_valid_one():
    """Without trials and with a score the prompt is as it was; so it is with repair=None."""
    assert not Repair().note(past())
    assert not Repair().note(past(None, 1.0, None))
    assert "mend" not in asked(past(None, None), repair=None)
    assert "mend" not in asked(past(1.0, None))


def test_mending_takes_the_place_of_an_angle():
    """A draft that is to be a repair is not asked to be something else as well."""
    said = asked(past(None), angles=(Angle("bold", "Try something else."),))
    assert "mend" in said
    assert "Try something else." not in said


@pytest.mark.parametrize("depth", [0, True, "3", 1.5])
def test_a_depth_that_cannot_be_is_refused(depth):
    """The depth is a whole number, at least 1."""
    with pytest.raises(BadInput, match="repair: depth"):
        Repair(depth)
