"""What each arm of a mixed proposer brought, folded from the log."""

from __future__ import annotations

import json

import pytest

from llm_optimize.core.arms import Arm, gain, joined
from llm_optimize.core.deciding import within
from llm_optimize.core.events import Opened, Proposed, Retold, Told, dump, load
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem, Trial, Usage
from llm_optimize.stores.memory import MemoryStore
from llm_optimize.stores.sqlite import SQLiteStore

PAID = Usage(calls=1, tokens_in=100, dollars=0.5)
SCORED = Usage(calls=2, tokens_out=7)


def log():
    """Return the events of a study with two arms, one of them with arms of its own, and a candidate given by hand."""
    return [
        Opened(Problem("task", start="x"), seed=4),
        Proposed((Candidate(0, "x", origin="start"),)),
        Told(0, Evaluation(1.0)),
        Proposed((Candidate(1, "a"), Candidate(2, "b")), PAID, 0, arm="chat/edits"),
        Told(1, Evaluation(2.0, usage=SCORED)),
        Proposed((), PAID, 2, "refused", arm="chat/full"),
        Proposed((Candidate(3, "c"),), Usage(), 1, arm="engine"),
        Told(2, Failure("raised", "no")),
        Told(3, Evaluation(1.5)),
        Retold(3, Evaluation(9.0)),
        Proposed((Candidate(4, "by hand"),)),
        Told(4, Evaluation(20.0)),
    ]


def folded(events):
    history = History.empty()
    for event in events:
        history = history.after(event)
    return history


def test_each_arm_has_what_it_brought_and_what_it_cost():
    """Proposals, outcomes and prices are counted for the arm that made the candidate, and for those above it."""
    arms = folded(log()).arms
    assert list(arms) == ["chat", "chat/edits", "chat/full", "engine"]
    chat, edits, full, engine = arms.values()
    assert (chat.proposals, chat.candidates, chat.told, chat.failures, chat.empty, chat.improvements) == (
        2,
        2,
        2,
        1,
        1,
        1,
    )
    assert (edits.proposals, edits.told, edits.empty, edits.best) == (1, 2, 0, 2.0)
    assert (full.proposals, full.told, full.empty, full.barren, full.best) == (1, 0, 1, 1, None)
    assert (engine.told, engine.improvements, engine.gain, engine.cost) == (1, 0, 0.0, Usage())
    assert chat.usage == PAID + PAID
    assert chat.scoring == edits.scoring == SCORED
    assert chat.cost == chat.usage + SCORED


def test_plays_are_numbered_among_the_arms_beside_them():
    """The count beside each play is that of the arms on the same level, so an arm of an arm has a clock of its own."""
    arms = folded(log()).arms
    assert [tick for tick, _ in arms["chat"].plays] == [1, 2, 3]
    assert [tick for tick, _ in arms["engine"].plays] == [4]
    assert [tick for tick, _ in arms["chat/edits"].plays] == [1, 3]
    assert [tick for tick, _ in arms["chat/full"].plays] == [2]


def test_a_candidate_evaluated_again_counts_once():
    """A repeated evaluation changes no arm: neither its plays nor its gain."""
    events = log()
    once = [event for event in events if not isinstance(event, Retold)]
    assert folded(events).arms == folded(once).arms


def test_a_history_names_the_arm_of_each_candidate():
    """Candidates know their arm while they are pending and afterwards; x0 and those given by hand have none."""
    history = folded(log())
    assert [history.arm(number) for number in range(6)] == ["", "chat/edits", "chat/edits", "engine", "", ""]
    assert folded(log()[:4]).arm(2) == "chat/edits"
    assert folded(log()[:4]).arm(3) == ""


def test_an_earlier_history_knows_nothing_of_a_later_one():
    """Histories that grow apart from one past keep their own arms."""
    early = folded(log()[:6])
    one = early.after(Proposed((Candidate(3, "c"),), slot=1, arm="engine"))
    other = early.after(Proposed((Candidate(3, "d"),), slot=1, arm="chat/full"))
    assert (one.arm(3), other.arm(3), early.arm(3)) == ("engine", "chat/full", "")


@pytest.mark.parametrize("cut", range(1, 13))
def test_the_log_read_back_folds_to_the_same_arms(tmp_path, cut):
    """After each event, a log written to a store and read again gives the same arms."""
    for store in (MemoryStore(), SQLiteStore(tmp_path / f"{cut}.db")):
        for event in log()[:cut]:
            store.append("study", event)
        assert folded(event for _, event in store.read("study")).arms == folded(log()[:cut]).arms


def test_logs_without_arms_are_as_they_were():
    """A proposal without an arm is written as before, and one from an old log is read without one."""
    plain = Proposed((Candidate(0, "x"),), slot=3)
    kind, body = dump(plain)
    assert "arm" not in json.loads(body)
    assert load(kind, body) == plain
    assert load(*dump(log()[3])) == log()[3]
    assert folded([log()[0], plain]).arms == {}


def test_an_arms_own_arms_are_seen_from_within():
    """Within an arm the history shows the arms of that arm, and is otherwise the same."""
    history = folded(log())
    inner = within(history, "chat")
    assert dict(inner.arms) == {"edits": history.arms["chat/edits"], "full": history.arms["chat/full"]}
    assert inner.best == history.best
    assert not within(history, "engine").arms
    assert (joined("a", "b"), joined("a", "")) == ("a/b", "a")


def trials(*scores):
    return [Trial(Candidate(i, str(i)), Evaluation(score)) for i, score in enumerate(scores)]


def test_gain_does_not_depend_on_the_scale():
    """Scores in other units, or counted from elsewhere, give the same gain; it is 0 to 1 and grows with the step."""
    for scale, shift in ((1.0, 0.0), (1e-6, 3.0), (1e9, -1e9)):
        top = trials(*(scale * score + shift for score in (3.0, 2.0, 1.0)))
        gains = [gain(top, Evaluation(scale * score + shift)) for score in (3.0, 3.5, 5.0, 100.0)]
        assert gains == pytest.approx([0.0, 0.2, 0.5, 97 / 99], rel=1e-6)


def test_gain_of_what_is_no_improvement():
    """A failure and a lower score gain nothing, the first score at all everything, a step from a tie as well."""
    assert gain(trials(3.0), Failure("raised", "no")) == 0.0
    assert gain(trials(3.0), Evaluation(2.0)) == 0.0
    assert gain([], Evaluation(-5.0)) == 1.0
    assert gain(trials(3.0, 3.0), Evaluation(3.1)) == 1.0
    assert gain(trials(1e308, -1e308), Evaluation(1.5e308)) == pytest.approx(0.2)


def test_what_is_remembered_is_bounded():
    """However long a study, an arm remembers its latest plays only, and counts them all."""
    arm = Arm()
    for tick in range(1, 1001):
        arm = arm.scored(Evaluation(1.0), 0.5, tick, improved=True)
    assert (arm.told, arm.gain, len(arm.plays), arm.plays[-1]) == (1000, 500.0, 64, (1000, 0.5))
