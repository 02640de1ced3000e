"""SEARCH/REPLACE blocks: what is applied, where, and what is refused with which reason."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_optimize.errors import NoCandidate
from llm_optimize.text.edits import DIVIDER, REPLACE, SEARCH, Edit, apply_edits, edits_in

PROGRAM = "\nimport os\n\ndef f(x):\n    y = x + 1\n    return y\n\ndef g(x):\n    return y\n"


def block(search, replace):
    return "\n".join([SEARCH, *([search] if search else []), DIVIDER, *([replace] if replace else []), REPLACE])


def edited(text, *blocks):
    edits, _ = edits_in("\n".join(block(*one) for one in blocks))
    return apply_edits(text, edits)


def test_blocks_and_the_words_around_them_are_told_apart():
    """Fences and words around the blocks are no part of them; what is in them stays byte for byte."""
    edits, why = edits_in(f"Shorter.\n```python\n{block('  a ', '```x```')}\n```\nAnd:\n{block('b', '')}\n")
    assert edits == (Edit(1, ("  a ",), ("```x```",)), Edit(2, ("b",), ()))
    assert why == "Shorter.\nAnd:"


def test_a_reply_without_blocks_has_none():
    """Prose and code are no edits."""
    assert edits_in("Nothing to change.\n```\nx\n```")[0] == ()


def test_thinking_is_no_answer():
    """Blocks that a model tries out while it thinks are passed over."""
    edits, _ = edits_in(f"<think>{block('a', 'b')}</think>\n{block('a', 'c')}")
    assert [edit.replace for edit in edits] == [("c",)]


def test_an_exact_block_is_applied():
    """Every other line stays byte for byte."""
    assert edited(PROGRAM, ("    y = x + 1", "    y = x + 2")) == PROGRAM.replace("+ 1", "+ 2")


def test_several_blocks_are_applied_whatever_their_order():
    """Each is matched against the text as it was, so that one may not change what another one finds."""
    blocks = [("    y = x + 1", "    y = x\n    y += 1"), ("import os", "import sys")]
    wanted = PROGRAM.replace("y = x + 1", "y = x\n    y += 1").replace("import os", "import sys")
    assert edited(PROGRAM, *blocks) == edited(PROGRAM, *reversed(blocks)) == wanted


def test_lines_are_deleted_by_an_empty_half():
    """Nothing in place of some lines takes them out."""
    assert edited(PROGRAM, ("import os\n", "")) == PROGRAM.replace("import os\n\n", "")


def test_white_space_at_line_ends_does_not_matter():
    """A model does not see it."""
    assert edited("a  \nb\n", ("a\nb ", "c")) == "c\n"


def test_a_block_with_too_little_indentation_is_shifted():
    """The indentation that is missing everywhere is put before the new lines as well."""
    assert edited(PROGRAM, ("y = x + 1\nreturn y", "if x:\n    y = x\nreturn y")) == PROGRAM.replace(
        "    y = x + 1\n    return y", "    if x:\n        y = x\n    return y"
    )


def test_a_block_with_too_much_indentation_is_shifted_back():
    """That which is too much everywhere is taken off the new lines."""
    assert edited("def f():\n  return 1", ("      return 1", "      return 2")) == "def f():\n  return 2"


def test_an_exact_match_counts_before_a_shifted_one():
    """Of two places the one that stands exactly so is meant."""
    assert edited("  a\na\n", ("a", "b")) == "  a\nb\n"


def test_line_ends_stay_as_they_are():
    """New lines in a text with carriage returns get them; a reply's own do not get in."""
    assert edited("a\r\nb\r\nc", ("b\nc", "x\ny")) == "a\r\nx\r\ny"
    edits, _ = edits_in(block("b", "x\ny").replace("\n", "\r\n"))
    assert apply_edits("a\nb\nc", edits) == "a\nx\ny\nc"
    assert apply_edits("a\r\nb\r\nc", edits) == "a\r\nx\r\ny\r\nc"


def test_other_line_separators_are_part_of_a_line():
    """A form feed or a Unicode separator ends no line here, so none is lost."""
    assert edited("a\x0cb\u2028c\nd", ("d", "é")) == "a\x0cb\u2028c\né"


def test_an_indented_block_loses_its_indentation():
    """A block in a list is read as if it stood at the margin."""
    told = "- First:\n" + "\n".join(f"  {line}" for line in block("a", "b\n  c").split("\n"))
    assert edits_in(told)[0] == (Edit(1, ("a",), ("b", "  c")),)


@pytest.mark.parametrize(
    ("text", "blocks", "reason"),
    [
        (
            PROGRAM,
            [("y = x + 3\nreturn y", "q")],
            r'block 1 .*its line 1 is "y = x \+ 3", but line 4 .* "    y = x \+ 1"',
        ),
        (
            PROGRAM,
            [("import os", "import re"), ("nowhere near", "q")],
            "block 2 does not stand in the current x, and no",
        ),
        (PROGRAM, [("    return y", "q")], r"block 1 stands in 2 places of the current x \(lines 5, 8\)"),
        (PROGRAM, [("", "q")], "SEARCH part of block 1 is empty"),
        (PROGRAM, [("import os", "import os")], "block 1 changes nothing"),
        (PROGRAM, [("import os", "a"), ("import os\n", "b")], "blocks 1 and 2 change the same lines"),
        ("a\nb", [("a\nb\nc", "q")], "goes on beyond the text"),
        ("  a\n    b", [("a\nb", "q")], "indented unevenly"),
        ("a", [("  a", "b")], "its REPLACE part is not indented as much"),
        ("\na\n", [("a", "")], "delete all of the current x"),
    ],
)
def test_what_cannot_be_told_for_sure_is_refused(text, blocks, reason):
    """The reason names the block, and what stands there instead."""
    with pytest.raises(NoCandidate, match=reason):
        edited(text, *blocks)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (f"{SEARCH}\na\n{REPLACE}", f"comes where {DIVIDER} should"),
        (f"{SEARCH}\na\n{DIVIDER}\nb", "'the end of the reply' comes where >>>>>>> REPLACE should"),
        (f"{SEARCH}\na\n{DIVIDER}\nb\n{DIVIDER}\nc\n{REPLACE}", "more than one line ======="),
        (f"{SEARCH}\n{SEARCH}\na\n{DIVIDER}\nb\n{REPLACE}", "its marks are unclear"),
        (f"{REPLACE}\n", "its marks are unclear"),
        (f"<<<<<<<<< SEARCH\na\n{DIVIDER}\nb\n{REPLACE}", "written so"),
    ],
)
def test_marks_out_of_order_are_refused(reply, reason):
    """A block that is not complete, or holds a mark itself, could be read in two ways."""
    with pytest.raises(NoCandidate, match=reason):
        edits_in(reply)


def test_nothing_is_applied_if_one_block_fails():
    """All or nothing: the text that the good block would make never comes out."""
    with pytest.raises(NoCandidate, match="block 2"):
        edited(PROGRAM, ("import os", "import re"), ("gone", "q"))


LINES = st.lists(st.text(alphabet="ab \t=<>", max_size=5), min_size=1, max_size=12)


@settings(deadline=None)
@given(LINES, st.data())
def test_a_block_made_of_the_text_itself_changes_just_these_lines(lines, data):
    """Whatever is applied equals the text with those lines replaced; else it is refused."""
    start = data.draw(st.integers(0, len(lines) - 1))
    end = data.draw(st.integers(start + 1, len(lines)))
    new = data.draw(st.lists(st.text(alphabet="cd ", min_size=1, max_size=4), max_size=3))
    try:
        changed = apply_edits("\n".join(lines), [Edit(1, tuple(lines[start:end]), tuple(new))])
    except NoCandidate:
        return
    assert changed == "\n".join([*lines[:start], *new, *lines[end:]])


@settings(deadline=None)
@given(st.text(alphabet="ab \n\r<>=SEARCHPLK`", max_size=200))
def test_any_reply_is_read_or_refused(reply):
    """No reply makes the reader fail in another way."""
    with suppress(NoCandidate):
        edits, _ = edits_in(reply)
        assert apply_edits("a\nb", edits).strip()
