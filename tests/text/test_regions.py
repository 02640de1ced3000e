"""Blocks that may change, slots that must stay, and which texts have either."""

from __future__ import annotations

import pytest

from llm_optimize.errors import BadInput, NoCandidate
from llm_optimize.text.regions import frame_of, language, slots

PROGRAM = """\
import os
# EVOLVE-BLOCK-START
a = 1
# EVOLVE-BLOCK-END
b = 2
// EVOLVE-BLOCK-START
<!-- EVOLVE-BLOCK-END -->"""


def test_a_text_is_taken_apart_without_loss():
    """Outside and bodies in turn are the text again; the marking lines are outside."""
    frame = frame_of(PROGRAM)
    assert frame.bodies == ("a = 1\n", "")
    joined = [piece for pair in zip(frame.outside, (*frame.bodies, ""), strict=True) for piece in pair]
    assert "".join(joined) == PROGRAM
    assert frame_of("no marks, only EVOLVE-BLOCK-START in a sentence") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("# EVOLVE-BLOCK-START\na", "START without EVOLVE-BLOCK-END behind"),
        ("a\n# EVOLVE-BLOCK-END", "END in line 2 without EVOLVE-BLOCK-START before"),
        ("# EVOLVE-BLOCK-START\n# EVOLVE-BLOCK-START\n# EVOLVE-BLOCK-END", "START in line 2 without EVOLVE-BLOCK-END"),
    ],
)
def test_marks_that_do_not_go_in_pairs_are_named(text, reason):
    """The user is told the line."""
    with pytest.raises(BadInput, match=reason):
        frame_of(text)


def test_what_stands_outside_is_put_back():
    """Bodies come from the new text, all else from the old one, carriage returns included."""
    told = PROGRAM.replace("import os", "import sys").replace("a = 1", "a = 3").replace("b = 2\n", "")
    assert frame_of(PROGRAM).restored(told) == PROGRAM.replace("a = 1", "a = 3")
    with_returns = PROGRAM.replace("\n", "\r\n")
    assert frame_of(with_returns).restored(told) == with_returns.replace("a = 1", "a = 3")


@pytest.mark.parametrize("text", ["a = 3", PROGRAM + "\n" + PROGRAM, PROGRAM.replace("# EVOLVE-BLOCK-END\n", "", 1)])
def test_bodies_that_cannot_be_told_are_refused(text):
    """With a marking line less or more nobody knows which part belongs where."""
    with pytest.raises(NoCandidate, match="2 blocks"):
        frame_of(PROGRAM).restored(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Sum up {article}.", {"{article}"}),
        ("Sum up {{ article }} in {{n}} words.", {"{{article}}", "{{n}}"}),
        ('Answer as {"label": ...} or {1} or {} for ${cost} and x^{n}.', set()),
        ("def f(x):\n    return f'{x}'", set()),
        ("function f({a}) {\n  return {a};\n}", set()),
        ("def f(x):\n    print '{x}'", set()),
        ("func f() {\n  show({x})\n  show({y})\n  show({z})\n  go()\n}", set()),
        (r"\frac{a}{b} and \emph{word}", set()),
        ('{"prompt": "Sum up {article}", "code": "x = f\'{x}\'"}', {"{article}"}),
        ("summary: {article}", {"{article}"}),
    ],
)
def test_slots_are_those_of_templates(text, found):
    """Programs, LaTeX and JSON's own braces hold none."""
    assert slots(text) == found


def test_a_descendant_is_read_as_the_template_is():
    """In a template with double braces single ones mean nothing, and the reverse, whatever the text looks like."""
    assert slots("{{a}} and {b}", known=frozenset({"{{a}}"})) == {"{{a}}"}
    assert slots("x = 1\nprint('{b}')", known=frozenset({"{a}"})) == {"{b}"}


@pytest.mark.parametrize(
    ("text", "kind"),
    [("[1, 2]", "json"), ("3", None), ("import os", "python"), ("word", None), ("a b", None), ("f(1)", "python")],
)
def test_languages_are_told_apart(text, kind):
    """A single word or number is no program, though Python would take it for one."""
    assert language(text) == kind
