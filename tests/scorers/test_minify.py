"""The normaliser behind sizes after minifying: the same program, without what only a reader needs."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import llm_optimize
from llm_optimize.scorers.minify import minified

FILES = sorted(Path(llm_optimize.__file__).parent.rglob("*.py"))[::12]


@pytest.mark.parametrize(
    ("source", "small"),
    [
        ("x = 1  # one\n\n\n# two\n", "x=1"),
        ('"""Doc."""\nx = 1', "x=1"),
        ('def f():\n    """Doc."""', "def f():\n 0"),
        ("def f( a , * , b = 1 ) :\n        return not a", "def f(a,*,b=1):\n return not a"),
        ("x = [ y for y in z if y not in ( 1 , 2 ) ]", "x=[y for y in z if y not in(1,2)]"),
        ("x = 1 if y else 0x10", "x=1 if y else 16"),
        ("x = f'{ a !r:>{ w }} { {} }'", "x=f'{a!r:>{w}} { {}}'"),
        ("if x :\n    if y :\n        z = 1 ; w = 2\nelse : pass", "if x:\n if y:\n  z=1\n  w=2\nelse:\n pass"),
        ("x = 'a  b  # c'", "x='a  b  # c'"),
        ("x = '''a\n\n    b'''", "x='a\\n\\n    b'"),
        ("not python at  all ", "not python at  all"),
        ("", ""),
    ],
)
def test_layout_goes_and_the_program_stays(source, small):
    """Comments, docstrings and needless space are gone; texts keep theirs."""
    assert minified(source) == small


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_small_program_is_the_same_program(path):
    """The syntax tree is that of the source but for the docstrings, and a second pass changes nothing."""
    source = path.read_text(encoding="utf-8")
    small = minified(source)
    assert len(small) < len(source)
    assert minified(small) == small
    names = [
        sorted(node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)) for text in (source, small)
    ]
    assert names[0] == names[1]
