"""The profile of a table: every form that data comes in, right figures, bounded length."""

from __future__ import annotations

import json
import statistics

import numpy as np
import pytest

from llm_optimize.errors import BadInput
from llm_optimize.toolbox import profile_table
from llm_optimize.toolbox.tables import read_table

ROWS = [
    {"age": 20, "income": 1000.0, "city": "Rome", "bought": True},
    {"age": 30, "income": None, "city": "Rome", "bought": False},
    {"age": 40, "income": 3000.5, "city": "Oslo", "bought": True},
    {"age": 30, "income": 2000.0, "city": None, "bought": False},
    {"age": 30, "income": 2000.0, "city": None, "bought": False},
]


INCOME = "min 1000, quartiles 1750 2000 2250, max 3000, mean 2000, sd 707.3"


def tell(data, arguments="", **options):
    """Return what the model is told."""
    return profile_table(data, **options).call(arguments).result


def test_columns_are_described_by_what_they_hold() -> None:
    """Types, missing and distinct values, quantiles, frequent values; repeated rows are counted."""
    assert tell(ROWS).splitlines() == [
        "5 rows, 1 of them repeat an earlier one, 4 columns",
        "",
        "age: integer, 3 distinct, min 20, quartiles 30 30 30, max 40, mean 30, sd 6.325",
        f"income: number, 1 missing (20.0 %), 3 distinct, {INCOME}",
        "city: text, 2 missing (40.0 %), 2 distinct, most frequent: 'Rome' 2 (66.7 %), 'Oslo' 1 (33.3 %)",
        "bought: flag, 2 distinct, most frequent: False 3 (60.0 %), True 2 (40.0 %)",
    ]


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


CSV = 'age,income,city,bought\n20,1000.0,"Rome, Lazio",x\n30,NA,Rome,y\n\n40,3000.5,,z\n'
JSONL = "\n".join(json.dumps(row) for row in ROWS)


class Series(list):
    """A column of a frame."""

    def to_list(self):
        """Return the values."""
        return list(self)


class Frame:
    """What pandas' and polars' frames have in common."""

    def __init__(self, data):
        """Hold the columns."""
        self.columns = list(data)
        self._data = data

    def __getitem__(self, name):
        """Return a column."""
        return self._data[name]


def frame():
    return Frame({name: Series(row[name] for row in ROWS) for name in ROWS[0]})


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: {name: [row[name] for row in ROWS] for name in ROWS[0]},
        lambda folder: frame(),
        lambda folder: write(folder / "t.jsonl", JSONL),
        lambda folder: str(write(folder / "t.json", json.dumps(ROWS))),
        lambda folder: write(folder / "t.json", json.dumps({name: [row[name] for row in ROWS] for name in ROWS[0]})),
        lambda folder: write(folder / "t.tsv", _tsv()),
    ],
    ids=["columns", "frame", "JSONL", "JSON rows", "JSON columns", "TSV"],
)
def test_every_form_of_the_same_table_is_the_same_table(make, tmp_path) -> None:
    """A dict of columns, a frame and files give what a list of dicts gives."""
    table = read_table(make(tmp_path))
    assert table.columns["age"] == [20, 30, 40, 30, 30]
    assert table.columns["income"] == [1000.0, None, 3000.5, 2000.0, 2000.0]
    assert table.columns["city"] == ["Rome", "Rome", "Oslo", None, None]
    assert table.rows == 5


def _tsv():
    lines = [[("" if value is None else str(value)) for value in row.values()] for row in ROWS]
    return "\n".join("\t".join(line) for line in [list(ROWS[0]), *lines])


def test_a_csv_file_is_read_as_people_write_them(tmp_path) -> None:
    """Quotes, empty lines, marks for missing values, semicolons, byte order marks, short rows, equal names."""
    table = read_table(write(tmp_path / "a.csv", CSV))
    assert table.columns["city"] == ["Rome, Lazio", "Rome", None]
    assert table.columns["income"] == [1000.0, None, 3000.5]
    table = read_table(write(tmp_path / "b.csv", "\ufeffa;b;a\n1;2;3\n4;5\n6;7;8\n"))
    assert table.columns == {"a": [1, 4, 6], "b": [2, 5, 7], "a (2)": [3, None, 8]}
    table = read_table(write(tmp_path / "c.csv", "word\none\ntwo\n"))
    assert table.columns == {"word": ["one", "two"]}


def test_arrays_are_tables(tmp_path) -> None:
    """Of one and two dimensions, structured, and side by side with others in a dict."""
    array = np.array([[1.0, np.nan], [3.0, 4.0], [5.0, 6.0]])
    assert read_table(array[:, 0]).columns == {"0": [1.0, 3.0, 5.0]}
    assert read_table(array).columns["0"] == [1.0, 3.0, 5.0]
    assert "1 missing (33.3 %)" in tell(array)
    assert list(read_table({"X": array, "y": np.array([0, 1, 0])}).columns) == ["X[0]", "X[1]", "y"]
    named = np.array([(1, "a"), (2, "b")], dtype=[("n", int), ("s", "U1")])
    assert read_table(named).columns == {"n": [1, 2], "s": ["a", "b"]}


def test_a_parquet_file_is_read_where_pyarrow_is(tmp_path) -> None:
    """Without it the message says what to install."""
    path = tmp_path / "t.parquet"
    try:
        import pyarrow as pa  # noqa: PLC0415 - not among the extras
        from pyarrow import parquet  # noqa: PLC0415 - as above
    except ImportError:
        with pytest.raises(BadInput, match="pip install pyarrow"):
            read_table(path)
        return
    parquet.write_table(pa.table({"a": [1, 2]}), path)
    assert read_table(path).columns == {"a": [1, 2]}


def test_a_target_of_classes_is_told_with_its_balance() -> None:
    """Each class with its share, and how much of a column's spread lies between the classes (eta)."""
    rng = np.random.default_rng(1)
    classes = [0, 1, 2] * 40 + [0] * 30
    close = [10.0 * one + rng.normal() for one in classes]
    noise = rng.normal(size=len(classes)).tolist()
    told = tell({"close": close, "noise": noise, "kind": classes}, target="kind")
    assert "target kind: 3 classes: 0 70 (46.7 %), 1 40 (26.7 %), 2 40 (26.7 %)" in told
    assert "go best with the target (share of the standard deviation between the classes): close 0.9" in told
    assert _figure(told, "close") > 0.98
    assert _figure(told, "noise") < 0.3


def test_a_target_of_measurements_is_told_with_correlations() -> None:
    """Pearson's, as the standard library has it; a column without numbers or without spread has none."""
    rng = np.random.default_rng(2)
    price = rng.normal(size=50).tolist()
    size = [2 * one + rng.normal() for one in price]
    told = tell({"size": size, "word": ["a", "b"] * 25, "flat": [1] * 50, "price": price}, target="price")
    assert _figure(told, "size") == pytest.approx(statistics.correlation(size, price), abs=0.005)
    assert "with target" not in next(line for line in told.splitlines() if line.startswith(("word", "flat")))
    assert "Pearson correlation" in told


def _figure(told, name):
    line = next(line for line in told.splitlines() if line.startswith(f"{name}: "))
    return float(line.rpartition("with target ")[2])


def test_a_call_may_name_columns_and_another_target() -> None:
    """Only these are described; a name that does not exist is answered with those that do."""
    told = tell(ROWS, '{"columns": ["age"], "target": "bought"}')
    assert "target bought: 2 classes" in told
    assert "age: integer" in told
    assert "city: " not in told
    use = profile_table(ROWS).call('{"columns": ["Age"]}')
    assert (use.ok, use.result) == (False, "there is no column 'Age'; the columns are: age, income, city, bought")


def test_a_wide_table_is_told_in_bounds() -> None:
    """Columns beyond the limit are named, so that they can be asked for."""
    told = tell({f"column number {n}": list(range(n, n + 50)) for n in range(500)}, target="column number 7")
    assert len(told) <= 6_000
    assert "more, to be asked for by columns=[...]: column number" in told
    assert told.startswith("50 rows, 500 columns")


def test_a_long_table_is_sampled_evenly() -> None:
    """The figures say from how many rows they are; the number of rows is that of the whole table."""
    told = tell({"a": range(1_000_000), "b": ["x"] * 1_000_000})
    assert told.startswith("1000000 rows (figures from 250000 of them, evenly spaced), 2 columns")
    assert "min 0, quartiles 249999 499998 749997, max 999996" in told
    assert "b: text, always 'x'" in told


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([None, None], "a: empty"),
        ([float("nan"), 1.0, 2.0], "a: number, 1 missing (33.3 %), 2 distinct, min 1"),
        ([float("inf"), 1.0, 2.0], "max 2, mean 1.5, sd 0.5, 1 infinite"),
        ([float("inf"), float("-inf")], "none finite, 2 infinite"),
        ([1, "x", 2.5], "a: float/int/str, 3 distinct, for example 1, 'x', 2.5"),
        ([[1], [1], {"k": 2}], "a: dict/list, 2 distinct, most frequent: '[1]' 2"),
        ([10**400, 1], "a: text, 2 distinct"),
        ([f"id {n}" for n in range(90)], "a: text, 90 distinct, for example 'id 0', 'id 1', 'id 2'"),
        (["x" * 5_000, "y"], "..."),
        ([-1234567.0, 1234567.0], "min -1234567"),
    ],
)
def test_odd_columns_are_described_too(values, told) -> None:
    """Empty, endless, mixed, nested, huge: a line each, no error."""
    use = profile_table({"a": values}).call("")
    assert use.ok
    assert told in use.result
    assert len(use.result) < 400
    assert profile_table({"a": values, "t": list(range(len(values)))}, target="a").call("").ok


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (7, "data is int: give a path"),
        (None, "data is NoneType"),
        ([], "data is list"),
        ([1, 2], "data is list"),
        ({}, "data holds no rows"),
        ({"a": []}, "data holds no rows"),
        ({"a": [1], "b": [1, 2]}, r"not equally long \(a: 1, b: 2\)"),
        ({"a": "text"}, "column 'a' is str"),
        ({"a": 7}, "column 'a' is int"),
        ("nowhere.csv", "nowhere.csv cannot be read"),
        ("table.xlsx", "unknown ending"),
        (np.zeros((2, 2, 2)), "3 dimensions"),
        (Frame({1: Series([1]), "1": Series([2])}), "the same name"),
    ],
)
def test_what_is_no_table_is_refused_in_a_line(data, said) -> None:
    """When the tool is made, before anything is spent."""
    with pytest.raises(BadInput, match=said) as caught:
        profile_table(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.json", "{not json"), ("b.jsonl", '{"a": 1}\n{"a":'), ("c.json", '"text"'), ("d.csv", ""), ("e.json", "[1]")],
)
def test_damaged_files_are_refused_in_a_line(tmp_path, name, text) -> None:
    """With the file's name where it cannot be parsed."""
    with pytest.raises(BadInput, match="data") as caught:
        read_table(write(tmp_path / name, text))
    assert "\n" not in str(caught.value)


def test_a_target_that_is_no_column_is_refused() -> None:
    """With the columns that there are."""
    with pytest.raises(BadInput, match=r"target is 'price', which is no column of the data: .*\(age, income"):
        profile_table(ROWS, target="price")
