"""The run_python tool in the real sandbox: what the model sees of its code."""

from __future__ import annotations

import json

import numpy as np
import pytest

from llm_optimize.core.metering import Scope, entered
from llm_optimize.errors import BadInput
from llm_optimize.sandbox import Limits, Sandbox
from llm_optimize.toolbox import run_python

X = np.arange(6.0).reshape(3, 2)


@pytest.fixture(scope="module")
def tool():
    """A tool with data, in a sandbox that all tests share."""
    with Sandbox(limits=Limits(wall_s=20, cpu_s=20)) as box:
        yield run_python(box, inputs={"X": X, "names": ["a", "b"]})


def ask(tool, code):
    """Return (ok, what the model is told)."""
    use = tool.call(json.dumps({"code": code}))
    return use.ok, use.result


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("x = 20\nx + 22", "42"),
        ("print('é', names)\n'ü'  # the last one", "é ['a', 'b']\n'ü'"),
        ("float(X.sum())", "15.0"),
        ("(1,\n 2)", "(1, 2)"),
        ("a = 1; a", "1"),
        ("'''two\nlines'''", "'two\\nlines'"),
        ("_last = 3\n_last", "3"),
        ("result = [1, 2]", "result = [1, 2]"),
        ("result = 5\nprint('x')", "x"),
        ("def f():\n    return 7\nresult = f()", "result = 7"),
        ("import sys; print('careful', file=sys.stderr)", "[error stream]\ncareful"),
    ],
)
def test_what_code_shows_is_told(tool, code, told) -> None:
    """Output, the value of the last expression, or the variable result."""
    assert ask(tool, code) == (True, told)


@pytest.mark.parametrize("code", ["", "x = 1", "None", "import math", "# nothing"])
def test_code_that_shows_nothing_is_told_how_to(tool, code) -> None:
    """The model learns that it has to print."""
    ok, told = ask(tool, code)
    assert ok
    assert "printed nothing" in told


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("print('first')\nx = {}\nx['k']", ["first", "[raised]", "line 3", "KeyError: 'k'"]),
        ("def f(:\n  pass", ["[raised]", "SyntaxError", "line 1"]),
        ("x\0y", ["[raised]"]),
        ("raise SystemExit('over')", ["over"]),
        ("import socket; socket.create_connection(('127.0.0.1', 1))", ["[raised]", "OSError"]),
        ("await x", ["SyntaxError"]),
    ],
)
def test_code_that_fails_is_told_why(tool, code, told) -> None:
    """With the traceback, the right line numbers, and what was printed before."""
    ok, said = ask(tool, code)
    assert not ok
    missing = [part for part in told if part not in said]
    if "OSError" in missing:  # its subclasses: refused, unreachable, not permitted
        missing = [] if "Error" in said else missing
    assert missing == []


def test_limits_hold_and_nothing_stays() -> None:
    """An endless loop is stopped after the limit; the next call is a new program."""
    own = run_python(limits=Limits(wall_s=1, cpu_s=1))
    ok, told = ask(own, "kept = 1\nwhile True: pass")
    assert not ok
    assert told.startswith(("[timeout]", "[cpu]"))
    assert "NameError" in ask(own, "kept")[1]


def test_long_output_is_cut(tool) -> None:
    """The beginning and the end are told, and how much is missing."""
    ok, told = ask(tool, "print('a' * 100_000 + 'z')")
    assert ok
    assert "characters cut" in told
    assert (told[0], told[-1]) == ("a", "z")
    assert len(told) < 10_000


def test_a_session_keeps_variables_within_a_proposal() -> None:
    """Another proposal has a session of its own; one that a limit has ended begins anew and says so."""
    own = run_python(session=True, limits=Limits(wall_s=1, cpu_s=30))
    with entered(Scope("study", "proposal/1")):
        ask(own, "kept = 41")
        assert ask(own, "kept + 1") == (True, "42")
        assert not ask(own, "1 / 0")[0]
        assert ask(own, "kept") == (True, "41")
    with entered(Scope("study", "proposal/2")):
        assert "NameError" in ask(own, "kept")[1]
    with entered(Scope("study", "proposal/1")):
        assert not ask(own, "while True: pass")[0]
        ok, told = ask(own, "kept")
        assert not ok
        assert told.startswith("(the earlier variables are gone")
        assert "NameError" in told


def test_only_so_many_sessions_live() -> None:
    """A study of many proposals does not end with as many processes: the oldest sessions are closed."""
    own = run_python(session=True, limits=Limits(wall_s=5, cpu_s=30))
    for number in range(10):
        with entered(Scope("study", f"proposal/{number}")):
            assert ask(own, f"kept = {number}\nkept") == (True, str(number))
    with entered(Scope("study", "proposal/9")):
        assert ask(own, "kept") == (True, "9")
    with entered(Scope("study", "proposal/0")):
        assert "NameError" in ask(own, "kept")[1]


def test_the_model_is_told_what_there_is(tool) -> None:
    """The description names the variables with their shapes, the limits, and the modules."""
    said = tool.spec.description
    assert "X (ndarray of shape (3, 2)), names (list of 2)" in said
    assert "Each call has 20 s" in said
    assert "Quick to import: math." in run_python(preload=["math"]).spec.description
    assert tool.spec.parameters["required"] == ["code"]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"inputs": {"f": print}}, "inputs"),
        ({"inputs": {"a b": 1}}, "inputs"),
        ({"preload": "numpy"}, "preload"),
        ({"limits": 3}, "limits"),
        ({"sandbox": Sandbox(), "preload": ["math"]}, "preload"),
        ({"name": "run python"}, "tools"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(settings, field) -> None:
    """Before a model has paid for a call that cannot succeed."""
    with pytest.raises(BadInput, match=f"^{field}"):
        run_python(**settings)
