"""The window by meaning: what is like the best one or like the failure at hand, from anywhere in the past."""

from __future__ import annotations

import pickle

import pytest

from llm_optimize.core.events import Opened, Proposed, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Evaluation, Failure, Problem
from llm_optimize.errors import BadInput, ModelUnavailable
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.windows.near import Near
from llm_optimize.retrieval.lexical import LexicalEmbedding
from llm_optimize.testing.proposer_contract import ProposerContract, answer


def past(rows):
    """Return the history of (text, outcome) in order."""
    history = History.empty().after(Opened(Problem("The task.", "What is better?", rows[0][0]), seed=1))
    for number, (text, outcome) in enumerate(rows):
        said = Evaluation(outcome) if isinstance(outcome, (int, float)) else Failure("raised", outcome)
        history = history.after(Proposed((Candidate(number, text, "why", "chat:m"),), slot=number - 1))
        history = history.after(Told(number, said))
    return history.assuming(0, history.next_id)


class Counting:
    """The lexical model, keeping what it was asked."""

    def __init__(self):
        self.asked = []

    def embed(self, texts):
        self.asked += texts
        return LexicalEmbedding().embed(texts)


NOISE = [(f"gardening advice number {n} about roses and soil", n / 100) for n in range(60)]


def test_what_is_like_the_best_is_shown_however_long_ago() -> None:
    """Attempts from long before, neither good nor recent, come back when they are about the same thing."""
    rows = [
        ("sort the numbers with a heap", 0.0),
        ("sort numbers by a radix pass", 0.1),
        *NOISE,
        ("sort numbers with merging", 9),
        *NOISE[:20],
    ]
    shown = Near(best=1, recent=3, near=2).ranked(past(rows))
    assert [trial.id for trial in shown[:4]] == [62, 82, 81, 80]
    assert {trial.id for trial in shown[4:]} == {0, 1}


def test_a_failure_at_hand_brings_back_failures_like_it() -> None:
    """By their messages, and beside them what is like the best."""
    rows = [
        ("a", "ImportError: no module named torch"),
        ("b", "ZeroDivisionError: division by zero"),
        *NOISE,
        ("gardening best", 9),
        ("c", "KeyError: 'x'"),
        ("d", "ZeroDivisionError: float division by zero"),
    ]
    shown = Near(best=1, recent=1, near=2).ranked(past(rows))
    assert [trial.id for trial in shown[:3]] == [62, 64, 1]
    assert shown[3].score is not None


def test_nothing_is_shown_twice_and_short_pasts_are_shown_whole() -> None:
    """Each trial once, the best first; a single failed start, and no past at all."""
    for count, wanted in ((1, 1), (2, 2), (5, 5), (13, 13), (30, 14)):
        shown = Near().ranked(past(NOISE[:count]))
        ids = [trial.id for trial in shown]
        assert len(set(ids)) == len(ids) == wanted
        assert ids[0] == count - 1
    assert [trial.id for trial in Near().ranked(past([("x", "no")]))] == [0]
    assert list(Near().ranked(History.empty())) == []
    two = past([("x", "no"), ("y", "no either")])
    assert [trial.id for trial in Near(best=1, recent=1).ranked(two)] == [1, 0]


def test_it_is_a_function_of_the_history() -> None:
    """The same window gives the same answer for one history whatever it was asked between, and so does a copy."""
    window, one, other = Near(among=20), past([*NOISE, ("sort", 3)]), past([("x", 1), ("sort y", 2), ("sort z", 0)] * 9)
    first = window.ranked(one)
    window.ranked(other)
    assert window.ranked(one) == first == pickle.loads(pickle.dumps(window)).ranked(one) == Near(among=20).ranked(one)


def test_each_text_is_embedded_once_and_no_more_than_wanted() -> None:
    """A step more costs one text more; equal texts cost one."""
    model = Counting()
    window = Near(embedding=model, among=40)
    window.ranked(past(NOISE))
    before = len(model.asked)
    assert before <= 40 + 48
    window.ranked(past([*NOISE, ("a new one", 0.0), (NOISE[0][0], 0.0)]))
    assert len(model.asked) <= before + 2
    assert Counting().asked == []


def test_a_failing_model_fails_the_proposal() -> None:
    """It is not passed over in silence."""

    class Down:
        def embed(self, texts):
            raise ModelUnavailable("no answer")

    with pytest.raises(ModelUnavailable):
        Near(embedding=Down()).ranked(past(NOISE))


def test_the_prompt_says_how_the_past_was_chosen() -> None:
    """The rule is told to the model, and the near attempt stands in the chat."""
    rows = [("sort the numbers with a heap", 0.0), *NOISE, ("sort numbers with merging", 9), *NOISE[:20]]
    window = Near(best=1, recent=2, near=1)
    prompt = ChatProposer(ScriptedModel([]), window=window).describe(past(rows))
    text = "\n".join(message.content for message in prompt.messages)
    assert window.rule in text
    assert "sort the numbers with a heap" in text


@pytest.mark.parametrize("wrong", [{"best": 0}, {"recent": -1}, {"near": 1.5}, {"among": 0}])
def test_settings_that_cannot_be_are_refused(wrong) -> None:
    """The message names the field."""
    with pytest.raises(BadInput, match=next(iter(wrong))):
        Near(**wrong)


class TestNearContract(ProposerContract):
    scale = (300,)

    @pytest.fixture
    def proposer(self):
        return ChatProposer(ScriptedModel(answer), window=Near(best=2, recent=2, near=3))
