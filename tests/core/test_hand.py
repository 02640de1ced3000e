"""Decisions by hand: reject, pin, accept, inject; in this process, from another, and in a replayed order."""

from __future__ import annotations

import pytest

from llm_optimize.core.events import Guided, Opened, Proposed, Retold, Told, dump, load
from llm_optimize.core.hand import said
from llm_optimize.core.history import History
from llm_optimize.core.order import Order
from llm_optimize.core.stopping import MaxSteps
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem
from llm_optimize.errors import BadInput
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.proposers.chat import ChatProposer

ACTS = [
    Guided("shorter", 1.0),
    Guided("too long", 2.0, "reject", 3),
    Guided("", 3.0, "pin", 0),
    Guided("", 4.0, "unpin"),
    Guided("", 5.0, "accept", 2),
    Guided("a text", 6.0, "inject"),
]


def told(*scores):
    """A history of candidates with these scores, None for a failure."""
    history = History.empty().after(Opened(Problem("t", start="x0"), at=1.0))
    for number, score in enumerate(scores):
        outcome = Failure("raised", "no") if score is None else Evaluation(score)
        history = history.after(Proposed((Candidate(number, f"x{number}"),), slot=number)).after(Told(number, outcome))
    return history


@pytest.mark.parametrize("event", ACTS, ids=lambda event: event.act)
def test_a_decision_survives_the_log(event):
    """Dumped and loaded it is the same; plain guidance is written as it always was."""
    kind, body = dump(event)
    assert load(kind, body) == event
    assert ("act" in body) == (event.act != "say")
    assert said(event)


def test_a_rejected_candidate_counts_as_failed():
    """It is no best, not among the top, and its feedback is the reason; the next best takes its place."""
    history = told(1.0, 5.0, 3.0).after(Guided("cheats", act="reject", candidate_id=1))
    assert history.best.id == 2
    assert [trial.id for trial in history.top(5)] == [2, 0]
    assert "cheats" in history.trial(1).feedback
    assert history.trial(1).score is None
    assert (history.evaluations, history.retests) == (3, 0)


def test_a_candidate_may_be_rejected_before_its_score_is_there():
    """What comes for it later counts as a failure."""
    history = told(1.0).after(Proposed((Candidate(1, "y"),), slot=7))
    history = history.after(Guided("no", act="reject", candidate_id=1)).after(Told(1, Evaluation(9.0)))
    assert history.best.id == 0
    assert history.trial(1).outcome.kind == "rejected"


def test_what_was_rejected_before_its_outcome_came_is_no_change():
    """It is told as a failure; nothing that was told is changed, and re-tests are counted rightly."""
    history = told(1.0).after(Proposed((Candidate(1, "late"),), slot=5))
    history = history.after(Guided("no", act="reject", candidate_id=1)).after(Told(1, Evaluation(9.0)))
    assert history.trial(1).outcome.kind == "rejected"
    assert (history.retests, history.revisions, history.trials.overruled) == (0, 0, ())
    history = history.after(Guided("no", act="reject", candidate_id=0))
    assert (history.retests, history.revisions, history.trials.overruled) == (0, 1, (0,))
    assert history.as_of(1).trials.overruled == ()


def test_rejecting_what_was_accepted_takes_that_back():
    """Then the best is the best of the others, also if the rejected one is scored afresh."""
    history = (
        told(1.0, 5.0).after(Guided("", act="accept", candidate_id=0)).after(Guided("no", act="reject", candidate_id=0))
    )
    assert (history.hand.accepted, history.best.id) == (None, 1)
    assert history.after(Retold(0, Evaluation(9.0), part="fresh")).best.id == 1


def test_among_many_a_rejected_leader_is_gone():
    """With more trials than are kept sorted the best of the others is found all the same."""
    history = told(*map(float, range(200)))
    for number in range(199, 120, -1):
        history = history.after(Guided("", act="reject", candidate_id=number))
    assert history.best.id == 120
    assert [trial.id for trial in history.top(64)] == list(range(120, 56, -1))


def test_an_accepted_candidate_is_the_best_until_the_study_is_opened_again():
    """A better score that arrives late does not replace it; a resume goes back to the scores."""
    history = told(1.0, 5.0, 3.0).after(Guided("", act="accept", candidate_id=2))
    assert history.best.id == 2
    history = history.after(Proposed((Candidate(3, "late"),), slot=9)).after(Told(3, Evaluation(99.0)))
    assert history.best.id == 2
    assert history.after(Opened(Problem("t", start="x0"), at=2.0)).best.id == 3


def test_accepting_ends_a_run_with_that_candidate(study):
    """The reason says so; nothing more is proposed."""
    one = study(len, stop=MaxSteps(50))
    one.ask(1)
    one.tell(0, 1.0)
    (first,) = one.ask(1)
    one.tell(first, 0.5)
    one.accept(first)
    ending = one.run()
    assert ending.reason == "accepted by hand: candidate #1"
    assert one.last.best.id == 1
    assert one.run().reason == "max_steps: 50 steps are done"  # opened anew


def test_a_decision_in_mid_run_is_heeded(study):
    """Accepted while it runs, the study ends there; the result is the accepted one."""
    one = study(lambda text: float(len(text)), stop=MaxSteps(50))

    def watch(event):
        if isinstance(event, Told) and event.candidate_id == 3:
            one._journal.store.append(one.name, Guided("", act="accept", candidate_id=1))

    one.watch(watch)
    ending = one.run()
    assert ending.reason == "accepted by hand: candidate #1"
    assert (one.last.best.id, len(one.last.trials)) == (1, 4)


def test_an_injected_candidate_is_evaluated_next(study):
    """It gets an id and the origin human, is scored before the next proposal, and counts as a step."""
    one = study(lambda text: float(len(text)), stop=MaxSteps(2))
    one.inject("a much longer text that a person wrote")
    one.run()
    assert [trial.candidate.origin for trial in one.last.trials][:2] == ["start", "human"]
    assert one.last.best.candidate.origin == "human"
    assert len(one.last.trials) == 3


def test_ask_hands_out_what_was_injected(study):
    """A loop of the user's own gets it too."""
    one = study(len)
    one.tell(one.ask(1)[0], 1.0)
    one.inject("by hand")
    assert one.ask(1)[0].text == "by hand"


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda one: one.accept(7), "candidate 7 is unknown"),
        (lambda one: one.pin(1), "candidate #1 failed, so it cannot be pinned"),
        (lambda one: one.accept(2), "candidate #2 has no score yet, so it cannot be accepted"),
        (lambda one: one.inject("x0"), "this text is candidate #0 already"),
        (lambda one: one.inject(" "), "the candidate is empty"),
        (lambda one: one.guide(" "), "guidance is empty"),
    ],
)
def test_what_cannot_be_is_refused(study, act, words):
    """One line that names the candidate and the remedy; nothing is logged."""
    one = study(len, problem=Problem("t", start="x0"))
    one.tell(one.ask(1)[0], 1.0)
    one.tell(one.ask(1)[0], float("nan"))
    one.ask(1)
    with pytest.raises(BadInput, match=words):
        act(one)
    assert one.history.hand.texts == ()


def test_a_rejected_candidate_cannot_come_back(study):
    """The message says how it can."""
    one = study(len)
    one.tell(one.ask(1)[0], 1.0)
    one.reject(0, "no")
    with pytest.raises(BadInput, match="was rejected: inject"):
        one.pin(0)


def test_the_model_builds_on_what_is_pinned():
    """The pinned attempt is the current x, whatever is best or latest; after unpin it is not."""
    history = told(1.0, 5.0, 3.0)
    chat = ChatProposer(ScriptedModel(["```\nnew\n```"]))
    assert "The current x is attempt #1" in chat.describe(history).messages[-1].content
    pinned = history.after(Guided("", act="pin", candidate_id=0))
    assert "The current x is attempt #0" in chat.describe(pinned).messages[-1].content
    assert chat.propose(pinned, 1).drafts[0].parent == 0
    assert "#0, the best" not in chat.describe(pinned.after(Guided("", act="unpin"))).messages[-1].content


def test_the_reason_of_a_rejection_reaches_the_model():
    """As the result of that attempt."""
    history = told(1.0, 5.0).after(Guided("it cheats", act="reject", candidate_id=1))
    chat = ChatProposer(ScriptedModel(["```\nnew\n```"]))
    assert "it cheats" in "".join(message.content for message in chat.describe(history).messages)


def test_a_replayed_order_holds_the_decisions():
    """The course carries them as text, so that a recording can be written, and gives them back."""
    order = Order.of(ACTS, {})
    assert all(isinstance(what, str) for _, what in order.course)
    back = [order.guidance_at(place) for place in range(len(ACTS))]
    assert [(one.text, one.act, one.candidate_id) for one in back] == [(e.text, e.act, e.candidate_id) for e in ACTS]
    assert order.guidance_at(len(ACTS)) is None
