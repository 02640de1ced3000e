"""The form in which values cross the border: faithful one way, unbelieving the other."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_optimize.sandbox import codec

numpy = pytest.importorskip("numpy")

DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.complex_numbers(allow_nan=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(-(2**63), 2**63 - 1), inner),
    max_leaves=20,
)
SAMPLE = {"a": [1, 2.0, "x", {"b": numpy.arange(3)}, [1.0, 2.0]], "c": numpy.array(["ab"]), "d": [True, None, 2**80]}


def there_and_back(value):
    """What arrives of a value."""
    return codec.decode(b"".join(codec.encode(value)))


@given(DATA)
@settings(deadline=None)
def test_data_arrives_as_it_was(value):
    """Every nesting of plain values arrives equal, with the same types."""
    arrived = there_and_back(value)
    assert arrived == value
    assert repr(arrived) == repr(value)


def test_nan_arrives_as_nan():
    """NaN is itself, alone, in a list of floats and in a list of other things."""
    assert all(math.isnan(found) for found in (there_and_back(math.nan), there_and_back([math.nan])[0]))
    assert math.isnan(there_and_back([math.nan, "x"])[0])


@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "<i4", ">i8", "f2", "f4", "f8", "c8", "c16", "S3", "U2"])
@pytest.mark.parametrize("shape", [(), (0,), (5,), (2, 3), (2, 0, 4)])
def test_arrays_arrive_as_they_were(dtype, shape):
    """Type, shape and elements of an array arrive, in C order and writable."""
    array = numpy.asarray(numpy.arange(math.prod(shape)).reshape(shape) % 2).astype(dtype)
    arrived = there_and_back({"pad": "x", "array": array})["array"]
    assert (arrived.dtype, arrived.shape) == (array.dtype, array.shape)
    assert (arrived == array).all()
    assert arrived.flags.writeable


def test_tuples_scalars_and_tables_arrive_as_plain_data():
    """Tuples become lists, numpy's scalars numbers, and a table a dict of its columns."""
    assert there_and_back((1, (2, "x"))) == [1, [2, "x"]]
    arrived = there_and_back([numpy.float32(1.5), numpy.int64(3), numpy.bool_(1)])
    assert arrived == [1.5, 3, True]
    assert [type(item) for item in arrived] == [float, int, bool]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"x": [1, object()]}, r"\['x'\]\[1\] is a object"),
        ({"x": {1, 2}}, r"\['x'\] is a set"),
        ({("a", 1): 2}, "key of type tuple"),
        ([lambda: 1], r"\[0\] is a function"),
        ("\ud800", "surrogate"),
        ([numpy.array([object()])], "array of object"),
        (numpy.zeros(1, "M8[s]"), "datetime64"),
        pytest.param(1 << 10_000, "whole number", id="huge"),
    ],
)
def test_what_is_not_data_is_named(value, words):
    """A value that cannot cross is refused with its place and its type."""
    with pytest.raises(codec.NotData, match=words):
        codec.encode(value)


def test_endless_and_exploding_values_are_refused():
    """A list that holds itself, and a small value that unfolds into billions, end at the caps."""
    loop = []
    loop.append(loop)
    with pytest.raises(codec.NotData, match="nested"):
        codec.encode(loop)
    laughs = [0] * 10
    for _ in range(20):
        laughs = [laughs] * 10
    with pytest.raises(codec.NotData, match="more than"):
        codec.encode(laughs)


@given(st.binary(max_size=200))
@settings(deadline=None, max_examples=300)
def test_noise_is_a_value_or_is_refused(noise):
    """Any bytes are decoded to data or refused with the one error."""
    try:
        codec.decode(noise)
    except codec.NotData:
        return


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6), st.floats(0.1, 1))
@settings(deadline=None, max_examples=500)
def test_damaged_values_are_values_or_are_refused(changes, kept):
    """A value with bytes changed or cut off is decoded to data or refused with the one error."""
    body = bytearray(b"".join(codec.encode(SAMPLE)))
    for place, byte in changes:
        body[place % len(body)] = byte
    try:
        codec.decode(body[: int(len(body) * kept) + 1])
    except codec.NotData:
        return


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"NN",
        b"l\xff\xff\xff\xff",
        b"D\xff\xff\xff\x7f",
        b"b" + b"\xff" * 8,
        b"a\x03<f8\x01" + b"\xff" * 8,
        b"a\x03<f8\x02" + b"\x00" * 8 + b"\xff" * 8,
        b"a\x06,[1]*9\x00",
        b"a\x02|O\x00",
        b"l\x01\x00\x00\x00" * 100_000 + b"N",
        b"m\x02\x00\x00\x00" + b"s\x01\x00\x00\x00aN" * 2,
    ],
)
def test_lies_are_refused(body):
    """Sizes that are not there, impossible types, endless nesting and doubled keys are refused at once."""
    with pytest.raises(codec.NotData):
        codec.decode(body)


def test_impossible_elements_are_refused():
    """Truth values other than 0 and 1, and characters that do not exist, are refused."""
    truth = bytearray(b"".join(codec.encode(numpy.array([True]))))
    truth[-1] = 7
    text = bytearray(b"".join(codec.encode(numpy.array(["a"]))))
    text[-1] = 0x7F
    for body in (truth, text):
        with pytest.raises(codec.NotData):
            codec.decode(body)
