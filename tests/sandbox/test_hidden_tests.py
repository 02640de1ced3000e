"""Hidden tests: judged by one stated rule in the host, reported without leaking, and never inside the jail."""

from __future__ import annotations

import math
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_optimize.errors import BadInput
from llm_optimize.sandbox import Case, Limits, Sandbox
from llm_optimize.sandbox.equality import equal

BACKENDS = ["zygote", "subprocess"] if sys.platform == "linux" else ["subprocess"]
SQUARE = "def f(n): return n * n"
SEARCH = '''
def readable():
    with open("/proc/self/maps") as lines:
        for line in lines:
            place, rights = line.split()[:2]
            if rights[0] == "r" and "[v" not in line:  # vvar and vsyscall cannot be read
                start, end = (int(part, 16) for part in place.split("-"))
                yield start, end - start

def found(first, second):
    """Whether two texts stand side by side in this process's memory; neither of them is ever joined here."""
    first, second = first.encode(), second.encode()
    with open("/proc/self/mem", "rb", 0) as memory:
        for start, size in readable():
            try:
                memory.seek(start)
                block = memory.read(size)
            except (OSError, ValueError, OverflowError):
                continue
            at = block.find(first)
            while at >= 0:
                if block.startswith(second, at + len(first)):
                    return True
                at = block.find(first, at + 1)
    return False

def f(argument, control, expected):
    return [found(*control), found(*expected)]
'''


@pytest.fixture(params=BACKENDS)
def box(request):
    """A sandbox of each back end that has sessions."""
    with Sandbox(backend=request.param, limits=Limits(wall_s=20)) as sandbox:
        yield sandbox


def test_all_pass(box):
    """A right program passes every case, in either form, with floats within the tolerance; nothing is to be told."""
    done = box.check(SQUARE, "f", [((3,), 9), Case((0.1,), 0.01), Case((), 16, {"n": 4})])
    assert (done.ok, done.share, done.passed, done.message) == (True, 1.0, (True,) * 3, "")
    assert all(seconds > 0 for seconds in done.seconds)
    assert not box.check(SQUARE, "f", [((0.1,), 0.01)], tolerance=0).ok


def test_the_first_failing_case_is_told_and_no_other(box):
    """The message shows one failing case and counts the rest; no value of another case is in it."""
    done = box.check(SQUARE, "f", [((3,), 9), ((1234,), 77), ((5678,), 88), ((4321,), 99)])
    assert (done.ok, done.share, done.reasons) == (False, 0.25, ("", "wrong", "wrong", "wrong"))
    assert done.message == "1 of 4 hidden tests pass; f(1234) is 1522756, not 77"


def test_nothing_is_told_where_nothing_may_be(box):
    """Without ``reveal`` neither arguments, answers, expected values nor the program's own words are in the message."""
    talkative = "def f(n):\n    print(n)\n    raise ValueError(f'the secret argument is {n}')"
    done = box.check(talkative, "f", [((1234,), 77), ((5678,), 88)], reveal=False)
    assert done.message == "0 of 2 hidden tests pass; the first that failed: raised"
    assert "1234" not in done.started.stdout


@pytest.mark.parametrize(
    ("source", "reasons", "words"),
    [
        ("def f(n): return 9 // (n - 2)", ("", "raised", "wrong"), "ZeroDivisionError"),
        ("import os\ndef f(n): return os._exit(1) if n == 2 else 9", ("", "killed", "not asked"), "exit status 1"),
        ("def f(n):\n    while n == 2: pass\n    return 9", ("", "timeout", "not asked"), "1 s"),
        ("def g(n): return 9", ("missing_output",) * 3, "f"),
        ("def f(n): return object()", ("bad_value",) * 3, "object"),
        ("import os\ndef f(n):\n    os.fork()\n    return 9", None, "more than once"),
        ("syntax error", ("not asked",) * 3, "SyntaxError"),
    ],
)
def test_programs_that_fail(box, source, reasons, words):
    """A case that raises fails by itself, one that ends the process fails with all after it, and none is a pass."""
    done = box.check(source, "f", [((3,), 9), ((2,), 9), ((4,), 16)], limits=Limits(wall_s=1))
    assert not done.ok
    if reasons is not None:
        assert done.reasons == reasons
        assert words in done.message
    assert box.check(SQUARE, "f", [((3,), 9)]).ok


@pytest.mark.skipif(sys.platform != "linux", reason="the search reads /proc")
def test_expected_values_are_nowhere_in_the_jail(box):
    """A program that searches its whole memory finds the argument that it was given, and no expected value."""
    control, expected = ("control-", "7f3a91"), ("expected-", "c41d08")
    cases = [(("".join(control), control, expected), "".join(expected))] * 2
    done = box.check(SEARCH, "f", cases, reveal=True)
    if "raised" in done.reasons:
        pytest.skip(f"memory cannot be searched here: {done.message.splitlines()[-1]}")
    assert done.reasons == ("wrong", "wrong")
    assert "[True, False]" in done.message


def test_later_cases_are_not_there_yet(box):
    """While a case is answered, the arguments of later ones have not reached the process."""
    source = "seen = []\ndef f(n):\n    seen.append(n)\n    return list(seen)"
    assert box.check(source, "f", [((1,), [1]), ((2,), [1, 2])]).ok


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"cases": []}, "cases is empty"),
        ({"cases": [3]}, r"cases\[0\]"),
        ({"cases": [((3,), 9), (3, 9)]}, r"cases\[1\].*tuple"),
        ({"cases": [("ab", 9)]}, r"cases\[0\].*tuple"),
        ({"cases": [((3,), object())]}, r"cases\[0\].*object"),
        ({"cases": [((object(),), 9)]}, r"cases\[0\].*object"),
        ({"cases": [((3,), 9)], "tolerance": -1}, "tolerance"),
        ({"cases": [((3,), 9)], "tolerance": math.nan}, "tolerance"),
    ],
)
def test_bad_cases_are_refused(arguments, words):
    """A case that is none is refused by its number, in one line, before anything runs."""
    with Sandbox() as box, pytest.raises(BadInput, match=words) as refusal:
        box.check(SQUARE, "f", **arguments)
    assert "\n" not in str(refusal.value)


NUMBERS = st.integers() | st.floats() | st.booleans() | st.none() | st.text(max_size=3)
VALUES = st.recursive(NUMBERS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner))


@given(VALUES)
@settings(deadline=None)
def test_every_value_equals_itself(value):
    """The rule holds of every value and itself, NaN included, exactly."""
    assert equal(value, value, 0)


@given(VALUES, VALUES)
@settings(deadline=None)
def test_the_rule_is_even_handed(one, other):
    """It makes no difference which of two values is the answer; an answer never raises."""
    assert equal(one, other) is equal(other, one)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (True, 1),
        (0, False),
        ("1", 1),
        (b"a", "a"),
        (None, 0),
        (None, math.nan),
        ([], None),
        ([1], [1, 1]),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, [("a", 1)]),
        ("ab", ["a", "b"]),
        (math.inf, -math.inf),
        (math.inf, 1e308),
        (math.nan, 0.0),
        (10**400, math.inf),
        (10**400, 1.0),
        (2**53, 2**53 + 1),
        (1.0, 1.00001),
    ],
)
def test_what_is_not_equal(answer, expected):
    """Other kinds, lengths, keys, signs and distances are not equal."""
    assert not equal(answer, expected)


def test_arrays_are_compared_by_element():
    """Shape, kind and elements count, floats within the tolerance, NaN equal to NaN; an array is no list."""
    numpy = pytest.importorskip("numpy")
    array = numpy.array([1.0, math.nan, 3.0])
    assert equal(array + 1e-12, array)
    assert equal(numpy.array([1, 2]), numpy.array([1.0, 2.0]))
    assert equal(numpy.array(["a"]), numpy.array(["a"]))
    for other in (array[:2], array + 1, numpy.array(["1.0", "nan", "3.0"]), [1.0, math.nan, 3.0], 1.0, None):
        assert not equal(array, other)
        assert not equal(other, array)
    assert equal([{"a": array}], [{"a": array.copy()}])
