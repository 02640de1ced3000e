"""No reply of any form alters what is protected, loses a placeholder, or is taken for a candidate when it declines.

The same checks find violations in the bare forms, without the guard, so they are able to fail.
"""

# ruff: noqa: RUF001 - phrases in other alphabets, on purpose

from __future__ import annotations

import json
import re

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Problem
from llm_optimize.errors import NoCandidate
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.forms.edits import Edits
from llm_optimize.proposers.forms.full_text import FullText
from llm_optimize.proposers.forms.typed_json import TypedJSON, canonical
from llm_optimize.text.edits import DIVIDER, REPLACE, SEARCH
from llm_optimize.text.fences import fence

PROGRAM = """\
import os
# EVOLVE-BLOCK-START
a = 1
# EVOLVE-BLOCK-END
b = 2
# EVOLVE-BLOCK-START
c = 3
d = 4
# EVOLVE-BLOCK-END
print(a + b + c + d)
"""
TEMPLATE = "Read {article}.\nAnswer {question} briefly.\nBe kind.\n"


class Task(BaseModel):
    prompt: str = "Read {article}.\nAnswer {question} briefly."
    shots: list[str] = ["Be kind."]
    n: int = 3


TYPED = canonical(Task())
REFUSALS = [
    "I'm sorry, but I can't assist with that.",
    "As an AI language model, I cannot help with this request.",
    "# I cannot assist with this request.",
    "Es tut mir leid, aber ich kann dabei nicht helfen.",
    "抱歉，我无法协助完成这个请求。",
]
MARKS = ["# EVOLVE-BLOCK-START", "# EVOLVE-BLOCK-END", "  # EVOLVE-BLOCK-END", "b = 2", "b = 5", "a = 7", "", "\r"]
SLOTS = ["{article}", "{question}", "{other}", "{article} {other}", "{{article}}", "{article", "Read {article}."]
TRICKY = st.sampled_from([*MARKS, *SLOTS, "```", "````", SEARCH, DIVIDER, REPLACE, *REFUSALS])
SETTINGS = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
# Any example will do: none is made smaller, and the same ones are tried each time.
SEARCHING = settings(SETTINGS, max_examples=5000, phases=[Phase.generate], derandomize=True, database=None)


@st.composite
def mutated(draw, start):
    """Draw a text made of the start by a few changes to its lines."""
    lines = start.split("\n")
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(lines)))
        end = place + draw(st.sampled_from([0, 0, 1, 3]))  # lines are put in as often as they are replaced
        lines[place:end] = draw(st.lists(TRICKY | st.text(max_size=6), max_size=2))
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines)


@st.composite
def edits(draw, start):
    """Draw SEARCH/REPLACE blocks that name lines of the start, or other lines."""
    lines, said = start.split("\n"), []
    for _ in range(draw(st.integers(1, 2))):
        place, some = draw(st.integers(0, len(lines) - 1)), draw(st.integers(1, 3))
        search = draw(st.sampled_from([lines, lines[place : place + some], lines[place : place + some], ["a = 1"]]))
        said += [SEARCH, *search, DIVIDER, *draw(st.lists(TRICKY | st.text(max_size=6), max_size=2)), REPLACE]
    return "\n".join(said)


@st.composite
def objects(draw, start):
    """Draw the JSON of a task with changed texts, or with a field less or more."""
    prompt = draw(mutated(json.loads(start)["prompt"]))
    value = {"prompt": prompt, "shots": draw(st.lists(TRICKY, max_size=2)), "n": draw(st.integers(0, 9))}
    if draw(st.booleans()):
        value[draw(st.sampled_from(["prompt", "m"]))] = draw(TRICKY)
    return json.dumps(value)


def wrapped(text):
    return st.tuples(st.sampled_from(["", "Why.\n", "```\nold\n```\n"]), st.sampled_from([text, fence(text)])).map(
        "".join
    )


@st.composite
def declining(draw, form, start):
    """Draw a reply that declines in the form that was asked for."""
    refusal = draw(st.sampled_from(REFUSALS))
    if form.name == "edits":
        return f"{SEARCH}\n{start}\n{DIVIDER}\n{refusal}\n{REPLACE}"
    if form.name == "json":
        return json.dumps(json.loads(start) | draw(st.sampled_from([{"prompt": refusal}, {"shots": ["a", refusal]}])))
    return fence(refusal)


@st.composite
def inserted(draw, form, start):
    """Draw a reply that puts one line into the start and leaves the rest alone."""
    task = json.loads(start) if form.name == "json" else {}
    lines, new = task.get("prompt", start).split("\n"), draw(st.sampled_from(SLOTS if "{article}" in start else MARKS))
    place = draw(st.integers(0, len(lines) - 1))
    if form.name == "edits":
        return f"{SEARCH}\n{lines[place]}\n{DIVIDER}\n{lines[place]}\n{new}\n{REPLACE}"
    lines[place:place] = [new]
    return json.dumps(task | {"prompt": "\n".join(lines)}) if form.name == "json" else fence("\n".join(lines))


def replies(form, start):
    made = {"full": mutated, "edits": edits, "json": objects}[form.name](start)
    return made.flatmap(wrapped) | TRICKY.flatmap(wrapped) | declining(form, start) | inserted(form, start)


def evaluated(form, start, reply):
    """Return what a chat proposer would have evaluated: the texts of its drafts."""
    history = History.empty().after(Opened(Problem("Do it well.", "Better?", start)))
    history = history.after(Proposed((Candidate(0, start, origin="start"),))).after(Told(0, Evaluation(1.0)))
    drafts = ChatProposer(ScriptedModel([reply]), form=form, reasks=0).propose(history, 1).drafts
    return [draft.text for draft in drafts]


def bare(form, start, reply):
    """Return what the form alone reads."""
    try:
        return [form.read(reply, start).text]
    except NoCandidate:
        return []


def outside(text):
    """Return what stands outside the blocks, told line by line in the plainest way."""
    kept, inside = [], False
    for line in text.strip("\n").split("\n"):
        marks = line.strip()
        inside = inside and not marks.startswith("# EVOLVE-BLOCK-END")
        kept += [] if inside else [line]
        inside = inside or marks.startswith("# EVOLVE-BLOCK-START")
    return kept


def alters_protected(text):
    return outside(text) != outside(PROGRAM)


def breaks_slots(text):
    return set(re.findall(r"(?<!\{)\{(\w+)\}(?!\})", text)) != {"article", "question"}


def declines(text):
    plain = text.strip().strip("\"'[] \n")
    strings = json.loads(text).values() if text.startswith("{\n") else [plain]
    flat = [one for value in strings for one in (value if isinstance(value, list) else [value])]
    return any(isinstance(one, str) and one.strip() in REFUSALS for one in flat)


CASES = [
    (FullText(), PROGRAM, alters_protected),
    (Edits(), PROGRAM, alters_protected),
    (FullText(), TEMPLATE, breaks_slots),
    (Edits(), TEMPLATE, breaks_slots),
    (TypedJSON(Task), TYPED, breaks_slots),
    (FullText(), "Be brief.\n", declines),
    (Edits(), "Be brief.\n", declines),
    (TypedJSON(Task), TYPED, declines),
]
NAMES = [f"{form.name}-{wrong.__name__}-{number}" for number, (form, _, wrong) in enumerate(CASES)]


@pytest.mark.parametrize(("form", "start", "wrong"), CASES, ids=NAMES)
def test_no_reply_gets_through(form, start, wrong):
    """Whatever the model says, what would be evaluated is as it must be."""

    @SETTINGS
    @given(replies(form, start))
    def check(reply):
        assert [text for text in evaluated(form, start, reply) if wrong(text)] == []

    check()


@pytest.mark.parametrize(("form", "start", "wrong"), CASES, ids=NAMES)
def test_without_the_guard_some_do(form, start, wrong):
    """The check sees what a form lets through that nobody guards."""
    find(
        replies(form, start),
        lambda reply: any(map(wrong, bare(form, start, reply))),
        settings=SEARCHING,
    )


@pytest.mark.parametrize(("form", "start"), [(form, start) for form, start, _ in CASES[:5]], ids=NAMES[:5])
def test_good_replies_do_get_through(form, start):
    """The guard is no wall: some of the same replies bring a new candidate."""
    find(
        replies(form, start),
        lambda reply: any(text.strip() != start.strip() for text in evaluated(form, start, reply)),
        settings=SEARCHING,
    )
