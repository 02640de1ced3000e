"""Reply -> candidate: what is taken, what is refused, and that no reply makes it slow."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_optimize.errors import NoCandidate
from llm_optimize.text.fences import extract, fence

TAKEN = {
    "predecessor's golden reply": ("```\nX2\n```", "\nX2\n"),
    "python tag": ("Why.\n```python\nx = 1\n```\nDone.", "\nx = 1\n"),
    "two fences: the last": ("```\nold\n```\nno, rather\n```\nnew\n```\nbye", "\nnew\n"),
    "inline words: none eaten": ("```hello world```", "hello world"),
    "inline list": ("```[1, 2]```", "[1, 2]"),
    "inline in a sentence": ("Try ```[3, 4]``` now.", "[3, 4]"),
    "inline: the last": ("Not ```1``` but ```2```.", "2"),
    "inline with backticks inside": ("````a```b````", "a```b"),
    "inline padded": ("``` [1, 2] ```", "[1, 2]"),
    "block before inline": ("```\nX\n```\nnot ```Y```", "\nX\n"),
    "tag c++": ("```c++\nint x;\n```", "\nint x;\n"),
    "tag with attributes": ("```python title=x.py {1}\nx\n```", "\nx\n"),
    "space before the tag": ("``` python\nx\n```", "\nx\n"),
    "tildes": ("~~~python\nx\n~~~", "\nx\n"),
    "tildes around backticks": ("~~~\n```\nx\n```\n~~~", "\n```\nx\n```\n"),
    "four around three": ("````\n```\nx\n```\n````", "\n```\nx\n```\n"),
    "closing fence longer": ("```\nx\n`````", "\nx\n"),
    "nested of the same length": (
        "```markdown\n# T\n```python\nx\n```\nend\n```",
        "\n# T\n```python\nx\n```\nend\n",
    ),
    "two nested, in two levels": (
        "```markdown\n```md\n```sh\nls\n```\n```\n```c\n1\n```\n```",
        "\n```md\n```sh\nls\n```\n```\n```c\n1\n```\n",
    ),
    "nested in a docstring": (
        '```python\ndef f():\n    """\n    ```python\n    f()\n    ```\n    """\n```',
        '\ndef f():\n    """\n    ```python\n    f()\n    ```\n    """\n',
    ),
    "bare fences in a docstring": (
        '```python\ndef f():\n    """\n    ```\n    f()\n    ```\n    """\n```',
        '\ndef f():\n    """\n    ```\n    f()\n    ```\n    """\n',
    ),
    "opening fence in a string": (
        '```python\ntext = """\n    ```json\n    {}"""\n```',
        '\ntext = """\n    ```json\n    {}"""\n',
    ),
    "closing fence in a list is content": ("```\n- ```\n```", "\n- ```\n"),
    "indentation kept": ("```\n    a\n\tb\n```", "\n    a\n\tb\n"),
    "in a list": ("1. So:\n   ```python\n   if x:\n       y\n\n   ```", "\nif x:\n    y\n\n"),
    "behind a list mark": ("- ```\n  a\n    b\n  ```", "\na\n  b\n"),
    "indented fence, less indented text": ("  ```\nif x:\n    y\n  ```", "\nif x:\n    y\n"),
    "blank lines at both ends": ("```\n\nx\n\n```", "\n\nx\n\n"),
    "CRLF": ("Why.\r\n```python\r\na\r\nb\r\n```\r\n", "\na\nb\n"),
    "carriage return inside kept": ("```\na\rb\r\n```", "\na\rb\r\n"),
    "other line separators are text": ("```\na\x0bb\u2028c\n```", "\na\x0bb\u2028c\n"),
    "thinking skipped": ("<think>\n```\nno\n```\n```\n</think>\n```\nyes\n```", "\nyes\n"),
}

REFUSED = {
    "empty": ("", "empty"),
    "blank": (" \n\n", "empty"),
    "prose": ("I would make it shorter.", "no fenced code block"),
    "refusal": ("I'm sorry, but I can't help with that.", "no fenced code block"),
    "inline code in one backtick": ("Use `x = 1`.", "no fenced code block"),
    "inline code in two backticks": ("Use ``x = 1``.", "no fenced code block"),
    "never closed": ("```python\nx = 1", "not closed"),
    "closed at the end of a line": ("```python\nx = 1```", "not closed"),
    "closed by a shorter fence": ("````\nx\n```", "not closed"),
    "closed by the other mark": ("```\nx\n~~~", "not closed"),
    "later one cut off": ("```\nold\n```\nbetter:\n```\nnew", "not closed"),
    "nested one cut off": ("```markdown\n```python\nx\n```", "not closed"),
    "opened twice": ("```python\nx = 1\n\nor\n```python\nx = 2\n```", "not closed"),
    "empty block": ("```\n```", "empty"),
    "blank block": ("```python\n  \n\n```", "empty"),
    "last block empty": ("```\nx\n```\n```\n```", "empty"),
    "blank inline": ("```  ```", "empty"),
    "only backticks": ("``````", "not closed"),
    "markdown with bare fences": ("```markdown\nA\n```\ncode\n```\nB\n```", "longer fence"),
    "thinking only": ("<think>```\nx\n```", "thinking"),
}


@pytest.mark.parametrize(("reply", "text"), TAKEN.values(), ids=TAKEN.keys())
def test_the_candidate_is_taken_exactly(reply, text):
    """Each way of writing a candidate yields the candidate, character for character."""
    assert extract(reply).text == text


@pytest.mark.parametrize(("reply", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_candidate_is_refused_with_the_reason(reply, reason):
    """Prose, refusals, blanks and cut-off replies raise, with a reason that the model can act on."""
    with pytest.raises(NoCandidate, match=reason):
        extract(reply)


def test_the_explanation_is_the_rest_of_the_reply():
    """What stands before and behind the block is the explanation, without the block and trimmed."""
    assert extract("\nShorter.\n```c++\nx\n```\n\nFaster, too.\n").explanation == "Shorter.\n\nFaster, too."
    assert extract("Try ```[1]``` now").explanation == "Try  now"
    assert extract("<think>hm</think>\nSo.\n```\nx\n```").explanation == "So."


@given(st.text())
@settings(max_examples=300, deadline=None)
def test_a_fenced_text_is_found_again(text):
    """Whatever a text holds, fences included, what fence() encloses comes out of extract() unchanged inside."""
    body = text.strip("\n")
    if not body.strip():
        with pytest.raises(NoCandidate):
            extract(fence(text))
    else:
        assert extract(fence(text)).text == f"\n{body}\n"


@given(st.lists(st.sampled_from(["```", "```py", "~~~", "    ```", "````", "- ```", "x", "", "```a```", "\r"])))
@settings(max_examples=300, deadline=None)
def test_any_arrangement_of_fences_is_taken_or_refused(lines):
    """No arrangement of fences does anything but yield a text of the reply or NoCandidate."""
    reply = "\n".join(lines)
    try:
        found = extract(reply)
    except NoCandidate:
        return
    assert found.text.strip()
    assert "".join(found.text.split()) in "".join(reply.split())


@pytest.mark.parametrize(
    "reply",
    [
        "`" * 1_000_000,
        "``` " * 250_000,
        "```\n" * 250_000,
        "```a\n" * 200_000,
        " " * 1_000_000,
        "1. " * 300_000,
        "```\n" + "     ```a\n" * 50_000 + "    ```\n" * 50_000,
        " ".join("`" * size for size in range(3, 1_400)),
        "<think>" * 100_000,
        " " * 500_000 + "```\n" + "a\n" * 200_000 + "```",
    ],
    ids=["run", "inline", "bare", "tagged", "spaces", "lists", "nested", "lengths", "thinking", "indent"],
)
def test_a_hostile_reply_costs_linear_time(reply):
    """A megabyte made to confuse is read once: a quadratic reader would not finish this test in its lifetime."""
    with contextlib.suppress(NoCandidate):
        assert extract(reply).text
