"""Chunks: what they hold, where they end, and that each knows its document, offset and link."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_optimize.errors import BadInput
from llm_optimize.retrieval.chunking import Chunking, Document

GUIDE = """Before any heading.

# Guide

Words first. ## no heading

## Install

Run this:

```sh
# no heading either
make all
```

## Install

Again.

### Deep *down*

Text below.

# Café & Ende!

Letzter Satz.
"""
CODE = '''import os


def first(a):
    """Do it."""
    return a

class Second:
    x = 1

    def method(self):
        return 2


def third():
    return 3
'''


def cut(text, **settings):
    """Return the chunks of a text."""
    return Chunking(**settings).cut(Document("d.md", text, "https://x.example/d.md"))


@settings(max_examples=80, deadline=None)
@given(
    st.text(st.sampled_from("ab .\n#`дß東。!"), max_size=400) | st.lists(st.text(max_size=12)).map("\n\n".join),
    st.integers(20, 120),
    st.floats(0, 0.95),
    st.sampled_from(["size", "paragraphs", "headings", "code"]),
)
def test_chunks_are_slices_that_leave_nothing_out(text, size, overlap, by) -> None:
    """Each is a slice of at most the size, in order; together they hold every character that is not white space."""
    chunks = cut(text, size=size, overlap=int(size * overlap), by=by)
    seen = set()
    for chunk in chunks:
        assert text[chunk.start : chunk.end] == chunk.text
        assert chunk.text == chunk.text.strip() != ""
        assert len(chunk.text) <= size
        seen |= set(range(chunk.start, chunk.end))
    assert all(place in seen or character.isspace() for place, character in enumerate(text))
    starts = [chunk.start for chunk in chunks]
    assert starts == sorted(set(starts))


def test_overlap_is_kept_and_begins_at_a_word() -> None:
    """A chunk repeats the end of the one before, at most so many characters; without overlap nothing."""
    text = " ".join(f"word{number}" for number in range(200))
    chunks = cut(text, size=100, overlap=30, by="size")
    for one, other in pairwise(chunks):
        shared = one.end - other.start
        assert 0 < shared <= 30
        assert other.text.startswith("word")
        assert text[other.start - 1] == " "
    plain = cut(text, size=100, overlap=0, by="size")
    assert all(one.end <= other.start for one, other in pairwise(plain))


def test_markdown_is_cut_at_headings() -> None:
    """No chunk crosses a heading, each knows those above it and links to the last; fences hold none."""
    chunks = cut(GUIDE, size=400, overlap=0, by="headings")
    link = "https://x.example/d.md"
    assert [(one.heading, one.link) for one in chunks] == [
        ("", link),
        ("Guide", f"{link}#guide"),
        ("Guide > Install", f"{link}#install"),
        ("Guide > Install", f"{link}#install-1"),
        ("Guide > Install > Deep *down*", f"{link}#deep-down"),
        ("Café & Ende!", f"{link}#café--ende"),
    ]
    assert "# no heading either" in chunks[2].text
    assert "## no heading" in chunks[1].text


def test_an_open_fence_reaches_to_the_end() -> None:
    """As Markdown has it."""
    assert len(cut("# A\n```\n# B\n", by="headings")) == 1


def test_paragraphs_stay_whole_while_they_fit() -> None:
    """Neighbours are put together up to the size; one that is too long is cut at a sentence."""
    text = "One one one.\n\nTwo two two.\n\nThree three three. " + "Long sentence here. " * 10
    chunks = cut(text, size=60, overlap=0, by="paragraphs")
    assert chunks[0].text == "One one one.\n\nTwo two two."
    assert all(one.text.endswith(".") for one in chunks)


def test_code_is_cut_where_definitions_begin() -> None:
    """A function or class that fits is not torn."""
    chunks = cut(CODE, size=75, overlap=0, by="code")
    assert [one.text.split("(")[0].split(":")[0] for one in chunks] == [
        "import os\n\n\ndef first",
        "class Second",
        "def third",
    ]


def test_nothing_gives_no_chunk() -> None:
    """An empty text, and one of white space."""
    assert cut("") == cut(" \n\t\n ") == ()


def test_a_document_without_a_link_links_by_its_name() -> None:
    """The name is what there is."""
    assert Chunking().cut(Document("a.md", "x"))[0].link == "a.md"


@pytest.mark.parametrize("wrong", [{"size": 5}, {"size": 50, "overlap": 50}, {"overlap": -1}, {"by": "pages"}])
def test_settings_that_cannot_work_are_refused(wrong) -> None:
    """The message names the field."""
    with pytest.raises(BadInput, match=list(wrong)[-1]):
        Chunking(**wrong)
