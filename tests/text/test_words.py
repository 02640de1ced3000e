"""What changed between two texts, word by word."""

from __future__ import annotations

import random
from itertools import pairwise

from llm_optimize.text.words import word_changes


def test_the_parts_are_the_two_texts() -> None:
    """What is not new is the old text, what is not gone is the new one, for any two texts."""
    dice = random.Random(1)
    texts = ["".join(dice.choices(["a", "b ", "\n", "ü.", "{x}"], k=dice.randrange(40))) for _ in range(60)]
    for old, new in pairwise(texts):
        parts = word_changes(old, new)
        assert "".join(text for kind, text in parts if kind != "new") == old
        assert "".join(text for kind, text in parts if kind != "gone") == new


def test_a_changed_word_is_one_part_and_not_its_letters() -> None:
    """People read words: 'cat' for 'car' is a word gone and a word that came."""
    assert word_changes("a cat sat", "a car sat") == [("same", "a "), ("gone", "cat"), ("new", "car"), ("same", " sat")]


def test_long_texts_are_compared_line_by_line() -> None:
    """Texts of many thousand words do not cost the square of their length."""
    old = "".join(f"line {number} of a long text\n" for number in range(3000))
    parts = word_changes(old, old.replace("line 1500 of", "line 1500 in"))
    assert [kind for kind, _ in parts] == ["same", "gone", "new", "same"]
    assert parts[1][1] == "line 1500 of a long text\n"
