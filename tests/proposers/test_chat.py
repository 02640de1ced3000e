"""The chat proposer against a scripted model: what is asked, what is taken, what is given up, and what it costs."""

from __future__ import annotations

import dataclasses
import re

import pytest

from llm_optimize.core.chat import Reply
from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem, Usage
from llm_optimize.errors import BadInput, BudgetExceeded, ContextTooLong, ModelRefused, ModelUnavailable
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.llm.tokens import TokenCounter
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.window import Window

PAID = Usage(calls=1, tokens_out=10)  # no prompt tokens: a made-up figure would pass for a fact about the tokenizer


def past(*outcomes, start="x0", task="The task.", pad=""):
    """Return the history of a study with these outcomes."""
    history = History.empty().after(Opened(Problem(task, "What is better?", start)))
    for number, outcome in enumerate(outcomes):
        candidate = Candidate(number, f"x{number}{pad}", f"idea {number}", "start" if number == 0 else "chat:m")
        history = history.after(Proposed((candidate,), slot=number - 1)).after(Told(number, outcome))
    return history


def fenced(text, why="Why."):
    """Return a reply that holds a candidate."""
    return Reply(f"{why}\n```\n{text}\n```", usage=PAID)


def propose(replies, history=None, n=1, **settings):
    """Return the proposal, and the requests that were sent for it."""
    model = ScriptedModel(replies)
    proposal = ChatProposer(model, **settings).propose(history or past(Evaluation(1.0)), n)
    return proposal, model.requests


def test_a_reply_becomes_a_draft():
    """The block is the text, the rest is the idea; model, parent and price are noted."""
    proposal, requests = propose([fenced("new", "Shorter.")])
    (draft,) = proposal.drafts
    assert (draft.text, draft.idea, draft.origin, draft.parent) == ("\nnew\n", "Shorter.", "chat:scripted", 0)
    assert (proposal.usage, proposal.note) == (PAID, "")
    assert [message.role for message in requests[0].messages] == ["system", "user"]
    assert requests[0].key == "ask-0"


def test_the_predecessors_chat_grows_by_two_messages_a_step():
    """As in the predecessor, the requests of the first steps have 2, 4, 6, ... messages."""
    for count in range(1, 5):
        _, requests = propose([fenced("new")], past(*[Evaluation(float(number)) for number in range(count)]))
        assert len(requests[0].messages) == 2 * count


def test_settings_and_prompts_reach_the_request():
    """Custom prompts and request settings are used as given."""
    _, (request,) = propose(
        [fenced("new")], settings={"temperature": 0.3}, system_prompt="S {task_description} {}", human_prompt="H {x}"
    )
    assert request.settings == {"temperature": 0.3}
    assert [message.content for message in request.messages] == ["S The task. {}", "H x0"]


def test_the_first_draft_needs_no_start():
    """With x0=None the model writes the first text; its draft has no parent."""
    proposal, (request,) = propose([fenced("first")], past(start=None))
    assert proposal.drafts[0].parent is None
    assert "write the first one" in request.messages[-1].content


BAD = {
    "prose": ("I would shorten it.", "no fenced code block"),
    "refusal as text": ("I'm sorry, I can't help with that.", "no fenced code block"),
    "refusal": (Reply("", refusal="I can't\nhelp with that."), r"declined to give one \(I can't help with that\.\)"),
    "refusal beside a block": (Reply("```\nno\n```", refusal="I can't."), "declined"),
    "empty": (Reply(""), "empty"),
    "cut off": (Reply("```\nnew", finish_reason="length"), "cut off"),
    "cut off behind a block": (Reply("```\nnew\n```\nand", finish_reason="length"), "cut off"),
    "withheld": (Reply("```\nnew\n```", finish_reason="content_filter"), "withheld"),
    "unclosed": ("```\nold\n```\nor\n```\nnew", "not closed"),
    "empty block": ("```\n\n```", "empty"),
    "x0 again": ("```\nx0\n```", r"exactly attempt #0, which scored 1: propose something different"),
    "failed one again": ("```\n x1\n```", "exactly attempt #1, which failed"),
}


@pytest.mark.parametrize(("bad", "reason"), BAD.values(), ids=BAD.keys())
def test_a_bad_reply_is_asked_for_again_once_with_the_reason(bad, reason):
    """The second request holds the bad reply, if it has text, and the reason; a good answer to it is the draft."""
    history = past(Evaluation(1.0), Failure("raised", "no"))
    proposal, (first, second) = propose([bad, fenced("new")], history)
    assert [draft.text for draft in proposal.drafts] == ["\nnew\n"]
    assert (first.key, second.key) == ("ask-0", "ask-0-again")
    assert re.search(reason, second.messages[-1].content)
    text = bad if isinstance(bad, str) else bad.text
    shown = [message.content for message in second.messages[len(first.messages) :]]
    assert shown == ([text, second.messages[-1].content] if text else [])
    roles = [message.role for message in second.messages]
    assert roles == ["system", *["user", "assistant"] * (len(roles) // 2 - 1), "user"]


@pytest.mark.parametrize(("bad", "reason"), BAD.values(), ids=BAD.keys())
def test_a_second_bad_reply_is_given_up_and_never_evaluated(bad, reason):
    """No draft, the reason as the note, both replies on the account."""
    bad = dataclasses.replace(Reply(bad) if isinstance(bad, str) else bad, usage=PAID)
    proposal, requests = propose([bad, bad], past(Evaluation(1.0), Failure("raised", "no")))
    assert proposal.drafts == ()
    assert re.search(reason, proposal.note)
    assert "\n" not in proposal.note
    assert proposal.usage == PAID + PAID
    assert len(requests) == 2


def test_n_drafts_are_asked_for_one_after_another():
    """Each draft is a call of its own with its own key; one that fails twice leaves the others alone."""
    replies = [fenced("a"), "prose", "prose", fenced("a"), fenced("b")]
    proposal, requests = propose(replies, n=3)
    assert [draft.text.strip() for draft in proposal.drafts] == ["a", "b"]
    assert [request.key for request in requests] == ["ask-0", "ask-1", "ask-1-again", "ask-2", "ask-2-again"]
    assert "another answer that you gave in this step" in requests[-1].messages[-1].content
    assert "no fenced code block" in proposal.note


def test_a_pending_candidate_is_a_duplicate_too():
    """What is being evaluated already is not evaluated a second time."""
    history = past(Evaluation(1.0)).after(Proposed((Candidate(1, "x1"),)))
    _, requests = propose([fenced("x1"), fenced("new")], history)
    assert "attempt #1, which is being evaluated" in requests[1].messages[-1].content


def test_no_reask_when_none_is_wanted():
    """reasks=0 gives up at once; reasks=2 asks twice more under different keys."""
    assert len(propose(["prose"], reasks=0)[1]) == 1
    _, requests = propose(["prose", "prose", fenced("new")], reasks=2)
    assert [request.key for request in requests] == ["ask-0", "ask-0-again", "ask-0-again-2"]


@pytest.mark.parametrize("error", [ModelUnavailable("down"), ModelRefused("no key"), BudgetExceeded("tokens")])
def test_errors_pass_unless_drafts_would_be_lost(error):
    """A model that cannot answer ends the proposal; drafts that were paid for before are handed over."""
    with pytest.raises(type(error)):
        propose([error])
    proposal, _ = propose([fenced("a"), error], n=3)
    assert [draft.text for draft in proposal.drafts] == ["\na\n"]
    assert proposal.note == str(error)
    assert proposal.usage == PAID


class Narrow(ScriptedModel):
    """A model with a context of so many characters, which may or may not name its limit in tokens."""

    def __init__(self, characters, limit=None):
        """Refuse what is longer."""
        super().__init__(self._answer)
        self.characters = characters
        self.limit = limit

    def _answer(self, request):
        if request.prompt_characters > self.characters:
            return ContextTooLong("too long", self.limit)
        return fenced(f"new {len(self.requests)}")


def long_past(count, pad=" word" * 200):
    """Return a history of candidates of about 1,000 characters each; the third one is the best."""
    return past(*[Evaluation(9.0 if number == 2 else float(-number)) for number in range(count)], pad=pad)


@pytest.mark.parametrize("limit", [None, 3_000])
def test_a_prompt_too_long_for_the_model_shrinks_and_stays_small(limit):
    """A context error costs a window, not a step: the best stays in, and the next proposal does not fail again."""
    model, history = Narrow(12_000, limit), long_past(30)
    proposer = ChatProposer(model)
    assert len(proposer.propose(history, 1).drafts) == 1
    refused = len(model.requests) - 1
    assert refused >= 1
    assert {request.key for request in model.requests} == {"ask-0"}
    assert any("x2 word" in message.content for message in model.requests[-1].messages)
    assert len(proposer.propose(history, 1).drafts) == 1
    assert len(model.requests) == refused + 2


def test_a_context_error_on_the_first_step_is_raised_when_nothing_can_be_left_out():
    """With x0 alone there is no window to shrink, so the error reaches the user instead of an endless loop."""
    model = Narrow(100)
    with pytest.raises(ContextTooLong):
        ChatProposer(model).propose(past(Evaluation(1.0)), 1)
    assert len(model.requests) == 1


def test_a_model_too_narrow_even_for_the_best_raises():
    """The window shrinks down to the best alone, then the error is raised."""
    model = Narrow(100)
    with pytest.raises(ContextTooLong):
        ChatProposer(model).propose(long_past(30), 1)
    assert len(model.requests[-1].messages) == 2
    assert len(model.requests) < 12


def test_a_bad_reply_that_does_not_fit_behind_the_chat_is_given_up():
    """A context error on the second request of a draft costs the draft, not the study."""
    replies = ["prose " * 10, ContextTooLong("too long"), fenced("b")]
    proposal, _ = propose(replies, n=2)
    assert [draft.text for draft in proposal.drafts] == ["\nb\n"]
    assert "no fenced code block" in proposal.note


def test_a_long_bad_reply_is_shown_in_part():
    """What is shown back takes up a share of the allowance, and the whole request stays within it."""
    bad = "prose, " * 20_000
    model = ScriptedModel([bad, fenced("new")])
    proposer = ChatProposer(model, allowance=3_000)
    proposer.propose(long_past(20), 1)
    counter = proposer.counter or proposer._composer.counter
    assert "characters cut" in model.requests[1].messages[-2].content
    for request in model.requests:
        assert counter.count_messages(request.messages) <= 3_000


def test_describe_shows_the_first_request_without_a_call():
    """A dry run gives the messages that would be sent and the count of their tokens, and costs nothing."""
    model, history = ScriptedModel([fenced("new")]), long_past(8)
    proposer = ChatProposer(model)
    prompt = proposer.describe(history)
    assert model.requests == []
    proposer.propose(history, 1)
    assert model.requests[0].messages == prompt.messages
    assert prompt.tokens == TokenCounter("scripted").count_messages(prompt.messages)


@pytest.mark.parametrize(
    ("history", "what"),
    [
        (past(start=None, task="word " * 3_000), "the task and the question"),
        (past(task="word " * 3_000), "the task and the question"),
        (long_past(1, " word" * 3_000), "the best candidate"),
        (long_past(30, " word" * 3_000), "the best candidate"),
    ],
)
def test_an_allowance_that_cannot_hold_the_least_is_bad_input(history, what):
    """Before anything is spent: one line with the field, both numbers and the remedy."""
    model = ScriptedModel([])
    with pytest.raises(BadInput, match=rf"allowance is 1,000 tokens, but .*{what}.* need \d,\d{{3}}: raise") as caught:
        ChatProposer(model, allowance=1_000).propose(history, 1)
    assert "\n" not in str(caught.value)
    assert model.requests == []


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"allowance": 0}, "allowance"),
        ({"allowance": 1.5}, "allowance"),
        ({"reasks": -1}, "reasks"),
        ({"reasks": True}, "reasks"),
        ({"human_prompt": "Improve it."}, "human_prompt"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, field):
    """The message begins with the field."""
    with pytest.raises(BadInput, match=f"^{field} "):
        ChatProposer(ScriptedModel([]), **settings)


def test_a_proposal_depends_on_history_and_reply_only():
    """Two proposers ask the same of the same history: nothing is kept that a resume would lose."""
    history = long_past(40)
    first, second = ScriptedModel([fenced("new")]), ScriptedModel([fenced("old"), fenced("new")])
    proposer = ChatProposer(second, window=Window(best=2, recent=3, failed=1))
    proposer.propose(long_past(10), 1)
    again = proposer.propose(history, 1)
    assert ChatProposer(first, window=Window(best=2, recent=3, failed=1)).propose(history, 1) == again
    assert first.requests[0] == second.requests[1]


def test_real_counts_correct_the_fitting():
    """An endpoint that counts twice as many tokens gets prompts of half the text, within the same allowance."""
    history = long_past(60)
    counter = TokenCounter()
    twice = ScriptedModel(
        lambda request: Reply(
            f"```\nn{counter.count_messages(request.messages)}\n```",
            usage=Usage(calls=1, tokens_in=2 * counter.count_messages(request.messages)),
        )
    )
    proposer = ChatProposer(twice, allowance=6_000)
    before = proposer.describe(history)
    proposer.propose(history, 1)
    after = proposer.describe(history)
    assert len(after.shown) < len(before.shown)
    assert 2 * counter.count_messages(after.messages) <= 6_000
