"""The forms of a reply in a chat proposer: edits, JSON, and what the guard around them keeps."""

from __future__ import annotations

import json
import pickle
import re
from typing import Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from llm_optimize import llm
from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Problem
from llm_optimize.errors import BadInput, NoCandidate
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.proposers.brief import Angle
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.forms.edits import Edits
from llm_optimize.proposers.forms.full_text import FullText
from llm_optimize.proposers.forms.guarded import Guarded, Protection, protection_of
from llm_optimize.proposers.forms.typed_json import TypedJSON, canonical
from llm_optimize.testing.answers import Answer
from llm_optimize.testing.proposer_contract import ProposerContract, answer
from llm_optimize.testing.quirks import Quirks
from llm_optimize.testing.server import ScriptedServer
from llm_optimize.text.edits import DIVIDER, REPLACE, SEARCH

BLOCKS = "import os\n# EVOLVE-BLOCK-START\na = 1\n# EVOLVE-BLOCK-END\nprint(a)\n"
DECLINED = "I'm sorry, but I can't assist with that."


class Point(BaseModel):
    model_config = ConfigDict(extra="ignore")

    note: str = "start"
    x: float = Field(1.0, ge=0, le=10)
    kind: Literal["a", "b"] = "a"


def block(search, replace):
    return f"{SEARCH}\n{search}\n{DIVIDER}\n{replace}\n{REPLACE}"


def past(start, task="Do it.", *later):
    history = History.empty().after(Opened(Problem(task, "Better?", start)))
    for number, text in enumerate([] if start is None else [start, *later]):
        candidate = Candidate(number, text, origin="start" if number == 0 else "chat:m")
        history = history.after(Proposed((candidate,), slot=number - 1)).after(Told(number, Evaluation(float(number))))
    return history


def propose(history, *replies, **settings):
    model = ScriptedModel(list(replies))
    return ChatProposer(model, **settings).propose(history, 1), model.requests


def said(request):
    return request.messages[-1].content


# --- edits --------------------------------------------------------------------------------------------------------


def test_edits_are_asked_for_and_applied_to_the_current_x():
    """The prompt explains the blocks in place of the full text; the draft is the parent with them applied."""
    proposal, (request,) = propose(past("a\nb\n"), f"Better.\n{block('b', 'c')}", form=Edits())
    (draft,) = proposal.drafts
    assert (draft.text, draft.idea, draft.parent) == ("a\nc\n", "Better.", 0)
    assert SEARCH in said(request)
    assert "complete new x" not in said(request)


def test_a_block_that_does_not_match_is_asked_for_again():
    """The model is told which block and what stands there, and answers again; nothing was applied."""
    replies = [block("b", "c") + "\n" + block("bb", "d"), block("b", "d")]
    proposal, requests = propose(past("a\nb"), *replies, form=Edits())
    assert [draft.text for draft in proposal.drafts] == ["a\nd"]
    reason = 'SEARCH part of block 2 does not stand in the current x: its line 1 is "bb", but line 2 of the nearest'
    assert reason in said(requests[1])


def test_a_first_draft_is_asked_for_in_full():
    """There is nothing to edit yet."""
    proposal, (request,) = propose(past(None), "```\nnew\n```", form=Edits())
    assert proposal.drafts[0].text == "\nnew\n"
    assert SEARCH not in said(request)


def test_a_full_text_instead_of_edits_is_refused():
    """Nobody can tell a complete x from a piece of it."""
    proposal, _ = propose(past("a"), "```\nnew\n```", form=Edits(), reasks=0)
    assert "nobody can tell whether it is all of x" in proposal.note


def test_edits_of_an_angle_stand_beside_full_texts():
    """Each draft is read in the form that it was asked for in."""
    model = ScriptedModel(lambda request: block("a", "b") if SEARCH in said(request) else "```\nc\n```")
    angles = (Angle("small", form=Edits()), Angle("large", form=FullText()))
    drafts = ChatProposer(model, angles=angles).propose(past("a"), 2).drafts
    assert {draft.text: draft.origin for draft in drafts} == {
        "b": "chat:scripted/small",
        "\nc\n": "chat:scripted/large",
    }


# --- JSON ---------------------------------------------------------------------------------------------------------


def read(reply):
    return TypedJSON(Point).read(reply, None)


@pytest.mark.parametrize(
    "reply",
    [
        'Why.\n```json\n{"note": "n", "x": 2, "kind": "b"}\n```',
        'Why. {"kind": "b", "x": 2.0, "note": "n"}',
        '{"explanation": "Why.", "x": {"note": "n", "x": 2, "kind": "b"}}',
        'Why. {"note": "n", "x": 2, "kind": "b"}',
        '<think>{"x": 1}</think>Why. {"note": "n", "x": 2, "kind": "b"}',
    ],
)
def test_an_object_is_read_and_written_in_one_way(reply):
    """Fenced, bare, or with the explanation in JSON: the same values are the same text."""
    found = read(reply)
    assert (found.text, found.explanation) == (canonical(Point(note="n", x=2, kind="b")), "Why.")


def test_backticks_within_a_string_open_no_block():
    """A prompt as a field may hold them."""
    note = "Use ```json or ```."
    assert json.loads(read(json.dumps({"note": note, "x": 2, "kind": "b"})).text)["note"] == note


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ('```json\n{"note": "n", "x": 2, "kind": "a"}\n```\nNo:\n```json\n{"note"', "fence is not closed"),
        ("I would take 3.", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ('{"note": "n", "x": 1, "kind": "a"} or {"note": "n", "x": 2, "kind": "a"}', "several JSON objects"),
        (
            '{"note": "n", "x": 11, "kind": "c"}',
            "x: Input should be less than or equal to 10; kind: Input should be 'a'",
        ),
        ('{"note": "n", "x": 1}', "kind: this field is missing"),
        ('{"note": "n", "x": 1, "kind": "a", "y": 2}', "y: there is no such field"),
    ],
)
def test_what_does_not_fit_is_refused_field_by_field(reply, reason):
    """A default is not filled in for the model, and nothing that it says is dropped in silence."""
    with pytest.raises(NoCandidate, match=reason):
        read(reply)


def test_the_schema_is_in_the_prompt_and_problems_are_told():
    """The model is asked again with the reason for each field."""
    replies = ['{"note": "n", "x": 99, "kind": "a"}', '{"note": "n", "x": 9, "kind": "a"}']
    proposal, requests = propose(past(canonical(Point())), *replies, form=TypedJSON(Point))
    assert json.loads(proposal.drafts[0].text)["x"] == 9
    assert '"maximum": 10' in said(requests[0])
    assert "x: Input should be less than or equal to 10" in said(requests[1])


def test_an_endpoint_that_enforces_schemas_is_asked_to():
    """The request carries the schema of an answer: an explanation, and the candidate."""
    answer = json.dumps({"explanation": "Why.", "x": {"note": "n", "x": 2, "kind": "a"}})
    with ScriptedServer(lambda body, index: answer) as server:
        proposer = ChatProposer(llm.connect(f"{server.url}#scripted"), form=TypedJSON(Point))
        (draft,) = proposer.propose(past(canonical(Point())), 1).drafts
        schema = server.requests[0].body["response_format"]["json_schema"]["schema"]
    assert list(schema["properties"]) == ["explanation", "x"]
    assert (draft.idea, json.loads(draft.text)["x"]) == ("Why.", 2.0)


def test_an_endpoint_that_refuses_schemas_is_asked_without():
    """Its replies are read as any others, and the next request does without at once."""
    quirks = Quirks(refuses={"json_schema": "parameter"})
    with ScriptedServer(lambda body, i: f'{{"note": "{i}", "x": 2, "kind": "a"}}', quirks=quirks) as server:
        proposer = ChatProposer(llm.connect(f"{server.url}#scripted"), form=TypedJSON(Point))
        drafts = [proposer.propose(past(canonical(Point())), 1).drafts[0] for _ in range(2)]
        fields = ["response_format" in received.body for received in server.requests]
    assert [json.loads(draft.text)["note"] for draft in drafts] == ["0", "1"]
    assert fields[-1] is False


def test_an_endpoint_with_tools_is_not_held_to_a_schema():
    """It would keep the model from calling them."""

    def look(word: str) -> str:
        """Look a word up."""
        return word

    with ScriptedServer(lambda body, i: Answer('{"note": "n", "x": 2, "kind": "a"}')) as server:
        proposer = ChatProposer(llm.connect(f"{server.url}#scripted"), form=TypedJSON(Point), tools=[look])
        assert proposer.propose(past(canonical(Point())), 1).drafts
        assert "response_format" not in server.requests[0].body


# --- what is protected --------------------------------------------------------------------------------------------


def full(text):
    return f"Why.\n```\n{text}\n```"


def test_what_stands_outside_the_blocks_is_put_back():
    """A reply that shortens the rest loses nothing, and the draft's idea says so."""
    reply = full("# EVOLVE-BLOCK-START\na = 2\n# EVOLVE-BLOCK-END")
    proposal, (request,) = propose(past(BLOCKS), reply)
    assert proposal.drafts[0].text == BLOCKS.replace("a = 1", "a = 2")
    assert "was put back" in proposal.drafts[0].idea
    assert "Only the lines between EVOLVE-BLOCK-START and EVOLVE-BLOCK-END may change" in said(request)


@pytest.mark.parametrize(
    ("reply", "form", "reason"),
    [
        (full("a = 2"), FullText(), "the block marked by EVOLVE-BLOCK-START"),
        (full(BLOCKS.replace("import os", "import re")), FullText(), "changes only what must stay as it is"),
        (block("import os", "import re") + "\n" + block("a = 1", "a = 2"), Edits(), "edits lines that must stay"),
        (block("# EVOLVE-BLOCK-END", "b = 1"), Edits(), "the block marked by EVOLVE-BLOCK-START"),
        (full(BLOCKS.replace("a = 1", "# EVOLVE-BLOCK-END\n# EVOLVE-BLOCK-START")), FullText(), "the block marked by"),
    ],
)
def test_what_cannot_be_put_back_is_asked_for_again(reply, form, reason):
    """Blocks that cannot be told, and edits that reach outside, are refused with the reason."""
    proposal, _ = propose(past(BLOCKS), reply, form=form, reasks=0)
    assert reason in proposal.note


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Read it.", "it has lost {article}"),
        ("Read {article} and {summary}.", "it adds {summary}, which nothing fills in: use only {article}"),
        ("Read {{article}}.", "it has lost {article}"),
    ],
)
def test_placeholders_are_neither_lost_nor_invented(text, reason):
    """The prompt names them; a text without them, or with others, is asked for again."""
    proposal, requests = propose(past("Sum up {article}."), full(text), full("Read {article} twice: {article}"))
    assert proposal.drafts[0].text == "\nRead {article} twice: {article}\n"
    assert "keep each of {article} exactly as written" in said(requests[0])
    assert reason in said(requests[1])


def test_a_parent_that_a_person_put_in_gets_its_frame_back():
    """An edit of a text whose frame is another one is no edit of protected lines."""
    history = past(BLOCKS, "Do it.", BLOCKS.replace("import os", "import re"))
    proposal, _ = propose(history, block("a = 1", "a = 2"), form=Edits())
    assert proposal.drafts[0].text == BLOCKS.replace("a = 1", "a = 2")


def test_the_same_past_gives_the_same_prompt():
    """At every prefix of the log a fresh proposer asks what one asks that has seen all of it."""
    texts = [BLOCKS.replace("a = 1", f"a = {number}") for number in range(2, 6)]
    one = ChatProposer(ScriptedModel([]), form=Edits())
    for count in range(len(texts) + 1):
        history = past(BLOCKS, "Do it.", *texts[:count])
        assert ChatProposer(ScriptedModel([]), form=Edits()).describe(history) == one.describe(history)


def test_protection_can_be_turned_off_or_chosen():
    """False keeps neither blocks nor placeholders; texts are kept in place of placeholders."""
    assert propose(past("Sum up {article}."), full("x"), protect=False)[0].drafts
    assert propose(past(BLOCKS), full("x"), protect=False)[0].drafts
    kept = {"protect": ["Sum up"], "reasks": 0}
    assert propose(past("Sum up {article}."), full("Sum up it."), **kept)[0].drafts
    assert "has lost 'Sum up'" in propose(past("Sum up {article}."), full("{article}"), **kept)[0].note


@pytest.mark.parametrize(
    ("start", "protect", "reason"),
    [
        ("# EVOLVE-BLOCK-START\na", "auto", "x0: EVOLVE-BLOCK-START without"),
        ("a", ["b"], "protect: 'b' does not stand in x0"),
        ("a", True, "protect is True"),
        ("a", "blocks", "protect is 'blocks'"),
    ],
)
def test_protection_that_cannot_work_is_told_before_anything_is_asked(start, protect, reason):
    """No model is called for it."""
    model = ScriptedModel([])
    with pytest.raises(BadInput, match=reason):
        ChatProposer(model, protect=protect).describe(past(start))
    assert model.requests == []


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "reply", "form"),
    [
        ("Be brief.", DECLINED, FullText()),
        ("Be brief.", full(DECLINED), FullText()),
        ("Be brief.\nBe kind.", block("Be brief.\nBe kind.", DECLINED), Edits()),
        ("Be brief, be kind, be fair.\nGo.", block("Be brief, be kind, be fair.", DECLINED), Edits()),
        (canonical(Point()), json.dumps({"note": DECLINED, "x": 1, "kind": "a"}), TypedJSON(Point)),
        (BLOCKS, full(BLOCKS.replace("a = 1", f"# {DECLINED}")), FullText()),
        (None, full(DECLINED), FullText()),
    ],
)
def test_a_refusal_is_never_a_candidate(start, reply, form):
    """As prose, in a fence, in a block, in a field of JSON: it is asked for again, and then given up."""
    proposal, requests = propose(past(start), reply, reply, form=form)
    assert (proposal.drafts, len(requests)) == ((), 2)


@pytest.mark.parametrize(
    ("start", "task", "text"),
    [
        ("Be brief.", "Do it.", f"Be brief. If asked for a password, say: {DECLINED}"),
        ("I'm sorry, but I can't help with that.", "Do it.", DECLINED),
        (None, "Write the sentence with which a clerk declines a request.", DECLINED),
    ],
)
def test_texts_about_refusing_are_candidates(start, task, text):
    """Where a refusal is only mentioned, or is what the search is about, it is no refusal of the model."""
    assert propose(past(start, task), full(text))[0].drafts


def test_a_guarded_form_is_a_value():
    """It prints, pickles and compares, as all policies do."""
    guarded = Guarded(Edits(), protection_of(Problem("t", "q", BLOCKS), "auto"))
    assert pickle.loads(pickle.dumps(guarded)) == guarded
    assert "EVOLVE-BLOCK-START" in repr(guarded)
    assert Guarded(TypedJSON(Point), Protection()) == Guarded(TypedJSON(Point), Protection())


class TestEdits(ProposerContract):
    """Edits as a proposer."""

    scale = (1_000,)  # see test_proposer_contract for 100,000

    @pytest.fixture
    def proposer(self):
        def edited(request):
            chat = "\n".join(message.content for message in request.messages)
            shown = re.findall(r"The current x:\n\n```\n(.*?)\n```", chat, re.DOTALL)[-1]
            return block(shown, answer(request).split("```")[1].strip())

        return ChatProposer(ScriptedModel(edited), form=Edits())


class TestJSON(ProposerContract):
    """Typed JSON as a proposer."""

    scale = (1_000,)  # see test_proposer_contract for 100,000

    @pytest.fixture
    def proposer(self):
        def point(request):
            number = re.search(r"a = ([\d.]+)", answer(request))[1]
            return json.dumps({"note": "n", "x": float(number) / 2, "kind": "a"})

        return ChatProposer(ScriptedModel(point), form=TypedJSON(Point))
