"""Attempts of one line of descent are shown as diffs, and the prompt still fits."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.llm.tokens import TokenCounter
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.parents.best import Best
from llm_optimize.proposers.parents.latest import Latest
from llm_optimize.proposers.window import Window
from llm_optimize.proposers.windows.diverse import Diverse
from llm_optimize.proposers.windows.recent import Recent
from llm_optimize.proposers.windows.top import Top

PROGRAM = "\n".join(f"def f{number}(x):\n    return x * {number} + {number * 7}\n" for number in range(30))
MARK = re.compile(r"\[Attempt #(\d+) was given in full\. To save room, only its changes to attempt #(\d+) are shown")


def study(count, *, parents=True, lines=1, seed=0, start=PROGRAM):
    """Return a study in which each attempt changes some lines of an earlier one."""
    draw = random.Random(seed)
    history = History.empty().after(Opened(Problem("The task.", "What is better?", start), seed=1))
    for number in range(count):
        base = history.trials[max(0, number - 1 - draw.randrange(3))] if number else None
        rows = base.text.split("\n") if base else start.split("\n")
        for _ in range(lines if base else 0):
            rows[draw.randrange(len(rows))] = f"    # change {number}"
        parent = base.id if base and parents else None
        origin = "chat:m" if number else "start"
        candidate = Candidate(number, "\n".join(rows), f"Hypothesis: {number} helps.", origin, parent)
        outcome = Failure("raised", "no") if draw.random() < 0.2 else Evaluation(draw.gauss(0, 1), "so so")
        history = history.after(Proposed((candidate,), slot=number - 1)).after(Told(number, outcome))
    return history.assuming(0, slot=count)


def describe(history, allowance=12_000, **policies):
    """Return the prompt for a history."""
    return ChatProposer(ScriptedModel([]), allowance=allowance, **{"parent": Latest(), **policies}).describe(history)


def whole(prompt):
    """Return the ids of the attempts whose whole text is in the prompt."""
    text = "\n".join(message.content for message in prompt.messages)
    return {trial.id for trial in prompt.shown if trial.text.strip("\n") in text}


def test_children_are_shown_as_diffs_of_their_parents():
    """The oldest of a line in full, each other one as what it changed, its turn saying so; the current x in full."""
    prompt = describe(study(6))
    text = "\n".join(message.content for message in prompt.messages)
    marks = {int(child): int(parent) for child, parent in MARK.findall(text)}
    assert marks == {trial.id: trial.candidate.parent for trial in prompt.shown[1:]}
    assert whole(prompt) == {0, 5}
    assert "as a unified diff:]\n\n```\n@@ -" in text
    assert "+    # change 3" in text
    assert prompt.shown[-1].text in prompt.messages[-1].content


def test_short_texts_other_texts_and_orphans_are_shown_in_full():
    """A diff is used only where it is much shorter than a long text, and only beside the parent."""
    assert not MARK.search(str(describe(study(6, start="a\nb\nc\nd")).messages))
    assert not MARK.search(str(describe(study(6, lines=200)).messages))
    assert not MARK.search(str(describe(study(6, parents=False)).messages))


def test_the_nearest_ancestor_that_is_shown_serves() -> None:
    """Where the parent itself is not in the chat, the diff is against the one before it; its number says so."""
    history = study(40)
    prompt = describe(history, window=Window(4, 4, 0))
    text = "\n".join(message.content for message in prompt.messages)
    known, marks = {trial.id for trial in prompt.shown}, {int(one): int(other) for one, other in MARK.findall(text)}
    for trial in prompt.shown:
        ancestor = trial.candidate.parent
        while ancestor is not None and ancestor not in known:
            ancestor = history.trial(ancestor).candidate.parent
        assert marks.get(trial.id, ancestor) == ancestor
        assert trial.id in marks or trial.id in whole(prompt)
    assert any(marks[child] != history.trial(child).candidate.parent for child in marks)


@pytest.mark.parametrize("parent", [None, Best()])
def test_a_parent_shown_last_is_in_full_and_its_children_are_diffs(parent):
    """Whatever the order, the current x stands in full in the last turn."""
    prompt = describe(study(12, seed=3), parent=parent, window=Top(6))
    assert prompt.shown[-1].id in whole(prompt)
    assert prompt.shown[-1].text in prompt.messages[-1].content


def test_more_attempts_fit():
    """What diffs spare is used for further attempts."""
    plain, descended = (describe(study(60, parents=parents), 6_000) for parents in (False, True))
    assert len(descended.shown) >= len(plain.shown) + 5
    assert descended.tokens <= 6_000


@given(
    st.builds(study, st.integers(1, 40), lines=st.sampled_from([1, 3, 20]), seed=st.integers(0, 9)),
    st.sampled_from([2_500, 4_000, 12_000]),
    st.sampled_from([Window(), Recent(7), Top(9), Top(48), Diverse(), Window(2, 3, 1)]),
    st.sampled_from([None, Best()]),
)
@settings(max_examples=60, deadline=None)
def test_the_bound_holds_with_diffs(history, allowance, window, parent):
    """The count from parts is never below that of the whole prompt, nor above the allowance; roles alternate."""
    proposer = ChatProposer(ScriptedModel([]), window=window, parent=parent, allowance=allowance)
    prompt, _ = proposer._asking(history, 1).first
    assert TokenCounter("scripted").count_messages(prompt.messages) <= prompt.tokens <= allowance
    roles = [message.role for message in prompt.messages]
    assert roles == ["system", "user", *["assistant", "user"] * (len(prompt.shown) - 1)]
    assert prompt.shown[-1].text.strip("\n") in prompt.messages[-1].content
