"""Which option a reply chooses."""

from __future__ import annotations

import pickle

import pytest

from llm_optimize.errors import BadInput
from llm_optimize.scorers.choice import MultipleChoice, chosen

CITIES = ["London", "Paris", "Rome", "Bonn"]
WINDS = ["west", "east west", "north", "south"]
FIGURES = ["3.5", "35", "-3.5", "5.3"]
ROWS = [
    ("b/c! ", ["a/b$", "b/c!", "c/d", "d/a"], "B"),
    ("east", ["west", "east", "north", "south"], "B"),
    ("east west is reported", WINDS, "B"),
    (":west is reported", WINDS, "A"),
    ("B", CITIES, "B"),
    ("b", CITIES, "B"),
    ("(b)", CITIES, "B"),
    ("B.", CITIES, "B"),
    ("B)", CITIES, "B"),
    ("**B**", CITIES, "B"),
    ("Answer: B", CITIES, "B"),
    ("The answer is (B) Paris.", CITIES, "B"),
    ("answer is b", CITIES, "B"),
    ("Paris", CITIES, "B"),
    ("paris.", CITIES, "B"),
    ("The capital is Paris.", CITIES, "B"),
    ("B. Paris", CITIES, "B"),
    ("(B) Paris", CITIES, "B"),
    ("B: Paris", CITIES, "B"),
    ("Option B", CITIES, "B"),
    ("I choose B because it is big.", CITIES, "B"),
    ("A is wrong. C is wrong. So the answer is B.", CITIES, "B"),
    ("The answer is A. Wait, no. The answer is B.", CITIES, "B"),
    ("Let me think.\n(A) is in England.\n(C) is in Italy.\nThus (B)", CITIES, "B"),
    (r"\boxed{B}", CITIES, "B"),
    (r"Hence $\boxed{\text{B}}$.", CITIES, "B"),
    ("B is the correct answer.", CITIES, "B"),
    ("So B is the answer", CITIES, "B"),
    ("A or B", CITIES, None),
    ("(A) or (B)", CITIES, None),
    ("Answer: A or B", CITIES, None),
    ("The answer is either A or B", CITIES, None),
    ("London or Paris", CITIES, None),
    ("", CITIES, None),
    ("I do not know.", CITIES, None),
    ("A good question. I am not sure.", CITIES, None),
    ("The answer is a bit unclear", CITIES, None),
    ("not B", CITIES, None),
    ("It is not Paris", CITIES, None),
    ("The answer is not A", CITIES, None),
    ("The answer is A and B", CITIES, None),
    ("A, B", CITIES, None),
    ("E", CITIES, None),
    ("(A)(B)", CITIES, None),
    ("east west is reported", WINDS, "B"),
    ("west is reported", WINDS, "A"),
    (": west", WINDS, "A"),
    ("b", WINDS, "B"),
    ("(a)", WINDS, "A"),
    ("Paris is not in Italy, so not (C). It is (B).", CITIES, "B"),
    ("A: London is wrong\nB: Paris is right", CITIES, "B"),
    ("Final answer: **(B)**", CITIES, "B"),
    ("The best choice is B) Paris", CITIES, "B"),
    ("D", 4, "D"),
    ("My answer is d.", 4, "D"),
    ("Answer: (B) because a cat is not a dog.", 4, "B"),
    ("The correct option is C, not B.", CITIES, "C"),
    ("Answer:\nB", CITIES, "B"),
    ("The answer is Paris, as London is in England.", CITIES, "B"),
    ("B\n\nRationale: A is smaller, C is older.", CITIES, "B"),
    ("B - because A is smaller", CITIES, "B"),
    ("B, because it is the capital", CITIES, "B"),
    ("Answer: B\nExplanation: (A) is in England.", CITIES, "B"),
    ("Rome was older, but it is C.", CITIES, "C"),
    ("\uff22", CITIES, "B"),
    ("3.5", FIGURES, "A"),
    ("The result is -3.5", FIGURES, "C"),
    ("Answer: 35", FIGURES, "B"),
    ("I think the answer is B, but A could also be right.", CITIES, "B"),
    ("Both A and B", CITIES, None),
]


@pytest.mark.parametrize(("reply", "options", "letter"), ROWS)
def test_the_option_is_read(reply: str, options: list[str] | int, letter: str | None) -> None:
    """Letters in any dress, the options' words, a rationale before or behind; what is not clear is no answer."""
    assert chosen(reply, options) == letter


@pytest.mark.parametrize("unit", [" ", "answer is ", "(a) ", "A, ", "is the answer ", "not ", "\\boxed{", "a or "])
def test_long_replies_are_read_in_good_time(unit: str) -> None:
    """No reply takes time that grows with the square of its length: this test would not end."""
    chosen(unit * (100_000 // len(unit)), CITIES)


def test_the_score_says_what_was_chosen_and_keeps_the_answer_back() -> None:
    """Right is 1, wrong and unclear are 0, and the feedback tells the right answer only if the user allows it."""
    scorer = MultipleChoice("Paris", CITIES)
    assert (scorer("(b)").score, scorer("(c)").score, scorer("A or B").score) == (1.0, 0.0, 0.0)
    assert "B" not in scorer("(c)").feedback
    assert "B is" in MultipleChoice(1, CITIES, show_answer=True)("(c)").feedback
    assert [scorer(reply).metrics["answered"] for reply in ("(c)", "A or B")] == [1.0, 0.0]


def test_it_prints_pickles_and_compares() -> None:
    """A scorer is a value."""
    scorer = MultipleChoice("(b)", CITIES)
    assert pickle.loads(pickle.dumps(scorer)) == scorer == MultipleChoice("B", CITIES)
    assert repr(scorer) == "MultipleChoice(answer='B', options=('London', 'Paris', 'Rome', 'Bonn'), show_answer=False)"


@pytest.mark.parametrize(
    ("answer", "options", "named"),
    [
        ("E", CITIES, "answer"),
        (4, CITIES, "answer"),
        (True, CITIES, "answer"),
        ("A", 1, "options"),
        ("A", 27, "options"),
        ("A", ["same", "Same!"], "options"),
        ("A", ["", "b"], "options"),
    ],
)
def test_bad_input_names_the_field(answer: str | int, options: list[str] | int, named: str) -> None:
    """What cannot work is refused at once, in a line that names the field."""
    with pytest.raises(BadInput, match=f"^{named}"):
        MultipleChoice(answer, options)
