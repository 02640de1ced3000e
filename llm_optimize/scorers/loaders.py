"""Data sets from files: JSONL, CSV, JSON, parquet, and the layouts of MMLU, Alpaca and HumanEval.

Every error names the file, the line (from 1; the record for JSON and parquet) and the field. A file is read whole: a
data set that is scored example by example by a model fits into memory many times over.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.errors import BadInput
from llm_optimize.scorers.example import Example, Fields, from_rows

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

__all__ = [
    "CHOICES",
    "read_alpaca",
    "read_csv",
    "read_humaneval",
    "read_jsonl",
    "read_mmlu",
    "read_parquet",
]

CHOICES = ("A", "B", "C", "D")
"""The letters of a multiple-choice question in MMLU's layout."""

_MMLU = ("question", *CHOICES, "answer")
_HUMANEVAL = ("task_id", "prompt", "canonical_solution", "test", "entry_point")


def read_jsonl(path: str | os.PathLike[str], fields: Fields) -> tuple[Example, ...]:
    """Read one JSON object per line; empty lines are passed over, ``.gz`` is unpacked.

    Raises:
        BadInput: the file cannot be read, a line is no JSON object, or a field is missing.
    """
    return _examples(_json_lines(Path(path)), fields, path)


def read_csv(path: str | os.PathLike[str], fields: Fields, *, delimiter: str = ",") -> tuple[Example, ...]:
    """Read a table with a header line; every value is a text.

    Raises:
        BadInput: the file cannot be read, a line has more or fewer fields than the header, or a field is missing.
    """
    rows = _csv_lines(Path(path), delimiter)
    _, header = next(rows, (0, []))
    repeated = next((name for name in header if header.count(name) > 1), None)
    if repeated is not None:
        msg = f"{path}, line 1: field {repeated!r} stands there twice; rename one"
        raise BadInput(msg)
    return _examples(_by_name(rows, header, path), fields, path)


def read_parquet(path: str | os.PathLike[str], fields: Fields) -> tuple[Example, ...]:
    """Read a parquet file; needs pyarrow (extra ``data``).

    Raises:
        BadInput: pyarrow is not installed, the file is not parquet, or a field is missing.
    """
    try:
        from pyarrow import ArrowException, parquet  # type: ignore[import-untyped]  # noqa: PLC0415 - heavy, no stubs
    except ImportError:
        msg = f"{path}: reading parquet needs pyarrow: pip install 'llm-optimize[data]'"
        raise BadInput(msg) from None
    try:
        rows = parquet.read_table(Path(path)).to_pylist()
    except (OSError, ArrowException) as error:
        msg = f"{path}: cannot be read as parquet ({_line(error)})"
        raise BadInput(msg) from None
    return from_rows(rows, fields, str(path))


def read_mmlu(path: str | os.PathLike[str]) -> tuple[Example, ...]:
    """Read multiple-choice questions as MMLU has them: question, four choices, the answer's letter; header or not.

    Returns:
        Examples with the inputs ``question``, ``A``, ``B``, ``C``, ``D``; the expected answer is one of these letters.

    Raises:
        BadInput: the file cannot be read, a line has not six fields, or its answer is none of the letters.
    """
    lines = list(_csv_lines(Path(path), ","))
    if lines and tuple(name.strip().casefold() for name in lines[0][1]) == tuple(name.casefold() for name in _MMLU):
        del lines[0]
    rows = []
    for number, row in _by_name(iter(lines), list(_MMLU), path):
        answer = row["answer"].strip().upper()
        if answer not in CHOICES:
            msg = f"{path}, line {number}: field 'answer' is {row['answer']!r}: it must be one of {', '.join(CHOICES)}"
            raise BadInput(msg)
        rows.append((number, row | {"answer": answer}))
    return _examples(iter(rows), Fields("answer"), path)


def read_alpaca(path: str | os.PathLike[str]) -> tuple[Example, ...]:
    """Read instructions as Alpaca has them: a JSON array of objects with instruction, input (may be empty) and output.

    Raises:
        BadInput: the file cannot be read, is no JSON array, or a record lacks one of the fields.
    """
    content = _parsed(_text(Path(path)), str(path))
    if not isinstance(content, list):
        msg = f"{path}: holds {_kind(content)}: it must be an array of objects"
        raise BadInput(msg)
    return from_rows(content, Fields("output", ("instruction", "input")), str(path))


def read_humaneval(path: str | os.PathLike[str]) -> tuple[Example, ...]:
    """Read programming problems as HumanEval has them, one JSON object per line.

    Returns:
        Examples with the inputs ``prompt`` and ``entry_point``; what is expected is a mapping with
        ``canonical_solution`` and ``test``, and the key is the ``task_id``.

    Raises:
        BadInput: the file cannot be read, or a line lacks one of the five fields or has another type in one.
    """
    return tuple(_problem(row, f"{path}, line {number}") for number, row in _some(_json_lines(Path(path)), path))


def _problem(row: Mapping[str, Any], where: str) -> Example:
    for name in _HUMANEVAL:
        if not isinstance(row.get(name), str):
            msg = f"{where}: field {name!r} is {_kind(row.get(name)) if name in row else 'missing'}: it must be a text"
            raise BadInput(msg)
    hidden = {name: row[name] for name in ("canonical_solution", "test")}
    return Example({name: row[name] for name in ("prompt", "entry_point")}, hidden, row["task_id"])


def _examples(
    rows: Iterator[tuple[int, dict[str, Any]]], fields: Fields, path: str | os.PathLike[str]
) -> tuple[Example, ...]:
    return tuple(fields.example(row, f"{path}, line {number}") for number, row in _some(rows, path))


def _some(rows: Iterator[tuple[int, dict[str, Any]]], path: str | os.PathLike[str]) -> list[tuple[int, dict[str, Any]]]:
    found = list(rows)
    if not found:
        msg = f"{path}: holds no examples"
        raise BadInput(msg)
    return found


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            row = _parsed(line, where)
            if not isinstance(row, dict):
                msg = f"{where}: holds {_kind(row)}: it must be an object"
                raise BadInput(msg)
            yield number, row


def _csv_lines(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which a record ends, and its values; a quoted value may span lines."""
    reader = csv.reader(io.StringIO(_text(path), newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error as error:
        msg = f"{path}, line {reader.line_num}: is no CSV ({error})"
        raise BadInput(msg) from None


def _by_name(
    rows: Iterator[tuple[int, list[str]]], header: list[str], path: str | os.PathLike[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    for number, row in rows:
        if len(row) != len(header):
            msg = f"{path}, line {number}: has {len(row)} fields, not the {len(header)} of {', '.join(header)}"
            raise BadInput(msg)
        yield number, dict(zip(header, row, strict=True))


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")
    except (OSError, EOFError) as error:
        msg = f"{path}: cannot be read ({_line(error)})"
        raise BadInput(msg) from None
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        msg = f"{path}, line {line}: is not UTF-8 ({error.reason}); convert the file"
        raise BadInput(msg) from None


def _parsed(text: str, where: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        msg = f"{where}: is no JSON ({error})"
        raise BadInput(msg) from None


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())
