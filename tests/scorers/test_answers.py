"""Final answers, exact and normalised; the behaviours of OPRO's evaluation and of its published tests."""

from __future__ import annotations

import pickle
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_optimize.errors import BadInput
from llm_optimize.scorers.answers import ExactAnswer, NormalizedAnswer, final_answer
from llm_optimize.scorers.figures import last_number, number_of

ROWS = [
    ("18", "The answer is 18.", 1),
    ("18", "#### 18", 1),
    ("18", "Let me see, 3*6=18", 1),
    ("18", r"\boxed{18}", 1),
    ("18", "$18", 1),
    ("18", "18 dollars", 1),
    ("18", "18.00", 1),
    ("18", "eighteen", 1),
    ("18", "The answer is eighteen eggs.", 1),
    ("18", "She sold 18 eggs on 3 days", 0),
    ("1234", "1,234", 1),
    ("1,234", "The answer is $1,234.00", 1),
    ("5600", "The answer is 5600 pounds", 1),
    ("6", "the 6th", 1),
    ("156", "156kgs", 1),
    ("823", "823-yard", 1),
    ("0.5", "\\boxed{\\frac{1}{2}}", 1),
    ("1/2", "0.5", 1),
    ("50%", "The answer is 50 percent", 1),
    ("50", "50%", 1),
    ("-3", "The answer is -3", 1),
    ("-3", "The answer is \u22123", 1),
    ("3", "The answer is -3", 0),
    ("21", "twenty-one", 1),
    ("2021", "two thousand and twenty-one", 1),
    ("72", "12 boxes of 6 are 72 eggs. The answer is 72 eggs, in 12 boxes.", 1),
    ("3.14", "The answer is 3.14159", 1),
    ("3", "The answer is 3.4", 1),
    ("3.14", "3.2", 0),
    ("Paris", "The answer is Paris.", 1),
    ("Paris", "paris", 1),
    ("Paris", "**Paris**", 1),
    ("Paris", "It is in France", 0),
    ("Paris", "Paris is the correct answer", 1),
    ("yes", "The answer is yes.", 1),
    ("Yes", ":yes", 1),
    ("Yes", "true", 1),
    ("Yes", "false", 0),
    ("Yes", "1", 1),
    ("Invalid", "true", 0),
    ("Invalid", "false", 1),
    ("Invalid", "1", 0),
    ("True", "true", 1),
    ("valid", "The argument is valid.", 1),
    ("valid", "invalid", 0),
    ("(A)", "(A) apple", 1),
    ("(A)", "The answer is (A) apple.", 1),
    ("(A)", "a", 1),
    ("(A)", "b", 0),
    ("(A)", "(b)", 0),
    ("(B)", "B.", 1),
    ("Janet sells 9 eggs. #### 18", "So 9 * 2 = 18. The answer is 18", 1),
    ("10", "The answer is 10.\nQ: What is 2 + 2?\nA: 4", 1),
    ("8", "There are 3 + 5 = 8", 1),
    ("8", "The answer: 8", 1),
    ("8", "answer is: 8", 1),
    ("8", "So the total is: 8", 1),
    ("100000", "100 000", 0),
    ("1e3", "1000", 1),
    ("7", "The answer is 6. No, the answer is 7.", 1),
    ("18", "The answer is **18**.", 1),
    ("18", "Answer: $18", 1),
    ("2", "x = \\boxed{x = 2}", 1),
    ("1000000", "one million", 1),
    ("0", "The answer is 0", 1),
    ("0", "none", 0),
    ("60", "The answer is $60.", 1),
    ("3", "Step 1: 2. Step 2: 3", 1),
    ("0.25", "25%", 0),
    ("42", "It's 42!", 1),
    ("5", "5 is the answer", 1),
    ("5", "the answer is five", 1),
    ("12:30", "The answer is 12:30", 1),
    ("12:30", "The answer is 12:45", 0),
    ("2023-01-05", "The answer is 2023-01-05.", 1),
    ("2023-01-05", "The answer is 2023-01-06.", 0),
    ("x+1", "The answer is x+1", 1),
    ("x+1", "The answer is x-1", 0),
]


@pytest.mark.parametrize(("expected", "reply", "right"), ROWS)
def test_the_final_answer_is_compared_by_what_it_means(expected: str, reply: str, right: int) -> None:
    """Words, currency, separators, percent, units, boxes and marks of a final answer change nothing but the value."""
    assert NormalizedAnswer(expected)(reply).score == right


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("minus seven", -7),
        ("one hundred and five", 105),
        ("two million three hundred thousand", 2_300_000),
        ("ninety-nine", 99),
        ("1e3", 1000),
        ("\\frac{3}{4}", "0.75"),
        (".5", "0.5"),
        ("-$1,000.50", "-1000.50"),
        ("\u20ac 7", 7),
        ("12 %", 12),
        ("1,23", None),
        ("", None),
        ("7 or 8", None),
        ("a 7", None),
        ("1/0", None),
        ("someone", None),
        ("often", None),
    ],
)
def test_a_number_is_read_as_people_write_it(text: str, number: Any) -> None:
    """A text that is a number, and nothing else, has its value."""
    assert number_of(text) == (None if number is None else Decimal(number))


@given(st.integers(-(10**9), 10**9), st.sampled_from(["{:,}", "{}", "${:,}", "{:,} eggs", "#### {}", "\\boxed{{{}}}"]))
@settings(max_examples=200, deadline=None)
def test_every_integer_is_found_again(number: int, shape: str) -> None:
    """However an integer is written it is the same answer, and one more is another."""
    scorer = NormalizedAnswer(str(number))
    assert scorer(shape.format(number)).score == 1.0
    assert scorer(shape.format(number + 1)).score == 0.0


@given(st.text(max_size=300))
@settings(max_examples=300, deadline=None)
def test_no_reply_breaks_the_reading(reply: str) -> None:
    """Any text has a final answer, and a score of 0 or 1."""
    assert NormalizedAnswer(["12.5", "yes", "(B)", "Paris"])(reply).score in {0.0, 1.0}
    last_number(reply)


@pytest.mark.parametrize(
    "text", [" " * 50_000, "9" * 50_000, "is the " * 8000, "answer " * 8000, "((" * 20_000, "1," * 20_000]
)
def test_long_replies_are_read_in_good_time(text: str) -> None:
    """No reply takes time that grows with the square of its length: this test would not end."""
    NormalizedAnswer("12")(text)
    NormalizedAnswer("Paris")(text)


def test_several_answers_tolerance_and_inclusion() -> None:
    """One of several is right; a number may be off by the tolerance; a text may stand inside the answer if allowed."""
    assert NormalizedAnswer(["Paris", "Lutetia"])("The answer is Lutetia.").score == 1.0
    assert [NormalizedAnswer("3", tolerance=0.5)(reply).score for reply in ("3.5", "3.51")] == [1.0, 0.0]
    assert [NormalizedAnswer("Paris", included=one)("It is Paris, France").score for one in (False, True)] == [0.0, 1.0]
    assert NormalizedAnswer("art", included=True)("a party").score == 0.0


def test_the_feedback_keeps_the_answer_back_unless_allowed() -> None:
    """What the proposer reads tells what was answered; the right answer only if the user allows it."""
    assert NormalizedAnswer("17")("The answer is 18").feedback == "answered '18', which is not right"
    told = NormalizedAnswer("... #### 17", show_answer=True)("The answer is 18").feedback
    assert told == "answered '18', which is not right; 17 is"
    assert "17" not in ExactAnswer("17")("18").feedback


def test_exact_answers_are_compared_letter_by_letter() -> None:
    """White space at the ends and, if wanted, case do not count; all else does; accents compare however composed."""
    assert [ExactAnswer("Caf\u00e9")(one).score for one in (" Cafe\u0301\n", "caf\u00e9", "Cafe")] == [1.0, 0.0, 0.0]
    assert ExactAnswer(["A", "b"], case=False)("B").score == 1.0


def test_the_last_statement_wins() -> None:
    """Of several statements of the answer the last one counts, wherever it stands."""
    assert final_answer("The answer is 3. So 4 is the correct answer.")[0] == "4"
    assert final_answer("4 is the answer. No: the answer is 3.")[0] == "3"


def test_they_print_and_pickle() -> None:
    """Scorers are values."""
    for scorer in (NormalizedAnswer(["1", "2"], tolerance=0.1), ExactAnswer("x")):
        assert pickle.loads(pickle.dumps(scorer)) == scorer
        assert repr(scorer).startswith(type(scorer).__name__)


@pytest.mark.parametrize("wrong", [{"expected": []}, {"expected": ["a", " "]}, {"tolerance": -1}, {"tolerance": "1"}])
def test_bad_input_names_the_field(wrong: dict[str, Any]) -> None:
    """What cannot work is refused when the scorer is made."""
    with pytest.raises(BadInput, match=f"^{next(iter(wrong))}"):
        NormalizedAnswer(**{"expected": "1", **wrong})
