"""Diffs that say all that changed, and no more."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_optimize.text.diff import changes
from llm_optimize.text.sketches import distance, sketch

LINES = st.lists(st.sampled_from(["", "a", "b", "-a", "+b", "@@ -1 +1 @@", " c", "d\r"]), min_size=1, max_size=30)
TEXT = st.text(max_size=60)


def applied(old, diff):
    """Return what a diff makes of ``old``, reading the line numbers as ``patch`` does."""
    before, after, place = old.strip("\n").split("\n"), [], 0
    for line in diff.split("\n"):
        header = re.fullmatch(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@", line)
        if header and (place >= len(before) or line not in {f" {before[place]}", f"-{before[place]}"}):
            start = int(header[1]) - (header[2] != "0")
            after += before[place:start]
            place = start
        elif line.startswith("+"):
            after.append(line[1:])
        else:
            assert before[place] == line[1:]
            after += [line[1:]] if line.startswith(" ") else []
            place += 1
    return "\n".join([*after, *before[place:]])


@given(LINES, LINES, LINES, LINES)
def test_a_diff_can_be_applied(head, one, other, tail):
    """Whoever knows the old text can work out the new one, whatever the lines look like."""
    old, new = ("\n".join([*head, *middle, *tail]) for middle in (one, other))
    diff = changes(old, new)
    if diff:
        assert applied(old, diff) == new.strip("\n")
    elif diff == "":
        assert old.strip("\n") == new.strip("\n")


def test_only_what_changed_is_shown():
    """No file names, line numbers of the whole text, one line around each change."""
    old = "\n".join(f"line {number}" for number in range(300))
    new = old.replace("line 40\n", "").replace("line 250\n", "line 250\nnew\n")
    assert changes(old, new) == (
        "@@ -40,3 +40,2 @@\n line 39\n-line 40\n line 41\n@@ -251,2 +250,3 @@\n line 250\n+new\n line 251"
    )


def test_the_newlines_of_fences_are_no_change():
    """A candidate that carries its fence's newlines is the same text."""
    assert changes("a\nb", "\na\nb\n") == ""


@pytest.mark.parametrize("new", ["x\ny\nz", "a\nx\ny"])
def test_another_text_has_no_diff(new):
    """Where most lines are new, the text itself is shorter than its diff."""
    assert changes("a\nb\nc", new) is None


def test_the_work_is_bounded():
    """A change that spans a thousand lines is not worked out."""
    lines = [f"line {number}" for number in range(1_200)]
    turned = [lines[0], *lines[1:-1][::-1], lines[-1]]
    assert changes("\n".join(lines), "\n".join(turned)) is None


@given(TEXT, TEXT)
def test_distances_are_symmetric_and_between_0_and_1(one, other):
    """A text is at 0 from itself; order of the arguments does not matter."""
    first, second = sketch(one), sketch(other)
    assert distance(first, first) == 0
    assert 0 <= distance(first, second) == distance(second, first) <= 1


def test_more_change_is_more_distance():
    """Another word is nearer than other words in another order, and these are nearer than another text."""
    text = " ".join(f"word{number}" for number in range(50))
    one = text.replace("word7", "term")
    turned = " ".join(text.split()[::-1])
    known = sketch(text)
    assert 0 < distance(known, sketch(one)) < distance(known, sketch(turned)) < distance(known, sketch("other words"))


def test_a_sketch_is_the_same_in_every_process():
    """What is chosen by it must not change with a resume: hash() of a text would."""
    program = "from llm_optimize.text.sketches import sketch; print(sketch('w=3, b=17 \u00e9'))"
    environments = ({**os.environ, "PYTHONHASHSEED": seed} for seed in ("1", "2"))
    printed = [subprocess.check_output([sys.executable, "-c", program], env=one) for one in environments]
    assert printed[0] == printed[1]
