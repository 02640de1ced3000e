"""Near-duplicates: what is refused before it is evaluated, what is not, and that the cost of a check does not grow."""

from __future__ import annotations

import pickle

import pytest

from llm_optimize import optimize
from llm_optimize.core.events import Opened, Proposed, Retold, Told
from llm_optimize.core.history import History
from llm_optimize.core.types import Candidate, Draft, Evaluation, Failure, Problem
from llm_optimize.errors import BadInput
from llm_optimize.llm.fake import ScriptedModel
from llm_optimize.proposers.chat import ChatProposer
from llm_optimize.proposers.novelty import Novelty
from llm_optimize.proposers.twins import TwinIndex, code_key
from llm_optimize.testing.proposer_contract import ProposerContract

CODE = 'def f(x):\n    """Double."""\n    y = x * 2.5  # twice\n    return y\n'
PROSE = (
    "Read the article with care and answer the question in one sentence. Quote no more than ten words of it, name the "
    "paragraph from which each of your claims comes, and say so plainly if the article does not hold the answer."
)


def past(*texts, outcomes=()):
    """Return the history of a study with these texts, scored 0, 1, 2, ... unless outcomes say otherwise."""
    history = History.empty().after(Opened(Problem("task", "q", texts[0] if texts else None)))
    for number, text in enumerate(texts):
        outcome = outcomes[number] if number < len(outcomes) else Evaluation(float(number))
        candidate = Candidate(number, text, origin="" if number else "start")
        history = history.after(Proposed((candidate,), slot=number - 1)).after(Told(number, outcome))
    return history


class TestWithNovelty(ProposerContract):
    """A chat that compares all it can passes the suite of all proposers."""

    scale = (1_000,)  # see test_proposer_contract for 100,000

    @pytest.fixture
    def proposer(self):
        model = ScriptedModel(lambda request: f"```\na = {len(str(request)) % 977 / 100}  # tune: a=0..10\n```")
        return ChatProposer(model, novelty=Novelty(ignore="names", alike=0.95))


SAME = {
    "spaces": "def f( x ):\n  y = x*2.5\n  return y",
    "comments": "def f(x):\n    # a long comment that says nothing\n    y = x * 2.5\n    return y",
    "brackets": CODE.replace("x * 2.5", "(x * (2.5))"),
    "docstring": CODE.replace("Double.", "Return the double of it."),
    "blank lines": CODE.replace("\n", "\n\n\n"),
}
DIFFERENT = {
    "constant": CODE.replace("2.5", "2.6"),
    "name of a function": CODE.replace("def f", "def g"),
    "operator": CODE.replace("*", "+"),
    "order": "def f(x):\n    y = 2.5 * x\n    return y\n",
    "number to tune": CODE.replace("# twice", "# tune: y=1..3"),
    "variable": CODE.replace("y", "z"),
    "prose": PROSE,
}


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_a_program_in_another_layout_is_refused(text):
    """The same syntax tree, not shorter, is a twin; the reason names the attempt and its score."""
    padded = text + "\n" + "#" * len(CODE)
    said = Novelty().objection(padded, past("a = 0", CODE), [])
    assert said is not None
    assert "attempt #1, which scored 1" in said
    assert "comments" in said


@pytest.mark.parametrize("text", DIFFERENT.values(), ids=DIFFERENT)
def test_another_program_is_new(text):
    """Whatever may change what the program does is let through."""
    assert Novelty().objection(text, past("a = 0", CODE), []) is None


def test_a_shorter_twin_is_new_and_a_longer_one_is_not():
    """Where bytes may count, each twin that is shorter than all before it is worth an evaluation."""
    history = past("a = 0", "b = 1 + 2", "b=1 + 2", outcomes=[Evaluation(0), Evaluation(5), Evaluation(5)])
    assert Novelty().objection("b=1+2", history, []) is None
    assert "attempt #2" in Novelty().objection("b= 1 + 2", history, [])
    assert "attempt #2" in Novelty().objection("b = 1 +  2", history, [])


def test_once_twins_have_scored_differently_layout_counts():
    """A scorer that gives twins different scores shows that layout matters; before, and for re-tests, it does not."""
    history = past("a = 0", "b = 1 + 2", "b=1+2", outcomes=[Evaluation(0), Evaluation(-9), Evaluation(-5)])
    assert Novelty().objection("b = 1  +  2", history, []) is None
    equal = past("a = 0", "b = 1 + 2", "b=1+2", outcomes=[Evaluation(0), Evaluation(5), Evaluation(5)])
    equal = equal.after(Retold(2, Evaluation(7)))
    assert Novelty().objection("b = 1  +  2", equal, []) is not None


def test_a_history_shorter_than_what_was_seen_is_answered_for_itself():
    """One object asked about a long past and then about its beginning answers as a fresh one would."""
    history = past("a = 0", "b = 1 + 2", "b=1+2", CODE, outcomes=[Evaluation(0), Evaluation(-9), Evaluation(-5)])
    early = past("a = 0", "b = 1 + 2")
    used = Novelty()
    for text in ("b = 1  + 2", CODE + "#", "a  = 0"):
        for known in (history, early, history):
            assert used.objection(text, known, []) == Novelty().objection(text, known, [])


def test_failed_and_pending_twins_are_named_as_such():
    """The reason says that the twin failed, or is being evaluated, or stands in the same answer."""
    history = past("a = 0", CODE, outcomes=[Evaluation(0), Failure("raised", "no")])
    assert "#1, which failed" in Novelty().objection(CODE + "# x", history, [])
    waiting = history.after(Proposed((Candidate(2, "b = [1, 2]"),), slot=1))
    assert "#2, which is being evaluated" in Novelty().objection("b = [1,  2]", waiting, [])
    assert "another answer" in Novelty().objection("c =  3", history, [Draft("c = 3")])


def test_renamed_variables_are_twins_only_if_asked():
    """With ignore='names' what functions bind is compared by its place; what others can see keeps its name."""
    one = "k = 3\ndef f(x, n=2):\n    y = x * n + k\n    return [y for y in range(n)]\n"
    two = "k = 3\ndef f(a, m=2):\n    total = a * m + k\n    return [total for total in range(m)]\n"
    assert Novelty().objection(two, past("a = 0", one), []) is None
    assert "names" in Novelty(ignore="names").objection(two, past("a = 0", one), [])
    for kept in ("k = 3", "def f"):
        changed = two.replace(kept, kept + "k" if kept == "def f" else "l = 3").replace("+ k", "+ l")
        assert Novelty(ignore="names").objection(changed, past("a = 0", one), []) is None
    swapped = "def f(x, y):\n    return x - y\n", "def f(x, y):\n    return y - x\n"
    assert code_key(swapped[0], names=True) != code_key(swapped[1], names=True)
    by_keyword = "def f(n):\n    return g(n=n)\n", "def f(m):\n    return g(m=m)\n"
    assert code_key(by_keyword[0], names=True) != code_key(by_keyword[1], names=True)


def test_prose_that_happens_to_parse_is_no_program():
    """Headings are comments to Python and single words are names: such texts are compared as they stand."""
    assert Novelty().objection("# Two\nhello", past("a", "# One\nhello"), []) is None
    assert code_key("# A heading\nwell-known") is None
    assert code_key("x = 1 +") is None
    assert code_key("") is None
    assert code_key("a" + "+a" * 150_000) is None


def test_prose_in_another_layout_is_refused_and_a_changed_word_is_not():
    """Line ends and double spaces make no new prompt; by default one word does."""
    history = past("a", PROSE)
    assert "attempt #1" in Novelty().objection(PROSE.replace(" ", "  "), history, [])
    rewrapped = PROSE.replace(". ", ".\n")
    assert Novelty().objection(rewrapped, history, []) is None
    assert "100.0% the same" in Novelty(alike=1.0).objection(rewrapped, history, [])
    assert Novelty().objection(PROSE.replace("ten", "nine"), history, []) is None
    indented = "rules:\n  - a\n  - b", "rules:\n  - a\n    - b"
    assert Novelty().objection(indented[1], past("a", indented[0]), []) is None


def test_prose_can_be_compared_by_its_words():
    """Above the share that the user gives, a text is a near-duplicate, unless a number differs."""
    novelty, history = Novelty(alike=0.9), past("a", PROSE)
    said = novelty.objection(PROSE.replace("care", "attention"), history, [])
    assert "% the same" in said
    assert "attempt #1, which scored 1" in said
    assert novelty.objection("Answer in one sentence.", history, []) is None
    assert novelty.objection(PROSE.replace("ten", "10"), history, []) is None
    numbered = past("a", PROSE.replace("ten", "10"))
    assert novelty.objection(PROSE.replace("ten", "12"), numbered, []) is None
    assert novelty.objection(CODE.replace("y", "z"), past("a", CODE), []) is None


class Bag:
    """Embeds a text as its counts of three letters; counts what it is asked."""

    def __init__(self):
        self.asked = 0

    def embed(self, texts):
        import numpy as np  # noqa: PLC0415 - the package is a heavy one

        self.asked += len(texts)
        return np.array([[text.count(letter) for letter in "aeo"] for text in texts], dtype=np.float32)


def test_texts_can_be_compared_by_meaning():
    """With an embedding model texts above the cosine are near-duplicates; each is embedded once."""
    model = Bag()
    novelty = Novelty(embedding=model, cosine=0.999)
    history = past("ooo", "aaa eee", "o e a")
    assert "in meaning" in novelty.objection("eee aaa", history, [])
    assert novelty.objection("aaa ooo", history, []) is None
    assert model.asked == 5
    assert novelty.objection("zzz", history, []) is None


def test_the_number_of_texts_compared_does_not_grow():
    """However many trials there are, a text is held against 32 of them, and each is parsed once."""
    history = past(*(f"a {'word ' * 20} {'o' * number}" for number in range(300)))
    model = Bag()
    Novelty(embedding=model).objection("eee", history, [])
    assert model.asked <= 33

    class Counting(TwinIndex):
        parsed = 0

        def key(self, text):
            Counting.parsed += 1
            return super().key(text)

    index = Counting()
    index.twin("x = 1", history)
    assert Counting.parsed == 301
    index.twin("x = 2", history)
    assert Counting.parsed == 302


def test_a_novelty_prints_and_pickles():
    """It is a value: equal to one with the same settings, and to its own copy."""
    novelty = Novelty(alike=0.95)
    novelty.objection(CODE, past("a", CODE), [])
    assert pickle.loads(pickle.dumps(novelty)) == novelty == Novelty(alike=0.95)
    assert repr(novelty) == "Novelty(ignore='layout', alike=0.95, embedding=None, cosine=0.99)"


def test_the_model_is_told_and_nothing_is_evaluated():
    """A near-duplicate costs no evaluation: the model hears which attempt it repeats, and answers again."""
    answers = ["```\nx = 1  # one\n```", "```\nx = 2\n```"]
    model, scored = ScriptedModel(answers), []
    result = optimize.run(
        "task", "q", lambda text: scored.append(text) or 0.5, "x = 1", 1, proposer=ChatProposer(model), store=None,
        verbose=False,
    )  # fmt: skip
    assert [text.strip() for text in scored] == ["x = 1", "x = 2"]
    assert "this is attempt #0, which scored 0.5" in model.requests[1].messages[-1].content
    assert len(result.history.trials) == 2


def test_without_novelty_only_exact_copies_are_refused():
    """novelty=None lets a program in another layout through."""
    model = ScriptedModel(["```\nx = 1  # one\n```"])
    assert ChatProposer(model, novelty=None).propose(past("x = 1"), 1).drafts


@pytest.mark.parametrize(
    "settings",
    [{"ignore": "case"}, {"alike": 0}, {"alike": 1.5}, {"alike": "high"}, {"cosine": None}, {"cosine": True}],
)
def test_bad_settings_are_refused(settings):
    """A setting that cannot be is named in one line."""
    with pytest.raises(BadInput, match=f"novelty: {next(iter(settings))} is"):
        Novelty(**settings)
