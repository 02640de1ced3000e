"""The JSON form of events: a round trip for every value, a clear error for damage."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_optimize.core.events import Guided, Opened, Proposed, Retold, Stopped, Told, dump, load
from llm_optimize.core.types import Candidate, Evaluation, Failure, Learned, Problem, Usage
from llm_optimize.errors import StoreError

TEXT = st.text(max_size=30)
COUNT = st.integers(0, 10**12)
FLOAT = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOAT | TEXT, lambda x: st.lists(x, max_size=3), max_leaves=5
)
USAGE = st.builds(Usage, COUNT, COUNT, COUNT, COUNT, FLOAT, FLOAT, estimated=st.booleans())
CANDIDATE = st.builds(Candidate, COUNT, TEXT, TEXT, TEXT, st.none() | COUNT)
OUTCOME = st.builds(
    Evaluation,
    FLOAT | st.integers(-(10**40), 10**40),
    TEXT,
    st.dictionaries(TEXT, FLOAT, max_size=3),
    st.lists(FLOAT, max_size=3).map(tuple),
    USAGE,
    st.lists(TEXT, max_size=3).map(tuple),
) | st.builds(Failure, TEXT, TEXT, USAGE)
EVENT = st.one_of(
    st.builds(
        Opened,
        st.builds(Problem, TEXT, TEXT, st.none() | TEXT),
        st.integers(),
        st.dictionaries(TEXT, JSON, max_size=3),
        FLOAT,
    ),
    st.builds(
        Proposed,
        st.lists(CANDIDATE, max_size=3).map(tuple),
        USAGE,
        st.integers(-1, 10**6),
        TEXT,
        FLOAT,
        lessons=st.none() | st.builds(Learned, COUNT, st.lists(TEXT, max_size=3).map(tuple)),
    ),
    st.builds(Told, COUNT, OUTCOME, FLOAT, FLOAT),
    st.builds(Retold, COUNT, OUTCOME, COUNT, st.sampled_from(["again", "fresh", "sealed"]), FLOAT, FLOAT),
    st.builds(Guided, TEXT, FLOAT),
    st.builds(Stopped, TEXT, FLOAT),
)


@given(EVENT)
def test_load_is_the_inverse_of_dump(event):
    """Every event comes back equal, and is written as one line whatever its texts hold."""
    kind, body = dump(event)
    assert kind == type(event).__name__.lower()
    assert "\n" not in body
    assert load(kind, body) == event


@given(EVENT)
def test_bodies_are_plain_json_objects(event):
    """A body is a JSON object with the event's time, readable by any program."""
    _, body = dump(event)
    value = json.loads(body, parse_constant=pytest.fail)
    assert value["at"] == event.at


@pytest.mark.parametrize("score", [0, -7, 10**30, 0.1, -0.0, 5e-324, 1.7976931348623157e308])
def test_scores_keep_type_and_every_digit(score):
    """An int stays an int, a float keeps every bit."""
    event = load(*dump(Told(0, Evaluation(score))))
    assert type(event.outcome.score) is type(score)
    assert event.outcome.score == score
    assert math.copysign(1, event.outcome.score) == math.copysign(1, score)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("guided", ""),
        ("guided", "{"),
        ("guided", "[]"),
        ("guided", "null"),
        ("guided", "7"),
        ("guided", "{}"),
        ("guided", '{"text":"x"}'),
        ("opened", '{"task":"t","at":0}'),
        ("proposed", '{"candidates":[{"id":0}],"usage":[],"slot":0,"note":"","at":0}'),
        ("proposed", '{"candidates":[{"id":0,"text":"x","colour":"red"}],"usage":[],"slot":0,"note":"","at":0}'),
        ("proposed", '{"candidates":7,"usage":[],"slot":0,"note":"","at":0}'),
        ("told", '{"id":0,"usage":[],"seconds":0,"at":0}'),
        ("told", '{"id":0,"usage":[],"seconds":0,"score":NaN,"feedback":"","metrics":{},"examples":[],"at":0}'),
        ("told", '{"id":0,"usage":[1,2,3,4,5,6,7,8],"seconds":0,"failure":"raised","message":"","at":0}'),
        ("proposal", "{}"),
        ("", "{}"),
    ],
)
def test_damage_is_reported(kind, body):
    """A body that is cut off, of the wrong shape or of an unknown kind is a StoreError with a remedy, in one line."""
    with pytest.raises(StoreError, match="restore the file or upgrade") as caught:
        load(kind, body)
    assert "\n" not in str(caught.value)


def test_unknown_fields_are_passed_over():
    """A field that a later version added beside the known ones does not stop an older one from reading."""
    assert load("guided", '{"text":"x","at":1.0,"mood":"good"}') == Guided("x", 1.0)
