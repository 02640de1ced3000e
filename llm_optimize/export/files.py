"""Training files: JSON Lines for every format, and CSV with a ``text`` column for the template's."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_optimize.core.linefiles import as_line, write_whole
from llm_optimize.errors import BadInput
from llm_optimize.export.checking import check_chat
from llm_optimize.export.formats import Format, pair_of, rows
from llm_optimize.export.improvements import Improvement
from llm_optimize.export.inst import unescaped

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from llm_optimize.export.checking import Checked
    from llm_optimize.export.formats import Options

__all__ = ["Exported", "read_file", "read_pairs", "read_rows", "write"]

_COLUMNS = ("Bad Prompt", "Improved Prompt")


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        files: (path, rows) of each file.
        checked: what the rules of OpenAI's fine-tuning say of the training file; for ``chat`` only.
    """

    files: tuple[tuple[Path, int], ...]
    checked: Checked | None = None

    def __str__(self) -> str:
        """Return the lines."""
        lines = [f"{count} row{'s' * (count != 1)} in {path}" for path, count in self.files]
        return "\n".join([*lines, str(self.checked)] if self.checked else lines)


def write(  # noqa: PLR0913 - what, where, in which format, and four ways to change that
    improvements: Sequence[Improvement],
    path: str | os.PathLike[str],
    kind: Format = "chat",
    *,
    options: Options | None = None,
    force: bool = False,
    model: str = "gpt-4.1-mini",
) -> Exported:
    """Write a training file; those that are held out go to a second one, ``NAME.validation.jsonl`` beside it.

    Args:
        improvements: see :mod:`llm_optimize.export.improvements`.
        path: ``.jsonl``, or ``.csv`` for the format ``inst``. A file appears whole or not at all.
        kind: see :data:`~llm_optimize.export.formats.Format`.
        options: see :class:`~llm_optimize.export.formats.Options`.
        force: replace files that are there.
        model: which one ``chat`` is for; decides how its tokens are counted.

    Raises:
        BadInput: there is nothing to write, a file exists or cannot be written, or a text cannot be written so.
    """
    target = Path(path).expanduser()
    as_csv = target.suffix == ".csv"
    if as_csv and kind != "inst":
        msg = f"{target}: only the format inst goes into a CSV file; name a .jsonl file"
        raise BadInput(msg)
    made = {part: rows([one for one in improvements if one.part == part], kind, options) for part in _PARTS}
    if not made["train"]:
        msg = "there is nothing to export: no text was made better, or none by the margin that is asked for"
        raise BadInput(msg)
    wanted = {_beside(target, part): found for part, found in made.items() if found}
    taken = next((file for file in wanted if file.exists()), None)
    if taken is not None and not force:
        msg = f"{taken}: exists already: choose another file, or give --force (force=True) to replace it"
        raise BadInput(msg)
    checked = _checked(made["train"], model) if kind == "chat" else None
    files = tuple((file, write_whole(file, _lines(found, as_csv=as_csv))) for file, found in wanted.items())
    counts = tuple((file, len(wanted[file])) for file, _ in files)
    return Exported(counts, checked)


def read_rows(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the rows of a training file, JSON Lines or CSV with a header.

    Raises:
        BadInput: it cannot be read; names the line.
    """
    source = Path(path).expanduser()
    try:
        text = source.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{source}: cannot be read ({error})"
        raise BadInput(msg) from None
    if source.suffix == ".csv":
        try:
            return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
        except csv.Error as error:
            msg = f"{source}: is no CSV ({error})"
            raise BadInput(msg) from None
    return list(_json_rows(text, source))


def read_pairs(path: str | os.PathLike[str], *, marks: str = "refuse") -> list[tuple[str, str]]:
    """Return (before, after) of every row of a training file of any of the formats.

    Args:
        path: also a CSV with the columns ``Bad Prompt`` and ``Improved Prompt``.
        marks: ``escape`` where the file was written so.

    Raises:
        BadInput: a row is of none of the formats; names it.
    """
    found = []
    for number, row in enumerate(read_rows(path)):
        try:
            pair = (row[_COLUMNS[0]], row[_COLUMNS[1]]) if row.keys() >= {*_COLUMNS} else pair_of(row)
        except BadInput as error:
            msg = f"{path}, row {number}: {error}"
            raise BadInput(msg) from None
        found.append((unescaped(pair[0]), unescaped(pair[1])) if marks == "escape" and "text" in row else pair)
    return found


def read_file(path: str | os.PathLike[str], *, marks: str = "refuse") -> tuple[Improvement, ...]:
    """Return the pairs of a training file as improvements, to be written in another format; nothing is known of scores.

    Raises:
        BadInput: as :func:`read_pairs`.
    """
    pairs = read_pairs(path, marks=marks)
    return tuple(Improvement(str(number), before, after) for number, (before, after) in enumerate(pairs))


_PARTS = ("train", "validation")


def _beside(target: Path, part: str) -> Path:
    return target if part == "train" else target.with_name(f"{target.stem}.validation{target.suffix}")


def _checked(found: Sequence[dict[str, Any]], model: str) -> Checked:
    checked = check_chat(found, model=model)
    if not checked.ok:
        row, rule = checked.problems[0]
        msg = f"row {row} breaks the rule {rule} of OpenAI's fine-tuning: leave blank texts out"
        raise BadInput(msg)
    return checked


def _lines(found: Sequence[dict[str, Any]], *, as_csv: bool) -> Iterator[bytes]:
    if not as_csv:
        yield from map(as_line, found)
        return
    for row in ({"text": "text"}, *found):
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow([row["text"]])
        try:
            yield line.getvalue().encode()
        except UnicodeEncodeError:
            msg = "a text holds a lone surrogate, which CSV cannot say: name a .jsonl file"
            raise BadInput(msg) from None


def _json_rows(text: str, source: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            msg = f"{source}, line {number}: is no JSON ({error})"
            raise BadInput(msg) from None
        if not isinstance(row, dict):
            msg = f"{source}, line {number}: is no object"
            raise BadInput(msg)
        yield row
