"""The decoder against everything that a hostile program may send: data or a refusal, in bounded time and memory."""

from __future__ import annotations

import math
import runpy
import struct
import subprocess
import sys
import time
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llm_optimize.sandbox import Limits, Sandbox, codec

numpy = pytest.importorskip("numpy")

TAGS = [bytes([tag]) for tag in b"NTFiIdcsblmDQaXk\x00\xff"]
SIZES = st.sampled_from([0, 1, 2, 3, 8, 255, 2**31, 2**32 - 1]) | st.integers(0, 2**32 - 1)
NAMES = st.sampled_from([b"<f8", b">i4", b"|b1", b"|S3", b"<U2", b"|O", b"<M8", b"V8", b"<f16", b",i4", b"", b"<f9"])
PIECES = st.one_of(
    st.sampled_from(TAGS),
    SIZES.map(lambda size: struct.pack("<I", size)),
    SIZES.map(lambda size: struct.pack("<Q", size << 3)),
    st.tuples(st.sampled_from(TAGS), SIZES).map(lambda pair: pair[0] + struct.pack("<I", pair[1])),
    NAMES.map(lambda name: b"a" + bytes([len(name)]) + name),
    st.binary(max_size=9),
)
FRAMES = st.lists(PIECES, max_size=30).map(b"".join)


def fuzzer(root):
    """The stand-alone fuzzer's own judgement of one input."""
    return runpy.run_path(str(root / "tests" / "fuzz" / "fuzz_result_decoder.py"))["examine"]


@pytest.fixture(scope="module")
def examine(request):
    """What must hold of any bytes; raises where it does not."""
    return fuzzer(request.config.rootpath)


@given(FRAMES)
@example(b"l\x02\x00\x00\x00a" + b"\xc5" * 300)
@example(b"m\x01\x00\x00\x00" + b"a\x03<f8\x00" + bytes(64) + b"N")
@settings(deadline=None, max_examples=400)
def test_frames_of_real_pieces(examine, frame):
    """Bytes put together from real tags, sizes and types are data or refused, and judged with a reason of the set."""
    examine(frame)


@given(st.binary(max_size=400))
@settings(deadline=None, max_examples=200)
def test_any_bytes(examine, noise):
    """Any bytes are data or refused, and judged with a reason of the closed set."""
    examine(noise)


@given(st.dictionaries(st.sampled_from(["reason", "message", "values", "x"]), st.none() | st.text() | st.just({})))
@settings(deadline=None)
def test_results_of_other_forms(examine, frame):
    """Well-formed values that are no result are judged, not believed."""
    examine(b"".join(codec.encode(frame)))


def test_arrays_where_texts_belong(examine):
    """An array in place of a reason or a message is judged, although it compares in its own way."""
    for field in ("reason", "message", "values"):
        frame = {"reason": "finished", "message": "", "values": {}, field: numpy.arange(3)}
        examine(b"".join(codec.encode(frame)))


def unfolded():
    """Small inputs that would take much time or memory in a careless decoder, with the reason not to."""
    colliding = [(n * (2**61 - 1)).to_bytes(32, "little") for n in range(20_000)]
    keys = b"".join(b"I" + struct.pack("<I", len(key)) + key + b"N" for key in colliding)
    return {
        "colliding keys": struct.pack("<cI", b"m", len(colliding)) + keys,
        "many values": struct.pack("<cI", b"l", 2**32 - 1) + b"l\0\0\0\0" * codec.MAX_RESULT_NODES,
        "announced list": struct.pack("<cI", b"l", 2**32 - 1),
        "announced dict": struct.pack("<cI", b"m", 2**32 - 1),
        "announced floats": struct.pack("<cI", b"D", 2**32 - 1),
        "announced bytes": struct.pack("<cQ", b"b", 2**64 - 1),
        "array of nothing": b"a\x03<f8\x02" + struct.pack("<QQ", 2**40, 0),
        "array of much": b"a\x03<f8\x02" + struct.pack("<QQ", 2**40, 2**40),
        "long text elements": b"a\x08<U999999\x01" + struct.pack("<Q", 1000) + bytes(64),
        "long key": b"m\x01\0\0\0" + struct.pack("<cI", b"l", 100_000) + b"N" * 100_000 + b"N",
    }


@pytest.mark.parametrize("name", unfolded())
def test_small_inputs_stay_small(name):
    """What is announced but not there, and what is made to collide, is refused before it costs anything."""
    data = unfolded()[name]
    began = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(codec.NotData) as refusal:
            codec.decode(data, nodes=codec.MAX_RESULT_NODES)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(str(refusal.value)) < 200
    assert most < 150 * 1024 * 1024
    assert time.process_time() - began < 60, "minutes mean that something is quadratic"


def test_results_are_capped_where_they_are_made():
    """A result of too many values is the program's own failure, told in its own words, not a broken one."""
    with Sandbox(limits=Limits(wall_s=60)) as box:
        done = box.run("x = [[] for _ in range(1_100_000)]", outputs=["x"])
        assert done.reason == "bad_value"
        assert "more than 1000000 values" in done.message
        assert "no result" not in done.message
        assert box.run("x = [0.5] * 1_100_000", outputs=["x"]).ok


def test_numbers_that_are_none_are_told_apart():
    """NaN, both infinities and both zeros cross as themselves: alone, in lists, in arrays, in tables of columns."""
    odd = [math.nan, math.inf, -math.inf, -0.0, 0.0]
    for value in (odd, [*odd, "x"], {"column": odd}, numpy.array(odd), {"a": numpy.array(odd, "f4")}):
        arrived = codec.decode(b"".join(codec.encode(value)))
        assert repr(arrived) == repr(value)


class TestTables:
    """Tables of libraries that may or may not be installed."""

    @staticmethod
    def arrived(value):
        """What arrives of it."""
        return codec.decode(b"".join(codec.encode(value)))

    def test_pandas(self):
        """A pandas table goes in as columns: arrays of numbers, lists of the rest; a doubled name is refused."""
        pandas = pytest.importorskip("pandas")
        table = pandas.DataFrame({"n": [1, 2], "x": [0.5, math.nan], "s": ["a", "b"]})
        arrived = self.arrived({"table": table, "column": table["n"], "names": table.columns})
        assert arrived["table"]["n"].tolist() == [1, 2]
        assert math.isnan(arrived["table"]["x"][1])
        assert arrived["table"]["s"] == ["a", "b"]
        assert arrived["column"].tolist() == [1, 2]
        assert arrived["names"] == ["n", "x", "s"]
        for doubled in (["a", "a"], ["1", 1]):
            with pytest.raises(codec.NotData, match="same name"):
                codec.encode(pandas.DataFrame([[1, 2]], columns=doubled))

    def test_polars(self):
        """A polars table does the same; what may be missing is a list with None in it."""
        polars = pytest.importorskip("polars")
        arrived = self.arrived(polars.DataFrame({"n": [1, 2], "m": [1, None], "s": ["a", None], "b": [True, False]}))
        assert arrived["n"].tolist() == [1, 2]
        assert (arrived["m"], arrived["s"], arrived["b"]) == ([1, None], ["a", None], [True, False])

    def test_columns_of_plain_lists(self):
        """Without any library a table is a dict of columns, in and out of a sandbox."""
        with Sandbox() as box:
            done = box.run("t['c'] = [a + b for a, b in zip(t['a'], t['b'])]", {"t": {"a": [1, 2], "b": [3, 4]}}, ["t"])
        assert done.values == {"t": {"a": [1, 2], "b": [3, 4], "c": [4, 6]}}


FUZZERS = [("fuzz_result_decoder.py", "--engine", "mutation"), ("fuzz_protocol.py",)]


@pytest.mark.parametrize("words", FUZZERS, ids=lambda words: words[0])
def test_the_fuzzer_runs(words, root, tmp_path):
    """The stand-alone fuzzers work as their docstrings say, for a second."""
    script, *options = words
    command = [sys.executable, str(root / "tests" / "fuzz" / script), *options, "--seconds", "1", "--seed", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "only data" in done.stdout or "every time" in done.stdout
    assert list(tmp_path.iterdir()) == []
