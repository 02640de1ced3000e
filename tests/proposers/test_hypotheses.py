"""What an attempt was to show, and whether it did."""

from __future__ import annotations

import pytest

from llm_optimize.core.events import Opened, Proposed, Retold, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.forms.full_text import FullText
from llm_optimize.proposers.hypotheses import Figures, hypothesis, verdict
from llm_optimize.proposers.parents.latest import Latest

STATED = "Hypothesis: shorter is better.\nI cut the end."


def past(*outcomes, idea=STATED, parents=None):
    """Return a history in which each attempt is built on the one before, or on those named."""
    history = History.empty().after(Opened(Problem("T", "Q", "x0")))
    for number, outcome in enumerate(outcomes):
        parent = parents[number] if parents else number - 1 if number else None
        candidate = Candidate(number, f"x{number}", idea if number else "", "chat:m" if number else "start", parent)
        history = history.after(Proposed((candidate,), slot=number - 1)).after(Told(number, outcome))
    return history


def said(history, number=1):
    """Return the verdict on one attempt."""
    return verdict(history, history.trial(number), Figures(3))


def prompt(history, **settings):
    """Return the messages of the next prompt as texts."""
    chat = ChatProposer(ScriptedModel([]), **{"parent": Latest(), **settings})
    return [message.content for message in chat.describe(history).messages]


@pytest.mark.parametrize(
    ("idea", "stated"),
    [
        ("Hypothesis: a.\nThen b.", "a."),
        ("Well.\n**Hypothesis:** a *b*.", "a *b*."),
        ("- **Hypothesis**: a.", "a."),
        ("# HYPOTHESIS - a.", "a."),
        ("> hypothesis:a", "a"),
        ("My hypothesis is that a.", None),
        ("Hypotheses: many", None),
        ("Hypothesis", None),
        ("Hypothesis:\n\nI cut.", "I cut."),
        ("", None),
    ],
)
def test_a_stated_hypothesis_is_found(idea, stated):
    """As models write it; prose about hypotheses is none."""
    assert hypothesis(idea) == stated


@pytest.mark.parametrize(
    ("score", "outcome"),
    [
        (0.74, "better by 0.03, so the hypothesis held."),
        (0.51, "worse by 0.2, so the hypothesis did not hold."),
        (0.71, "the same score, so the hypothesis did not hold."),
    ],
)
def test_whether_it_held(score, outcome):
    """The score is compared with that of the attempt which it was built on."""
    history = past(Evaluation(0.71), Evaluation(score))
    assert said(history) == f"Built on attempt #0 (score 0.71): {outcome}"


def test_a_failure_leaves_it_open():
    """What could not be scored says nothing about the idea, which stays in the chat with the failure."""
    history = past(Evaluation(7), Failure("raised", "ValueError: no"), Evaluation(8), parents=[None, 0, 0])
    assert said(history) == "Built on attempt #0 (score 7): no score, so the hypothesis stays open."
    texts = prompt(history)
    assert texts[2] == f"{STATED}\n\n```\nx1\n```"
    assert texts[3] == (
        "Result of attempt #1:\n\nfailed (raised): ValueError: no\n"
        "Built on attempt #0 (score 7): no score, so the hypothesis stays open."
    )


def test_without_a_stated_hypothesis_only_the_difference_is_said():
    """Engines and models that state none are compared all the same."""
    assert said(past(Evaluation(7), Evaluation(9), idea="I cut.")) == "Built on attempt #0 (score 7): better by 2."


def test_without_a_scored_parent_nothing_is_said():
    """A first draft, and what was built on a failure, have nothing to be compared with."""
    assert said(past(Evaluation(1.0)), 0) == ""
    assert said(past(Failure("raised", "no"), Evaluation(1.0))) == ""
    assert said(past(Evaluation(1.0), Evaluation(1.0), parents=[None, 99])) == ""


@pytest.mark.parametrize(("score", "held"), [(0.75, "stays open"), (2.71, "held")])
def test_differences_within_the_noise_prove_nothing(score, held):
    """Where repeated evaluations differ, two standard errors of the difference count as noise."""
    history = past(Evaluation(0.5), Evaluation(score)).after(Retold(0, Evaluation(0.9)))
    assert history.sigma == pytest.approx(0.283, abs=1e-3)
    assert f"the hypothesis {held}" in said(history)
    assert ("within the noise" in said(history)) == (held == "stays open")


def test_the_verdict_stands_between_score_and_feedback():
    """In earlier turns and in the last one, also where the model fills its own human prompt."""
    history = past(Evaluation(1, "one"), Evaluation(3, "three"), Evaluation(2, "two"))
    texts = prompt(history, human_prompt="{x}|{fx}|{task_question}")
    assert texts[3] == (
        "Result of attempt #1:\n\nscore: 3 (higher is better)\n"
        "Built on attempt #0 (score 1): better by 2, so the hypothesis held.\nthree"
    )
    assert texts[-1].endswith(
        "x2|score: 2 (higher is better)\n"
        "Built on attempt #1 (score 3): worse by 1, so the hypothesis did not hold.\ntwo|Q"
    )


@pytest.mark.parametrize("layout", ["window", "epochs"])
def test_a_search_that_stands_still_is_told_so(layout):
    """From three attempts without an improvement on; not while nothing has a score."""
    outcomes = [Evaluation(5), Evaluation(1), Evaluation(2)]
    assert "no improvement" not in prompt(past(*outcomes), layout=layout)[-1]
    last = prompt(past(*outcomes, Failure("raised", "no")), layout=layout)[-1]
    assert "The last 3 attempts brought no improvement on the best one." in last
    assert "no improvement" not in prompt(past(*[Failure("raised", "no")] * 5), layout=layout)[-1]


@pytest.mark.parametrize("layout", ["window", "epochs"])
def test_both_layouts_say_what_came_of_it(layout):
    """The chat that only grows says it too."""
    text = "\n".join(prompt(past(Evaluation(1), Evaluation(3), Evaluation(2)), layout=layout))
    assert text.count("so the hypothesis held") == 1
    assert text.count("so the hypothesis did not hold") == 1


def test_a_hypothesis_is_asked_for():
    """By the default prompt, and for a first draft."""
    assert '"Hypothesis: ..."' in prompt(past(Evaluation(1)))[-1]
    assert '"Hypothesis: ..."' in FullText().rules("a good x needs")
    first = ChatProposer(ScriptedModel([])).describe(History.empty().after(Opened(Problem("T", "Q"))))
    assert '"Hypothesis: ..."' in first.messages[-1].content


def test_the_stated_hypothesis_goes_into_the_log():
    """The draft's idea holds it."""
    model = ScriptedModel(["Hypothesis: it works.\nBecause.\n```\nnew\n```"])
    (draft,) = ChatProposer(model).propose(past(Evaluation(1)), 1).drafts
    assert hypothesis(draft.idea) == "it works."
