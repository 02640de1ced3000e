"""Tests that are a function: what they assert stays away from the candidate, and each assert counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llm_optimize.errors import BadInput
from llm_optimize.sandbox import Limits, Sandbox
from llm_optimize.scorers.check_functions import counted
from llm_optimize.scorers.code_tests import CodeTests, from_humaneval

CHECK = """
METADATA = {"author": "none"}
def check(candidate):
    assert True, "this one is free"
    assert candidate([1.0, 2.0, 3.9], 0.3) == (1, False), "the first"
    assert abs(candidate([1.0, 2.0], 2)[0] - 1) < 1e-6
    for size in range(3):
        assert candidate([5.0] * size, 1) == (5 if size else None, size > 1)
"""
RIGHT = (
    "def f(values, gap): return (min(values) if values else None, any(abs(a - b) < gap for i, a in enumerate(values) "
)
RIGHT += "for b in values[:i]))"
FIXTURE = Path(__file__).parents[1] / "fixtures" / "humaneval.jsonl"
PROBLEMS = [json.loads(line) for line in FIXTURE.read_text(encoding="utf-8").splitlines()]
PROBLEM = {
    "task_id": "HumanEval/x",
    "prompt": 'from typing import List\n\n\ndef double(values: List[int]) -> List[int]:\n    """ Twice each. """\n',
    "entry_point": "double",
    "test": "def check(candidate):\n    assert candidate([]) == []\n    assert candidate([1, 2]) == [2, 4]\n",
}


@pytest.fixture(scope="module")
def box():
    with Sandbox(limits=Limits(wall_s=2, memory_mb=256, processes=16)) as sandbox:
        yield sandbox


def test_each_assert_counts_by_itself(box):
    """The share is that of the asserts that hold each time they are reached; a constant one earns nothing."""
    score = CodeTests("f", CHECK, box=box)
    assert score(RIGHT).score == 1.0
    assert score(RIGHT).feedback == "all 3 hidden tests pass"
    half = score("def f(values, gap): return (1, False)")
    assert half.score == pytest.approx(2 / 3)
    assert "assert candidate([5.0] * size, 1)" in half.feedback


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("def f(values, gap): return [1, False]", "wrong"),
        ("class A:\n    __eq__ = lambda *_: True\ndef f(*_): return A()", "bad_value"),
        ("class A(tuple):\n    __eq__ = lambda *_: True\ndef f(*_): return A()", "wrong"),
        ("import os\ndef f(*_): os._exit(0)", "killed"),
        ("def f(*_):\n    while True: pass", "timeout"),
        ("def f(*_): raise AssertionError('passed')", "raised"),
        ("import builtins\nbuiltins.abs = lambda *_: 0\ndef f(*_): return None", "wrong"),
        ("_pack = _unpack = lambda *_: ['v', True]\ndef f(*_): return True", "wrong"),
        ("_results = {0: ['', ''], 1: ['', ''], 2: ['', '']}\ndef _count(*_): pass\ndef f(*_): return ''", "wrong"),
        ("def f(*_): return 10 ** 9999", "bad_value"),
        ("def g(*_): return 1", "raised"),
    ],
)
def test_cheats_earn_nothing(box, source, reason):
    """A candidate's process decides nothing but its own answers, which are data of the built-in types."""
    score = CodeTests("f", CHECK.replace("assert abs(candidate([1.0, 2.0], 2)[0] - 1) < 1e-6", "pass"), box=box)
    checked = score.checked(source)
    assert (checked.share, checked.reasons[0]) == (0.0, reason)
    assert score(source).score == 0.0


def test_a_program_that_does_not_load_fails_every_test(box):
    """Its own error is told, unless nothing may be."""
    checked = CodeTests("f", CHECK, box=box).checked("1 / 0")
    assert (checked.share, checked.started.reason) == (0.0, "raised")
    assert "ZeroDivisionError" in checked.message
    assert "Zero" not in CodeTests("f", CHECK, box=box, reveal=False).checked("1 / 0").message


def test_kinds_of_values_are_told_apart_on_the_way(box):
    """Tuples, sets, dicts with tuples for keys, and keyword arguments arrive as what they are."""
    test = "def check(candidate):\n    given = {(1, 2): {3}, 'a': [(4,)], None: frozenset((5,))}\n"
    test += "    assert candidate(given, key=(1,)) == (given, (1,))\n    assert candidate({1}) == ({1}, None)"
    assert CodeTests("f", test, box=box)("def f(value, key=None): return value, key").score == 1.0


def test_what_an_answer_does_to_the_test_is_the_candidates_fault(box):
    """An answer that makes the test hang, break off or eat memory fails the candidate; it ends no study."""
    test = "def check(candidate):\n    for _ in range(candidate()): pass\n    assert candidate() < 2"
    score = CodeTests("f", test, box=box)
    assert score("def f(): return 1").score == 1.0
    assert score.checked("def f(): return 10 ** 12").reasons == ("timeout",)
    assert score.checked("def f(): return 'x'").reasons == ("not asked",)
    assert "TypeError" in score("def f(): return 'x'").feedback
    late = "def check(candidate):\n    assert candidate() == 1\n    candidate()['x']"
    assert CodeTests("f", late, box=box).checked("def f(): return 1").reasons == ("wrong",)


def test_a_test_without_asserts_is_one_test(box):
    """It passes when it ends, whatever helpers it has used."""
    test = "def helper(x): assert x == 4\ndef check(candidate): helper(candidate(2))"
    assert counted(test)[1] == ("check(candidate)",)
    assert CodeTests("f", test, box=box)("def f(n): return n * 2").score == 1.0
    assert CodeTests("f", test, box=box)("def f(n): return n").score == 0.0


@pytest.mark.parametrize(
    "test",
    [
        "def check(candidate): 1 / 0",
        "def check(candidate): assert 2 > 1",
        "1 / 0\ndef check(candidate): assert candidate()",
    ],
)
def test_a_test_that_fails_by_itself_is_the_users_mistake(box, test):
    """It says so, instead of failing every candidate."""
    with pytest.raises(BadInput, match=r"check fails by itself: (ZeroDivisionError|it never calls)"):
        CodeTests("f", test, box=box)("def f(): return 1")


def test_chance_in_a_test_is_the_same_for_every_candidate(box):
    """Random numbers that a test draws are seeded."""
    test = "import random\ndef check(candidate):\n    assert candidate(random.random()) == 0"
    source = "def f(number): return number"
    messages = {CodeTests("f", test, box=box)("def f(number): raise ValueError(number)").feedback for _ in range(2)}
    assert len(messages) == 1
    assert CodeTests("f", test, box=box)(source).score == 0.0


@pytest.mark.parametrize(
    "candidate",
    [
        "    return [2 * value for value in values]",
        "def double(values: List[int]): return [value * 2 for value in values]",
    ],
    ids=["completion", "whole function"],
)
def test_a_humaneval_problem_takes_both_forms(box, candidate):
    """A completion of the prompt and a whole function, which finds the prompt's imports, are scored alike."""
    score = from_humaneval(PROBLEM, box=box)
    assert score(candidate).score == 1.0
    assert score(candidate.replace("2", "3")).score == 0.5


def test_a_test_may_use_what_the_prompt_gives(box):
    """As in HumanEval 32, 38 and 50, whose tests call a function of the prompt."""
    problem = {
        "prompt": 'def turned(text):\n    return text[::-1]\n\n\ndef back(text):\n    """Undo turned."""\n',
        "entry_point": "back",
        "test": "def check(candidate):\n    for text in ('ab', 'c'):\n        assert candidate(turned(text)) == text\n",
    }
    score = from_humaneval(problem, box=box)
    assert score("    return turned(text)").score == 1.0
    assert score("def turned(text): return text\ndef back(text): return text").score == 0.0


@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda problem: problem["entry_point"])
def test_every_problem_of_the_fixture_is_scored(box, problem):
    """The known solution passes all of its tests, and a function that returns nothing passes none."""
    score = from_humaneval(problem, box=box)
    assert score(problem["canonical_solution"]).score == 1.0
    assert score("    return None").score == 0.0


def test_a_row_without_its_fields_is_refused():
    """The missing ones are named."""
    with pytest.raises(BadInput, match="no entry_point and no test"):
        from_humaneval({"prompt": "def f(): pass"})
