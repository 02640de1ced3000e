"""Programs scored by hidden tests: shares, reasons, held-back tests, and sizes, speeds and memory of right ones."""

from __future__ import annotations

import math
import pickle

import pytest

from llm_optimize import Failure
from llm_optimize.errors import BadInput
from llm_optimize.sandbox import Limits, Sandbox
from llm_optimize.scorers.code_measures import Memory, Size, Speed
from llm_optimize.scorers.code_tests import CodeTests
from llm_optimize.scorers.combining import Minimize

CASES = (((3,), 9), ((4,), 16), ((-1,), 1))
SQUARE = "def f(n): return n * n"
SUM = "def f(n):\n    total = 0\n    for value in range(n): total += value * value\n    return total"
WORK = [((n,), sum(i * i for i in range(n))) for n in (200_000, 300_000)]
FEW = [((3,), 5)]


@pytest.fixture(scope="module")
def box():
    with Sandbox(limits=Limits(wall_s=20, memory_mb=512)) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("source", "share", "words"),
    [
        (SQUARE, 1.0, "all 3 hidden tests pass"),
        ("def f(n): return abs(n) ** 2.0", 1.0, "all 3"),
        ("def f(n): return n + 6", 1 / 3, "1 of 3 hidden tests pass; f(4) is 10, not 16"),
        ("def f(n): return 9 // (n - 4)", 0.0, "f(3) is -9, not 9"),
        ("f = 3", 0.0, "no function f"),
        ("def f(n):", 0.0, "failed before any test: "),
    ],
)
def test_the_share_of_tests_passed_is_the_score(box, source, share, words):
    """The score is the share, with one entry for each test, and the feedback shows the first that failed."""
    outcome = CodeTests("f", CASES, box=box)(source)
    assert outcome.score == outcome.metrics["passed"] == pytest.approx(share)
    assert sum(outcome.examples) / 3 == pytest.approx(share)
    assert words in outcome.feedback


def test_nothing_of_a_test_is_told_where_nothing_may_be(box):
    """Without ``reveal`` no argument, answer or expected value is in the feedback, in any way of failing."""
    score = CodeTests("f", [((1234,), 5678)], box=box, reveal=False)
    for source in ("def f(n): return n", "def f(n): raise ValueError(n)", "def f(n): return 5678 if n else n\nf(1234)"):
        outcome = score(source)
        assert "1234" not in outcome.feedback
        assert "5678" not in outcome.feedback
    assert score("def f(n): raise ValueError(n)").feedback.endswith("the first that failed: raised")


def test_held_back_tests_are_used_for_the_final_verdict_only(box):
    """A program that knows the shown tests by heart scores 1 until the held-back ones are asked, which tell nothing."""
    score = CodeTests("f", CASES, held_back=[((7,), 49), ((8,), 64), ((3,), 9)], box=box)
    by_heart = "def f(n): return {3: 9, 4: 16, -1: 1}.get(n)"
    assert score(by_heart).score == 1.0
    final = score.final()
    assert final(by_heart).score == pytest.approx(1 / 3)
    assert "49" not in final(by_heart).feedback
    assert final(SQUARE).score == 1.0
    with pytest.raises(BadInput, match="held_back is empty"):
        final.final()


def test_a_scorer_prints_pickles_and_composes(box):
    """It is a value: printed without its tests, the same after pickling, and usable inside another scorer."""
    score = CodeTests("f", [((1234,), 5678)], Size("minified"), held_back=CASES, box=box)
    assert "5678" not in repr(score)
    assert "minified" in repr(score)
    copy = pickle.loads(pickle.dumps(score))
    assert copy == score
    with copy.box:
        assert Minimize(copy)("f=lambda n:5678").score == 15


@pytest.mark.parametrize(("unit", "size"), [("characters", 48), ("bytes", 49), ("minified", 21)])
def test_a_right_program_is_scored_by_its_size(box, unit, size):
    """Only the candidate's own text counts, in the unit asked for; a wrong one has no score however short it is."""
    score = CodeTests("f", CASES, Size(unit), preamble="import math", box=box)
    source = "\ndef f( n ):  # é\n    'Squared.'\n    return n * n\n"
    outcome = score(source)
    assert (outcome.score, type(outcome.score)) == (-size, int)
    assert outcome.feedback.startswith("all 3 hidden tests pass, ")
    refused = score("f=abs")
    assert (refused.kind, type(refused)) == ("wrong", Failure)


def test_the_preamble_runs_before_the_candidate(box):
    """What it imports is there for the candidate."""
    assert CodeTests("f", [((4,), 2.0)], preamble="import math", box=box)("f = math.sqrt").score == 1.0


SLOW = {
    "honest": "",
    "the clocks stand still": "import time\ntime.perf_counter = time.time = time.monotonic = lambda: 0.0\n",
}


@pytest.mark.parametrize("clock", ["wall", "cpu"])
@pytest.mark.parametrize("trick", SLOW, ids=list(SLOW))
def test_time_is_the_hosts(box, trick, clock):
    """A program that does the work nine times over is slower than the reference, whatever its own clocks say."""
    score = CodeTests("f", FEW, Speed(SUM, WORK, repeats=2, clock=clock), box=box)
    source = SLOW[trick] + SUM.replace("def f", "def g") + "\ndef f(n): return [g(n) for _ in range(9)][0]"
    outcome = score(source)
    assert 0 < outcome.score < 0.5
    assert outcome.metrics["seconds"] > outcome.metrics["reference_seconds"]
    assert outcome.metrics["log10_speedup"] == pytest.approx(math.log10(outcome.score))


def test_less_work_is_faster(box):
    """A formula beats the loop by far, and the score says by how much."""
    formula = "def f(n): return (n - 1) * n * (2 * n - 1) // 6"
    outcome = CodeTests("f", FEW, Speed(SUM, WORK), box=box)(formula)
    assert outcome.score > 1.5
    assert "times as fast as the reference" in outcome.feedback


def test_work_done_while_loading_is_not_hidden(box):
    """What a program works out before its first question is part of its time."""
    loads = f"{SUM}\nfor _ in range(9): f(300_000)"
    assert CodeTests("f", FEW, Speed(SUM, WORK, repeats=3), box=box)(loads).score < 0.5


def test_work_in_child_processes_is_counted(box):
    """Processor time is that of the whole tree, so handing the work to a child saves none."""
    hands = SUM.replace("def f", "def g") + "\nimport os\ndef f(n):\n    r, w = os.pipe()\n    if os.fork() == 0:\n"
    hands += "        for _ in range(9): found = g(n)\n        os.write(w, b'%d' % found)\n        os._exit(0)\n"
    hands += "    os.close(w)\n    found = os.read(r, 99)\n    os.close(r)\n    os.wait()\n    return int(found)"
    outcome = CodeTests("f", FEW, Speed(SUM, WORK, repeats=2, clock="cpu"), box=box)(hands)
    assert 0 < outcome.score < 0.5, outcome


def test_nothing_is_kept_between_timed_repeats(box):
    """Each repeat is a new process with an empty folder, so a cache on disk or in memory is empty each time."""
    keeps = (
        "import os\nkept = os.path.exists('kept')\nopen('kept', 'w').close()\ncalls = []\n"
        "def f(n):\n    calls.append(1)\n    return -1 if kept or len(calls) > 2 else sum(v * v for v in range(n))"
    )
    assert CodeTests("f", FEW, Speed(SUM, WORK, repeats=4), box=box)(keeps).score > 0


@pytest.mark.parametrize(
    "measure",
    [Speed(SUM, WORK, repeats=1), Speed(SUM, WORK, 1, "cpu"), Memory(WORK)],
    ids=["wall", "cpu", "memory"],
)
def test_an_answer_that_is_measured_is_checked(box, measure):
    """A program that notices that it is measured, and answers anything then, has no score."""
    notices = f"{SUM}\ng = f\ndef f(n): return 0 if n > 3 else g(n)"
    outcome = CodeTests("f", FEW, measure, box=box)(notices)
    assert (outcome.kind, outcome.message) == ("wrong", "2 of 2 answers were wrong while it was measured")
    leaves = f"import os\n{SUM}\ng = f\ndef f(n): return os._exit(0) if n > 3 else g(n)"
    assert CodeTests("f", FEW, measure, box=box)(leaves).kind == "killed"


def test_memory_is_the_kernels(box):
    """The peak of the program's own process counts, beyond that of an empty one, freed again or not."""
    score = CodeTests("f", FEW, Memory(), box=box)
    large = score(SUM.replace("total = 0", "total = 0; kept = bytearray(64 << 20); del kept"))
    assert -80 < large.score < -50
    assert score(SUM).score > -20


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: CodeTests("f()", CASES), "name holds"),
        (lambda: CodeTests("f", []), "cases is empty"),
        (lambda: CodeTests("f", [3]), r"cases\[0\]"),
        (lambda: CodeTests("f", CASES, tolerance=-1), "tolerance is -1"),
        (lambda: CodeTests("f", "def g(candidate): pass"), "no function check"),
        (lambda: CodeTests("f", "def check("), "no Python"),
        (lambda: CodeTests("f", CASES, held_back=[((object(),), 1)]), r"cases\[0\].*object"),
        (lambda: Size("lines"), "unit is 'lines'"),
        (lambda: Speed(SUM, repeats=0), "repeats is 0"),
        (lambda: Speed(SUM, clock="sun"), "clock is 'sun'"),
    ],
)
def test_bad_settings_are_refused(make, words):
    """What cannot work is refused in one line before anything runs."""
    with pytest.raises(BadInput, match=words) as refusal:
        make()
    assert "\n" not in str(refusal.value)


def test_a_reference_that_is_wrong_is_the_users_mistake(box):
    """It is told as such, and not as a fault of the candidate."""
    with pytest.raises(BadInput, match="reference"):
        CodeTests("f", FEW, Speed("def f(n): return 0"), box=box)(SUM)
