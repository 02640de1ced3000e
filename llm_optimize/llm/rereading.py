"""A file of exchanges, checked line by line and opened for questions; it stays on disk, its index in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_optimize.core.order import Order
from llm_optimize.errors import BadInput
from llm_optimize.llm.parting import agreement
from llm_optimize.llm.recording import FORMAT, VERSION, exchange_from_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from llm_optimize.core.chat import Request
    from llm_optimize.llm.exchanges import Exchange

__all__ = ["Recording", "opened"]

_Course = tuple[tuple[str, int | str], ...]


@dataclass(slots=True)
class Recording:
    """What a file holds; filled by :func:`opened` and not changed afterwards.

    Attributes:
        path: the file.
        course: see :class:`llm_optimize.core.order.Order`.
        defaults: each model's own settings by the model's name.
        priced: the models whose calls cost dollars.
    """

    path: Path
    course: _Course = ()
    defaults: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    priced: set[str] = field(default_factory=set)
    _places: dict[str, dict[str, int]] = field(default_factory=dict)
    _refused: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    _begun: dict[int, int] = field(default_factory=dict)
    _proposers: list[str] = field(default_factory=list)

    @property
    def order(self) -> Order:
        """The order in which the run's results came."""
        return Order(self.course, self._begun)

    @property
    def models(self) -> Sequence[str]:
        """The names of the models that were asked, that of the first proposal first."""
        return list(dict.fromkeys([*self._proposers, *self.defaults]))

    def find(self, unit: str, key: str) -> Exchange | None:
        """Return the answered exchange of that unit and key, or None."""
        place = self._places.get(unit, {}).get(key)
        return None if place is None else self._at(place)

    def refusals(self, unit: str, key: str) -> list[Exchange]:
        """Return the prompts of that unit and key that were refused as too long."""
        return [self._at(place) for place in self._refused.get((unit, key), ())]

    def nearest(self, unit: str, key: str, request: Request) -> Exchange | None:
        """Return the exchange of that unit whose prompt shares the longest beginning with ``request``, or None.

        For calls that are told apart by their content alone: another prompt has another key.
        """
        if "#" not in key:
            return None
        known = [self._at(place) for place in self._places.get(unit, {}).values()]
        return max((one for one in known if one.request), key=lambda one: _shared(one, request), default=None)

    def missing(self, unit: str, key: str) -> str:
        """Say that an exchange is not there, what there is instead, and what probably changed."""
        kind = unit.partition("/")[0]
        count = sum(name.startswith(f"{kind}/") for name in self._places)
        if keys := self._places.get(unit):
            there = f"of {unit} it holds {', '.join(keys)}; probably ideas, tools or the scorer's calls changed"
        elif count:
            there = f"it ends after {count} units of the kind {kind!r}; probably max_steps or a budget is larger"
        else:
            there = f"of the kind {kind!r} it holds none"
        return f"it holds no call {unit}/{key}: {there}"

    def add(self, exchange: Exchange, place: int) -> None:
        """Take in an exchange that begins at the byte ``place``.

        Raises:
            ValueError: it is there twice.
        """
        unit, key = exchange.unit, exchange.key
        self.defaults.setdefault(exchange.model, exchange.defaults)
        if unit.startswith("proposal/"):
            self._begin(unit.partition("/")[2], exchange)
        if exchange.reply is None:
            self._refused.setdefault((unit, key), []).append(place)
            return
        if exchange.reply.usage.dollars:
            self.priced.add(exchange.model)
        if self._places.setdefault(unit, {}).setdefault(key, place) != place:
            msg = f"{unit}/{key} is there twice"
            raise ValueError(msg)

    def _begin(self, slot: str, exchange: Exchange) -> None:
        self._proposers[1:] = []
        self._proposers.append(exchange.model)
        if slot.isdigit():
            self._begun.setdefault(int(slot), exchange.begun)

    def _at(self, place: int) -> Exchange:
        with self.path.open("rb") as file:
            file.seek(place)
            return exchange_from_json(file.readline().decode("utf-8", "surrogatepass"))


def opened(path: Path) -> Recording:
    """Return the recording in a file; reads it once as long as it does not change.

    Raises:
        BadInput: the file cannot be read, is no recording, or is damaged; names the line.
    """
    try:
        status = path.stat()
        return _read(path, status.st_mtime_ns, status.st_size)
    except OSError as error:
        msg = f"model: {path}: cannot be read ({error.strerror}): give the file that `llm-optimize export` wrote"
        raise BadInput(msg) from error


@lru_cache(maxsize=4)
def _read(path: Path, _changed: int, _size: int) -> Recording:
    recording, wanted, place, number = Recording(path), 0, 0, 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode("utf-8", "surrogatepass")
                if number == 1:
                    recording.course, wanted = _header(text)
                else:
                    recording.add(exchange_from_json(text), place)
            except (ValueError, RecursionError) as error:
                msg = f"model: {path}, line {number}: {_why(error)}: export the study again"
                raise BadInput(msg) from error
            place += len(line)
    if number == 0 or number - 1 != wanted:
        what = "is empty" if not number else f"ends after {number - 1} of {wanted} exchanges"
        msg = f"model: {path}, line {number}: the file {what}: export the study again"
        raise BadInput(msg)
    return recording


def _header(line: str) -> tuple[_Course, int]:
    header = json.loads(line)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        msg = "this is no file of exchanges"
        raise ValueError(msg)
    if header.get("version") != VERSION:
        msg = f"the format has version {header.get('version')!r}, and version {VERSION} is known here"
        raise ValueError(msg)
    course, count = header.get("course"), header.get("exchanges")
    if not isinstance(course, list) or not isinstance(count, int) or not all(map(_is_step, course)):
        msg = "the header's course or its number of exchanges is damaged"
        raise ValueError(msg)
    return tuple((kind, what) for kind, what in course), count


def _is_step(step: object) -> bool:
    return isinstance(step, list) and len(step) == 2 and isinstance(step[0], str) and isinstance(step[1], int | str)  # noqa: PLR2004 - (kind, what)


def _why(error: Exception) -> str:
    return f"no JSON ({error})" if isinstance(error, json.JSONDecodeError | RecursionError) else str(error)


def _shared(exchange: Exchange, request: Request) -> int:
    return agreement(exchange.request, request) if exchange.request is not None else -1
