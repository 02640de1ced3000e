"""Flags that make no sense are refused by name before anything is loaded; in this process, since nothing is started."""

from __future__ import annotations

import pytest

from llm_optimize.cli import main


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--max-steps", "-1"),
        ("--max-steps", "many"),
        ("--max-steps", "1.5"),
        ("--stop-score", "high"),
        ("--stop-score", "nan"),
        ("--parallel", "0"),
        ("--ideas", "0"),
        ("--seed", "x"),
        ("--budget-evals", "0"),
        ("--budget-tokens", "0"),
        ("--budget-usd", "0"),
        ("--budget-usd", "inf"),
        ("--budget-seconds", "-1"),
        ("--eval-timeout", "0"),
        ("--model", ""),
        ("--base-url", ""),
    ],
)
def test_flag_values_that_make_no_sense(capsys, flag, value):
    """The flag is named, the exit code is 2, the message one line."""
    assert main(["run", "task.py", f"{flag}={value}"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert flag in said.err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["fly"],
        ["run"],
        ["run", "task.py", "--max", "3"],
        ["run", "a.py", "--json", "--quiet"],
        ["show", "a", "--top", "0"],
    ],
)
def test_wrong_usage(capsys, words):
    """Unknown commands and flags, missing words and flags that exclude each other are one line and 2."""
    assert main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_help_and_version_are_successes(capsys):
    """``--help`` and ``--version`` print to stdout and return 0."""
    assert main(["--help"]) == 0
    assert "doctor" in capsys.readouterr().out
    assert main(["run", "--help"]) == 0
    assert "Begin a study." in capsys.readouterr().out
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("llm-optimize ")
