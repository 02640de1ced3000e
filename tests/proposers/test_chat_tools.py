"""The chat proposer with tools, and with several drafts from one call: what is asked, and that it stays in bounds."""

from __future__ import annotations

import pytest

from llm_optimize.core.chat import Reply, ToolCall
from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.metering import Scope, entered
from llm_optimize.core.types import Candidate, Evaluation, Problem, Usage
from llm_optimize.errors import BadInput, ContextTooLong, ModelUnavailable
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.llm.tokens import TokenCounter
from llm_optimize.llm.tools import Tool
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.mixing import Hybrid

PAID = Usage(calls=1, tokens_out=10)
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


def past(count=1, pad=""):
    """Return the history of a study with so many scored candidates."""
    history = History.empty().after(Opened(Problem("The task.", "What is better?", "x0")))
    for number in range(count):
        candidate = Candidate(number, f"x{number}{pad}", "", "start" if number == 0 else "chat:m")
        history = history.after(Proposed((candidate,), slot=number - 1)).after(Told(number, Evaluation(float(number))))
    return history


def fenced(text, **fields):
    return Reply(f"Why.\n```\n{text}\n```", usage=PAID, **fields)


def calling(*calls, text=""):
    """Return a reply that calls tools: names, or (name, arguments)."""
    pairs = [(call, "{}") if isinstance(call, str) else call for call in calls]
    asked = tuple(ToolCall(f"id{index}", name, arguments) for index, (name, arguments) in enumerate(pairs))
    return Reply(text, "tool_calls", usage=PAID, tool_calls=asked)


def counting():
    """Return a tool that says how often it was called, and the list of its calls."""
    calls = []

    def count(**arguments):
        calls.append(arguments)
        return f"call {len(calls)}"

    return Tool("count", "Count.", SCHEMA, count), calls


def long_tool(characters):
    return Tool("read", "Read.", SCHEMA, lambda: "word " * (characters // 5))


def propose(replies, n=1, history=None, **settings):
    """Return the proposal, and the requests that were sent for it."""
    model = ScriptedModel(replies)
    return ChatProposer(model, **settings).propose(history or past(), n), model.requests


def roles(request):
    return [message.role for message in request.messages]


def test_calls_are_carried_out_in_order_and_their_results_sent_back() -> None:
    """Several calls of one reply, then a further round, then the answer; each result under its call's id."""
    tool, calls = counting()
    replies = [
        calling(("count", '{"a": 1}'), ("count", '{"a": 2}'), text="Let me look."),
        calling("count"),
        fenced("n"),
    ]
    proposal, requests = propose(replies, tools=[tool])
    assert [draft.text for draft in proposal.drafts] == ["\nn\n"]
    assert calls == [{"a": 1}, {"a": 2}, {}]
    assert [request.key for request in requests] == ["ask-0", "ask-0-tools-1", "ask-0-tools-2"]
    assert roles(requests[2]) == ["system", "user", "assistant", "tool", "tool", "assistant", "tool"]
    asked, first, second, again, third = requests[2].messages[2:]
    assert asked.content == "Let me look."
    assert [call.arguments for call in asked.tool_calls] == ['{"a": 1}', '{"a": 2}']
    assert [(one.tool_call_id, one.content) for one in (first, second)] == [("id0", "call 1"), ("id1", "call 2")]
    assert third.tool_call_id == again.tool_calls[0].id
    assert third.tool_call_id not in {"id0", "id1"}, "the ids of two rounds are the same"
    assert all(request.tools == (tool.spec,) for request in requests)


def test_every_call_is_paid_for_and_noted() -> None:
    """The usage of all rounds is the proposal's; so are the uses, in order, and they are heard while they happen."""
    tool, _ = counting()
    heard = []
    with entered(Scope("study", "proposal/0", hear=heard.append)):
        proposal, _ = propose([calling("count", "nothing"), fenced("n")], tools=[tool])
    assert proposal.usage == PAID + PAID
    assert [(use.name, use.result, use.ok) for use in proposal.tools] == [
        ("count", "call 1", True),
        ("nothing", "there is no tool 'nothing'; there are: count", False),
    ]
    assert [(piece.kind, piece.text) for piece in heard] == [("tool", "count({})"), ("tool", "nothing({})")]


def test_the_calls_of_a_step_are_limited() -> None:
    """Beyond the limit nothing is called; the model is told, may not call on, and answers."""
    tool, calls = counting()
    replies = [calling("count", "count", "count"), fenced("n")]
    proposal, requests = propose(replies, tools=[tool], tool_calls=2, settings={"temperature": 0.5})
    assert len(proposal.drafts) == 1
    assert len(calls) == 2
    assert [use.ok for use in proposal.tools] == [True, True, False]
    last = requests[1]
    assert last.settings == {"temperature": 0.5, "tool_choice": "none"}
    assert last.tools == (tool.spec,), "endpoints refuse a chat with calls of tools that it does not name"
    assert "not called" in last.messages[-1].content
    assert "No more tool calls are possible" in last.messages[-1].content
    assert "No more tool calls" not in last.messages[-2].content


def test_a_model_that_calls_on_is_asked_again_and_then_given_up() -> None:
    """A call beyond the limit is no answer; the round ends after the re-asks, whatever the model does."""
    tool, calls = counting()
    proposal, requests = propose(lambda _: calling("count"), tools=[tool], tool_calls=1)
    assert proposal.drafts == ()
    assert proposal.note == "it calls a tool, which is not possible now"
    assert len(calls) == 1
    assert [request.key for request in requests] == ["ask-0", "ask-0-tools-1", "ask-0-again"]
    assert roles(requests[2]) == ["system", "user", "assistant", "tool"], "a turn stands behind a result"
    assert "Answer again" in requests[2].messages[-1].content


def test_no_calls_at_all_are_a_limit_too() -> None:
    """With tool_calls=0 no tool is offered."""
    tool, calls = counting()
    _, (request,) = propose([fenced("n")], tools=[tool], tool_calls=0)
    assert (request.tools, calls) == ((), [])


def test_a_bad_answer_after_calls_is_asked_for_again_with_what_they_brought() -> None:
    """The results stay in the chat, the model may call again, and the keys tell the rounds apart."""
    tool, _ = counting()
    replies = [calling("count"), "prose", calling("count"), fenced("n")]
    proposal, requests = propose(replies, tools=[tool])
    assert len(proposal.drafts) == 1
    assert [request.key for request in requests] == ["ask-0", "ask-0-tools-1", "ask-0-again", "ask-0-again-tools-1"]
    assert roles(requests[2])[2:] == ["assistant", "tool", "assistant", "user"]
    assert roles(requests[3])[2:] == ["assistant", "tool", "assistant", "user", "assistant", "tool"]


def test_malformed_calls_are_not_sent_back_as_they_are() -> None:
    """Servers refuse a whole chat for arguments that are no JSON, and for names outside the protocol."""
    tool, _ = counting()
    bad = calling(("count", '{"a": '), ("no such tool!", "[1]"), ("count", ""))
    proposal, requests = propose([bad, fenced("n")], tools=[tool])
    sent = requests[1].messages[2].tool_calls
    assert [(call.name, call.arguments) for call in sent] == [("count", "{}"), ("no_such_tool_", "{}"), ("count", "{}")]
    assert [use.arguments for use in proposal.tools] == ['{"a": ', "[1]", ""], "the log shows what the model wrote"
    assert [use.ok for use in proposal.tools] == [False, False, True]


@pytest.mark.parametrize("ids", [("", ""), ("same", "same")])
def test_calls_without_ids_of_their_own_get_some(ids) -> None:
    """Otherwise an endpoint cannot tell which result is whose."""
    tool, _ = counting()
    asked = tuple(ToolCall(one, "count", "{}") for one in ids)
    _, requests = propose([Reply("", tool_calls=asked), fenced("n")], tools=[tool])
    calls, *results = requests[1].messages[2:]
    names = [call.id for call in calls.tool_calls]
    assert len(set(names)) == 2
    assert [one.tool_call_id for one in results] == names


def test_results_count_against_the_allowance() -> None:
    """Long results are cut, the window shrinks, and no request is longer than the allowance."""
    counter = TokenCounter()
    replies = [calling("read"), calling("read", "read"), calling("read"), fenced("n")]
    history = past(30, " word" * 200)
    proposal, requests = propose(replies, history=history, tools=[long_tool(9_000)], allowance=4_000, counter=counter)
    assert len(proposal.drafts) == 1
    for request in requests:
        texts = [message.content for message in request.messages] + [call.arguments for call in _calls(request)]
        assert sum(map(counter.count, texts)) <= 4_000
    assert "characters cut" in requests[-1].messages[-1].content
    assert len(requests[-1].messages) > len(proposal.tools) + 2, "the past gave way altogether"


def _calls(request):
    return [call for message in request.messages for call in message.tool_calls]


class Narrow(ScriptedModel):
    """A model with a context of so many characters that calls a tool until it is kept from it."""

    def __init__(self, characters):
        """Refuse what is longer."""
        super().__init__(self._answer)
        self.characters = characters

    def _answer(self, request):
        if request.prompt_characters > self.characters:
            return ContextTooLong("too long")
        may_call = request.tools and request.settings.get("tool_choice") != "none"
        return calling("read") if may_call else fenced("n")


@pytest.mark.parametrize("characters", [2_900, 6_000, 20_000])
def test_a_context_that_cannot_hold_the_results_costs_no_step(characters) -> None:
    """Results are shown in part, at last not at all: the model answers from what fits."""
    model = Narrow(characters)
    proposal = ChatProposer(model, tools=[long_tool(9_000)]).propose(past(4), 1)
    assert len(proposal.drafts) == 1
    assert proposal.note == ""
    assert 1 <= len([use for use in proposal.tools if use.ok]) <= 8
    assert len(model.requests) < 40


def test_keys_do_not_depend_on_what_tools_return() -> None:
    """A resumed study sends the same keys although its tools say something else, and much more of it."""
    replies = [calling("read"), calling("read"), "prose", fenced("n")]
    keys = []
    for characters in (10, 9_000, 500_000):
        _, requests = propose(list(replies), tools=[long_tool(characters)], allowance=3_000)
        keys.append([request.key for request in requests])
    assert keys[0] == keys[1] == keys[2]


def test_tools_that_take_up_the_allowance_are_bad_input() -> None:
    """Before anything is sent, with both numbers."""
    schema = {"type": "object", "properties": {f"parameter_{n}": {"type": "string"} for n in range(300)}}
    model = ScriptedModel([])
    proposer = ChatProposer(model, tools=[Tool("f", "F.", schema, len)], allowance=1_000)
    with pytest.raises(BadInput, match=r"allowance is 1,000 tokens, but the tools, the task.* need [2-9],\d{3}"):
        proposer.propose(past(), 1)
    assert model.requests == []


@pytest.mark.parametrize(("settings", "field"), [({"tool_calls": -1}, "tool_calls"), ({"tools": [7]}, "tools")])
def test_settings_that_cannot_be_are_refused(settings, field) -> None:
    """The message begins with the field."""
    with pytest.raises(BadInput, match=f"^{field} "):
        ChatProposer(ScriptedModel([]), **settings)


def test_a_description_counts_the_tools() -> None:
    """A dry run's tokens are those of the prompt with its tools."""
    plain = ChatProposer(ScriptedModel([])).describe(past())
    with_tools = ChatProposer(ScriptedModel([]), tools=[counting()[0]]).describe(past())
    assert with_tools.messages == plain.messages
    assert with_tools.tokens > plain.tokens + 5


def test_the_hybrid_keeps_the_uses_of_a_model_without_a_new_idea() -> None:
    """What the engine proposes instead is noted with the tools that were called in vain."""
    start = "a = 2.0  # tune: a=0..10"
    history = History.empty().after(Opened(Problem("T", "Q", start), seed=3))
    for number in range(8):
        text = start.replace("2.0", f"{number}.5") if number else start
        origin = "numeric:x" if number else "start"
        history = history.after(Proposed((Candidate(number, text, "", origin, 0 if number else None),)))
        history = history.after(Told(number, Evaluation(float(number))))
    tool, _ = counting()
    model = ScriptedModel([calling("count"), "prose", "prose"])
    for _ in range(20):
        proposal = Hybrid(ChatProposer(model, tools=[tool])).propose(history, 1)
        if proposal.tools:
            break
        (draft,) = proposal.drafts
        fresh = Candidate(history.next_id, draft.text, "", draft.origin, draft.parent)
        history = history.after(Proposed((fresh,))).after(Told(fresh.id, Evaluation(0.0)))
    assert [use.name for use in proposal.tools] == ["count"]
    assert proposal.drafts[0].origin.startswith("numeric:")


# --- several drafts from one call ---------------------------------------------------------------------------------


def several(first, *more):
    """Return a reply with further answers."""
    return Reply(first.text, first.finish_reason, usage=first.usage, more=tuple(more))


def free(text):
    return Reply(f"Why.\n```\n{text}\n```")


def test_one_call_gives_all_drafts_where_the_endpoint_can() -> None:
    """One request for n answers, counted once; the drafts are as of calls of their own."""
    proposal, (request,) = propose([several(fenced("a"), free("b"), free("c"))], n=3)
    assert (request.key, request.n) == ("ask-0", 3)
    assert [draft.text.strip() for draft in proposal.drafts] == ["a", "b", "c"]
    assert {(draft.idea, draft.origin, draft.parent) for draft in proposal.drafts} == {("Why.", "chat:scripted", 0)}
    assert (proposal.usage, proposal.note) == (PAID, "")


def test_calls_of_their_own_give_them_elsewhere_with_the_same_record() -> None:
    """An endpoint that gives one answer is asked one by one from then on; the drafts are the same."""
    at_once, _ = propose([several(fenced("a"), free("b"), free("c"))], n=3)
    singly, requests = propose([fenced("a"), fenced("b"), fenced("c")], n=3)
    assert [(request.key, request.n) for request in requests] == [("ask-0", 3), ("ask-1", 1), ("ask-2", 1)]
    assert singly.drafts == at_once.drafts
    assert singly.usage == PAID + PAID + PAID


def test_what_a_call_did_not_bring_is_asked_for_by_the_next() -> None:
    """An endpoint with a limit on n is asked for the rest at once."""
    replies = [several(fenced("a"), free("b")), several(fenced("c"), free("d")), fenced("e")]
    proposal, requests = propose(replies, n=5)
    assert [(request.key, request.n) for request in requests] == [("ask-0", 5), ("ask-2", 3), ("ask-4", 1)]
    assert [draft.text.strip() for draft in proposal.drafts] == ["a", "b", "c", "d", "e"]


def test_a_bad_answer_among_several_is_asked_for_again_alone() -> None:
    """Duplicates and prose are re-asked under the key of their draft, with the bad one shown."""
    replies = [several(fenced("a"), free("a"), Reply("prose")), fenced("b"), fenced("c")]
    proposal, requests = propose(replies, n=3)
    assert [draft.text.strip() for draft in proposal.drafts] == ["a", "b", "c"]
    assert [(request.key, request.n) for request in requests] == [
        ("ask-0", 3),
        ("ask-1-again", 1),
        ("ask-2-again", 1),
    ]
    assert "another answer that you gave in this step" in requests[1].messages[-1].content
    assert requests[2].messages[-2].content == "prose"


def test_more_answers_than_wanted_are_left() -> None:
    """A server that ignores what was asked for does not widen the step."""
    proposal, _ = propose([several(fenced("a"), free("b"), free("c"), free("d"))], n=2)
    assert [draft.text.strip() for draft in proposal.drafts] == ["a", "b"]


def test_an_error_after_the_first_call_keeps_what_came() -> None:
    """Two answers came at once, the third call fails: two drafts and a note."""
    proposal, _ = propose([several(fenced("a"), free("b")), ModelUnavailable("down")], n=3)
    assert [draft.text.strip() for draft in proposal.drafts] == ["a", "b"]
    assert proposal.note == "down"


def test_with_tools_each_draft_is_asked_for_by_itself() -> None:
    """Answers that each call tools would be n chats; the calls are for the proposal as a whole."""
    tool, calls = counting()
    replies = [calling("count"), fenced("a"), calling("count", "count"), fenced("b"), fenced("c")]
    proposal, requests = propose(replies, n=3, tools=[tool], tool_calls=2)
    assert [request.n for request in requests] == [1] * 5
    assert [request.key for request in requests] == ["ask-0", "ask-0-tools-1", "ask-1", "ask-1-tools-1", "ask-2"]
    assert len(calls) == 2
    assert len(proposal.drafts) == 3
    assert requests[-1].tools == (), "a chat without calls needs no tools once the limit is reached"
