"""Code golf: the shortest function that passes tests which it cannot see.

Shows: the scorer ``CodeTests``: tests whose expected values stay outside the sandbox, feedback that names one failing
case and not all of them, size as the measure of what is right:
in bytes, since two letters of a program can be packed into one character of a wide alphabet.
Needs: a chat model. Costs: five model calls, about 6,000 tokens in all.
"""

from __future__ import annotations

from itertools import groupby

from llm_optimize import optimize
from llm_optimize.scorers.code_measures import Size
from llm_optimize.scorers.code_tests import CodeTests

TASK = """x defines a Python function f(s) that shortens runs of equal characters: each run becomes the character and
its length, and a run of one stays the character alone. 'aaab' becomes 'a3b', and '' stays ''.
The score is minus the number of bytes of x (UTF-8); an x that fails one of the hidden tests has no score."""
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


def _shortened(text: str) -> str:
    runs = ((character, sum(1 for _ in run)) for character, run in groupby(text))
    return "".join(character + (str(length) if length > 1 else "") for character, length in runs)


_texts = ("", "a", "aa", "ab", "aaab", "abbb", "aabbaa", "   x", "..**..", "a" * 12, "\n\n\t", "zzyzzz" * 3)
score = CodeTests("f", [((text,), _shortened(text)) for text in _texts], Size("bytes"))

if __name__ == "__main__":
    result = optimize.run(TASK, QUESTION, score, x0=x0, max_steps=MAX_STEPS)
    print(f"\n{result}\n\n{result.verdict}")
