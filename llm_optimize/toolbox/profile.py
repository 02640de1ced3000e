"""A tool that tells a model what is in a table, so that it need not guess at the data that its program will meet."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from llm_optimize.errors import BadInput
from llm_optimize.llm.tools import Tool, ToolFailed, as_tool
from llm_optimize.toolbox.tables import is_missing, read_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from llm_optimize.toolbox.tables import Table

__all__ = ["Profile", "profile_table"]

_CHARACTERS = 6_000  # of a profile; columns beyond are named
_NAMED = 1_200  # characters for the names of the columns that have no line
_CLASSES = 20  # distinct whole numbers, texts or flags up to which a target is a class
_SHOWN_CLASSES = 30
_TOP = 5
_RELATED = 8
_VALUE = 40  # characters of a value that are shown
_ROUGHLY_UNIQUE = 0.95
_FEWEST_PAIRS = 3
_WRITTEN_OUT = (1e3, 1e15)  # numbers between these are shown without decimals and powers of ten


def profile_table(
    data: object, *, target: str | None = None, name: str = "profile_table", about: str = "the data"
) -> Tool:
    """Return a tool that describes a table: rows, types, missing values, quantiles, frequent values, the target.

    Args:
        data: see :func:`llm_optimize.toolbox.tables.read_table`; read now, once. What candidates are scored on does
            not belong in it: the model sees every figure.
        target: the column to be predicted: its balance is told, and how each column goes with it.
        name: the tool's.
        about: what the data is, for the tool's description.

    Returns:
        A tool with the optional arguments ``columns`` and ``target``; its answers are at most 6,000 characters long
        (about 2,500 tokens), whatever the table's size.

    Raises:
        BadInput: the data cannot be read, or has no such target.

    Example:
        >>> tool = profile_table({"age": [20, 30, None], "city": ["Rome", "Rome", "Oslo"]})
        >>> print(tool.call("{}").result)
        3 rows, 2 columns
        <BLANKLINE>
        age: integer, 1 missing (33.3 %), 2 distinct, min 20, quartiles 22.5 25 27.5, max 30, mean 25, sd 5
        city: text, 2 distinct, most frequent: 'Rome' 2 (66.7 %), 'Oslo' 1 (33.3 %)
    """
    profile = Profile(read_table(data), target)
    if target is not None and target not in profile.table.columns:
        known = ", ".join(list(profile.table.columns)[:_TOP])
        msg = f"target is {target!r}, which is no column of the data: give one of its columns ({known}, ...) or None"
        raise BadInput(msg)
    description = (
        f"Describe {about}, a table of {profile.table.rows} rows and {len(profile.table.columns)} columns: types, "
        "missing and distinct values, quantiles, most frequent values, and how columns go with the target. "
        "Call it before you decide on preprocessing or a model."
    )
    return as_tool(profile.describe, name=name, description=description)


@dataclass(frozen=True, slots=True)
class Profile:
    """Describes a table.

    Attributes:
        table: the data.
        target: the column to be predicted, unless a call names another.
    """

    table: Table
    target: str | None = None

    def describe(
        self,
        columns: Annotated[list[str] | None, "names of the columns to describe; leave out for all"] = None,
        target: Annotated[str | None, "column to be predicted; leave out for the usual one"] = None,
    ) -> str:
        """Return the profile as text.

        Raises:
            ToolFailed: there is no such column.
        """
        aim = target or self.target
        wanted = columns or list(self.table.columns)
        for name in [*wanted, *([aim] if aim else [])]:
            if name not in self.table.columns:
                msg = f"there is no column {name!r}; the columns are: {_listed(self.table.columns, _NAMED)}"
                raise ToolFailed(msg)
        if aim is None:
            return self._with_columns(self._size(), wanted, {})
        classes, values = _classes(self.table.columns[aim]), self.table.columns[aim]
        relate = _related_to(values, as_classes=bool(classes))
        related = {name: relate(self.table.columns[name]) for name in wanted if name != aim}
        about = f"target {aim}: {_balance(classes) if classes else _describe(values)}"
        return self._with_columns("\n".join([self._size(), about, *_best(related, bool(classes))]), wanted, related)

    def _size(self) -> str:
        table = self.table
        rows = Counter(zip(*(map(_key, values) for values in table.columns.values()), strict=True))
        again = table.sampled - len(rows)
        duplicates = f", {again} of them repeat an earlier one" if again else ""
        sample = f" (figures from {table.sampled} of them, evenly spaced)" if table.sampled < table.rows else ""
        return f"{table.rows} rows{sample}{duplicates}, {len(table.columns)} columns"

    def _with_columns(self, head: str, wanted: Sequence[str], related: Mapping[str, float | None]) -> str:
        lines, used = [head, ""], len(head)
        for position, name in enumerate(wanted):
            share = related.get(name)
            line = f"{name[:_VALUE]}: {_describe(self.table.columns[name])}"
            line += "" if share is None else f"; with target {share:.2f}"
            used += len(line) + 1
            if used > _CHARACTERS - _NAMED:
                left = wanted[position:]
                lines.append(f"{len(left)} more, to be asked for by columns=[...]: {_listed(left, _NAMED - 100)}")
                break
            lines.append(line)
        return "\n".join(lines)


def _balance(classes: Counter[Any]) -> str:
    shown = [f"{_show(value)} {count} ({_percent(count, classes.total())})" for value, count in _ordered(classes)]
    more = ", ..." if len(shown) > _SHOWN_CLASSES else ""
    return f"{len(classes)} classes: {', '.join(shown[:_SHOWN_CLASSES])}{more}"


def _best(related: Mapping[str, float | None], as_classes: bool) -> list[str]:  # noqa: FBT001 - which measure it is
    best = sorted((-abs(value), name, value) for name, value in related.items() if value is not None)
    measure = "share of the standard deviation between the classes" if as_classes else "Pearson correlation"
    listed = ", ".join(f"{name[:_VALUE]} {value:.2f}" for _, name, value in best[:_RELATED])
    return [f"go best with the target ({measure}): {listed}"] if best else []


def _describe(values: Sequence[Any]) -> str:
    present = [value for value in values if not is_missing(value)]
    gone = len(values) - len(present)
    missing = f", {gone} missing ({_percent(gone, len(values))})" if gone else ""
    if not present:
        return "empty"
    counts = Counter(map(_key, present))
    kind = _kind(present)
    if len(counts) == 1:
        return f"{kind}{missing}, always {_show(present[0])}"
    told = f"{kind}{missing}, {len(counts)} distinct"
    if kind in {"integer", "number"}:
        return f"{told}, {_quantiles([float(value) for value in present])}"
    if len(counts) >= _ROUGHLY_UNIQUE * len(present):
        return f"{told}, for example {', '.join(map(_show, present[:3]))}"
    top = [f"{_show(value)} {count} ({_percent(count, len(present))})" for value, count in counts.most_common(_TOP)]
    return f"{told}, most frequent: {', '.join(top)}"


def _kind(present: Iterable[Any]) -> str:
    kinds = {type(value) for value in present}
    if kinds == {bool}:
        return "flag"
    if kinds == {int}:
        return "integer" if all(_is_float(value) for value in present) else "text"
    if kinds <= {int, float}:
        return "number" if all(_is_float(value) for value in present) else "text"
    return "text" if kinds == {str} else "/".join(sorted(kind.__name__ for kind in kinds))


def _is_float(value: float) -> bool:
    try:
        float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return False
    return True


def _quantiles(numbers: Sequence[float]) -> str:
    finite = sorted(number for number in numbers if math.isfinite(number))
    endless = f", {len(numbers) - len(finite)} infinite" if len(finite) < len(numbers) else ""
    if not finite:
        return f"none finite{endless}"
    mean = math.fsum(finite) / len(finite)
    spread = math.sqrt(math.fsum((number - mean) ** 2 for number in finite) / len(finite))
    quartiles = " ".join(_figure(_quantile(finite, share)) for share in (0.25, 0.5, 0.75))
    ends = f"min {_figure(finite[0])}, quartiles {quartiles}, max {_figure(finite[-1])}"
    return f"{ends}, mean {_figure(mean)}, sd {_figure(spread)}{endless}"


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which a share of the values lies, by linear interpolation."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _classes(values: Iterable[Any]) -> Counter[Any]:
    """Return how often each class occurs where the values are classes; nothing where they are measurements."""
    present = [value for value in values if not is_missing(value)]
    counts = Counter(map(_key, present))
    whole = all(isinstance(value, str | bool | int) for value in present)
    return (
        counts if whole and (len(counts) <= _CLASSES or all(isinstance(value, str) for value in present)) else Counter()
    )


def _related_to(target: Sequence[Any], *, as_classes: bool) -> Callable[[Sequence[Any]], float | None]:
    """Return what tells how a column of numbers goes with the target; None where that is not defined.

    For measurements Pearson's correlation; for classes the correlation ratio (eta, Fisher 1925): the share of the
    column's standard deviation that lies between the classes.
    """
    aims = [_key(aim) for aim in target] if as_classes else list(map(_finite, target))

    def relate(values: Sequence[Any]) -> float | None:
        numbers = map(_finite, values)
        pairs = [(number, aim) for number, aim in zip(numbers, aims, strict=True) if None not in {number, aim}]
        if len(pairs) < _FEWEST_PAIRS:
            return None
        left, right = zip(*pairs, strict=True)
        return _eta(left, right) if as_classes else _pearson(left, right)

    return relate


def _finite(value: object) -> float | None:
    """Return a value as a number, None if it is none that can be calculated with."""
    if not isinstance(value, int | float) or not _is_float(value):
        return None
    return float(value) if math.isfinite(value) else None


def _pearson(left: Sequence[float], right: Sequence[float]) -> float | None:
    left_mean, right_mean = math.fsum(left) / len(left), math.fsum(right) / len(right)
    both = math.fsum((a - left_mean) * (b - right_mean) for a, b in zip(left, right, strict=True))
    spread = math.sqrt(math.fsum((a - left_mean) ** 2 for a in left) * math.fsum((b - right_mean) ** 2 for b in right))
    return both / spread if spread else None


def _eta(numbers: Sequence[float], classes: Sequence[Any]) -> float | None:
    mean = math.fsum(numbers) / len(numbers)
    total = math.fsum((number - mean) ** 2 for number in numbers)
    groups: dict[Any, list[float]] = {}
    for number, group in zip(numbers, classes, strict=True):
        groups.setdefault(group, []).append(number)
    between = math.fsum(len(group) * (math.fsum(group) / len(group) - mean) ** 2 for group in groups.values())
    return math.sqrt(between / total) if total else None


def _key(value: Any) -> Any:  # noqa: ANN401 - a value of any column
    """Return a value that can be counted; what cannot be hashed is counted by its text, and all missing as one."""
    if is_missing(value):
        return None
    return value if isinstance(value, str | int | float) else repr(value)


def _ordered(classes: Counter[Any]) -> list[tuple[Any, int]]:
    return sorted(classes.items(), key=lambda item: (-item[1], str(item[0])))


def _show(value: object) -> str:
    shown = _figure(value) if type(value) is float else repr(value)
    return shown if len(shown) <= _VALUE else f"{shown[: _VALUE - 3]}..."


def _figure(number: float) -> str:
    return f"{number:.0f}" if _WRITTEN_OUT[0] <= abs(number) < _WRITTEN_OUT[1] else f"{number:.4g}"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def _listed(names: Iterable[str], longest: int) -> str:
    listed = ", ".join(names)
    return listed if len(listed) <= longest else f"{listed[:longest].rpartition(', ')[0]}, ..."
