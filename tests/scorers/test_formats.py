"""JSON of a schema, regular expressions, lengths."""

from __future__ import annotations

import pickle
import re
from typing import Any

import pydantic
import pytest

from llm_optimize.errors import BadInput
from llm_optimize.scorers.formats import JsonSchema, Length, Matches

CITY = {
    "type": "object",
    "required": ["name", "people"],
    "properties": {"name": {"type": "string"}, "people": {"type": "integer", "minimum": 0}},
    "additionalProperties": False,
}


class City(pydantic.BaseModel):
    name: str
    people: int


@pytest.mark.parametrize("schema", [CITY, City])
def test_json_that_fits_the_schema_scores_1(schema: Any) -> None:
    """A schema, or a pydantic model with it; what does not fit is told with its place."""
    scorer = JsonSchema(schema)
    assert scorer('{"name": "Bonn", "people": 330000}').score == 1.0
    wrong = scorer('{"name": 5, "people": "many"}')
    assert wrong.score == 0.0
    assert wrong.feedback.startswith("2 errors: name: 5 is not of type 'string'; people: ")


@pytest.mark.parametrize(
    "text",
    ["", "Bonn", '{"name": "Bonn"', "Here: {}", '{"name": "Bonn", "people": NaN}', "[" * 100_000, '{"a": 1}', "null"],
)
def test_what_is_no_json_of_the_schema_scores_0(text: str) -> None:
    """Prose, halves, NaN, depth and missing fields are told, and nothing breaks."""
    outcome = JsonSchema(CITY)(text)
    assert outcome.score == 0.0
    assert outcome.feedback


def test_the_last_value_counts_where_prose_may_stand_around_it() -> None:
    """With ``anywhere`` a fence and an explanation do no harm."""
    reply = 'Not {"name": 1} but:\n```json\n{"name": "Bonn", "people": 1}\n```\nDone.'
    assert (JsonSchema(CITY, anywhere=True)(reply).score, JsonSchema(CITY)(reply).score) == (1.0, 0.0)
    assert JsonSchema(CITY, anywhere=True)("nothing here").score == 0.0


def test_a_reference_to_another_place_is_never_fetched() -> None:
    """A schema with a remote part is an error of the schema; no request is made for it."""
    scorer = JsonSchema({"$ref": "http://127.0.0.1:9/schema.json"})
    with pytest.raises(BadInput, match=r"^schema"):
        scorer("{}")


def test_patterns_match_a_part_or_the_whole() -> None:
    """A part by default; the whole if wanted; flags count; the feedback may be the user's."""
    assert Matches(r"\bcat\b")("a cat sat").score == 1.0
    assert [Matches(r"\d+", whole=True)(text).score for text in (" 12\n", "12 cats")] == [1.0, 0.0]
    assert Matches("CAT", flags=re.IGNORECASE)("cat").score == 1.0
    assert Matches("x", feedback="put an x into it")("y").feedback == "put an x into it"


def test_lengths_fall_off_beyond_their_bounds() -> None:
    """1 within, else the nearer the better, so that there is a way to climb."""
    scorer = Length(2, 4, unit="words")
    assert [scorer("w " * n).score for n in (0, 1, 2, 4, 8)] == [0.0, 0.5, 1.0, 1.0, 0.5]
    assert Length(at_most=2, unit="lines")("one\n\ntwo\n").score == 1.0
    assert Length(5)("four").feedback == "4 characters: at least 5 wanted"
    assert scorer("w w w").metrics == {"words": 3}


def test_they_print_and_pickle() -> None:
    """Scorers are values."""
    for scorer in (JsonSchema(CITY), Matches("x"), Length(1, 2)):
        assert pickle.loads(pickle.dumps(scorer)) == scorer
        assert repr(scorer).startswith(type(scorer).__name__)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: JsonSchema({"type": "text"}), "schema"),
        (lambda: JsonSchema("{}"), "schema"),
        (lambda: Matches("("), "pattern"),
        (lambda: Matches(7), "pattern"),
        (lambda: Length(5, 4), "at_least"),
        (lambda: Length(-1), "at_least"),
        (lambda: Length(0, 0), "at_least"),
        (lambda: Length(unit="tokens"), "unit"),
    ],
)
def test_bad_input_names_the_field(make: Any, named: str) -> None:
    """What cannot work is refused when the scorer is made."""
    with pytest.raises(BadInput, match=f"^{named}"):
        make()
