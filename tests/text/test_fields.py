"""Fields of JSON: found by their path, and their ranges read from a schema."""

from __future__ import annotations

import json
from enum import Enum
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from llm_optimize.errors import BadInput
from llm_optimize.text.domains import Choice, Integer, Real, Tune
from llm_optimize.text.fields import field_place, tunable_fields
from llm_optimize.text.tunables import find, rewrite

TEXT = '{"prompt": "C: 1 {\\"C\\": 5}", "inner": {"C": [1, {"C": 2}]}, "C" : -1.5e3 , "on": true}'


@pytest.mark.parametrize(
    ("path", "written"),
    [(("C",), "-1.5e3"), (("inner", "C"), '[1, {"C": 2}]'), (("on",), "true"), (("prompt",), '"C: 1 {\\"C\\": 5}"')],
)
def test_a_field_is_found_by_its_path(path, written):
    """A string that holds the name, or another object's field, is not taken for it."""
    place = field_place(TEXT, path)
    assert (place.written, TEXT[place.start : place.end]) == (written, written)


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"a": 1', "a = 1", '{"a": {"C": 1}}', '{"C"', '{"C":', "{1: 2}"])
def test_what_is_not_there_is_not_found(text):
    """A text that is no object, or lacks the field, has no such place."""
    assert field_place(text, ("C",)) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=3), JSON, min_size=1, max_size=4), st.sampled_from([None, 2]))
def test_every_field_of_any_object_is_found(value, indent):
    """What stands at the place is the field's value, however the object is written."""
    text = json.dumps(value, indent=indent)
    for name, member in value.items():
        assert json.loads(field_place(text, (name,)).written) == member


class Kind(Enum):
    LINEAR = "linear"
    RBF = "rbf"


class Inner(BaseModel):
    rate: Annotated[float, Field(gt=0, le=1)] = 0.5


class Settings(BaseModel):
    prompt: str = "p"
    C: float = Field(1.0, ge=0.01, le=100, json_schema_extra={"log": True})
    k: int = Field(5, gt=0, lt=20)
    kind: Kind = Kind.RBF
    size: Literal[16, 32] = 16
    fast: bool = False
    inner: Inner = Inner()
    free: float = 1.0
    half: float = Field(1.0, ge=0)
    even: int = Field(2, ge=0, le=10, multiple_of=2)
    maybe: float | None = None
    same: float = Field(alias="C2", default=0, ge=-1, le=1)


def test_ranges_come_from_the_schema():
    """Numbers with both bounds and choices are tuned; a bound that is excluded itself is kept away from."""
    assert dict(tunable_fields(Settings.model_json_schema())) == {
        ("C",): Real(0.01, 100.0, log=True),
        ("k",): Integer(1, 19),
        ("kind",): Choice(('"linear"', '"rbf"')),
        ("size",): Choice(("16", "32")),
        ("fast",): Choice(("true", "false")),
        ("inner", "rate"): Real(1e-6, 1.0),
        ("C2",): Real(-1.0, 1.0),
    }


def test_a_model_that_holds_itself_ends():
    """A recursive schema is gone through to a bounded depth."""
    schema = {
        "$defs": {"T": {"properties": {"k": {"type": "boolean"}, "t": {"$ref": "#/$defs/T"}}}},
        "properties": {"t": {"$ref": "#/$defs/T"}},
    }
    assert 1 < len(tunable_fields(schema)) < 50


def test_values_are_rewritten_in_place():
    """The text is JSON again, and differs in these values only."""
    text = json.dumps({"prompt": "k: 5, C = 1.0", "C": 1.0, "k": 5, "kind": "rbf"}, indent=2)
    tune = Tune(fields=((("C",), Real(0.01, 100)), (("k",), Integer(1, 19)), (("kind",), Choice(('"rbf"', '"poly"')))))
    holes = find(text, tune)
    assert [(hole.name, hole.current) for hole in holes] == [("C", 1.0), ("k", 5), ("kind", '"rbf"')]
    assert json.loads(rewrite(text, holes, [2.5, 7, '"poly"'])) == {
        "prompt": "k: 5, C = 1.0", "C": 2.5, "k": 7, "kind": "poly",
    }  # fmt: skip


def test_a_field_that_is_not_there_is_an_error_of_the_user_alone():
    """In a text that a model wrote it is passed over."""
    tune = Tune(fields=((("C",), Real(0, 1)),))
    with pytest.raises(BadInput, match=r"tune\['C'\]: the text is no JSON object with such a field"):
        find('{"C": "a"}', tune)
    assert find('{"C": null}', tune, strict=False) == ()
