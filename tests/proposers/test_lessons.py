"""Feedback that outgrows the window becomes lessons: when, from what, at whose cost, and what a failure costs."""

from __future__ import annotations

import json
import pickle
import random
import re
from itertools import pairwise

import pytest

from llm_optimize.core.chat import Reply
from llm_optimize.core.events import Opened, Proposed, Told, dump, load
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Learned, Problem, Usage
from llm_optimize.errors import BadInput, BudgetExceeded, ContextTooLong, ModelRefused, ModelUnavailable
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.llm.tokens import TokenCounter
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.lessons import Lessons
from llm_optimize.proposers.mixing import Hybrid
from llm_optimize.testing.proposer_contract import ProposerContract, answer

PAID = Usage(calls=1, tokens_out=10)
FENCED = Reply("Hypothesis: why.\n```\nnew\n```", usage=PAID)
LISTED = Reply("Here they are:\n- Shorter is better (#2).\n* No loops.\n3. Ask   twice.\nGood luck!", usage=PAID)
LESSONS = ("Shorter is better (#2).", "No loops.", "Ask twice.")


def past(count, feedback="so so", lessons=None, pad=""):
    """Return a history with so many told trials, the next slot asked for, and what was learned."""
    history = History.empty().after(Opened(Problem("The task.", "What is better?", "x0"), seed=3))
    for number in range(count):
        text, idea, parent = f"x{number}{pad}", f"Hypothesis: {number}.{pad}", number - 1 if number else None
        candidate = Candidate(number, text, idea, "chat:m", parent)
        learned = lessons if number == count - 1 else None
        history = history.after(Proposed((candidate,), slot=number - 1, lessons=learned))
        history = history.after(Told(number, Evaluation(float(number), feedback)))
    return history.assuming(0, max(count - 1, 0))


def propose(replies, history, policy=None, **settings):
    """Return the proposal, and the requests that were sent for it."""
    model = ScriptedModel(replies)
    proposer = ChatProposer(model, lessons=policy or Lessons(every=4), **settings)
    return proposer.propose(history, 1), model.requests


def test_a_batch_is_summed_up_and_shown_at_once() -> None:
    """One call with all attempts of the batch; its lines are the lessons, in the same proposal's prompt and result."""
    proposal, (reflection, asked) = propose([LISTED, FENCED], past(4))
    assert proposal.lessons == Learned(4, LESSONS)
    assert (len(proposal.drafts), proposal.usage, proposal.note) == (1, PAID + PAID, "")
    assert (reflection.key, asked.key) == ("lessons-0-4", "ask-0")
    shown = reflection.messages[1].content
    for number in range(4):
        assert f"# Attempt #{number}\n" in shown
        assert f"```\nx{number}\n```" in shown
        assert f"score: {number} (higher is better)" in shown
    assert shown.count("so so") == 4
    assert "so the hypothesis held" in shown
    assert "Lessons so far" not in shown
    assert "The task." in reflection.messages[0].content
    assert "\n- Shorter is better (#2).\n- No loops.\n- Ask twice.\n" in asked.messages[-1].content


def test_lessons_of_the_log_are_shown_and_corrected() -> None:
    """Later prompts hold them; the next reflection sees them and may change them."""
    history = past(5, lessons=Learned(4, ("Old one.",)))
    _, (asked,) = propose([FENCED], history)
    assert "- Old one." in asked.messages[-1].content
    history = past(8, lessons=Learned(4, ("Old one.",)))
    proposal, (reflection, asked) = propose([LISTED, FENCED], history)
    assert proposal.lessons == Learned(8, LESSONS)
    assert reflection.key == "lessons-4-8"
    assert "# Lessons so far\n\n- Old one." in reflection.messages[1].content
    assert "Attempt #3" not in reflection.messages[1].content.replace("Built on attempt #3", "")
    assert "Old one." not in asked.messages[-1].content


def test_nothing_is_asked_without_need() -> None:
    """Off by default, and as long as no batch is complete."""
    model = ScriptedModel([FENCED])
    assert ChatProposer(model).propose(past(40), 1).lessons is None
    proposal, requests = propose([FENCED], past(3))
    assert (proposal.lessons, len(requests)) == (None, 1)


def test_long_feedback_is_a_batch_of_its_own() -> None:
    """Feedback of more than a quarter of the allowance is summed up however few attempts it is about."""
    policy = Lessons(every=16)
    assert [trial.id for trial in policy.due(past(3, "why? " * 1_000), 12_000).trials] == [0, 1, 2]
    assert policy.due(past(2, "why? " * 1_000), 12_000).trials == ()


def test_batches_are_the_same_at_every_later_moment() -> None:
    """What is learned from does not depend on when: a resumed proposal asks the same, whatever was told since."""
    policy = Lessons(every=4)
    for count in range(4, 17):
        batch = pickle.loads(pickle.dumps(policy)).due(past(count), 12_000)
        assert (batch.start, [trial.id for trial in batch.trials]) == (0, [0, 1, 2, 3])
    late = policy.due(past(1_003), 12_000)
    assert (late.start, late.end) == (988, 992), "a late start is not to pay for the whole past"


def test_of_proposals_at_the_same_time_few_reflect() -> None:
    """The one that all earlier ones are done before does, and about one in four of the others, by their slots alone."""
    history, policy = past(4), Lessons(every=4)
    due = [bool(policy.due(history.assuming(0, slot), 12_000).trials) for slot in range(3, 403)]
    assert due[0]
    assert 60 < sum(due[1:]) < 140


def test_a_batch_that_does_not_fit_is_mapped_and_reduced() -> None:
    """A few lessons from each chunk, then one list of all; no prompt is longer than the allowance."""
    history = past(16, "why? " * 30, Learned(0, ("Old one.",)), " word" * 300)
    policy, counter = Lessons(every=16), TokenCounter()
    proposal, requests = propose(
        lambda request: LISTED if request.key.startswith("lessons") else FENCED,
        history,
        policy,
        allowance=3_000,
        counter=counter,
    )
    *parts, merged, asked = requests
    batch = policy.due(history, 3_000)
    assert len(parts) > 1
    places = [tuple(map(int, re.fullmatch(r"lessons-(\d+)-(\d+)-part", part.key).groups())) for part in parts]
    assert places[0][0] == 0
    assert places[-1][1] == batch.end == proposal.lessons.upto
    assert all(one[1] == following[0] for one, following in pairwise(places))
    assert merged.key == f"lessons-0-{batch.end}-all"
    assert merged.messages[1].content.count("- No loops.") == len(parts)
    assert "Old one." in merged.messages[1].content
    assert "Old one." not in parts[0].messages[1].content
    assert asked.key == "ask-0"
    assert all(counter.count_messages(request.messages) <= 3_000 for request in requests)
    assert proposal.usage.calls == len(requests)


@pytest.mark.parametrize("allowance", [1_200, 2_000, 12_000])
@pytest.mark.parametrize("seed", range(3))
def test_reflections_fit_the_allowance(allowance: int, seed: int) -> None:
    """Whatever the lengths of task, ideas, texts, feedback and answers."""
    draw = random.Random(seed)

    def words() -> str:
        return "word, " * draw.choice([3, 30, 3_000])

    history = History.empty().after(Opened(Problem("Do. " * draw.choice([5, 30]), "What?", "x"), seed=3))
    for number in range(8):
        candidate = Candidate(number, f"{number} {words()}" if number else "x", words(), "chat:m")
        learned = Learned(0, ("old " * 100,) * 8) if number == 7 else None
        history = history.after(Proposed((candidate,), slot=number - 1, lessons=learned))
        history = history.after(Told(number, Evaluation(float(-number), words())))
    counter = TokenCounter()
    answer = "\n".join("- " + "lesson " * 200 for _ in range(20))
    _, requests = propose(
        lambda request: answer if request.key.startswith("lessons") else FENCED,
        history.assuming(0, 7),
        Lessons(every=8),
        allowance=allowance,
        counter=counter,
    )
    assert len(requests) > 1
    for request in requests:
        assert counter.count_messages(request.messages) <= allowance


def test_a_context_narrower_than_the_allowance_halves_the_chunks() -> None:
    """A refused prompt is not charged; its halves are asked for instead."""

    def answer(request):
        if request.prompt_characters > 3_000:
            return ContextTooLong("too long")
        return LISTED if request.key.startswith("lessons") else FENCED

    proposal, requests = propose(answer, past(8, "why? " * 100), Lessons(every=8))
    assert proposal.lessons == Learned(8, LESSONS)
    parts = {request.key for request in requests if request.key.endswith("-part") and request.prompt_characters < 3_000}
    assert len(parts) > 1


@pytest.mark.parametrize(
    "bad",
    [
        Reply("", refusal="I can't.", usage=PAID),
        Reply("I learned nothing in particular.", usage=PAID),
        Reply("- One.", finish_reason="content_filter", usage=PAID),
        Reply("- cut of", finish_reason="length", usage=PAID),
    ],
)
def test_an_answer_without_lessons_costs_no_proposal(bad: Reply) -> None:
    """What was learned before stays, the batch is not asked about again, and the note says so."""
    history = past(8, lessons=Learned(4, ("Old one.",)))
    proposal, requests = propose([bad, FENCED], history)
    assert len(proposal.drafts) == 1
    assert proposal.lessons == Learned(8, ("Old one.",))
    assert proposal.note == "the reflection on 4 attempts brought no lessons"
    assert proposal.usage == PAID + PAID
    assert "Old one." in requests[1].messages[-1].content


def test_the_whole_lines_of_a_cut_answer_count() -> None:
    """A limit on the answer's length costs the last lesson only."""
    cut = Reply("- One.\n- Two.\n- Thr", finish_reason="length")
    assert propose([cut, FENCED], past(4))[0].lessons == Learned(4, ("One.", "Two."))


@pytest.mark.parametrize("error", [ModelUnavailable("down"), ModelRefused("no"), BudgetExceeded("dollars")])
def test_a_reflection_that_cannot_be_made_costs_no_proposal(error: Exception) -> None:
    """The note says why; nothing counts as learned, so a later proposal tries again."""
    proposal, _ = propose([error, FENCED], past(4))
    assert len(proposal.drafts) == 1
    assert proposal.lessons is None
    assert proposal.note == f"no lessons were drawn: {error}"


def test_no_more_lessons_than_wanted_and_none_too_long() -> None:
    """Bounded in number and length, and to a sixteenth of the allowance in a prompt."""
    answer = "\n".join(f"- {number} " + "word " * 300 for number in range(30))
    proposal, (_, asked) = propose([answer, FENCED], past(4), Lessons(every=4, most=5), allowance=2_000)
    assert len(proposal.lessons.texts) == 5
    assert all(len(text) <= 400 for text in proposal.lessons.texts)
    (note,) = (part for part in asked.messages[-1].content.split("\n\n") if part.startswith("Lessons from"))
    assert TokenCounter().count(note) <= 2_000 // 16


def test_lessons_give_way_where_the_allowance_is_short() -> None:
    """They never make a prompt impossible that was possible without."""
    history = past(1, lessons=Learned(1, ("Short.",)))
    least = ChatProposer(ScriptedModel([]))._asking(history, 1).first[0].tokens
    tight = ChatProposer(ScriptedModel([]), lessons=Lessons(), allowance=least).describe(history)
    assert "Lessons from" not in tight.messages[-1].content
    roomy = ChatProposer(ScriptedModel([]), lessons=Lessons(), allowance=least + 60).describe(history)
    assert "Lessons from" in roomy.messages[-1].content


def test_another_model_may_reflect() -> None:
    """Asked without the proposer's settings; its name stands on the account."""
    cheap = ScriptedModel([LISTED], name="cheap")
    proposal, requests = propose([FENCED], past(4), Lessons(every=4, model=cheap), settings={"temperature": 1.5})
    assert proposal.lessons == Learned(4, LESSONS)
    assert (cheap.requests[0].settings, requests[0].settings) == ({}, {"temperature": 1.5})


def test_the_log_keeps_lessons_and_reads_logs_without_them() -> None:
    """A round trip, a body of before, and later lessons over earlier ones whatever the order of arrival."""
    event = Proposed((), slot=3, lessons=Learned(8, ("One.", "Two\u2028.")))
    assert load(*dump(event)) == event
    kind, body = dump(Proposed((), slot=3))
    assert "lessons" not in json.loads(body)
    assert load(kind, body).lessons is None
    history = past(1).after(event).after(Proposed((), slot=4, lessons=Learned(4, ("Old.",))))
    assert history.lessons == event.lessons


def test_the_hybrid_keeps_the_lessons_of_a_model_without_a_new_idea() -> None:
    """What the engine proposes instead carries them into the log."""
    start = "a = 2.0  # tune: a=0..10"
    history = History.empty().after(Opened(Problem("T", "Q", start), seed=3))
    for number in range(40):
        text = start.replace("2.0", f"{number / 4 + 0.01}") if number else start
        candidate = Candidate(number, text, "", "numeric:x" if number else "start", 0 if number else None)
        history = history.after(Proposed((candidate,), slot=number - 1)).after(Told(number, Evaluation(float(number))))
    answers = ScriptedModel(lambda request: LISTED if request.key.startswith("lessons") else "prose")
    proposal = Hybrid(ChatProposer(answers, lessons=Lessons(every=4))).propose(history.assuming(0, 39), 1)
    assert proposal.lessons is not None
    assert proposal.drafts[0].origin.startswith("numeric:")


@pytest.mark.parametrize(
    ("settings", "field"), [({"every": 1}, "every"), ({"most": 0}, "most"), ({"every": 2.5}, "every")]
)
def test_settings_that_cannot_be_are_refused(settings: dict, field: str) -> None:
    """One line with the field."""
    with pytest.raises(BadInput, match=f"^lessons: {field} is .*give a whole number"):
        Lessons(**settings)


class TestContract(ProposerContract):
    """The proposer's contract with lessons that are due."""

    scale = (1_000,)  # see test_proposer_contract for 100,000

    @pytest.fixture
    def proposer(self):
        """Return a chat proposer over a scripted model."""

        def said(request):
            return LISTED if request.key.startswith("lessons") else answer(request)

        return ChatProposer(ScriptedModel(said), lessons=Lessons(every=2))
