"""Code golf: the shortest function that passes tests which it cannot see.

Shows: tests whose expected values stay outside the sandbox; feedback that names one failing case, not all of them.
Needs: a chat model. Costs: five model calls, about 6,000 tokens in all.
"""

from __future__ import annotations

from functools import cache
from itertools import groupby

from llm_optimize import Evaluation, Failure, Sandbox, optimize

TASK = """x defines a Python function f(s) that shortens runs of equal characters: each run becomes the character and
its length, and a run of one stays the character alone. 'aaab' becomes 'a3b', and '' stays ''.
The score is minus the number of characters of x; an x that fails one of the hidden tests has no score."""
QUESTION = "Which x should be tried next, so that it is shorter and still passes?"
MAX_STEPS = 5

x0 = """
def f(s):
    result = ""
    position = 0
    while position < len(s):
        end = position
        while end < len(s) and s[end] == s[position]:
            end += 1
        length = end - position
        result += s[position] + (str(length) if length > 1 else "")
        position = end
    return result
"""

_cases = ("", "a", "aa", "ab", "aaab", "abbb", "aabbaa", "   x", "..**..", "a" * 12, "\n\n\t", "zzyzzz" * 3)


@cache
def _sandbox() -> Sandbox:
    return Sandbox()


def _expected(text: str) -> str:
    runs = ((character, sum(1 for _ in run)) for character, run in groupby(text))
    return "".join(character + (str(length) if length > 1 else "") for character, length in runs)


def score(source: str) -> Evaluation | Failure:
    """Return minus the length where every hidden case passes; else a failure that names the first that does not."""
    done = _sandbox().run(
        f"{source}\nanswers = [f(case) for case in cases]", inputs={"cases": list(_cases)}, outputs=["answers"]
    )
    if not done.ok:
        return Failure(done.reason, done.message)
    for case, answer in zip(_cases, done.values["answers"], strict=True):
        if answer != _expected(case):
            return Failure("wrong", f"f({case!r}) is {answer!r}, not {_expected(case)!r}")
    length = len(source.strip())
    return Evaluation(-length, f"all {len(_cases)} hidden tests pass, {length} characters")


if __name__ == "__main__":
    result = optimize.run(TASK, QUESTION, score, x0=x0, max_steps=MAX_STEPS)
    print(f"\n{result}\n\n{result.verdict}")
