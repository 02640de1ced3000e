"""The predecessor's helpers: the scorer with a rubric, and code that is run with the user's rights.

Golden results are those of the original; where its behaviour was a defect, the test states what holds instead.
"""

from __future__ import annotations

import subprocess
import time

import pytest

from llm_optimize import eval_utils, llm

# --- the rubric scorer ------------------------------------------------------------------------------------------------


def mark(reply: str) -> float:
    """Parse a mark as the predecessor's README did."""
    return float(reply.split("final_score=")[1])


def test_the_scorer_gives_the_mark_and_the_reply(serve) -> None:
    """The rubric is one user message with x in its slot; other braces are left alone."""
    with serve("Good.\nfinal_score=7.5") as server:
        scorer = eval_utils.get_llm_scorer('Mark {x} as {"a": 1}', parse_score=mark)
        assert scorer("a {poem}") == (7.5, "Good.\nfinal_score=7.5")
        assert [one["content"] for one in server.requests[0].body["messages"]] == ['Mark a {poem} as {"a": 1}']


def test_a_reply_without_a_mark(serve) -> None:
    """A mark that cannot be read gives the error score and the error's text."""
    with serve("no mark", "no mark"):
        assert eval_utils.get_llm_scorer("{x}", parse_score=mark)("poem") == (0.0, "list index out of range")
        assert eval_utils.get_llm_scorer("{x}", parse_score=mark, error_score=-1.0)("poem")[0] == -1.0


def test_the_scorer_is_made_without_a_key_and_follows_the_options(serve) -> None:
    """Model and key are looked up when the scorer is called, not when it is made."""
    scorer = eval_utils.get_llm_scorer("{x}", parse_score=mark)
    with serve("final_score=1", "final_score=2") as server:
        scorer("poem")
        llm.default_llm_options.update(model_name="judge")
        scorer("poem")
        assert [one.body["model"] for one in server.requests] == ["gpt-4", "judge"]


# --- running code with the user's rights ------------------------------------------------------------------------------


def test_a_script_hands_values_back() -> None:
    """Variables go in and come back from a child process; a float is a time limit too."""
    assert eval_utils.exec_with_timeout_unsafe("y = x + 1", {"x": 1}, ["y"], timeout_secs=10) == {"y": 2}
    assert eval_utils.exec_with_timeout_unsafe("y = x + 1", {"x": 1}, ["y"], 10.5) == {"y": 2}


@pytest.mark.parametrize(
    ("script", "error"),
    [("y = 1\nraise ValueError('no')", ValueError), ("y = = 1", SyntaxError)],
    ids=["raise", "syntax"],
)
def test_the_error_of_a_script_is_raised(script, error) -> None:
    """What the script raised is raised here, with its type."""
    with pytest.raises(error):
        eval_utils.exec_with_timeout_unsafe(script, {}, ["y"], timeout_secs=10)


def test_a_script_over_time() -> None:
    """An endless script is ended and the exception names the seconds."""
    began = time.monotonic()
    with pytest.raises(Exception, match=r"took too long, >1 seconds"):
        eval_utils.exec_with_timeout_unsafe("while True: pass", {}, ["y"], timeout_secs=1)
    assert time.monotonic() - began < 30


def test_functions_of_a_script_see_its_imports_and_each_other() -> None:
    """A script runs in one namespace, as a program does; the predecessor's could not call its own helpers."""
    script = "import math\ndef root(n): return math.isqrt(n)\ndef y_of(n): return root(n) + start\ny = y_of(9)"
    assert eval_utils.exec_with_timeout_unsafe(script, {"start": 1}, ["y"], timeout_secs=10) == {"y": 4}


@pytest.mark.parametrize(
    "script", ["x = 1", "import os; os._exit(0)", "y = lambda: 1"], ids=["unset", "exit", "lambda"]
)
def test_a_missing_value_is_an_error(script) -> None:
    """A wanted name that does not come back is said; the predecessor returned an empty dict."""
    with pytest.raises(Exception, match=r"y|exit"):
        eval_utils.exec_with_timeout_unsafe(script, {}, ["y"], timeout_secs=10)


def test_exec_unsafe_defines_names_in_the_given_dicts() -> None:
    """The timing idiom of the predecessor's prime example works: ``global`` in front of a function's source."""
    names: dict[str, object] = {}
    assert eval_utils.exec_unsafe("global is_prime\n\ndef is_prime(n):\n    return n == 7", names, {}) is None
    assert names["is_prime"](7)


def test_a_temporary_script() -> None:
    """It returns nothing; a failure carries stdout and stderr; over time is the standard library's exception."""
    assert eval_utils.exec_temp_script_unsafe("print('fine')", timeout=20) is None
    with pytest.raises(RuntimeError, match=r"(?s)^said first.*ValueError: no"):
        eval_utils.exec_temp_script_unsafe("print('said first')\nraise ValueError('no')", timeout=20)
    with pytest.raises(RuntimeError, match=r"3"):
        eval_utils.exec_temp_script_unsafe("raise SystemExit(3)", timeout=20)
    with pytest.raises(subprocess.TimeoutExpired):
        eval_utils.exec_temp_script_unsafe("while True: pass", timeout=0.5)
