"""Scorers made of scorers: what the parts say, cost and measure reaches the whole, and failures stay failures."""

from __future__ import annotations

import pickle
import random
from dataclasses import FrozenInstanceError, fields

import pytest

from llm_optimize import Evaluation, Failure, Minimize, Usage
from llm_optimize.errors import BadInput
from llm_optimize.scorers.combining import Gated, Lexicographic, Part, Repeated, Weighted


def length(text):
    """A part with everything that an evaluation may hold."""
    return Evaluation(
        len(text), "count the letters", {"open": 1.0, "_held": 2.0}, (1.0, 0.0), Usage(calls=1, tokens_in=len(text))
    )


def words(text):
    """A part with the same number of examples."""
    return Evaluation(len(text.split()), "", {}, (0.0, 4.0), Usage(calls=2))


def fails(text):
    """A part that cannot score."""
    return Failure("timeout", "late", Usage(calls=5))


TWO = (Part("letters", length, 0.5), Part("words", words, 2.0))
ALL = [
    Minimize(length), Weighted(TWO), Gated(length, words, at_least=3), Repeated(length, 2), Lexicographic(TWO),
    Weighted((Part("short", Minimize(length)), Part("often", Repeated(words, 2)))),
]  # fmt: skip


@pytest.mark.parametrize("scorer", ALL, ids=lambda scorer: type(scorer).__name__)
def test_combined_scorers_print_pickle_and_do_not_change(scorer):
    """What comes out of a pickle is equal, prints alike and scores alike."""
    twin = pickle.loads(pickle.dumps(scorer))
    assert twin == scorer
    assert repr(twin) == repr(scorer)
    assert twin("some words") == scorer("some words")
    with pytest.raises(FrozenInstanceError):
        setattr(scorer, fields(scorer)[0].name, None)


def test_a_weighted_sum_keeps_what_its_parts_said():
    """Score, feedback by name, metrics under the parts' names, examples one by one, and the cost of all."""
    outcome = Weighted(TWO)("two words")
    assert outcome.score == 0.5 * 9 + 2.0 * 2
    assert outcome.feedback == "letters: 9\ncount the letters\nwords: 2"
    assert outcome.metrics == {"letters": 9.0, "letters.open": 1.0, "_letters._held": 2.0, "words": 2.0}
    assert outcome.examples == (0.5, 8.0)
    assert outcome.usage == Usage(calls=3, tokens_in=9)


def test_a_private_part_counts_and_is_not_told():
    """Its score is in the sum and, private, in the metrics; the feedback does not mention it."""
    outcome = Weighted((Part("letters", length), Part("_held_back", words)))("two words")
    assert outcome.score == 11
    assert "held_back" not in outcome.feedback
    assert outcome.metrics["_held_back"] == 2.0
    assert all(name.startswith("_") for name in outcome.metrics if "held" in name)


@pytest.mark.parametrize(
    "scorer",
    [
        Weighted((Part("words", words), Part("broken", fails))),
        Lexicographic((Part("words", words), Part("broken", fails))),
        Gated(words, fails, at_least=0),
    ],
)
def test_a_part_that_fails_is_no_score(scorer):
    """The whole is a failure of the same kind, with the cost of all that was done."""
    outcome = scorer("two words")
    assert isinstance(outcome, Failure)
    assert outcome.kind == "timeout"
    assert outcome.usage.calls == 7


def test_correct_first_then_short():
    """What fails the gate is below all that passes, ordered by how near it is, and the second scorer is not asked."""
    asked = []

    def shortness(text):
        asked.append(text)
        return -len(text)

    short = Gated(lambda text: text.count("x") / 3, shortness, floor=-100)
    scores = [short(text).score for text in ("", "x", "xx", "x" * 90 + "!", "xxx!", "xxx")]
    assert scores == sorted(scores)
    assert len(set(scores)) == 6
    assert asked == ["x" * 90 + "!", "xxx!", "xxx"]
    assert short("x").feedback == "it scores 0.333333 where 1 is needed"
    assert short("x" * 200).score == -100


@pytest.mark.parametrize(("by", "score"), [("mean", 4.0), ("median", 1)])
def test_repeats_are_taken_together(by, score):
    """The mean or the median; the spread is a private metric, the cost that of all, the feedback the nearest one's."""
    answers = iter([1, 10, 1])

    def noisy(text):
        value = next(answers)
        return Evaluation(value, f"saw {value}", usage=Usage(calls=1))

    outcome = Repeated(noisy, 3, by)("x")
    assert outcome.score == score
    assert outcome.metrics == {"_spread": 9}
    assert outcome.usage.calls == 3
    assert outcome.feedback == "saw 1"


def test_answers_travel_through_combinations():
    """What the system under optimization said is kept: of all repeats, of the scorer behind a gate, of a part."""

    def answering(text):
        return Evaluation(1.0, answers=(text.upper(),))

    assert Repeated(answering, 2)("a").answers == ("A", "A")
    assert Gated(len, answering, at_least=1)("a").answers == ("A",)
    assert Weighted((Part("length", len), Part("said", answering)))("a").answers == ("A",)


def test_a_failure_among_repeats_is_a_failure():
    """Half of the answers are not an average; no further one is bought."""
    answers = iter([1.0, Failure("raised", "no", Usage(calls=1)), 1.0])
    outcome = Repeated(lambda _: next(answers), 3)("x")
    assert isinstance(outcome, Failure)
    assert next(answers) == 1.0


def test_the_first_part_decides_and_the_next_only_between_equals():
    """The order of any two candidates is the order of their scores part by part."""
    dice = random.Random(5)
    table = {str(i): (dice.randint(0, 4) / 4, dice.randint(0, 9), dice.random()) for i in range(60)}
    parts = (
        Part("a", lambda text: table[text][0], steps=5),
        Part("b", lambda text: table[text][1], low=0, high=10, steps=10),
        Part("c", lambda text: table[text][2]),
    )
    order = Lexicographic(parts)
    assert sorted(table, key=lambda text: order(text).score) == sorted(table, key=table.get)
    assert all(0 <= order(text).score <= 1 for text in table)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Weighted(()), "weighted: parts is empty"),
        (lambda: Weighted((TWO[0], TWO[0])), "two parts are called 'letters'"),
        (lambda: Part("", length), "name is empty"),
        (lambda: Part("a", length, weight=float("nan")), "weight is nan"),
        (lambda: Part("a", length, low=1, high=1), "the scale is 1 to 1"),
        (lambda: Part("a", length, steps=1), "steps is 1"),
        (lambda: Gated(length, words, floor=float("inf")), "floor is inf"),
        (lambda: Repeated(length, 0), "times is 0"),
        (lambda: Repeated(length, 2, "mode"), "by is 'mode'"),
        (lambda: Lexicographic(tuple(Part(str(i), length) for i in range(6))), "more than a float can tell apart"),
    ],
)
def test_combinations_that_cannot_work_are_refused(wrong, message):
    """When they are made, in one line that names the field."""
    with pytest.raises(BadInput, match=message):
        wrong()
