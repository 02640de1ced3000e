"""Tables as people have them, as columns of Python values: files, lists of dicts, arrays, frames; no package needed.

Frames and arrays are known by what they can do, so neither numpy nor pandas nor polars is imported.
"""

from __future__ import annotations

import csv
import importlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Columns", "Table", "is_missing", "read_table"]

Columns = dict[str, list[Any]]
"""Values by column, all columns equally long."""

_MISSING = frozenset({"", "na", "n/a", "nan", "null", "none"})  # in files, where everything is text
_DELIMITERS = (",", ";", "\t", "|")
_CELLS = 500_000  # as many values are looked at: some seconds of pure Python
_FEWEST_ROWS = 200
_REMEDY = "give a path (CSV, TSV, JSON, JSONL, Parquet), a list of dicts, a dict of columns, an array, or a data frame"


@dataclass(frozen=True, slots=True)
class Table:
    """A table, or an evenly spaced sample of its rows where it is large.

    Attributes:
        columns: the values that are looked at.
        rows: how many rows the whole table has.
    """

    columns: Columns
    rows: int

    @property
    def sampled(self) -> int:
        """How many rows are looked at."""
        return len(next(iter(self.columns.values()), []))


def read_table(data: object) -> Table:
    """Read whatever holds a table.

    Args:
        data: a path (CSV, TSV, JSON, JSONL, or Parquet, which needs pyarrow); a sequence of dicts; a dict of columns,
            where a two-dimensional array stands for several columns ``name[0]``, ``name[1]``, ...; a numpy array of
            one or two dimensions; a pandas or polars frame.

    Raises:
        BadInput: it is none of these, cannot be read, or its columns are not equally long.
    """
    columns = _columns(data)
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"{name}: {length}" for name, length in list(lengths.items())[:8])
        msg = f"data: its columns are not equally long ({shown}): give one value of each column for each row"
        raise BadInput(msg)
    rows = max(lengths.values(), default=0)
    if not rows:
        msg = f"data holds no rows: {_REMEDY}"
        raise BadInput(msg)
    most = max(_FEWEST_ROWS, _CELLS // len(columns))
    if rows > most:
        kept = [rows * index // most for index in range(most)]
        columns = {name: [values[row] for row in kept] for name, values in columns.items()}
    return Table(columns, rows)


def is_missing(value: object) -> bool:
    """Return whether a value stands for none: None, NaN, pandas' NA and NaT."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or type(value).__name__ in {"NAType", "NaTType"}


def _columns(data: Any) -> Columns:  # noqa: ANN401 - frames and arrays are known by what they can do
    if isinstance(data, str | Path):
        return _of_file(Path(data).expanduser())
    if isinstance(data, Mapping):
        return {one: values for name, held in data.items() for one, values in _of_column(str(name), held)}
    if hasattr(data, "columns") and hasattr(data, "__getitem__"):
        return _of_frame(data)
    if hasattr(data, "tolist") and hasattr(data, "shape") and data.shape:
        return _of_array(data)
    if isinstance(data, Sequence) and data and all(isinstance(row, Mapping) for row in data):
        return _of_rows(data)
    msg = f"data is {type(data).__name__}: {_REMEDY}"
    raise BadInput(msg)


def _of_column(name: str, held: Any) -> Iterator[tuple[str, list[Any]]]:  # noqa: ANN401 - as _columns
    if len(getattr(held, "shape", ())) > 1:
        yield from ((f"{name}[{column}]", values) for column, values in _of_array(held).items())
        return
    for method in ("to_list", "tolist"):
        if hasattr(held, method):
            yield name, list(getattr(held, method)())
            return
    if isinstance(held, str | bytes) or not isinstance(held, Iterable):
        msg = f"data: column {name!r} is {type(held).__name__}: give a list of values, one for each row"
        raise BadInput(msg)
    yield name, list(held)


def _of_frame(frame: Any) -> Columns:  # noqa: ANN401 - pandas' or polars'
    names = list(frame.columns)
    if len({str(name) for name in names}) < len(names):
        msg = "data: two of the frame's columns have the same name: rename one"
        raise BadInput(msg)
    return {str(name): list(frame[name].to_list()) for name in names}


def _of_array(array: Any) -> Columns:  # noqa: ANN401 - numpy's, or one like it
    named = getattr(getattr(array, "dtype", None), "names", None)
    if named:
        return {str(name): list(array[name].tolist()) for name in named}
    most = 2
    if len(array.shape) > most:
        msg = f"data is an array of {len(array.shape)} dimensions: give one of 1 or 2, rows first"
        raise BadInput(msg)
    rows = array.tolist()
    if len(array.shape) == 1:
        return {"0": rows}
    return {str(index): [row[index] for row in rows] for index in range(array.shape[1])}


def _of_rows(rows: Iterable[Mapping[str, Any]]) -> Columns:
    rows = list(rows)
    names = dict.fromkeys(str(name) for row in rows for name in row)
    by_text = [{str(name): value for name, value in row.items()} for row in rows]
    return {name: [row.get(name) for row in by_text] for name in names}


def _of_file(path: Path) -> Columns:
    readers = {".csv": _csv, ".tsv": _csv, ".txt": _csv, ".json": _json, ".jsonl": _jsonl, ".ndjson": _jsonl}
    reader = _parquet if path.suffix.lower() in {".parquet", ".pq"} else readers.get(path.suffix.lower())
    if reader is None:
        msg = f"data: {path} has an unknown ending: {_REMEDY}"
        raise BadInput(msg)
    try:
        return reader(path)
    except (OSError, ValueError, csv.Error) as error:
        if isinstance(error, BadInput):
            raise
        msg = f"data: {path} cannot be read ({type(error).__name__}: {error}): {_REMEDY}"
        raise BadInput(" ".join(msg.split())) from error


def _csv(path: Path) -> Columns:
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        first = file.readline()
        file.seek(0)
        # Not csv.Sniffer, which takes a letter for the delimiter of a short file.
        delimiter = max(_DELIMITERS, key=lambda one: len(next(csv.reader([first], delimiter=one), [])))
        header, *rows = [row for row in csv.reader(file, delimiter=delimiter) if row] or [[]]
    names = [name.strip() or f"column {index}" for index, name in enumerate(header)]
    names = [name if names.index(name) == index else f"{name} ({index})" for index, name in enumerate(names)]
    return {name: _typed([row[i] if i < len(row) else "" for row in rows]) for i, name in enumerate(names)}


def _typed(texts: list[str]) -> list[Any]:
    """Return a file's column as numbers if it holds nothing else."""
    given = [None if text.strip().lower() in _MISSING else text.strip() for text in texts]
    for kind in (int, float):
        try:
            return [None if text is None else kind(text) for text in given]
        except ValueError:
            continue
    return given


def _json(path: Path) -> Columns:
    held = json.loads(path.read_text(encoding="utf-8-sig"))
    if isinstance(held, str | Path):
        msg = f"data: {path} holds a text: give a list of objects, or an object of columns"
        raise BadInput(msg)
    return _columns(held)


def _jsonl(path: Path) -> Columns:
    with path.open(encoding="utf-8-sig") as file:
        return _columns([json.loads(line) for line in file if line.strip()])


def _parquet(path: Path) -> Columns:
    try:
        parquet = importlib.import_module("pyarrow.parquet")  # not among the extras: who has such files has it
    except ImportError as error:
        msg = (
            f"data: {path} is Parquet, which needs pyarrow: pip install pyarrow, or give the frame that you read it to"
        )
        raise BadInput(msg) from error
    columns: Columns = parquet.read_table(path).to_pydict()
    return columns
