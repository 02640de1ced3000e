"""Docstrings as descriptions of a function and its parameters."""

from __future__ import annotations

import pytest

from llm_optimize.llm.docstrings import describe

GOOGLE = """Add up.

    More.

    Args:
        a (int): the first
            one.
        *rest: others.

    Returns:
        b: no.
    """

NUMPY = """Add up.

    More.

    Parameters
    ----------
    a : int
        the first
        one.
    rest
        others.

    Returns
    -------
    b : int
        no.
    """

REST = """Add up.

    More.

    :param int a: the first
        one.
    :param rest: others.
    :type rest: int
    :returns: no.
    """


@pytest.mark.parametrize("docstring", [GOOGLE, NUMPY, REST], ids=["Google", "numpy", "reST"])
def test_docstrings_of_each_style_are_read(docstring) -> None:
    """The summary is what stands before the sections, each parameter has its text on one line."""
    found = describe(docstring)
    assert found.summary.split() == ["Add", "up.", "More."]
    assert found.parameters == {"a": "the first one.", "rest": "others."}


def test_numpy_names_that_share_a_description_each_have_it() -> None:
    """``x, y : int`` stands for both."""
    assert describe("Add.\n\nParameters\n----------\nx, y : int\n    a number\n").parameters == {
        "x": "a number",
        "y": "a number",
    }


@pytest.mark.parametrize("docstring", [None, "", "   ", "Only this: a line.", "One.\n\nArgs:\n", ":param:\n", "Args:"])
def test_poor_docstrings_are_no_error(docstring) -> None:
    """Whatever people write, there is a summary, perhaps an empty one, and no parameter out of nothing."""
    assert describe(docstring).parameters == {}
