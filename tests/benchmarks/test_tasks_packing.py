"""The circle-packing task: exact about what fits, and not to be fooled by what a program returns."""

from __future__ import annotations

import math

import pytest
from tasks.circle_packing import make
from tasks.examples import example

from llm_optimize import Failure

GRID = [(i % 6 / 6 + 1 / 12, i // 6 / 6 + 1 / 12, 1 / 12) for i in range(26)]


def returning(expression):
    return f"import math\nGRID = {GRID!r}\ndef pack():\n    return {expression}"


def test_an_honest_packing_has_the_sum_of_its_radii():
    """Circles that touch each other and the walls are in order, as tuples, lists or an array, and cost no rounding."""
    task = make(0)
    for honest in ("GRID", "[list(one) for one in GRID]", "__import__('numpy').array(GRID)"):
        assert task.score(returning(honest)).score == pytest.approx(26 / 12, abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_every_packing_start_has_a_score(seed):
    """Each seed's program runs, below the best that is known, and has numbers to tune."""
    task = make(seed)
    assert 2 < task.score(task.start).score < task.best
    assert task.start.count("# tune:") == 2


@pytest.mark.parametrize(
    ("cheat", "reason"),
    [
        ("[(math.nan, math.nan, 1.0)] * 26", "not between"),
        ("[(x, y, math.nan) for x, y, r in GRID]", "not between"),
        ("[(x, y, math.inf) for x, y, r in GRID]", "not between"),
        ("[(x, y, r + 1e-9) for x, y, r in GRID]", "leaves the square"),
        ("[(.5, .5, .1)] * 26", "overlap"),
        ("[(0.3, 0.5, 0.2), (0.7, 0.5, 0.2 + 1e-9), *((0.01 + i / 26, 0.01, 0.001) for i in range(24))]", "overlap"),
        ("[*GRID, (0.95, 0.95, 0.01)]", "no list of 26"),
        ("GRID[:25]", "no list of 26"),
        ("[(x, y, -r) for x, y, r in GRID]", "not between"),
        ("[*GRID[:24], (.9, .9, -50), (.9, .9, 60)]", "not between"),
        ("[(x, y, True) for x, y, r in GRID]", "three numbers"),
        ("[(x, y, 'r') for x, y, r in GRID]", "three numbers"),
        ("[(x, y, r, r) for x, y, r in GRID]", "three numbers"),
        ("[[*GRID]] * 26", "three numbers"),
        ("[(10 ** 400, y, r) for x, y, r in GRID]", "not between"),
        ("[(x, y, 0) for x, y, r in GRID]", "no radius"),
        ("{'sum': 2.7}", "no list of 26"),
        ("2.7", "no list of 26"),
        ("None", "no list of 26"),
    ],
)
def test_a_cheating_packing_has_no_score(cheat, reason):
    """NaN, infinities, overlaps of a billionth, missing and negative circles are told, and none of them scores."""
    outcome = make(0).score(returning(cheat))
    assert isinstance(outcome, Failure)
    assert reason in outcome.message


@pytest.mark.parametrize(
    "program",
    [
        "print('score 99')\nraise SystemExit(0)",
        "class Lie(float):\n    __lt__ = __le__ = __ge__ = lambda *_: True\ndef pack(): return [(Lie(9),) * 3] * 26",
        "import os\ndef pack():\n    os._exit(0)",
    ],
    ids=["leaves", "lies", "exits"],
)
def test_a_program_that_does_not_answer_has_no_score(program):
    """A program that leaves early or returns numbers which lie about comparisons is a failure."""
    assert isinstance(make(0).score(program), Failure)


def test_an_overlap_is_decided_beyond_the_precision_of_floats():
    """Two circles whose squared distance rounds to the squared sum of radii are told apart from two that touch."""
    packing = example("circle_packing")
    gap = 2e-12
    small = [(0.02 + i / 26, 0.01, 0.001) for i in range(24)]
    touching = [[0.3, 0.5, 0.2], [0.7, 0.5, 0.2], *map(list, small)]
    over = [[0.3, 0.5, 0.2], [0.7, 0.5, 0.2 + gap], *map(list, small)]
    assert packing.wrong(touching) == ""
    assert packing.wrong(over).endswith("overlap")
    assert math.isclose(0.4 + gap, 0.4, rel_tol=1e-11)
