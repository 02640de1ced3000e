"""Programs that try to get a score which they have not earned, in ``fixtures/cheats``; each says how it must end."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from llm_optimize import Failure
from llm_optimize.sandbox import Limits, Sandbox
from llm_optimize.scorers.code_measures import Size
from llm_optimize.scorers.code_tests import CodeTests

CHEATS = sorted((Path(__file__).parents[1] / "fixtures" / "cheats").glob("cheat_*.py"))
ANSWERS = {"aaab": "a3b", "zz": "z2", "xxyyy": "x2y3", "a" * 12: "a12", "qqwee": "q2we2", "   .": " 3."}
HONEST = """
from itertools import groupby
def f(letters):
    runs = ((letter, len(list(run))) for letter, run in groupby(letters))
    return "".join(letter + (str(n) if n > 1 else "") for letter, n in runs)
"""


@cache
def scorer(measure=None):
    box = Sandbox(limits=Limits(wall_s=1, cpu_s=5, memory_mb=256, processes=32, output_kb=16, files_mb=8))
    return CodeTests("f", [((list(text),), answer) for text, answer in ANSWERS.items()], measure, box=box)


def head(source):
    lines = (line[2:].partition(": ") for line in source.splitlines() if line.startswith("# "))
    return {name: text for name, _, text in lines}


def test_there_are_many_cheats():
    """At least forty programs are tried, and an honest one passes every test that they fail."""
    assert len(CHEATS) >= 40
    assert scorer()(HONEST).score == 1.0
    assert scorer(Size())(HONEST).score == -len(HONEST.strip())


@pytest.mark.parametrize("path", CHEATS, ids=lambda path: path.stem.removeprefix("cheat_"))
def test_a_cheat_scores_nothing_and_is_told_why(path):
    """The share of tests passed is 0, a measure gives no score at all, and the reason is the one in the file's head."""
    source = path.read_text(encoding="utf-8")
    told = head(source)
    if told.get("needs") and told["needs"] not in scorer().box.layers().in_force:
        pytest.skip(f"without the layer {told['needs']} it would reach this machine's own processes")
    outcome = scorer()(source)
    assert (outcome.score, set(outcome.examples)) == (0.0, {0.0}), outcome
    assert any(words in outcome.feedback for words in told.get("says", "").split("|")), outcome.feedback
    measured = scorer(Size())(source)
    assert isinstance(measured, Failure)
    assert measured.kind in told["expect"].split("|"), measured
    assert scorer()(HONEST).score == 1.0
