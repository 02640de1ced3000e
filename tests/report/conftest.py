"""What the tests of the report share: small studies in real stores."""

from __future__ import annotations

import pytest

from llm_optimize import MemoryStore, ScriptedModel, SQLiteStore, optimize

HOSTILE = (
    "</script><script>window.pwned=1</script>",
    "<img src=x onerror=window.pwned=1>",
    "]]><!-- --><svg/onload=window.pwned=1>",
    "\u2028\u2029\x00\x1b[31m\u202e\ud800",
    "{{ 7 * 7 }}{% raw %}${7*7}",
    "=HYPERLINK(1)",
)
"""Texts that a page, a template, a JSON block or a spreadsheet might take for something else."""


@pytest.fixture
def hostile():
    """A study whose every text is hostile, in memory, with its name."""
    everything = "\n".join(text for text in HOSTILE if "\ud800" not in text)

    def score(text):
        if "again" in text:
            raise ValueError(everything)
        return len(text), everything

    store = MemoryStore()
    replies = [
        f"Hypothesis: {everything}\n```\n{everything} more\n```",
        f"again {everything}\n```\nagain {everything}\n```",
    ]
    optimize.run(
        f"Task {everything}", f"Question {everything}", score, everything, 2,
        ScriptedModel(replies, name="</script>"), verbose=False, store=store, study="<b>hostile</b>",
    )  # fmt: skip
    return store, "<b>hostile</b>"


@pytest.fixture
def small(tmp_path):
    """A study of three steps in SQLite, with its name: each step says a hypothesis, the last one fails."""

    def score(text):
        if "bad" in text:
            raise ValueError("bad is not allowed")
        return len(text.split()), "count the words"

    store = SQLiteStore(tmp_path / "studies.db")
    replies = [
        "Hypothesis: more words help.\n```\nbe brief and kind\n```",
        "Hypothesis: fewer words help.\n```\nbe kind\n```",
        "Hypothesis: bad words help.\n```\nbe bad and brief and kind\n```",
    ]
    optimize.run(
        "Write the longest instruction.", "Which is longer?", score, "be brief", 3, ScriptedModel(replies),
        verbose=False, store=store, study="small",
    )  # fmt: skip
    return store, "small"
